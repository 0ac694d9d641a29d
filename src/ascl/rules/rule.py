"""One safety rule: a sentence that describes prohibited content."""

from pydantic import BaseModel, ConfigDict, Field


class Rule(BaseModel):
    """A rule with a stable id (`privacy.doxxing`), its category's slug and title, and one sentence of text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")
    category: str = Field(min_length=1)
    title: str = Field(min_length=1)
    text: str = Field(min_length=1)
