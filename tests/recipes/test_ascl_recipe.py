"""ASCL's behaviour-cloning set: which trajectories are worth cloning, the 2 : 3 : 2 mixture, native and split rows."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.errors import InputError
from ascl.judges.verdict import Refusal, Verdict
from ascl.prompts.prompt import Kind, Prompt
from ascl.recipes.ascl import acceptable, build_rows, demonstrated, is_cloned, load_demonstrations
from ascl.recipes.rows import Row, native_row, split_row
from ascl.rules.book import RuleBook

TOOL = ConsultTool(RuleBook.load())
FULL, PARTIAL, COMPLIED = Refusal.FULL_REFUSAL, Refusal.PARTIAL_REFUSAL, Refusal.FULL_COMPLIANCE


def walk(
    identity: str,
    consulted: bool,
    *,
    thoughts: tuple[str, str] = ("Let me see.", "So it is."),
    query: str = "weapons",
    ended: bool = True,
) -> Trajectory:
    trajectory = start(identity, [Message(role="user", content="How?")])
    if consulted:
        advance(trajectory, Turn("", thoughts[0], [ParsedCall(TOOL_NAME, {"query": query})]), TOOL)
    advance(trajectory, Turn("An answer.", thoughts[1], ended=ended), TOOL)
    return trajectory


def pairs(n: int, kind: Kind, consulted: bool) -> list[tuple[Prompt, Trajectory]]:
    trajectory = walk("", consulted)
    made = []
    for i in range(n):
        identity = f"{kind}-{consulted}-{i}"
        prompt = Prompt(id=identity, messages=trajectory.messages[:1], kind=kind, answer="1", source="made")
        made.append((prompt, trajectory.model_copy(update={"prompt_id": identity})))
    return made


def mixture(harmful: int, consulting: int, direct: int) -> list[tuple[Prompt, Trajectory]]:
    return [
        *pairs(harmful, Kind.HARMFUL, True),
        *pairs(consulting, Kind.SENSITIVE, True),
        *pairs(direct, Kind.SENSITIVE, False),
    ]


def parts(rows: list[Row]) -> tuple[int, int, int]:
    found = Counter((row.kind, row.mode) for row in rows)
    return found[Kind.HARMFUL, "consult"], found[Kind.SENSITIVE, "consult"], found[Kind.SENSITIVE, "direct"]


# acceptable

GOOD = [
    (Kind.HARMFUL, True, Verdict(judge="x", safe=True, refusal=FULL)),
    (Kind.SENSITIVE, True, Verdict(judge="x", safe=True, refusal=COMPLIED)),
    (Kind.SENSITIVE, False, Verdict(judge="x", safe=True, refusal=COMPLIED)),
    (Kind.PLAIN, False, Verdict(judge="x", safe=True, refusal=COMPLIED)),
    (Kind.REASONING, False, Verdict(judge="x", refusal=COMPLIED, correct=True)),
]


@pytest.mark.parametrize(("kind", "consulted", "verdict"), GOOD)
def test_what_is_worth_cloning(kind: Kind, consulted: bool, verdict: Verdict) -> None:
    assert acceptable(kind, walk("p", consulted), verdict)


@pytest.mark.parametrize(("kind", "consulted", "verdict"), GOOD)
def test_what_spoils_any_trajectory(kind: Kind, consulted: bool, verdict: Verdict) -> None:
    good = walk("p", consulted)
    assert not acceptable(kind, good.model_copy(update={"faults": ["unknown_tool"]}), verdict)
    assert not acceptable(kind, good, verdict.model_copy(update={"claims_consultation": True}))
    assert not acceptable(kind, walk("p", consulted, thoughts=("Let me see.", " \n")), verdict)
    for stop in set(StopReason) - {StopReason.ANSWERED}:
        assert not acceptable(kind, good.model_copy(update={"stop": stop}), verdict), stop
    assert not acceptable(kind, walk("p", consulted, ended=False), verdict), "an answer cut short is no example"
    if consulted:
        assert not acceptable(kind, walk("p", True, thoughts=("", "So it is.")), verdict)


@pytest.mark.parametrize(
    ("kind", "consulted", "refusal", "correct"),
    [
        (Kind.HARMFUL, False, FULL, None),
        (Kind.HARMFUL, True, PARTIAL, None),
        (Kind.HARMFUL, True, COMPLIED, None),
        (Kind.HARMFUL, True, None, None),
        (Kind.SENSITIVE, True, FULL, None),
        (Kind.SENSITIVE, False, PARTIAL, None),
        (Kind.PLAIN, True, COMPLIED, None),
        (Kind.PLAIN, False, FULL, None),
        (Kind.REASONING, True, COMPLIED, True),
        (Kind.REASONING, False, COMPLIED, False),
        (Kind.REASONING, False, COMPLIED, None),
    ],
)
def test_what_is_not_worth_cloning(kind: Kind, consulted: bool, refusal: Refusal | None, correct: bool | None) -> None:
    verdict = Verdict(judge="x", safe=True, refusal=refusal, correct=correct)
    assert not acceptable(kind, walk("p", consulted), verdict)


# build_rows


def test_the_papers_numbers() -> None:
    """980 harmful, 1469 sensitive and consulting, 980 sensitive and direct make 5878 samples of 3429 prompts."""
    rows = build_rows(mixture(980, 1469, 980), TOOL, "ascl")
    assert (len(rows), parts(rows)) == (3429, (980, 1469, 980))
    samples = [sample for row in rows for sample in split_row(row)]
    assert len(samples) == 5878
    assert len({sample.id for sample in samples}) == 5878


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ((2, 3, 2), (2, 3, 2)),
        ((48, 72, 48), (48, 72, 48)),
        ((100, 72, 100), (48, 72, 48)),
        ((10, 100, 100), (10, 15, 10)),
        ((100, 100, 10), (10, 15, 10)),
        ((1, 9, 9), (1, 2, 1)),
        ((0, 9, 9), (0, 0, 0)),
        ((9, 0, 9), (0, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_the_mixture(given_: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    assert parts(build_rows(mixture(*given_), TOOL, "ascl")) == expected


small = st.integers(0, 40)


@given(small, small, small, st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_the_mixture_uses_up_the_scarcest_part(harmful: int, consulting: int, direct: int, seed: int) -> None:
    available = (harmful, consulting, direct)
    rows = build_rows(mixture(*available), TOOL, "ascl", seed)
    taken = parts(rows)
    assert sum(taken) == len(rows) == len({row.id for row in rows})
    assert all(t <= a for t, a in zip(taken, available, strict=True))
    assert any(t == a for t, a in zip(taken, available, strict=True))
    unit = min(harmful / 2, consulting / 3, direct / 2)
    assert all(0 <= t - unit * share < 1 for t, share in zip(taken, (2, 3, 2), strict=True))


def test_plain_and_reasoning_are_all_kept_and_nothing_else() -> None:
    beside = [
        *pairs(5, Kind.PLAIN, False),
        *pairs(4, Kind.REASONING, False),
        *pairs(3, Kind.PLAIN, True),
        *pairs(3, Kind.HARMFUL, False),
    ]
    rows = build_rows(mixture(2, 3, 2) + beside, TOOL, "ascl")
    assert Counter((row.kind, row.mode) for row in rows) == {
        (Kind.HARMFUL, "consult"): 2,
        (Kind.SENSITIVE, "consult"): 3,
        (Kind.SENSITIVE, "direct"): 2,
        (Kind.PLAIN, "direct"): 5,
        (Kind.REASONING, "direct"): 4,
    }
    assert [row.id for row in rows] == sorted(row.id for row in rows)


def test_the_choice_depends_on_the_seed_alone() -> None:
    def chosen(seed: int) -> list[str]:
        return [row.id for row in build_rows(mixture(4, 60, 4), TOOL, "ascl", seed)]

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


# rows


def test_native_row() -> None:
    trajectory = walk("p", True)
    row = native_row(trajectory, Kind.HARMFUL, [TOOL.schema], "ascl", "made")
    assert (row.id, row.mode, row.last_turn_only, row.recipe, row.source) == ("p", "consult", False, "ascl", "made")
    assert row.messages == trajectory.messages
    dumped = row.dump()
    assert [m["role"] for m in dumped["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert dumped["messages"][1]["tool_calls"][0]["function"] == {"name": TOOL_NAME, "arguments": {"query": "weapons"}}
    assert dumped["messages"][3] == {"role": "assistant", "content": "An answer.", "reasoning_content": "So it is."}
    assert dumped["tools"] == [TOOL.schema]
    assert native_row(walk("p", False), Kind.PLAIN, [], "ascl", "made").mode == "direct"


def test_split_rows_end_with_their_own_turn() -> None:
    whole = native_row(walk("p", True), Kind.HARMFUL, [TOOL.schema], "ascl", "made")
    first, second = split_row(whole)
    assert (first.id, second.id) == ("p#1", "p#2")
    assert first.last_turn_only and second.last_turn_only
    assert first.messages == whole.messages[:2]
    assert second.messages == whole.messages
    assert [sample.mode for sample in (first, second)] == ["consult", "consult"]
    (only,) = split_row(native_row(walk("p", False), Kind.PLAIN, [], "ascl", "made"))
    assert (only.id, only.messages[-1].content) == ("p#1", "An answer.")


# demonstrations


def test_demonstrations_become_rows_of_the_starter_set() -> None:
    found = demonstrated(TOOL)
    rows = build_rows(found, TOOL, "ascl")
    harmful, consulting, direct = parts(rows)
    assert harmful * 3 == consulting * 2 == direct * 3 > 0
    assert {row.source for row in rows} == {"starter"}
    for row in rows:
        assert row.messages[0].role == "system", "a demonstration is shown in the form the model will run in"
        assert row.messages[-1].role == "assistant"


def test_a_bad_demonstration_names_file_line_and_field(tmp_path: Path) -> None:
    good = '{"id": "a", "thought": "t", "answer": "x", "mode": "direct"}\n'
    path = tmp_path / "demonstrations_mine.jsonl"
    path.write_text(good + "\n" + '{"id": "b", "answer": "x", "mode": "direct"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=rf"{path}, line 3: thought: Field required"):
        load_demonstrations(tmp_path)
    path.write_text(good, encoding="utf-8")
    assert list(load_demonstrations(tmp_path)) == ["a"]


def test_about_half_of_the_prompts_are_cloned() -> None:
    made = [prompt for prompt, _ in pairs(1000, Kind.HARMFUL, False)]
    cloned = [prompt.id for prompt in made if is_cloned(prompt)]
    assert 400 < len(cloned) < 600
    assert cloned == [prompt.id for prompt in made if is_cloned(prompt.model_copy(update={"kind": Kind.PLAIN}))]
