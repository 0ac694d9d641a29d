"""Sampling from a server, killed and started again: nothing finished is asked twice, and the file is the same."""

import signal
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import forked
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teacher_server import Raw, Teacher, called, said, teacher, user_text

from ascl.chat.messages import Message, Trajectory
from ascl.consult.tool import ConsultTool
from ascl.errors import InputError
from ascl.inputs import read_jsonl
from ascl.models.openai_server import OpenAIClient
from ascl.models.sampling import Sampling
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule
from ascl.sampling.to_file import Budget, BudgetSpent, Job, sample_to, trajectory_rows

TOOL = ConsultTool(RuleBook([Rule(id="tea.cold", category="tea", title="Tea", text="Serving cold tea.")]))
NAMES = [f"p{i * 7 % 40:02}" for i in range(40)]  # not in the order of the ids


def refused(name: str) -> bool:
    return name.endswith("5")


def script(messages: list[dict[str, Any]]) -> dict[str, Any] | Raw:
    """Every third prompt consults; some are refused; the answer depends on the prompt alone."""
    name = user_text(messages)
    if refused(name):
        return Raw(400, b'{"error": {"message": "too long"}}')
    if int(name[1:]) % 3 == 0 and messages[-1]["role"] != "tool":
        return called("cold tea", f"thought of {name} é\u2028")
    return said(f"answer to {name}", "hm")


def jobs(names: list[str] = NAMES) -> list[Job]:
    return [Job(name, [Message(role="user", content=name)]) for name in names]


def run(
    server: Teacher, path: Path, budget: Budget | None = None, concurrency: int = 4, names: list[str] = NAMES
) -> None:
    client = OpenAIClient("m", server.base_url, concurrency, backoff=0.001)
    sample_to(path, client, jobs(names), TOOL, Sampling(seed=5), budget=budget)


def ids(path: Path) -> list[str]:
    """The ids of the whole lines of a file that may end in a torn one."""
    whole = path.with_name("whole lines")
    whole.write_bytes(path.read_bytes().rpartition(b"\n")[0] if path.exists() else b"")
    return [row["id"] if "id" in row else row["trajectory"]["prompt_id"] for _, row in read_jsonl(whole)]


@pytest.fixture
def server() -> Iterator[Teacher]:
    with teacher(script) as running:
        yield running


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with teacher(script) as server:
        run(server, folder / "rows.jsonl")
    return folder


def rejected_rows(folder: Path) -> list[dict[str, Any]]:
    return sorted((row for _, row in read_jsonl(folder / "rejected.jsonl")), key=lambda row: row["id"])


def test_the_file_is_sorted_and_whole(whole: Path) -> None:
    assert ids(whole / "rows.jsonl") == sorted(name for name in NAMES if not refused(name))
    assert [row["id"] for row in rejected_rows(whole)] == sorted(filter(refused, NAMES))
    for _, row in read_jsonl(whole / "rows.jsonl"):
        trajectory = Trajectory.model_validate(row["trajectory"])
        assert trajectory.answer == f"answer to {trajectory.prompt_id}"
        assert trajectory.consulted is (int(trajectory.prompt_id[1:]) % 3 == 0)


@pytest.mark.parametrize("concurrency", [1, 3, 64])
def test_any_number_of_requests_at_once_gives_the_same(
    tmp_path: Path, server: Teacher, whole: Path, concurrency: int
) -> None:
    run(server, tmp_path / "rows.jsonl", concurrency=concurrency)
    assert (tmp_path / "rows.jsonl").read_bytes() == (whole / "rows.jsonl").read_bytes()
    assert rejected_rows(tmp_path) == rejected_rows(whole)


def test_each_prompt_has_its_own_seed_and_each_turn(tmp_path: Path, server: Teacher) -> None:
    run(server, tmp_path / "rows.jsonl")
    seeds = {}
    for request in server.requests:
        seeds[user_text(request["messages"]), len(request["messages"])] = request["seed"]
    assert len(set(seeds.values())) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds.values())


def run_at(base_url: str, path: Path) -> None:
    server = Teacher(script)
    server.base_url = base_url
    run(server, path)


