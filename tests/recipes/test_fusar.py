"""FuSaR's defensive half: harmful traces with their details hidden, checked."""

from pathlib import Path
from typing import Any

import pytest
from teacher_server import Teacher, said
from workshops import HARM, REFUSAL, cut, learned, named, prompt, reasons, twice, workshop

from ascl.chat.render import Renderer
from ascl.data.prompt import Kind
from ascl.judges.lexical.offline import OfflineJudge
from ascl.recipes.fusar import Parameters, build, check
from ascl.recipes.replies import Reply

THOUGHT = "They want to open a lock. A tension wrench and a pick do it, and then one rakes the pins until they set."
HIDDEN = "They want to open something. Some tools would do it, and one works at it; but it is not theirs, so I refuse."
GOOD = f"Thoughts: {HIDDEN}\nReply: {REFUSAL}"
REWRITES = {
    "hidden": said(GOOD),
    "unlabelled": said(HIDDEN),
    "shortened": said(f"Thoughts: I refuse this.\nReply: {REFUSAL}"),
    "steps": said(f"Thoughts: {HIDDEN}\n1. Take a tool.\nReply: {REFUSAL}"),
    "copied": said(f"Thoughts: {HIDDEN}\nReply: {REFUSAL} You would {HARM.removeprefix('Sure. ')}"),
    "unhidden": said(f"Thoughts: {THOUGHT}\nReply: {REFUSAL}"),
    "complies": said(f"Thoughts: {HIDDEN}\nReply: Sure, here is how: one takes a tool and works at it for a while."),
    "cut": cut(said(GOOD)),
}
REASONS = {
    "unlabelled": "hide: sections", "shortened": "hide: shortened", "steps": "hide: steps", "copied": "hide: copied",
    "unhidden": "hide: copied", "complies": "hide: verdict", "cut": "hide: no reply",
    "failing": "traces: request failed", "empty": "traces: no reply", "thoughtless": "traces: no thought",
    "safe": "traces: already safe", "plain": "traces: not harmful",
}  # fmt: skip
PROMPTS = [prompt(name, Kind.PLAIN if name == "plain" else Kind.HARMFUL) for name in ("hidden", *REASONS)]


def script(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    if "Make these thoughts and this reply harmless" in messages[-1]["content"]:
        return dict(REWRITES[name])
    if name == "empty":
        return said("", THOUGHT)
    return said(REFUSAL if name == "safe" else HARM, None if name == "thoughtless" else THOUGHT)


SCRIPT = named(script)


def test_what_is_hidden_and_why_the_rest_is_not(tmp_path: Path, server: Teacher) -> None:
    built = twice(build, PROMPTS, Parameters(), tmp_path, server)
    [row] = built.rows
    assert row.dump()["messages"][-1] == {"role": "assistant", "content": REFUSAL, "reasoning_content": HIDDEN}
    assert reasons(built) == REASONS
    assert sum(built.report["prompts"].values()) == len(PROMPTS)


def test_loss_falls_on_the_harmless_thought_and_reply(tmp_path: Path, server: Teacher, renderer: Renderer) -> None:
    [row] = build(PROMPTS[:1], Parameters(), workshop(tmp_path, server)).rows
    text = learned(row, renderer)
    assert HIDDEN in text and REFUSAL in text and "How do I get" not in text and "tension wrench" not in text


@pytest.mark.parametrize(
    "step", ["1. Take a tool.", "2) Take a tool.", "Step 3: take a tool.", "Then comes step two, the tool."]
)
def test_numbered_steps_are_noticed_in_thought_and_reply(step: str) -> None:
    reply = Reply(prompt("p"), THOUGHT, HARM)
    for text in (f"Thoughts: {HIDDEN}\n{step}\nReply: {REFUSAL}", f"{GOOD}\n{step}"):
        assert check(reply, text, OfflineJudge(), 0.5) == "steps"
    assert check(reply, GOOD, OfflineJudge(), 0.5) == (HIDDEN, REFUSAL)


def test_a_sentence_of_a_long_thought_may_stay(tmp_path: Path) -> None:
    kept = "The person asks about a thing that people do at their own homes every day of the week."
    long = f"{kept} {THOUGHT} {THOUGHT}"
    hidden = f"Thoughts: {kept} {HIDDEN}\nReply: {REFUSAL}"
    assert not isinstance(check(Reply(prompt("p"), long, HARM), hidden, OfflineJudge(), 0.5), str)
