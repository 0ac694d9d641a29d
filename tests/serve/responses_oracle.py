"""An independent reader of a Responses stream: it demands what clients rely on, and gives the last response."""

import json
from typing import Annotated, Any

from openai.types.responses import ResponseStreamEvent
from pydantic import Field, TypeAdapter

EVENTS: TypeAdapter[Any] = TypeAdapter(Annotated[ResponseStreamEvent, Field(discriminator="type")])
ENDS = ("response.completed", "response.incomplete", "response.failed")
GROWS = {  # what the events of a text are called after, and the field of its item that holds the part
    "message": ("response.content_part", "response.output_text", "content"),
    "reasoning": ("response.reasoning_summary_part", "response.reasoning_summary_text", "summary"),
}


def read_events(content: bytes) -> list[dict[str, Any]]:
    """The events of a whole stream, numbered from 0 and each of its declared form."""
    assert content.endswith(b"\n\n"), content[-200:]
    found: list[dict[str, Any]] = []
    for block in content.removesuffix(b"\n\n").split(b"\n\n"):
        if block.startswith(b":"):
            assert b"\n" not in block
            continue
        name, data = block.split(b"\n")
        event = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        assert event["sequence_number"] == len(found)
        EVENTS.validate_python(event)
        found.append(event)
    return found


def read_response_stream(content: bytes) -> dict[str, Any]:
    """Read a whole stream, fail where it breaks a rule of the wire, and give the response of its last event."""
    events = read_events(content)
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] in ENDS for event in events] == [False] * (len(events) - 1) + [True], "one end, and last"
    lives = [event["response"] for event in events if "response" in event]
    assert len(lives) == 3
    assert all(life["status"] == "in_progress" and life["output"] == [] for life in lives[:2])
    final = lives[-1]
    assert len({(life["id"], life["created_at"], life["model"], life["object"]) for life in lives}) == 1
    assert events[-1]["type"] == f"response.{final['status']}"
    assert (final["error"] is not None) == (final["status"] == "failed")
    assert (final["usage"] is None) == (final["status"] == "failed")
    assert (final["incomplete_details"] is None) == (final["status"] != "incomplete")
    assert final["output"] == _items(events[2:-1]), "the output is what was announced"
    return final


def _items(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items of the events between begin and end, each whole before the next one begins."""
    items: list[dict[str, Any]] = []
    while events:
        added = events[0]
        assert added["type"] == "response.output_item.added"
        end = next(n for n, event in enumerate(events) if event["type"] == "response.output_item.done")
        own, done = events[1:end], events[end]["item"]
        assert all(event["output_index"] == len(items) for event in events[: end + 1])
        assert all(event["item_id"] == done["id"] for event in own)
        assert (added["item"]["type"], added["item"]["id"]) == (done["type"], done["id"])
        assert added["item"]["status"] == "in_progress"
        assert done["status"] in ("completed", "incomplete")
        (_text if done["type"] in GROWS else _call)(added["item"], own, done)
        items.append(done)
        events = events[end + 1 :]
    ids = [item["id"] for item in items]
    assert len(set(ids)) == len(ids)
    return items


def _text(added: dict[str, Any], own: list[dict[str, Any]], done: dict[str, Any]) -> None:
    part, text, holder = GROWS[done["type"]]
    kinds = [event["type"] for event in own]
    deltas = own[1:-2]
    assert kinds == [f"{part}.added", *[f"{text}.delta"] * len(deltas), f"{text}.done", f"{part}.done"]
    assert added[holder] == []
    said = "".join(event["delta"] for event in deltas)
    assert own[0]["part"]["text"] == ""
    assert own[-2]["text"] == own[-1]["part"]["text"] == said
    assert done[holder] == [own[-1]["part"]]
    assert all(event["delta"] for event in deltas)


def _call(added: dict[str, Any], own: list[dict[str, Any]], done: dict[str, Any]) -> None:
    kind = done["type"]
    assert added["arguments"] == ""
    assert "output" not in added
    kinds = [f"response.{kind}_arguments.{name}" for name in ("delta", "done")]
    if kind == "mcp_call":
        kinds = ["response.mcp_call.in_progress", *kinds, "response.mcp_call.completed"]
    assert [event["type"] for event in own] == kinds
    (delta,) = (event["delta"] for event in own if "delta" in event)
    (arguments,) = (event["arguments"] for event in own if "arguments" in event)
    assert delta == arguments == done["arguments"]
    assert isinstance(json.loads(arguments), dict)
