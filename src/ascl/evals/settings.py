"""What is asked of a model, how often, and who judges (pydantic; light to import)."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ascl import ranges
from ascl.consult.variants import Variant
from ascl.errors import InputError
from ascl.judges.named import DEFAULT, judge_settings
from ascl.judges.settings import JudgeSettings


def _named(value: Any) -> Any:
    """A judge may be named in one word, as on the command line."""
    if not isinstance(value, str):
        return value
    try:
        return judge_settings(value)
    except InputError as error:
        raise ValueError(str(error).removeprefix("--judge ")) from error


AnyJudge = Annotated[JudgeSettings, BeforeValidator(_named)]


class EvalSettings(BaseModel):
    """One evaluation: a suite in some prompt variants, by some judges, of whom the first gives the figures.

    suite: see `benchmarks.py`. books: ask besides whether behaviour follows an edited rule book (`books.py`). limit:
    prompts of each benchmark, evenly spread (0: all, or the suite's own). epochs: answers per prompt (0: as the
    benchmark says). greedy: every prompt once, at temperature 0. max_tokens: of one model turn (0: as the benchmark
    says). skip_missing: leave benchmarks out whose sets can't be read. batch: prompts answered at once in this process,
    which share a sampling seed; concurrency: on a server.
    """

    model_config = ConfigDict(extra="forbid")

    suite: str = "quick"
    books: bool = False
    variants: list[Variant] = ["ascl"]
    judges: list[AnyJudge] = Field(default_factory=lambda: [judge_settings(DEFAULT)], min_length=1)
    limit: int = Field(default=0, ge=0, le=ranges.PROMPTS)
    epochs: int = Field(default=0, ge=0, le=ranges.ANSWERS)
    greedy: bool = False
    max_tokens: int = Field(default=0, ge=0, le=ranges.TOKENS)
    seed: int = Field(default=0, ge=0, le=2**30)
    skip_missing: bool = False
    batch: int = Field(default=32, ge=1, le=ranges.BATCH)
    concurrency: int = Field(default=64, ge=1, le=ranges.CONCURRENCY)