@pytest.mark.parametrize("kills", [(1,), (13,), (7, 9, 11), (52,)])
def test_a_run_that_is_killed_goes_on(tmp_path: Path, server: Teacher, whole: Path, kills: tuple[int, ...]) -> None:
    """`kill -9` of the whole process when its n-th request comes in."""
    path, log = tmp_path / "rows.jsonl", tmp_path / "log"
    finished: Counter[str] = Counter()  # prompt -> requests it had when it was found finished
    running: list[BaseProcess] = []
    for kill in kills:
        last = len(server.requests) + kill

        def killing(messages: list[dict[str, Any]], last: int = last) -> dict[str, Any] | Raw:
            if len(server.requests) >= last:
                running[-1].kill()
            return script(messages)

        server.script = killing
        running.append(forked.start(log, run_at, server.base_url, path))
        running[-1].join()
        assert running[-1].exitcode == -signal.SIGKILL, log.read_text()
        asked = Counter(server.asked)
        for name in ids(path) + ids(tmp_path / "rejected.jsonl"):
            finished.setdefault(name, asked[name])
    server.script = script
    assert forked.finish(log, run_at, server.base_url, path) == 0, log.read_text()
    asked = Counter(server.asked)
    assert path.read_bytes() == (whole / "rows.jsonl").read_bytes()
    assert rejected_rows(tmp_path) == rejected_rows(whole)
    assert {name: asked[name] for name in finished} == finished, "no finished prompt was asked again"


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_files_torn_at_any_byte_are_made_whole(
    tmp_path_factory: pytest.TempPathFactory, whole: Path, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    kept: list[str] = []
    for name in ("rows.jsonl", "rejected.jsonl"):
        raw = (whole / name).read_bytes()
        (folder / name).write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
        kept += ids(folder / name)
    with teacher(script) as server:
        run(server, folder / "rows.jsonl")
    assert (folder / "rows.jsonl").read_bytes() == (whole / "rows.jsonl").read_bytes()
    assert rejected_rows(folder) == rejected_rows(whole)
    assert set(server.asked) == set(NAMES) - set(kept)


def test_a_second_run_asks_nothing(whole: Path, server: Teacher) -> None:
    changed = (whole / "rows.jsonl").stat().st_mtime_ns
    run(server, whole / "rows.jsonl")
    assert server.requests == []
    assert (whole / "rows.jsonl").stat().st_mtime_ns == changed


def test_rejected_prompts_are_asked_again_once_their_file_is_deleted(tmp_path: Path, server: Teacher) -> None:
    path = tmp_path / "rows.jsonl"
    run(server, path)
    server.script = lambda messages: said("better now")
    server.requests.clear()
    run(server, path)
    assert server.requests == []
    (tmp_path / "rejected.jsonl").unlink()
    run(server, path)
    assert sorted(server.asked) == sorted(filter(refused, NAMES))
    assert ids(path) == sorted(NAMES)


def test_stages_share_the_file_of_rejected_prompts(tmp_path: Path, server: Teacher) -> None:
    for stage in ("one", "two", "one"):
        run(server, tmp_path / f"{stage}.jsonl")
    rows = [row for _, row in read_jsonl(tmp_path / "rejected.jsonl")]
    assert Counter(row["stage"] for row in rows) == {"one": 4, "two": 4}
    assert set(Counter(server.asked).values()) == {2, 4}, "once in each stage, twice that where a prompt consults"


def test_an_id_that_comes_twice_is_an_error(tmp_path: Path, server: Teacher) -> None:
    with pytest.raises(InputError, match="prompt p01: this id is there twice"):
        run(server, tmp_path / "rows.jsonl", names=["p01", "p02", "p01"])


@pytest.mark.parametrize("most", [3, 10, 17])
def test_a_budget_of_requests_stops_a_run_and_the_next_goes_on(
    tmp_path: Path, server: Teacher, whole: Path, most: int
) -> None:
    path, done, runs = tmp_path / "rows.jsonl", 0, 0
    while True:
        before = len(server.requests)
        runs += 1
        try:
            run(server, path, Budget(requests=most), concurrency=8)
            break
        except BudgetSpent as error:
            now = len(ids(path)) + len(ids(tmp_path / "rejected.jsonl"))
            told = f"the budget of {most} requests is spent: {now} prompts are finished; the same command goes on"
            assert str(error) == told
            assert now > done, "every run comes further"
            assert len(server.requests) == before + most
            done = now
        assert len(server.requests) <= before + most
    assert runs > 2
    assert path.read_bytes() == (whole / "rows.jsonl").read_bytes()


def test_a_budget_that_is_just_enough_is_no_error(tmp_path: Path, server: Teacher) -> None:
    run(server, tmp_path / "rows.jsonl", Budget(requests=2, tokens=10), names=["p03"])
    assert len(server.requests) == 2


def test_a_budget_counts_retries(tmp_path: Path) -> None:
    told = "the budget of 5 requests is spent: 0 prompts are finished"
    with teacher(lambda messages: Raw(500)) as server, pytest.raises(BudgetSpent, match=told):
        run(server, tmp_path / "rows.jsonl", Budget(requests=5))
    assert len(server.requests) == 5
    assert not (tmp_path / "rejected.jsonl").exists()


def test_a_budget_of_tokens_stops_the_run(tmp_path: Path, server: Teacher, whole: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with pytest.raises(BudgetSpent, match="the budget of 50 tokens is spent: "):
        run(server, path, Budget(tokens=50))  # every reply counts five
    answered = sum(not refused(name) for name in server.asked)
    assert 10 <= answered < 10 + 4, "what is under way when it is spent is waited for"
    run(server, path)
    assert path.read_bytes() == (whole / "rows.jsonl").read_bytes()


def test_jobs_are_taken_when_there_is_room(tmp_path: Path, server: Teacher) -> None:
    """Never more of them than `concurrency` beyond what is on disk; and no trajectory is kept after that."""
    path, ahead, kept = tmp_path / "rows.jsonl", [0], [0]
    walked: list[weakref.ref[Trajectory]] = []

    def lazily() -> Iterator[Job]:
        for taken, job in enumerate(jobs(), start=1):
            ahead.append(taken - len(ids(path)) - len(ids(tmp_path / "rejected.jsonl")))
            kept.append(sum(trajectory() is not None for trajectory in walked))
            yield job

    def rows(batch: Sequence[tuple[Job, Trajectory]]) -> list[dict[str, Any]]:
        walked.extend(weakref.ref(trajectory) for _, trajectory in batch)
        return trajectory_rows(batch)

    sample_to(path, OpenAIClient("m", server.base_url, 4), lazily(), TOOL, Sampling(), rows)
    assert len(ahead) == 1 + len(NAMES)
    assert max(ahead) == 4
    assert max(kept) <= 4


def test_requests_are_sent_at_once_and_each_prompt_walks_on_its_own(tmp_path: Path) -> None:
    """One prompt's first turn waits until another prompt has been answered: in lockstep neither would end."""
    answered, all_there = threading.Event(), threading.Barrier(4)

    def waiting(messages: list[dict[str, Any]]) -> dict[str, Any]:
        name = user_text(messages)
        if messages[-1]["role"] == "user":
            all_there.wait(600)
        if name == "p03" and messages[-1]["role"] == "tool":
            answered.set()
        if name == "p01":
            assert answered.wait(600)
        return script(messages)

    with teacher(waiting) as server:
        run(server, tmp_path / "rows.jsonl", names=["p01", "p03", "p06", "p07"])
    assert ids(tmp_path / "rows.jsonl") == ["p01", "p03", "p06", "p07"]
    assert not (tmp_path / "rejected.jsonl").exists()


def test_progress_tells_rates_and_failures(tmp_path: Path) -> None:
    heard: list[tuple[int, str]] = []

    def hear(done: int, note: str = "") -> None:
        heard.append((done, note))

    def busy_once(messages: list[dict[str, Any]]) -> dict[str, Any] | Raw:
        return Raw(429) if len(server.requests) == 1 else script(messages)

    path = tmp_path / "rows.jsonl"
    with teacher(busy_once) as server:
        run(server, path, names=NAMES[:5])
        server.requests.clear()
        client = OpenAIClient("m", server.base_url, 4, backoff=0.001)
        sample_to(path, client, jobs(), TOOL, Sampling(), progress=hear)
    assert heard[0] == (5, "")
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    done, note = heard[-1]
    rate, tokens, *failures = note.split(", ")
    assert done == 40
    assert rate.endswith(" prompts/s") and float(rate.split()[0]) > 0
    assert tokens.endswith(" tokens/s") and float(tokens.split()[0]) > 0
    rejected = sum(map(refused, NAMES)) - sum(map(refused, NAMES[:5]))
    assert failures == [f"{rejected} http_400", "1 http_429", f"{rejected} rejected"]


def broken_rows(batch: Sequence[tuple[Job, Trajectory]]) -> list[dict[str, Any]]:
    if any(job.id == "p07" for job, _ in batch):
        raise RuntimeError("the judge is broken")
    return trajectory_rows(batch)


def test_an_error_of_ours_ends_the_run_and_what_is_written_stays(tmp_path: Path, server: Teacher, whole: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with pytest.raises(RuntimeError, match="the judge is broken"):
        sample_to(path, OpenAIClient("m", server.base_url, 1), jobs(), TOOL, Sampling(), broken_rows)
    assert ids(path) == NAMES[: NAMES.index("p07")]
    run(server, path)
    assert path.read_bytes() == (whole / "rows.jsonl").read_bytes()


def test_a_doubled_record_is_dropped_and_the_first_kept(tmp_path: Path, server: Teacher, whole: Path) -> None:
    path, raw = tmp_path / "rows.jsonl", (whole / "rows.jsonl").read_bytes()
    path.write_bytes(raw + raw.split(b"\n")[0] + b"\n")
    run(server, path)
    assert path.read_bytes() == raw
    assert {request["messages"][-1]["content"] for request in server.requests}.isdisjoint(ids(path))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: raw.replace(b'"p03"', b'"p03" ?', 1), "rows.jsonl, line 4: not JSON"),
        (lambda raw: b'{"id": 1}\n' + raw, "rows.jsonl, line 1: not a record of this kind"),
        (lambda raw: b'{"trajectory": 1}\n' + raw, "rows.jsonl, line 1: not a record of this kind"),
        (lambda raw: b'{"trajectory": {"prompt_id": []}}\n' + raw, "rows.jsonl, line 1: not a record of this kind"),
    ],
)
def test_a_damaged_file_is_named_and_left_alone(
    tmp_path: Path, server: Teacher, whole: Path, damage: Callable[[bytes], bytes], words: str
) -> None:
    path = tmp_path / "rows.jsonl"
    raw = damage((whole / "rows.jsonl").read_bytes())
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        run(server, path)
    assert words in str(caught.value)
    assert path.read_bytes() == raw
    assert server.requests == []
