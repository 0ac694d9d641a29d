"""Decontamination: copies and near copies of evaluation prompts go, everything else stays as it was."""

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.messages import Message
from ascl.data.examples import Example, load_examples
from ascl.data.load import load_prompts
from ascl.data.prompt import Prompt
from ascl.data.row import Row
from ascl.errors import InputError
from ascl.recipes.decontaminate import (
    Reason,
    build_index,
    decontaminate,
    decontaminate_file,
    matches,
    normalise,
    report_table,
    shingles,
    summary,
)

LONG = "Please explain to me how a bicycle pump works and why it gets warm."
SHORT = "What is treason?"
WORDS = [a + b + c for a in "bdfgklm" for b in "aeiou" for c in "nprst"]  # 175 made-up words


def prompt(text: str, identity: str = "e", source: str = "eval") -> Prompt:
    return Prompt(id=identity, messages=[Message(role="user", content=text)], kind="plain", source=source)


def reason(text: str, *evaluation: str, **settings: Any) -> str | None:
    _, dropped = decontaminate([{"id": "t", "prompt": text}], [prompt(e) for e in evaluation], **settings)
    return dropped[0].reason if dropped else None


sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=25).map(" ".join)


@st.composite
def disguised(draw: st.DrawFn, text: str) -> str:
    """The text with other case, spacing and punctuation."""
    words = [draw(st.sampled_from([str.lower, str.upper, str.title]))(word) for word in text.split()]
    marks = st.text(st.sampled_from(string.punctuation + " \t\n\u00a0\u2014\u2019"), max_size=3)
    return draw(marks) + "".join(f"{word}{draw(marks)} " for word in words)


@given(st.data(), st.lists(sentences, min_size=1, max_size=5, unique=True))
@settings(deadline=None)
def test_a_copy_is_dropped_whatever_its_case_punctuation_and_spacing(data: st.DataObject, texts: list[str]) -> None:
    index = data.draw(st.integers(0, len(texts) - 1))
    row = {"id": "t", "prompt": data.draw(disguised(texts[index]))}
    kept, dropped = decontaminate([row], [prompt(text, str(i)) for i, text in enumerate(texts)])
    assert kept == []
    assert (dropped[0].id, dropped[0].reason, dropped[0].similarity) == ("t", Reason.SAME, 1.0)
    assert dropped[0].matched_id == str(index)


@given(st.text(min_size=1).filter(str.strip))
@settings(deadline=None)
def test_any_text_matches_itself(text: str) -> None:
    assert reason(text, text) == Reason.SAME


@given(
    st.lists(st.lists(st.sampled_from(WORDS[:80]), min_size=1, max_size=25).map(" ".join), max_size=8),
    st.lists(st.lists(st.sampled_from(string.digits), min_size=1, max_size=12).map(" ".join), min_size=1, max_size=8),
)
@settings(deadline=None)
def test_unrelated_rows_are_kept_in_order(texts: list[str], evaluation: list[str]) -> None:
    rows = [{"id": str(i), "prompt": text, "other": i} for i, text in enumerate(texts)]
    kept, dropped = decontaminate(rows, [prompt(text) for text in evaluation])
    assert (kept, dropped) == (rows, [])


@given(st.lists(sentences, max_size=8), st.lists(sentences, min_size=1, max_size=8))
@settings(deadline=None)
def test_every_row_is_kept_or_dropped_and_a_second_time_changes_nothing(rows: list[str], evaluation: list[str]) -> None:
    training = [{"id": str(i), "prompt": text} for i, text in enumerate(rows)]
    prompts = [prompt(text, str(i)) for i, text in enumerate(evaluation)]
    kept, dropped = decontaminate(training, prompts)
    ids = [row["id"] for row in kept]
    assert sorted(ids, key=int) == ids
    assert sorted([*ids, *(row.id for row in dropped)], key=int) == [row["id"] for row in training]
    assert decontaminate(kept, prompts) == (kept, [])
    assert {row.matched_id for row in dropped} <= {p.id for p in prompts}


@given(sentences, st.lists(sentences, min_size=1, max_size=10), st.sampled_from([0.1, 0.3, 0.5, 0.6, 0.7, 0.9, 1.0]))
@settings(deadline=None, max_examples=200)
def test_the_search_finds_what_comparing_all_pairs_finds(text: str, evaluation: list[str], threshold: float) -> None:
    def similarity(other: str) -> float:
        a, b = shingles(normalise(text)), shingles(normalise(other))
        return len(a & b) / len(a | b)

    index = build_index([prompt(e) for e in evaluation], n=100, threshold=threshold)
    expected = {i: similarity(e) for i, e in enumerate(evaluation) if similarity(e) >= threshold}
    assert {i: s for i, _, s in matches(text, index)} == pytest.approx(expected)


