"""Two processes in one folder: the second one says who works there and leaves; nothing is asked or written twice."""

import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import forked
import pytest
import yaml
from commands import Desk, desk, done, refused, script
from teacher_server import Raw
from tiny_lab import SIZES, tiny

from ascl.data.load import STARTER
from ascl.data.prompt import Kind
from ascl.errors import InputError
from ascl.folders import working_in
from ascl.lab.lab import run_lab


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def held(at: Desk, *command: str) -> BaseProcess:
    """A process that runs a command and waits for an answer of the server."""
    asked = threading.Event()

    def hold(messages: list[dict[str, Any]]) -> Raw:
        asked.set()
        return Raw(silent=True)

    at.server.script = hold
    process = forked.start(at.folder / "first.log", forked.ascl, *command)
    while not asked.wait(0.05):
        assert process.is_alive(), (at.folder / "first.log").read_text()
    return process


def build(at: Desk) -> list[str]:
    return at.build("out")


def evaluate(at: Desk) -> list[str]:
    return at.evaluate("out", *at.guard)


def rejudge(at: Desk) -> list[str]:
    done(*at.evaluate("out"))
    return at.rejudge("out")


def run(at: Desk) -> list[str]:
    """A run whose teacher is the server."""
    rows = [line for kind in Kind for line in (STARTER / f"{kind.value}.jsonl").read_text().splitlines(True)]
    (at.folder / "starter.jsonl").write_text("".join(rows))
    settings = {
        "model": "embedded",
        "prompts": [f"file:{at.folder / 'starter.jsonl'}"],
        "arms": {"bc": {"method": "sft", "data": {"model": "m", "base_url": at.server.base_url}}},
        "evaluate": {"variants": []},
    }
    (at.folder / "run.yaml").write_text(yaml.safe_dump(settings))
    return ["run", str(at.folder / "run.yaml"), "--out", str(at.folder / "out")]


@pytest.mark.parametrize("command", [build, evaluate, rejudge, run])
def test_the_second_process_is_refused_and_after_a_kill_the_next_goes_on(
    at: Desk, command: Callable[[Desk], list[str]], embedded: Path
) -> None:
    given = command(at)
    first = held(at, *given)
    try:
        before = {path: path.stat() for path in (at.folder / "out").rglob("*")}
        second = at.folder / "second.log"
        assert forked.finish(second, forked.ascl, *given) == 2
        told = second.read_text().splitlines()[-1]
        assert told.startswith(f"ascl: {at.folder / 'out'}") and f"process {first.pid} is working in it" in told
        assert "Traceback" not in second.read_text()
        assert {path: path.stat().st_mtime_ns for path in before} == {p: s.st_mtime_ns for p, s in before.items()}
    finally:
        first.kill()
        first.join()
        at.server.script = script
    if command is run:
        with working_in(at.folder / "out"):
            return
    done(*given)
    assert not list((at.folder / "out").rglob(".*")), "neither the lock nor a draft is left"


def test_another_run_is_not_put_aside_while_it_works(at: Desk, embedded: Path) -> None:
    command = run(at)
    with working_in(at.folder / "out"):
        assert "is working in it" in refused(*command, "--fresh")
    assert not (at.folder / "out.old1").exists()


def test_of_two_labs_that_begin_at_once_one_goes_on(tmp_path: Path) -> None:
    labs = {n: forked.start(tmp_path / f"{n}.log", _lab, tmp_path / "lab") for n in range(2)}
    connection.wait([lab.sentinel for lab in labs.values()])
    [(refused, lab)] = [(n, lab) for n, lab in labs.items() if not lab.is_alive()]
    winner = labs[1 - refused]
    winner.kill()
    winner.join()
    assert lab.exitcode == 2
    assert f"process {winner.pid} is working in it" in (tmp_path / f"{refused}.log").read_text()
    with working_in(tmp_path / "lab"):
        pass


def _lab(folder: Path) -> None:
    try:
        run_lab(tiny("bc"), folder, 1, SIZES)
    except InputError as error:
        print(error)
        raise SystemExit(2) from None


def test_records_that_two_processes_wrote_are_kept_once(at: Desk) -> None:
    done(*at.build("out"))
    done(*at.evaluate("e"))
    stage, answers = at.folder / "out" / "stages" / "teacher.jsonl", "trajectories/xstest.jsonl"
    commands = {
        stage: at.build("out"),
        at.folder / "e" / "long" / answers: at.evaluate("e"),
        at.folder / "e" / "pure" / answers: at.rejudge("e/pure"),
    }
    for path, command in commands.items():
        whole = path.read_bytes()
        path.write_bytes(whole + whole.replace(b"second street", b"third street"))
        count = whole.count(b"\n")
        assert done(*command).count(f"{path}: records that are there a second time: {count}; the first") == 1
        assert path.read_bytes() == whole, "the first of each"
        assert "a second time" not in done(*command)
