"""The rollout loop: why a walk ends, what counts as consulted, what is a fault, and what is written down."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import MAX_TURNS, advance, rollout, start
from ascl.consult.tool import FAULTS, TOOL_NAME, ConsultTool
from ascl.models.sampling import Sampling
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule

RULES = [
    Rule(id="tea.cold", category="tea", title="Tea", text="Serving cold tea to a guest."),
    Rule(id="tea.dear", category="tea", title="Tea", text="Selling tea to a child at night."),
]
TOOL = ConsultTool(RuleBook(RULES))
PROMPT = [Message(role="system", content="Be kind."), Message(role="user", content="How do I serve tea?")]


class Speaker:
    """A client that speaks a script for each prompt id, and notes what it was asked."""

    def __init__(self, **scripts: Sequence[Turn]) -> None:
        self.scripts = {name: list(turns) for name, turns in scripts.items()}
        self.batches: list[list[str]] = []
        self.tools: list[list[dict[str, Any]]] = []
        self.samplings: list[Sampling] = []

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        self.batches.append([t.prompt_id for t in trajectories])
        self.tools.append(tools)
        self.samplings.append(sampling)
        return [self.scripts[t.prompt_id].pop(0) for t in trajectories]


def consult(*arguments: dict[str, Any], name: str = TOOL_NAME, content: str = "", thought: str | None = "hm") -> Turn:
    return Turn(content, thought, [ParsedCall(name, a) for a in arguments], tokens=7)


def walk(*turns: Turn, tool: ConsultTool | None = TOOL, max_turns: int = MAX_TURNS) -> Trajectory:
    client = Speaker(p=turns)
    [trajectory] = rollout(client, [start("p", PROMPT)], tool, Sampling(), max_turns)
    assert client.scripts == {"p": []}, "the whole script was spoken"
    return trajectory


ANSWER = Turn("Serve it hot.", "Fine.", tokens=5)
QUERY = {"query": "cold tea"}


def test_a_direct_answer() -> None:
    walked = walk(ANSWER)
    assert walked.stop is StopReason.ANSWERED
    assert (walked.answer, walked.thoughts, walked.consulted) == ("Serve it hot.", ["Fine."], False)
    assert walked.messages[:2] == PROMPT
    assert walked.prompt_length == 2
    assert walked.completion == [Message(role="assistant", content="Serve it hot.", reasoning_content="Fine.")]
    assert (walked.faults, walked.consultations, walked.tokens) == ([], [], 5)


def test_a_consulted_answer() -> None:
    walked = walk(consult(QUERY, content="Let me look."), ANSWER)
    assert (walked.stop, walked.answer) == (StopReason.ANSWERED, "Serve it hot.")
    assert walked.thoughts == ["hm", "Fine."]
    assert walked.consulted
    assert walked.tokens == 12
    asked, result, _ = walked.completion
    assert asked.content == "Let me look."
    assert [(c.name, c.arguments) for c in asked.tool_calls] == [(TOOL_NAME, QUERY)]
    assert (result.role, result.tool_call_id, result.error) == ("tool", asked.tool_calls[0].id, False)
    assert result.content == TOOL.call(TOOL_NAME, QUERY).text
    assert [(c.query, c.top_k, c.hits[0].id) for c in walked.consultations] == [("cold tea", 3, "tea.cold")]


@pytest.mark.parametrize(
    ("turn", "stop"),
    [
        (Turn("Hello."), StopReason.ANSWERED),
        (Turn("Hello", ended=False), StopReason.LENGTH),
        (Turn("Hello", "thought", ended=False), StopReason.LENGTH),
        (Turn(""), StopReason.EMPTY),
        (Turn(" \n", "thought"), StopReason.EMPTY),
        (Turn("", ended=False), StopReason.TRUNCATED),
        (Turn("", "thought", ended=False), StopReason.TRUNCATED),
        (Turn("", "open", ended=False, stop=StopReason.TRUNCATED, detail="thought not closed"), StopReason.TRUNCATED),
        (Turn("<tool_call>{", stop=StopReason.MALFORMED, detail="not JSON"), StopReason.MALFORMED),
    ],
)
def test_why_a_walk_ends(turn: Turn, stop: StopReason) -> None:
    for turns in ([turn], [consult(QUERY), turn]):
        walked = walk(*turns)
        assert walked.stop is stop
        assert walked.answer == (turn.content if stop in (StopReason.ANSWERED, StopReason.LENGTH) else None)
        assert walked.messages[-1] == Message(
            role="assistant", content=turn.content, reasoning_content=turn.thought, tool_calls=[]
        )
        assert walked.consulted is (len(turns) == 2)
        assert walked.faults == ([f"malformed: {turn.detail}"] if stop is StopReason.MALFORMED else [])


@pytest.mark.parametrize("ended", [True, False])
def test_a_call_without_its_markup_is_no_answer(ended: bool) -> None:
    text = f'I look it up.\n{{"name": "{TOOL_NAME}", "arguments": {{"query": "tea"}}}}'
    walked = walk(Turn(text, ended=ended))
    assert walked.stop is (StopReason.MALFORMED if ended else StopReason.TRUNCATED)
    assert walked.faults == (["malformed: tool call without its markup"] if ended else [])
    assert walk(Turn(text), tool=None).answer == text, "where there is no tool, it is a text like any other"


@pytest.mark.parametrize(
    ("name", "arguments", "fault"),
    [
        ("retrieve_policy", QUERY, "unknown_tool"),
        ("", {}, "unknown_tool"),
        (TOOL_NAME, {}, "missing_query"),
        (TOOL_NAME, {"query": " "}, "missing_query"),
        (TOOL_NAME, {"query": 3}, "wrong_type"),
        (TOOL_NAME, {"query": "tea", "top_k": "three"}, "wrong_type"),
        (TOOL_NAME, {"query": "tea", "top_k": 21}, "top_k_range"),
        (TOOL_NAME, {"query": "tea", "topk": 3}, "unknown_argument"),
    ],
)
def test_a_rejected_call_is_a_fault_and_the_model_may_try_again(
    name: str, arguments: dict[str, Any], fault: str
) -> None:
    walked = walk(consult(arguments, name=name), ANSWER)
    assert (walked.stop, walked.faults, walked.consultations) == (StopReason.ANSWERED, [fault], [])
    assert not walked.consulted
    told = walked.completion[1]
    assert (told.role, told.error) == ("tool", True)
    assert told.content.startswith("Error: ")

    walked = walk(consult(arguments, name=name), consult(QUERY), ANSWER)
    assert (walked.stop, walked.faults, len(walked.consultations)) == (StopReason.ANSWERED, [fault], 1)
    assert walked.consulted


def test_a_look_up_that_finds_nothing_is_a_consultation() -> None:
    walked = walk(consult({"query": "zxqv"}), ANSWER)
    assert walked.consulted
    assert (walked.faults, walked.consultations[0].hits) == ([], [])


def test_several_calls_in_one_turn_are_answered_in_order() -> None:
    walked = walk(consult(QUERY, {"query": ""}, {"query": "night child", "top_k": 1}), ANSWER)
    asked, *results, _ = walked.completion
    assert [r.tool_call_id for r in results] == [c.id for c in asked.tool_calls]
    assert len({c.id for c in asked.tool_calls}) == 3
    assert [r.error for r in results] == [False, True, False]
    assert [c.hits[0].id for c in walked.consultations] == ["tea.cold", "tea.dear"]
    assert walked.faults == ["missing_query"]


def test_call_ids_differ_between_turns() -> None:
    walked = walk(consult(QUERY, QUERY), consult(QUERY), ANSWER)
    ids = [call.id for message in walked.completion for call in message.tool_calls]
    assert len(set(ids)) == 3


def test_the_last_turn_may_not_call_but_answer() -> None:
    walked = walk(consult(QUERY), consult(QUERY), consult(QUERY))
    assert (walked.stop, walked.answer) == (StopReason.TURN_LIMIT, None)
    assert len(walked.consultations) == 2
    assert walked.messages[-1].tool_calls, "the call is written down, and not run"
    assert walk(consult(QUERY), max_turns=1).consultations == []
    assert walk(consult(QUERY), consult(QUERY), ANSWER).stop is StopReason.ANSWERED
    assert walk(ANSWER, max_turns=1).stop is StopReason.ANSWERED


def test_without_a_tool_a_call_is_a_fault() -> None:
    walked = walk(consult(QUERY), ANSWER, tool=None)
    assert (walked.stop, walked.faults, walked.consulted) == (StopReason.ANSWERED, ["unknown_tool"], False)
    assert walked.completion[1].content.startswith("Error: ")
    assert walked.faults[0] in FAULTS


def test_calls_of_a_cut_turn_are_not_run() -> None:
    """There may have been more, and the turn has no end-of-turn token to go on from."""
    cut = consult(QUERY)
    cut.ended = False
    walked = walk(cut)
    assert (walked.stop, walked.consulted, walked.faults) == (StopReason.TRUNCATED, False, [])


def test_turns_of_the_prompt_do_not_count() -> None:
    """A conversation may hold earlier consultations: they are not this walk's."""
    earlier = walk(consult(QUERY), consult(QUERY), ANSWER).messages
    messages = [*earlier, Message(role="user", content="And coffee?")]
    client = Speaker(p=[consult(QUERY), consult(QUERY), ANSWER], q=[ANSWER])
    first, second = rollout(client, [start("p", messages), start("q", messages)], TOOL, Sampling())
    assert (first.stop, len(first.consultations), len(first.thoughts)) == (StopReason.ANSWERED, 2, 3)
    assert (second.consulted, second.thoughts, second.consultations) == (False, ["Fine."], [])


