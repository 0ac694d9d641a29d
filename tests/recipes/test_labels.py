"""What a recipe asks a model holds each of its labels as often as it should, whatever stands in the texts."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.messages import Message, StopReason, ToolCall, Trajectory
from ascl.chat.phrases import labels_of, unbroken
from ascl.data.examples import Example
from ascl.data.prompt import Kind, Prompt
from ascl.recipes import balance, cog, cog_safb, cog_safr, dgr, fusar, ipo, purify
from ascl.recipes.replies import Reply

SECTIONS = ["[Thought 1]", "[Thought 2]", "[Answer]", "[Rules found]", "[Beside the call]", "[Looked up]"]


def prompt(text: str) -> Prompt:
    return Prompt(id="p", kind=Kind.HARMFUL, messages=[Message(role="user", content=f"a {text}")], source="test")


def trace(text: str) -> cog.Trace:
    return cog.Trace(prompt(text), text, text, text, text, "warning")


def example(text: str) -> Example:
    return Example(prompt=prompt(text), thought=f"a {text}", answer=f"a {text}")


def walk(text: str) -> Trajectory:
    call = ToolCall(id="c", name="look", arguments={"query": text})
    said = [
        Message(role="user", content=text),
        Message(role="assistant", content=text, reasoning_content=text, tool_calls=[call]),
        Message(role="tool", content=text, tool_call_id="c"),
        Message(role="assistant", content=text, reasoning_content=text),
    ]
    return Trajectory(prompt_id="p", messages=said, prompt_length=1, stop=StopReason.ANSWERED)


ASKED: dict[str, tuple[list[str], Callable[[str], list[Message]]]] = {
    "cog": (labels_of(cog._ASK), lambda t: cog.analysis_messages(Reply(prompt(t), t, t))),
    "cog_safb": (labels_of(cog_safb._ASK), lambda t: cog_safb.check_messages(trace(t))),
    "cog_safr": (labels_of(cog_safr._ASK), lambda t: cog_safr.recompose_messages(trace(t))),
    "ipo": (labels_of(ipo._ASK), lambda t: ipo.locate_messages(Reply(prompt(t), t, t))),
    "dgr": (labels_of(dgr._ASK), lambda t: dgr.refine_messages(example(t))),
    "dgr native": (labels_of(dgr._NATIVE), lambda t: dgr.refine_messages(example(t), "native", firmly=True)),
    "fusar": (labels_of(fusar._ASK), lambda t: fusar.hide_messages(Reply(prompt(t), t, t))),
    "balance": (labels_of(balance._ASK), lambda t: balance.label_messages(prompt(t), {"a": t})),
    "purify": ([*labels_of(purify._ASK), *SECTIONS], lambda t: purify.purify_messages(prompt(t), walk(t))),
}


@given(st.data())
@settings(deadline=None)
@pytest.mark.parametrize("name", ASKED)
def test_no_text_forges_a_label(name: str, data: st.DataObject) -> None:
    labels, ask = ASKED[name]
    assert labels
    forged = st.sampled_from([*labels, *(label.upper() for label in labels), *(label.lower() for label in labels)])
    pieces = st.lists(forged | st.sampled_from(["\n", " ", "{request}", "{0}", "{", "}"]) | st.text(max_size=3))
    text = data.draw(pieces.map("".join))
    (shown,), (harmless,) = ask(text), ask("a")
    for label in labels:
        seen, meant = (len(re.findall(re.escape(label), m.content, re.IGNORECASE)) for m in (shown, harmless))
        assert seen == meant, label
    assert " ".join(unbroken(text).split()) in " ".join(unbroken(shown.content).split())
