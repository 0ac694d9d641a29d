"""Training rows: OpenAI messages + tools, with provenance, from trajectories or from reference replies."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ascl.chat.messages import Message, Trajectory
from ascl.data.prompt import Kind, Prompt


class Row(BaseModel):
    """One training sample. Loss falls on the model turns of `messages`.

    last_turn_only: on the last turn alone (the split form). no_loss_prefix: the last turn's thought begins with this
    text, which carries no loss (nor do earlier turns). prompt_id: the prompt's id, which the row's own is unless the
    prompt gave several rows. kind, mode, recipe: unknown for rows that users bring. source: the prompt's source.
    provenance: what else is to be known about the row: the model that wrote it, why it was kept, from what it was made.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    prompt_id: str = ""
    kind: Kind | None = None
    mode: str = ""
    messages: list[Message]
    tools: list[dict[str, Any]] = Field(default_factory=list)
    last_turn_only: bool = False
    no_loss_prefix: str = ""
    recipe: str = ""
    source: str = ""
    provenance: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _of_a_prompt(self) -> "Row":
        self.prompt_id = self.prompt_id or self.id
        return self

    def dump(self) -> dict[str, Any]:
        """The JSONL form: messages as chat templates take them."""
        return self.model_dump(mode="json") | {"messages": [m.for_template() for m in self.messages]}


class Pair(BaseModel):
    """One preference pair: the same prompt with a better and a worse reply.

    Both thoughts begin with shared_prefix: a preference loss belongs on the tokens after it. kind, recipe: unknown for
    pairs that users bring.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    kind: Kind | None = None
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    shared_prefix: str = ""
    recipe: str = ""
    source: str = ""
    provenance: dict[str, Any] = Field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """The JSONL form, with the columns TRL's DPO trainer reads."""
        parts = {key: [m.for_template() for m in getattr(self, key)] for key in ("prompt", "chosen", "rejected")}
        return self.model_dump(mode="json") | parts


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


def reply_row(
    prompt: Prompt, messages: list[Message], thought: str, answer: str, recipe: str, provenance: dict[str, Any]
) -> Row:
    """A direct reply (thought and answer) to `messages`, the form in which the prompt is trained."""
    reply = Message(role="assistant", content=answer, reasoning_content=thought)
    return Row(
        id=prompt.id,
        kind=prompt.kind,
        mode="direct",
        messages=[*messages, reply],
        recipe=recipe,
        source=prompt.source,
        provenance=provenance,
    )


def split_row(row: Row) -> list[Row]:
    """The paper's split form: one sample per model turn, each with loss on its own last turn only."""
    turns = [i for i, message in enumerate(row.messages) if message.role == "assistant"]
    return [
        row.model_copy(update={"id": f"{row.id}#{n}", "messages": row.messages[: i + 1], "last_turn_only": True})
        for n, i in enumerate(turns, start=1)
    ]