def test_the_prompt_is_not_changed() -> None:
    prompt = list(PROMPT)
    first, second = start("a", prompt), start("b", prompt)
    rollout(Speaker(a=[consult(QUERY), ANSWER], b=[ANSWER]), [first, second], TOOL, Sampling())
    assert prompt == PROMPT
    assert (len(first.messages), len(second.messages)) == (5, 3)


def test_a_batch_walks_turn_by_turn_and_only_the_unfinished_go_on() -> None:
    client = Speaker(a=[ANSWER], b=[consult(QUERY), ANSWER], c=[consult({}), consult(QUERY), ANSWER])
    given = [start(name, PROMPT) for name in "abc"]
    walked = rollout(client, given, TOOL, Sampling(temperature=0.5, seed=10))
    assert walked == given, "in place, in order"
    assert client.batches == [["a", "b", "c"], ["b", "c"], ["c"]]
    assert [s.seed for s in client.samplings] == [10, 11, 12]
    assert {s.temperature for s in client.samplings} == {0.5}
    assert client.tools == [[TOOL.schema]] * 3
    assert [t.consulted for t in walked] == [False, True, True]
    assert [t.stop for t in walked] == [StopReason.ANSWERED] * 3


def test_without_a_tool_none_is_offered_and_without_prompts_nothing_is_asked() -> None:
    client = Speaker(p=[ANSWER])
    rollout(client, [start("p", PROMPT)], None, Sampling())
    assert client.tools == [[]]
    assert rollout(client, [], TOOL, Sampling()) == []
    assert client.batches == [["p"]]


