"""Training rows: OpenAI messages + tools, with provenance, from trajectories."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from ascl.chat.messages import Message, Trajectory
from ascl.prompts.prompt import Kind


class Row(BaseModel):
    """One training sample. Loss falls on the model turns of `messages` (`last_turn_only`: on the last one alone)."""

    model_config = ConfigDict(extra="forbid")

    id: str
    kind: Kind
    mode: str
    messages: list[Message]
    tools: list[dict[str, Any]]
    last_turn_only: bool = False
    recipe: str
    source: str

    def dump(self) -> dict[str, Any]:
        """The JSONL form: messages as chat templates take them."""
        return self.model_dump(mode="json") | {"messages": [m.for_template() for m in self.messages]}


def native_row(trajectory: Trajectory, kind: Kind, tools: list[dict[str, Any]], recipe: str, source: str) -> Row:
    """The whole trajectory as one multi-turn sample."""
    return Row(
        id=trajectory.prompt_id,
        kind=kind,
        mode="consult" if trajectory.consulted else "direct",
        messages=trajectory.messages,
        tools=tools,
        recipe=recipe,
        source=source,
    )


def split_row(row: Row) -> list[Row]:
    """The paper's split form: one sample per model turn, each with loss on its own last turn only."""
    turns = [i for i, message in enumerate(row.messages) if message.role == "assistant"]
    return [
        row.model_copy(update={"id": f"{row.id}#{n}", "messages": row.messages[: i + 1], "last_turn_only": True})
        for n, i in enumerate(turns, start=1)
    ]