ODD = "quantum zebra fjord vortex jukebox sphinx waltz lynx cobalt nymph"
EIGHT, SEVEN = (f"{ODD} {' '.join(LONG.split()[:n])} {ODD}" for n in (8, 7))
LIKE = LONG.replace("bicycle pump", "bike pump").replace("Please explain", "Please, explain").replace(" and", ", and")


@pytest.mark.parametrize(
    ("text", "evaluation", "settings", "found"),
    [
        # eight shared words are a match, and seven are none
        (EIGHT, LONG, {}, Reason.NGRAM),
        (f"{ODD} {' '.join(LONG.split()[2:10]).upper()}?! {ODD}", LONG, {}, Reason.NGRAM),
        (SEVEN, LONG, {}, None),
        (SEVEN, LONG, {"n": 7}, Reason.NGRAM),
        # a text of fewer words matches an equal one only
        ("  what is TREASON", SHORT, {}, Reason.SAME),
        (f"Tell me, my dear friend, and be quick about it: {SHORT}", SHORT, {}, None),
        ("What is thunder?", SHORT, {}, None),
        # a near duplicate has most shingles in common
        (LIKE, LONG, {"n": 100}, Reason.NEAR),
        (LIKE, LONG, {"n": 100, "threshold": 0.95}, None),
        ("Who painted the ceiling of that chapel?", LONG, {"n": 100}, None),
        # texts without words
        *(("???", "???", {}, Reason.SAME), ("???", "!!!", {}, None), ("", "!", {}, None)),
    ],
)
def test_what_matches(text: str, evaluation: str, settings: dict[str, Any], found: Reason | None) -> None:
    assert reason(text, evaluation, **settings) == found


def test_the_surest_match_is_told_and_all_sets_are_counted() -> None:
    near = LONG.replace("warm", "hot")
    evaluation = [prompt(near, "n", "one"), prompt(LONG, "s", "two"), prompt(SHORT, "x", "three")]
    _, (row,) = decontaminate([{"id": 7, "question": LONG}], evaluation)
    assert (row.id, row.reason, row.matched_id, row.matched_set) == ("7", Reason.SAME, "s", "two")
    assert (row.text, row.matched_text) == (LONG, LONG)
    assert row.sets == {"two": Reason.SAME, "one": Reason.NGRAM}
    report = summary([row], evaluation)
    assert report["by_reason"] == {"same text": 1, "n-gram": 0, "near duplicate": 0}
    assert report["by_set"]["one"] == {"same text": 0, "n-gram": 1, "near duplicate": 0}
    assert report["by_set"]["three"] == {"same text": 0, "n-gram": 0, "near duplicate": 0}


def test_only_what_users_say_is_compared() -> None:
    system, user = {"role": "system", "content": SHORT}, {"role": "user", "content": LONG}
    reply = {"role": "assistant", "content": SHORT, "reasoning_content": SHORT}
    tool = {"role": "tool", "content": SHORT}
    evaluation = [prompt(SHORT)]
    assert decontaminate([{"messages": [system, user, reply, tool, reply]}], evaluation)[1] == []
    turns = {"messages": [system, {"role": "user", "content": SHORT}, reply, user, reply]}
    assert decontaminate([turns], evaluation)[1][0].reason is Reason.SAME, "an earlier turn of the user counts"
    asked = Prompt(
        id="m",
        messages=[Message(role="user", content="Hi"), Message(role="assistant", content="Hello"), Message(**user)],
        kind="plain",
    )
    assert decontaminate([{"prompt": "Hi"}], [asked])[1] == [], "of an evaluation prompt, the last message counts"


def test_rows_of_every_form() -> None:
    one = prompt(SHORT, "p")
    messages = [*one.messages, Message(role="assistant", content="a")]
    typed = Row(id="r", kind="plain", mode="direct", messages=messages, recipe="x", source="y")
    rows: list[Any] = [
        one, Example(prompt=one, thought="t", answer="a"), typed, typed.dump(),
        {"prompt": [m.for_template() for m in one.messages], "chosen": []}, {"question": SHORT}, {"instruction": SHORT},
    ]  # fmt: skip
    kept, dropped = decontaminate(rows, [one])
    assert kept == []
    assert [row.id for row in dropped] == ["p", "p", "r", "r", "row 5", "row 6", "row 7"]