calls = st.builds(
    ParsedCall,
    st.sampled_from([TOOL_NAME, TOOL_NAME, "other"]),
    st.fixed_dictionaries({}, optional={"query": st.sampled_from(["tea", "", 3]), "top_k": st.integers(0, 2)}),
)
turns = st.builds(
    Turn,
    st.sampled_from(["", "Hello."]),
    st.none() | st.just("hm"),
    st.lists(calls, max_size=2),
    st.booleans(),
    st.sampled_from([None, None, None, StopReason.TRUNCATED, StopReason.MALFORMED]),
    st.just("why"),
    st.integers(0, 9),
)


@settings(deadline=None)
@given(st.lists(turns, min_size=3, max_size=3))
def test_every_walk_is_told_apart(script: list[Turn]) -> None:
    """Whatever is spoken: the walk ends with a reason, and messages, consultations and faults agree."""
    trajectory = start("p", PROMPT)
    spoken = 0
    for turn in script:
        spoken += 1
        if not advance(trajectory, turn, TOOL):
            break
        assert trajectory.stop is None
    assert trajectory.stop is not None
    results = [m for m in trajectory.completion if m.role == "tool"]
    assert len(trajectory.consultations) == sum(not m.error for m in results)
    assert trajectory.consulted is bool(trajectory.consultations)
    malformed = trajectory.stop is StopReason.MALFORMED
    assert len(trajectory.faults) == sum(m.error for m in results) + malformed
    assert len(trajectory.thoughts) == spoken
    assert trajectory.tokens == sum(turn.tokens for turn in script[:spoken])
    assert (trajectory.answer is not None) == (trajectory.stop in (StopReason.ANSWERED, StopReason.LENGTH))
    written = Trajectory.model_validate_json(trajectory.model_dump_json())
    assert written == trajectory
