"""FuSaR's defensive half: harmful traces with their details hidden, checked."""

from pathlib import Path
from typing import Any

from teacher_server import said, teacher
from workshops import HARM, REFUSAL, named, prompt, reasons, workshop

from ascl.prompts.prompt import Kind
from ascl.recipes.fusar import Parameters, build

THOUGHT = "They want to open a lock. A tension wrench and a pick do it, and then one rakes the pins until they set."
HIDDEN = (
    "They want to open something. Some tools would do it, and one works at it; but it is not theirs, so I refuse."
)
REWRITES = {
    "hidden": f"Thoughts: {HIDDEN}\nReply: {REFUSAL}",
    "unlabelled": HIDDEN,
    "shortened": f"Thoughts: I refuse this.\nReply: {REFUSAL}",
    "steps": f"Thoughts: {HIDDEN}\n1. Take a tool.\nReply: {REFUSAL}",
    "copied": f"Thoughts: {HIDDEN}\nReply: {REFUSAL} You would {HARM.removeprefix('Sure. ')}",
    "complies": f"Thoughts: {HIDDEN}\nReply: Sure, here is how it is done: one takes a tool and works at it for a while.",
}


def script(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    asked = messages[-1]["content"]
    if "Make these thoughts and this reply harmless" in asked:
        return said(REWRITES[name])
    return said(REFUSAL if name == "safe" else HARM, THOUGHT)


def test_what_is_hidden_and_why_the_rest_is_not(tmp_path: Path) -> None:
    prompts = [*map(prompt, REWRITES), prompt("safe"), prompt("plain", Kind.PLAIN)]
    with teacher(named(script)) as server:
        built = build(prompts, Parameters(), workshop(tmp_path, server))
        asked = len(server.requests)
        again = build(prompts, Parameters(), workshop(tmp_path, server))
        assert len(server.requests) == asked, "a second build asks nothing"
    [row] = built.rows
    assert row.dump()["messages"][-1] == {"role": "assistant", "content": REFUSAL, "reasoning_content": HIDDEN}
    assert again.rows[0].dump() == row.dump()
    assert reasons(built) == {
        "unlabelled": "hide: sections",
        "shortened": "hide: shortened",
        "steps": "hide: steps",
        "copied": "hide: copied",
        "complies": "hide: verdict",
        "safe": "traces: already safe",
        "plain": "traces: not harmful",
    }
    assert sum(built.report["prompts"].values()) == len(prompts)
