"""ASCL's behaviour-cloning set: which trajectories are worth cloning, balance, mixture, native and split rows."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.render import Renderer
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row, native_row, split_row
from ascl.data.rows import read_rows
from ascl.errors import InputError
from ascl.files import write_jsonl
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.verdict import Refusal, Verdict
from ascl.models.models import load_renderer
from ascl.recipes.ascl import Parameters, consult_row, demonstrated, is_cloned, load_demonstrations
from ascl.recipes.balance import mix, mix_warning, parts_of, read_label, search_label, take_evenly
from ascl.recipes.consult_checks import acceptable, check, query_related, refers_to_results, shortcoming
from ascl.rules.book import RuleBook
from ascl.run.config import RunConfig, SftArm
from ascl.run.world import ConfiguredWorld
from ascl.train.tokens import IGNORED, encode_row

TOOL = ConsultTool(RuleBook.load())
FULL, PARTIAL, COMPLIED = Refusal.FULL_REFUSAL, Refusal.PARTIAL_REFUSAL, Refusal.FULL_COMPLIANCE
SHARES = (2, 3, 2)


def walk(
    identity: str,
    consulted: bool,
    *,
    thoughts: tuple[str, str] = ("Let me see.", "So it is."),
    query: str = "weapons",
    answer: str = "An answer.",
    beside: str = "",
    ended: bool = True,
) -> Trajectory:
    trajectory = start(identity, [Message(role="user", content="How?")])
    if consulted:
        advance(trajectory, Turn(beside, thoughts[0], [ParsedCall(TOOL_NAME, {"query": query})]), TOOL)
    advance(trajectory, Turn(answer, thoughts[1], ended=ended), TOOL)
    return trajectory


def prompt(identity: str, kind: Kind, text: str = "How?", category: str | None = None) -> Prompt:
    messages = [Message(role="user", content=text)]
    return Prompt(id=identity, messages=messages, kind=kind, category=category, answer="1", source="made")


@pytest.fixture(scope="module")
def renderer(embedded: Path) -> Renderer:
    return load_renderer(str(embedded))


CONSULTING, ANSWERED = walk("", True), walk("", False)


def rows(n: int, kind: Kind, consulted: bool, categories: tuple[str, ...] = ("violence",)) -> list[Row]:
    made = []
    for i in range(n):
        identity = f"{kind}-{consulted}-{i}"
        trajectory = (CONSULTING if consulted else ANSWERED).model_copy(update={"prompt_id": identity})
        category = categories[i % len(categories)] if kind is Kind.HARMFUL else None
        made.append(consult_row(prompt(identity, kind), trajectory, TOOL, {"origin": "made"}, category))
    return made


def mixture(harmful: int, consulting: int, direct: int) -> list[Row]:
    return [
        *rows(harmful, Kind.HARMFUL, True),
        *rows(consulting, Kind.SENSITIVE, True),
        *rows(direct, Kind.SENSITIVE, False),
    ]


def parts(found: list[Row]) -> tuple[int, ...]:
    return tuple(map(len, parts_of(found)))


# the checks

GOOD = [
    (Kind.HARMFUL, True, Verdict(judge="x", safe=True, refusal=FULL)),
    (Kind.SENSITIVE, True, Verdict(judge="x", safe=True, refusal=COMPLIED)),
    (Kind.SENSITIVE, False, Verdict(judge="x", safe=True, refusal=COMPLIED)),
    (Kind.PLAIN, False, Verdict(judge="x", safe=True, refusal=COMPLIED)),
    (Kind.REASONING, False, Verdict(judge="x", refusal=COMPLIED, correct=True)),
]


@pytest.mark.parametrize(("kind", "consulted", "verdict"), GOOD)
def test_what_is_worth_cloning_and_what_spoils_it(kind: Kind, consulted: bool, verdict: Verdict) -> None:
    good = walk("p", consulted)
    assert acceptable(kind, good, verdict)
    assert shortcoming(kind, good.model_copy(update={"faults": ["unknown_tool"]}), verdict) == "faults"
    claims = verdict.model_copy(update={"claims_consultation": True})
    assert shortcoming(kind, good, claims) == "claims consultation"
    assert shortcoming(kind, walk("p", consulted, thoughts=("Let me see.", " \n")), verdict) == "no thought"
    for stop in set(StopReason) - {StopReason.ANSWERED}:
        assert shortcoming(kind, good.model_copy(update={"stop": stop}), verdict) == "no reply", stop
    assert shortcoming(kind, walk("p", consulted, ended=False), verdict) == "no reply", "an answer cut short"
    if consulted:
        assert shortcoming(kind, walk("p", True, thoughts=("", "So it is.")), verdict) == "no thought"


@pytest.mark.parametrize(
    ("kind", "consulted", "refusal", "correct", "reason"),
    [
        (Kind.HARMFUL, False, FULL, None, "mode"), (Kind.HARMFUL, True, PARTIAL, None, "verdict"),
        (Kind.HARMFUL, True, COMPLIED, None, "verdict"), (Kind.HARMFUL, True, None, None, "verdict"),
        (Kind.SENSITIVE, True, FULL, None, "verdict"), (Kind.SENSITIVE, False, PARTIAL, None, "verdict"),
        (Kind.PLAIN, True, COMPLIED, None, "mode"), (Kind.PLAIN, False, FULL, None, "verdict"),
        (Kind.REASONING, True, COMPLIED, True, "mode"), (Kind.REASONING, False, COMPLIED, False, "verdict"),
        (Kind.REASONING, False, COMPLIED, None, "verdict"),
    ],
)  # fmt: skip
def test_what_is_not_worth_cloning(
    kind: Kind, consulted: bool, refusal: Refusal | None, correct: bool | None, reason: str
) -> None:
    verdict = Verdict(judge="x", safe=True, refusal=refusal, correct=correct)
    assert shortcoming(kind, walk("p", consulted), verdict) == reason
    assert not acceptable(kind, walk("p", consulted), verdict)


REFUSAL = "I can't help with that, because people would be hurt."


def reason_for(text: str, **said: str | tuple[str, str]) -> str | None:
    trajectory = walk("p", True, answer=REFUSAL, **said)  # type: ignore[arg-type]
    return check(prompt("p", Kind.HARMFUL, text), trajectory, OfflineJudge(), TOOL.book)


def test_the_whole_check() -> None:
    bomb = "How do I build a bomb?"
    assert reason_for(bomb, query="bombs") is None
    assert reason_for(bomb, query="tax returns of a bakery") == "query unrelated"
    told = ("The retrieved rules forbid bombs.", "So it is.")
    assert reason_for(bomb, query="bombs", thoughts=told) == "refers to results before the call"
    assert reason_for(bomb, query="bombs", beside="The rules forbid this.") == "refers to results before the call"
    assert reason_for(bomb, query="bombs", thoughts=("I should check.", "The retrieved rules forbid bombs.")) is None


@pytest.mark.parametrize(
    ("query", "asked", "related"),
    [
        ("bombs", "How do I build a bomb?", True),  # one stem
        (
            "encouraging suicide",
            "Write a message that urges a depressed classmate to end his life.",
            True,
        ),  # one category
        ("the a of", "the a of", False),  # stop words are no content
        ("what can I do about this", "What should I do about my neighbor?", False),
        ("copyright of a book", "How do I build a bomb?", False),
        ("", "How do I build a bomb?", False),
        ("bombs", "", False),
    ],
)
def test_query_related(query: str, asked: str, related: bool) -> None:
    assert query_related(query, asked, TOOL.book) is related


REFERS = [
    "The rules forbid bombs.", "The retrieved policies clearly state that this is banned.",
    "According to the results, it is banned.", "As the search results show, it is banned.",
    "The tool returned three rules.", "I checked the rules, and it is banned.",
    "Hm. These guidelines do not apply here.", "Rule 2 is the closest. The listed rules are strict.",
    "With 42.6% similarity, it fits.",
]  # fmt: skip
REFERS_NOT = [
    "This may break a rule, so I should check.", "I should check whether the rules forbid this.",
    "Let me see what the rules say, and if they apply.", "It sounds cruel, so checking the rules is prudent.",
    "The guidelines say I should look up the rules first.", "Chess is not at issue. I should look up the safety rules.",
    "I will look at the rules and decide based on the results.", "The user asks for search engine tips.", "",
]  # fmt: skip


@pytest.mark.parametrize("text", [*REFERS, *REFERS_NOT])
def test_what_refers_to_results(text: str) -> None:
    assert refers_to_results(text) is (text in REFERS)


def test_every_second_thought_of_the_demonstrations_refers_to_results_and_no_first_one() -> None:
    thoughts = [trajectory.thoughts for _, trajectory in demonstrated(TOOL)]
    assert [first for first, *_ in thoughts if refers_to_results(first)] == []
    seconds = [second for _, *rest in thoughts for second in rest]
    assert [one for one in seconds if not refers_to_results(one) and '"' not in one] == []  # or it quotes a rule


# parameters


@pytest.mark.parametrize("ratio", ["2:3", "2:3:2:1", "0:3:2", "2:-3:2", "a:b:c", "", "2:3:", "1.5:1:1", "²:1:1"])
def test_a_bad_ratio(ratio: str) -> None:
    with pytest.raises(ValidationError, match=r"three whole numbers above 0 with colons, e.g. 2:3:2"):
        Parameters(ratio=ratio)


def test_parameters() -> None:
    assert Parameters().shares == (2, 3, 2)
    assert Parameters(ratio="1:1:10").shares == (1, 1, 10)
    with pytest.raises(ValidationError, match="name the purifier"):
        Parameters(purifier_base_url="http://localhost:1/v1")


# labels

TITLES = {rule.category: rule.title for rule in TOOL.book.rules}


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("Violence & Weapons", "violence"), ("  **violence & weapons**.\n", "violence"),
        ("It asks for a bomb.\n\nCategory: Violence & Weapons", "violence"), ("self_harm", "self_harm"),
        ("Violence & Weapons or Gambling", None), ("It is violence & weapons, I think", None), ("Cooking", None),
        ("", None),
    ],
)  # fmt: skip
def test_read_label(reply: str, label: str | None) -> None:
    assert read_label(reply, TITLES) == label


def test_search_label() -> None:
    assert (
        search_label(prompt("p", Kind.HARMFUL, "How do I build a pipe bomb to hurt people?"), TOOL.book) == "violence"
    )
    assert search_label(prompt("p", Kind.HARMFUL, "Xyzzy"), TOOL.book) == "none"


# balance


def test_harmful_rows_are_taken_from_every_category_in_turn() -> None:
    """Of 40, 5 and 3 rows in three categories, 12 are 5 (4 and one more), 4 and 3."""
    found = [
        row.model_copy(update={"id": f"{c}{i}"})
        for c, n in (("a", 40), ("b", 5), ("c", 3))
        for i, row in enumerate(rows(n, Kind.HARMFUL, True))
    ]
    taken = take_evenly(found, 12, lambda row: row.id[0], 0)
    assert sorted(Counter(row.id[0] for row in taken).values()) == [3, 4, 5]
    assert Counter(row.id[0] for row in taken)["c"] == 3
    assert taken == take_evenly(reversed(found), 12, lambda row: row.id[0], 0), "the order of the input is no matter"
    assert {row.id for row in taken} != {row.id for row in take_evenly(found, 12, lambda row: row.id[0], 1)}
    assert len(take_evenly(found, 99, lambda row: row.id[0], 0)) == 48
    assert take_evenly([], 3, lambda row: row.id[0], 0) == []


@given(
    st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 12), min_size=1), st.integers(0, 40), st.integers(0, 2)
)
@settings(deadline=None, max_examples=40)
def test_no_category_is_more_than_one_ahead_of_one_that_has_rows_left(sizes: dict[str, int], n: int, seed: int) -> None:
    row = rows(1, Kind.HARMFUL, True)[0]
    found = [row.model_copy(update={"id": f"{c}{i}"}) for c, size in sizes.items() for i in range(size)]
    taken = take_evenly(found, n, lambda row: row.id[0], seed)
    assert len({row.id for row in taken}) == len(taken) == min(n, len(found))
    counts = Counter(row.id[0] for row in taken)
    unused = [counts[c] for c, size in sizes.items() if counts[c] < size]
    assert not unused or max(counts.values(), default=0) <= min(unused) + 1


def test_the_mixture_balances_harmful_rows() -> None:
    harmful = rows(60, Kind.HARMFUL, True, ("violence",) * 10 + ("privacy", "gambling"))
    mixed = mix(harmful + mixture(0, 18, 12), SHARES, 0)
    assert parts(mixed) == (12, 18, 12)
    assert Counter(row.provenance["category"] for row in parts_of(mixed)[0]) == {
        "violence": 4,
        "privacy": 4,
        "gambling": 4,
    }


# the mixture


def test_the_papers_numbers() -> None:
    """980 harmful, 1469 sensitive and consulting, 980 sensitive and direct make 5878 samples of 3429 prompts."""
    mixed = mix(mixture(980, 1469, 980), SHARES, 0)
    assert (len(mixed), parts(mixed)) == (3429, (980, 1469, 980))
    samples = [sample for row in mixed for sample in split_row(row)]
    assert len(samples) == 2 * 980 + 2 * 1469 + 980 == 5878
    assert len({sample.id for sample in samples}) == 5878


@pytest.mark.parametrize(
    ("given_", "shares", "expected"),
    [
        ((2, 3, 2), SHARES, (2, 3, 2)), ((48, 72, 48), SHARES, (48, 72, 48)), ((100, 72, 100), SHARES, (48, 72, 48)),
        ((10, 100, 100), SHARES, (10, 15, 10)), ((100, 100, 10), SHARES, (10, 15, 10)), ((1, 9, 9), SHARES, (1, 2, 1)),
        ((0, 9, 9), SHARES, (0, 0, 0)), ((9, 0, 9), SHARES, (0, 0, 0)), ((0, 0, 0), SHARES, (0, 0, 0)),
        ((30, 30, 30), (1, 1, 1), (30, 30, 30)), ((30, 30, 30), (3, 1, 2), (30, 10, 20)),
        ((4, 100, 100), (1, 1, 10), (4, 4, 40)), ((1200, 1469, 1500), SHARES, (980, 1469, 980)),
    ],
)  # fmt: skip
def test_the_mixture(
    given_: tuple[int, int, int], shares: tuple[int, int, int], expected: tuple[int, int, int]
) -> None:
    assert parts(mix(mixture(*given_), shares, 0)) == expected


small = st.integers(0, 40)
share = st.integers(1, 7)


@given(small, small, small, st.tuples(share, share, share), st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_the_mixture_uses_up_the_scarcest_part(
    harmful: int, consulting: int, direct: int, shares: tuple[int, int, int], seed: int
) -> None:
    available = (harmful, consulting, direct)
    mixed = mix(mixture(*available), shares, seed)
    taken = parts(mixed)
    assert sum(taken) == len(mixed) == len({row.id for row in mixed})
    assert all(t <= a for t, a in zip(taken, available, strict=True))
    assert any(t == a for t, a in zip(taken, available, strict=True))
    unit = min(a / s for a, s in zip(available, shares, strict=True))
    assert all(-1e-9 <= t - unit * s < 1 for t, s in zip(taken, shares, strict=True))


def test_plain_and_reasoning_are_all_kept_and_nothing_else() -> None:
    beside = [
        *rows(5, Kind.PLAIN, False), *rows(4, Kind.REASONING, False), *rows(3, Kind.PLAIN, True),
        *rows(3, Kind.HARMFUL, False),
    ]  # fmt: skip
    mixed = mix(mixture(2, 3, 2) + beside, SHARES, 0)
    assert Counter((row.kind, row.mode) for row in mixed) == {
        (Kind.HARMFUL, "consult"): 2, (Kind.SENSITIVE, "consult"): 3, (Kind.SENSITIVE, "direct"): 2,
        (Kind.PLAIN, "direct"): 5, (Kind.REASONING, "direct"): 4,
    }  # fmt: skip
    assert [row.id for row in mixed] == sorted(row.id for row in mixed)


def test_the_choice_depends_on_the_seed_alone() -> None:
    def chosen(seed: int) -> list[str]:
        return [row.id for row in mix(mixture(4, 60, 4), SHARES, seed)]

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)
    assert chosen(1) == [row.id for row in mix(mixture(4, 60, 4)[::-1], SHARES, 1)]


# rows


def test_consult_row() -> None:
    trajectory = walk("p", True)
    row = consult_row(prompt("p", Kind.HARMFUL), trajectory, TOOL, {"origin": "teacher", "model": "big"}, "violence")
    assert (row.id, row.mode, row.last_turn_only, row.recipe, row.source) == ("p", "consult", False, "ascl", "made")
    assert row.provenance == {"origin": "teacher", "model": "big", "category": "violence"}
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
    assert whole.prompt_id == first.prompt_id == second.prompt_id == "p"
    assert first.last_turn_only and second.last_turn_only
    assert first.messages == whole.messages[:2]
    assert second.messages == whole.messages
    assert [sample.mode for sample in (first, second)] == ["consult", "consult"]
    (only,) = split_row(native_row(walk("p", False), Kind.PLAIN, [], "ascl", "made"))
    assert (only.id, only.messages[-1].content) == ("p#1", "An answer.")


@pytest.mark.parametrize("name", ["issue#0", "a#b#2", "#", "#1"])
def test_an_id_is_a_name_and_nothing_else(tmp_path: Path, name: str) -> None:
    whole = native_row(walk(name, True), Kind.HARMFUL, [TOOL.schema], "ascl", "made")
    rows = [whole, *split_row(whole)]
    write_jsonl(tmp_path / "rows.jsonl", [row.dump() for row in rows])
    assert read_rows([tmp_path / "rows.jsonl"]) == rows
    assert {row.prompt_id for row in rows} == {name}
    of_its_id = Row.model_validate(whole.model_dump(exclude={"prompt_id"}))
    assert of_its_id.prompt_id == name, "a row that names no prompt is about the prompt of its id"


def test_loss_lies_on_the_models_turns_alone(renderer: Renderer) -> None:
    row = native_row(walk("p", True), Kind.HARMFUL, [TOOL.schema], "ascl", "made")
    encoded = encode_row(row, renderer)
    learnt = renderer.tokenizer.decode([label for label in encoded["labels"] if label != IGNORED])
    assert "Let me see." in learnt and "So it is." in learnt and "An answer." in learnt and TOOL_NAME in learnt
    assert "How?" not in learnt and row.messages[2].content not in learnt


@pytest.mark.parametrize(
    ("given_", "kept", "ratio"),
    [((1, 8, 4), 4, "1:8:4"), ((30, 10, 80), 24, "3:1:8"), ((200, 3, 3), 7, "200:3:3"), ((6, 90, 6), 21, "1:15:1")],
)
def test_a_mixture_that_leaves_most_rows_out_proposes_a_ratio_that_keeps_all(
    given_: tuple[int, int, int], kept: int, ratio: str
) -> None:
    rows = mixture(*given_)
    mixed = mix(rows, SHARES, 0)
    told = mix_warning(rows, mixed)
    assert told is not None and f"{sum(given_)} rows were accepted and {kept} are kept" in told
    assert f"--set ratio={ratio} " in told
    assert parts(mix(rows, Parameters(ratio=ratio).shares, 0)) == given_
    assert mix_warning(rows, mix(rows, Parameters(ratio=ratio).shares, 0)) is None


def test_a_mixture_without_one_part_says_which() -> None:
    rows = mixture(0, 8, 5)
    told = mix_warning(rows, mix(rows, SHARES, 0))
    assert told is not None and "13 rows were accepted and 0 are kept (0 harmful and consult, 8 sensitive" in told
    assert "a part without rows leaves the others empty" in told and "ratio=" not in told


@pytest.mark.parametrize("given_", [(0, 0, 0), (980, 1469, 980), (4, 4, 4)])
def test_a_mixture_that_keeps_half_is_no_warning(given_: tuple[int, int, int]) -> None:
    rows = mixture(*given_)
    assert mix_warning(rows, mix(rows, SHARES, 0)) is None


# demonstrations


def test_demonstrations_become_rows_of_the_starter_set() -> None:
    found = [consult_row(p, t, TOOL, {"origin": "demonstration"}, p.category) for p, t in demonstrated(TOOL)]
    mixed = mix(found, SHARES, 0)
    harmful, consulting, direct = parts(mixed)
    assert abs(harmful * 3 - consulting * 2) <= 3 and abs(direct * 3 - consulting * 2) <= 3
    assert {row.source for row in mixed} == {"starter"}
    for row in mixed:
        assert row.messages[0].role == "system", "a demonstration is shown in the form the model will run in"
        assert row.messages[-1].role == "assistant"


def test_a_bad_demonstration_names_file_line_and_field(tmp_path: Path) -> None:
    good = '{"id": "a", "thought": "t", "answer": "x", "mode": "direct"}\n'
    path = tmp_path / "demonstrations_mine.jsonl"
    path.write_text(good + "\n" + '{"id": "b", "answer": "x", "mode": "direct"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=rf"{path}, line 3: thought: Field required"):
        load_demonstrations(tmp_path)
    path.write_text(good, encoding="utf-8")
    assert [one.id for one in load_demonstrations(tmp_path)] == ["a"]


@pytest.mark.parametrize("limit", [1, 2, 12, 13])
def test_an_arms_limit_is_spread_over_kind_and_mode(tmp_path: Path, embedded: Path, limit: int) -> None:
    arm = SftArm.model_validate({"method": "sft", "data": {"limit": limit}})
    world = ConfiguredWorld(RunConfig(model=str(embedded), arms={"bc": arm}))
    made = read_rows(world.make_rows("bc", arm, 0, tmp_path))
    counts = Counter((row.kind, row.mode) for row in made)
    modes = [counts[Kind.SENSITIVE, "consult"], counts[Kind.SENSITIVE, "direct"]]
    assert sum(modes) == limit and max(modes) - min(modes) <= 1
    others = ((Kind.HARMFUL, "consult"), (Kind.PLAIN, "direct"), (Kind.REASONING, "direct"))
    assert [counts[one] for one in others] == [limit] * 3
    assert {row.provenance["origin"] for row in made} == {"demonstration"}
    harmful = [row.provenance["category"] for row in made if row.kind is Kind.HARMFUL]
    assert limit < 12 or len(set(harmful)) > 6
    written = (tmp_path / "rows.jsonl").read_bytes()
    assert world.make_rows("bc", arm, 0, tmp_path) == [tmp_path / "rows.jsonl"]
    assert (tmp_path / "rows.jsonl").read_bytes() == written


def test_about_half_of_the_prompts_are_cloned() -> None:
    made = [prompt(f"p{i}", Kind.HARMFUL) for i in range(1000)]
    cloned = [p.id for p in made if is_cloned(p)]
    assert 400 < len(cloned) < 600
    assert cloned == [p.id for p in made if is_cloned(p.model_copy(update={"kind": Kind.PLAIN}))]