@pytest.mark.parametrize(
    "row", [{}, {"prompt": 7}, {"prompt": None}, {"messages": []}, {"messages": [{"role": "user", "content": [1]}]}]
)
def test_a_row_without_a_users_text_is_named(row: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^row 2: no user's text"):
        decontaminate([{"prompt": "Q?"}, row], [prompt(SHORT)])
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"prompt": "Q?"}) + "\n\n" + json.dumps(row) + "\n")
    with pytest.raises(InputError, match=r"train\.jsonl, line 3: no user's text"):
        decontaminate_file(path, ["starter"], tmp_path / "out.jsonl")


@pytest.mark.parametrize("wrong", [{"n": 0}, {"threshold": 0.0}, {"threshold": 1.5}])
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"decontaminate: n is to be 1 or more, threshold above 0"):
        decontaminate([{"prompt": "Q?"}], [prompt(SHORT)], **wrong)


def test_a_file_is_written_with_its_report(tmp_path: Path) -> None:
    path, out = tmp_path / "train.jsonl", tmp_path / "clean" / "train.jsonl"
    rows = [
        {"id": "a", "question": "Wie geht es dir?", "score": {"x": 1}},
        {"id": "b", "question": LONG},
        {"question": "Q?"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mine = tmp_path / "mine.jsonl"
    mine.write_text(json.dumps({"id": "e1", "prompt": LONG.upper(), "kind": "plain"}) + "\n")
    table = decontaminate_file(path, [f"file:{mine}", "starter"], out)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [rows[0], rows[2]]
    report = json.loads((tmp_path / "clean" / "train.jsonl.report.json").read_text())
    assert (report["rows"], report["kept"], report["dropped"]) == (3, 2, 1)
    assert (report["ngram"], report["threshold"], report["shingle"]) == (8, 0.6, 5)
    assert report["by_set"]["mine.jsonl"]["same text"] == 1
    assert report["dropped_rows"][0]["matched_text"] == LONG.upper()
    assert table == report_table(report)
    assert table.splitlines()[0].split() == [
        "evaluation", "set", "prompts", "same", "text", "n-gram", "near", "duplicate",
    ]  # fmt: skip
    assert table.splitlines()[1].split() == ["mine.jsonl", "1", "1", "0", "0"]
    assert table.splitlines()[-1] == "3 rows, 1 dropped, 2 kept"
    with pytest.raises(InputError, match="name another file"):
        decontaminate_file(path, ["starter"], path)


@pytest.mark.parametrize(
    ("given", "out", "written"),
    [
        ("set", "clean", "clean/train.jsonl"),
        ("set", "clean.jsonl", "clean.jsonl"),
        ("set", "there", "there/train.jsonl"),
        ("set/train.jsonl", "there", "there/train.jsonl"),
        ("set/train.jsonl", "clean", "clean"),
    ],
)
def test_a_folder_stands_for_its_training_rows(tmp_path: Path, given: str, out: str, written: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "there").mkdir()
    row = json.dumps({"id": "a", "prompt": "Wie geht es dir?"}) + "\n"
    (tmp_path / "set" / "train.jsonl").write_text(row)
    decontaminate_file(tmp_path / given, ["starter:2"], tmp_path / out)
    assert (tmp_path / written).read_text() == row
    assert (tmp_path / f"{written}.report.json").exists()
    with pytest.raises(InputError, match="name another file"):
        decontaminate_file(tmp_path / "set", ["starter:2"], tmp_path / "set")


def test_only_the_copies_in_a_big_set_are_dropped() -> None:
    chance = random.Random(0)
    texts = [" ".join(chance.choices(WORDS, k=15)) for _ in range(800)]
    rows = [{"id": str(i), "prompt": text} for i, text in enumerate(texts[:500])]
    kept, dropped = decontaminate(rows, [prompt(text, str(i)) for i, text in enumerate(texts[400:], start=400)])
    assert kept == rows[:400]
    assert [(row.id, row.matched_id) for row in dropped] == [(str(i), str(i)) for i in range(400, 500)]


@pytest.mark.bench
def test_star1_against_the_public_sets(bench_dir: Path) -> None:
    names = ["xstest", "strongreject", "jailbreakbench", "phtest", "or_bench_hard", "salad_bench"]
    files = ["star1/train.jsonl", *(f"{name}" for name in ("xstest", "strongreject", "jailbreakbench", "phtest"))]
    if any(not (bench_dir / name).exists() for name in [*files, "or_bench", "salad_bench_sample"]):
        pytest.skip("not every set is there")
    prompts = load_prompts(names)
    kept, dropped = decontaminate(load_examples(["star1"]), prompts)
    assert (len(kept), len(dropped)) == (981, 19)
    report = summary(dropped, prompts)
    assert report["by_reason"] == {"same text": 18, "n-gram": 1, "near duplicate": 0}
    assert report["by_set"].pop("salad_bench") == report["by_reason"]
    assert {count for counts in report["by_set"].values() for count in counts.values()} == {0}
