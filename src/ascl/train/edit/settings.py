"""The settings of a weight edit (pydantic; light to import)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ascl import ranges

Share = Annotated[float, Field(gt=0, le=1)]


class EditSettings(BaseModel):
    """LLM-VA. Defaults are the paper's (arXiv 2601.19487) where it gives one.

    prompts: harmful ones, and as many benign ones, of an iteration; at most as many of each are for validation. shares:
    of all output projections that an iteration changes; each share is tried from the start model on, and the best by
    validation F1 is kept. iterations: of each share. max_tokens: of a reply. batch: prompts read and answered at once.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    prompts: int = Field(default=128, ge=2, le=ranges.PROMPTS)
    shares: list[Share] = Field(default=[0.5, 0.65, 0.8], min_length=1, max_length=20)
    iterations: int = Field(default=30, ge=1, le=1000)
    max_tokens: int = Field(default=128, ge=1, le=ranges.TOKENS)
    batch: int = Field(default=32, ge=1, le=ranges.BATCH)
