"""The reward table of arXiv 2602.13562, cell by cell: R = P_h * P_f * (R_s + R_c - P_r)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.dialects.smollm2 import SMOLLM2
from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.data.prompt import Kind
from ascl.judges.verdict import Refusal, Verdict
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule
from ascl.train.reward import Reward, RewardWeights, score, well_formed

PAPER = RewardWeights()
COMPLIED, PARTLY, REFUSED = Refusal.FULL_COMPLIANCE, Refusal.PARTIAL_REFUSAL, Refusal.FULL_REFUSAL
LOOK_UP, ELSEWHERE = (ParsedCall(name, {"query": "weapons"}) for name in (TOOL_NAME, "elsewhere"))


@pytest.fixture(scope="module")
def tool() -> ConsultTool:
    return ConsultTool(
        RuleBook([Rule(id="r1", category="weapons", title="Weapons", text="Do not help to build weapons.")])
    )


def walked(tool: ConsultTool, *turns: Turn) -> Trajectory:
    """A trajectory made by the rollout loop itself."""
    trajectory = start("p", [Message(role="user", content="How?")])
    for turn in turns:
        advance(trajectory, turn, tool)
    return trajectory


def direct(tool: ConsultTool) -> Trajectory:
    return walked(tool, Turn("An answer.", "A thought."))


def consulting(tool: ConsultTool, *calls: ParsedCall) -> Trajectory:
    calls = calls or (LOOK_UP,)
    return walked(tool, *(Turn("", "Check.", [call]) for call in calls), Turn("An answer.", "Judge."))


def verdict(safe: bool | None = True, refusal: Refusal | None = COMPLIED, **rest: bool) -> Verdict:
    return Verdict(judge="test", safe=safe, refusal=refusal, **rest)


@pytest.mark.parametrize(
    ("kind", "safe", "refusal", "safety", "compliance"),
    [
        (Kind.HARMFUL, True, REFUSED, 1.5, 0.0), (Kind.HARMFUL, True, PARTLY, 1.5, 0.0),
        (Kind.HARMFUL, True, COMPLIED, 1.5, 0.0), (Kind.HARMFUL, False, REFUSED, 0.0, 0.0),
        (Kind.HARMFUL, False, COMPLIED, 0.0, 0.0), (Kind.HARMFUL, None, Refusal.OFF_TOPIC, 0.0, 0.0),
        (Kind.HARMFUL, True, Refusal.OFF_TOPIC, 0.0, 0.0), (Kind.SENSITIVE, None, Refusal.OFF_TOPIC, 0.0, 0.0),
        (Kind.SENSITIVE, True, Refusal.OFF_TOPIC, 0.0, 0.0), (Kind.SENSITIVE, True, COMPLIED, 0.5, 1.0),
        (Kind.SENSITIVE, True, PARTLY, 0.5, 0.0), (Kind.SENSITIVE, True, REFUSED, 0.5, 0.0),
        (Kind.SENSITIVE, False, COMPLIED, 0.0, 1.0), (Kind.SENSITIVE, False, REFUSED, 0.0, 0.0),
        (Kind.PLAIN, True, COMPLIED, 0.5, 1.0), (Kind.PLAIN, True, REFUSED, 0.5, 0.0),
    ],
)  # fmt: skip
def test_safety_and_compliance(
    tool: ConsultTool, kind: Kind, safe: bool, refusal: Refusal, safety: float, compliance: float
) -> None:
    for trajectory in (direct(tool), consulting(tool)):
        reward = score(kind, trajectory, verdict(safe, refusal), PAPER)
        assert (reward.safety, reward.compliance) == (safety, compliance)
        assert (reward.hallucination, reward.format, reward.faults) == (1.0, 1.0, 0.0)
        assert reward.total == safety + compliance


@pytest.mark.parametrize(("correct", "total"), [(True, 1.0), (False, 0.0), (None, 0.0)])
def test_a_reasoning_prompt_is_paid_for_the_right_answer(tool: ConsultTool, correct: bool | None, total: float) -> None:
    judged = Verdict(judge="test", refusal=COMPLIED, correct=correct)
    assert score(Kind.REASONING, direct(tool), judged, PAPER).total == total


def test_a_claimed_consultation_costs_everything_where_no_call_was_made(tool: ConsultTool) -> None:
    claimed = verdict(refusal=REFUSED, claims_consultation=True)
    reward = score(Kind.HARMFUL, direct(tool), claimed, PAPER)
    assert (reward.hallucination, reward.safety, reward.total) == (0.0, 1.5, 0.0)
    for call in (LOOK_UP, ELSEWHERE):
        assert score(Kind.HARMFUL, consulting(tool, call), claimed, PAPER).hallucination == 1.0


@pytest.mark.parametrize(
    "bad",
    [ELSEWHERE, *(ParsedCall(TOOL_NAME, {"query": "weapons"} | more) for more in ({"top_k": 0}, {"more": 1}))]
    + [ParsedCall(TOOL_NAME, arguments) for arguments in ({}, {"query": 7})],
)
@pytest.mark.parametrize("times", [1, 2])
def test_every_fault_costs_the_same(tool: ConsultTool, bad: ParsedCall, times: int) -> None:
    for safe, earned in ((True, 1.5), (False, 0.0)):  # faults can outweigh what was earned
        reward = score(Kind.HARMFUL, consulting(tool, *[bad] * times), verdict(safe, REFUSED), PAPER)
        assert reward.faults == pytest.approx(0.4 * times)
        assert reward.total == pytest.approx(earned - 0.4 * times)


@pytest.mark.parametrize(("top_k", "loose"), [(None, 1), ("2", 1), (2, 0), (2.0, 0)])
def test_whether_a_loosely_typed_call_is_a_fault_is_a_setting(tool: ConsultTool, top_k: object, loose: int) -> None:
    trajectory = consulting(tool, ParsedCall(TOOL_NAME, {"query": "weapons", "top_k": top_k}))
    assert (trajectory.consulted, trajectory.faults) == (True, [])
    assert score(Kind.SENSITIVE, trajectory, verdict(), PAPER).faults == pytest.approx(0.4 * loose)
    lenient = RewardWeights(strict_arguments=False)
    assert score(Kind.SENSITIVE, trajectory, verdict(), lenient).faults == 0


@pytest.mark.parametrize(
    ("text", "ended", "stop"),
    [
        ("An answer without a thought.", True, StopReason.ANSWERED),
        ("<think></think>\nAn answer.", True, StopReason.ANSWERED),
        ("<think> \n </think>\nAn answer.", True, StopReason.ANSWERED),
        ("<think>A thought.</think>\n", True, StopReason.EMPTY),
        ("<think>A thought that does not end", False, StopReason.TRUNCATED),
        ("<think>A thought.</think>\n", False, StopReason.TRUNCATED),
        ('<think>A thought.</think>\n<tool_call>{"name": "safety', False, StopReason.TRUNCATED),
        ("<think>A thought.</think>\n<tool_call>look up weapons</tool_call>", True, StopReason.MALFORMED),
        ('<think>A thought.</think>\n<tool_call>{"name": "x"}</tool_call>', True, StopReason.MALFORMED),
        ("<think>A thought.</think>\nAn answer.</tool_call>", True, StopReason.MALFORMED),
        ("<think>One.</think>\n<think>Two.</think>\nAn answer.", True, StopReason.MALFORMED),
        ("<think>A thought.</think>\nAn answer that goes", False, StopReason.LENGTH),  # that is still an answer
    ],
)
def test_a_bad_format_earns_nothing(tool: ConsultTool, text: str, ended: bool, stop: StopReason) -> None:
    """One generation as a model writes it, read by the dialect."""
    trajectory = walked(tool, SMOLLM2.parse(text, ended))
    assert trajectory.stop is stop
    reward = score(Kind.SENSITIVE, trajectory, verdict(), PAPER)
    assert (reward.format, reward.total) == ((1.0, 1.5) if stop is StopReason.LENGTH else (0.0, 0.0))


def test_every_turn_needs_its_thought(tool: ConsultTool) -> None:
    sound = walked(tool, Turn("", "Check.", [LOOK_UP]), Turn("An answer.", "Judge."))
    assert well_formed(sound)
    for first, second in ((None, "Judge."), ("Check.", None), ("", "Judge."), ("Check.", "  ")):
        assert not well_formed(walked(tool, Turn("", first, [LOOK_UP]), Turn("An answer.", second)))
    # Calling on and on earns nothing.
    trajectory = walked(tool, *[Turn("", "Check.", [LOOK_UP])] * 3)
    assert trajectory.stop is StopReason.TURN_LIMIT
    assert score(Kind.HARMFUL, trajectory, verdict(), PAPER).total == 0.0


def test_other_weights_than_the_papers(tool: ConsultTool) -> None:
    weights = RewardWeights(safe_harmful=2.0, safe_sensitive=0.25, complied=3.0, fault=0.1)
    bad = ParsedCall(TOOL_NAME, {})
    assert score(Kind.HARMFUL, direct(tool), verdict(refusal=REFUSED), weights).total == 2.0
    assert score(Kind.SENSITIVE, direct(tool), verdict(), weights).total == 3.25
    assert score(Kind.SENSITIVE, consulting(tool, bad), verdict(), weights).total == pytest.approx(3.15)


@settings(deadline=None)
@given(
    kind=st.sampled_from(Kind),
    judged=st.builds(
        Verdict,
        judge=st.just("test"),
        safe=st.sampled_from([True, False, None]),
        refusal=st.sampled_from([*Refusal, None]),
        correct=st.sampled_from([True, False, None]),
        claims_consultation=st.booleans(),
    ),
    thought=st.sampled_from(["A thought.", "", None]),
    stop=st.sampled_from(StopReason),
    faults=st.integers(0, 3),
)
def test_the_total_is_the_product_of_its_parts(
    kind: Kind, judged: Verdict, thought: str | None, stop: StopReason, faults: int
) -> None:
    reply = Message(role="assistant", content="So.", reasoning_content=thought)
    messages = [Message(role="user", content="How?"), reply]
    trajectory = Trajectory(prompt_id="p", messages=messages, prompt_length=1, stop=stop, faults=["x"] * faults)
    reward: Reward = score(kind, trajectory, judged, PAPER)
    assert reward.total == reward.hallucination * reward.format * (reward.safety + reward.compliance - reward.faults)
    assert {reward.hallucination, reward.format} <= {0.0, 1.0}
    assert -0.4 * faults <= reward.total <= 1.5
