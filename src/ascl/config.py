"""A run's configuration: one YAML file, every field checked, every default stated here."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ascl import ranges
from ascl.chat.clients.dtype import Dtype
from ascl.chat.clients.sampling import Sampling
from ascl.consult.tool import DEFAULT_TOP_K, MAX_TOP_K
from ascl.consult.variants import Variant
from ascl.errors import InputError, first_problem
from ascl.inputs import LONGEST_TEXT, parse_yaml, read_text
from ascl.judges.settings import JudgeSettings
from ascl.prompts.prompt import Kind
from ascl.servers import optional_address
from ascl.train.advantages import Algorithm, Grpo, Ifpo
from ascl.train.reward import RewardWeights
from ascl.train.settings import Lora, RlSettings, SftSettings


class RuleSettings(BaseModel):
    """Which rule book, and how it is searched (BM25 unless an embedding model is named)."""

    model_config = ConfigDict(extra="forbid")

    source: str = "default"
    embedding_model: str | None = None
    top_k: int = Field(default=DEFAULT_TOP_K, ge=1, le=MAX_TOP_K)


class Teacher(BaseModel):
    """A model behind an OpenAI-compatible server that samples the behaviour-cloning set."""

    model_config = ConfigDict(extra="forbid")

    model: str
    base_url: Annotated[str | None, AfterValidator(optional_address)] = None
    sampling: Sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=4096)
    concurrency: int = Field(default=16, ge=1, le=ranges.CONCURRENCY)


class Rl(BaseModel):
    """RL from the cloned checkpoint: every arm has the same settings, prompts and seed, and its own algorithm.

    arms: an algorithm with its settings (`train/advantages/`), or its name alone: `{type: ifpo, tau: 1}`, `ifpo`.
    """

    model_config = ConfigDict(extra="forbid")

    kinds: list[Kind] = [Kind.HARMFUL, Kind.SENSITIVE]
    settings: RlSettings = RlSettings()
    arms: list[Algorithm] = [Grpo(), Ifpo()]

    @field_validator("arms")
    @classmethod
    def _told_apart(cls, arms: list[Algorithm]) -> list[Algorithm]:
        names = [arm.name for arm in arms]
        if len(set(names)) < len(names):
            raise ValueError("each algorithm may stand there once: an arm is called after it")
        return arms

    @property
    def names(self) -> list[str]:
        """What the arms are called, in order."""
        return [arm.name for arm in self.arms]


class RunConfig(BaseModel):
    """Everything a run depends on.

    prompts: see `prompts/sources.py`. test_limit and train_limit bound the prompts per kind (0: all). dtype: auto takes
    what this machine is fast in, and the run keeps it. variants: the zero-shot variants to measure. eval_batch: prompts
    answered at once, the unit of resumption.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    dialect: str | None = None
    dtype: Dtype = "auto"
    seed: int = Field(default=0, ge=0, le=ranges.SEED)
    prompts: list[str] = Field(default=["starter"], min_length=1)
    test_limit: int = Field(default=0, ge=0, le=ranges.PROMPTS)
    train_limit: int = Field(default=0, ge=0, le=ranges.PROMPTS)
    rules: RuleSettings = RuleSettings()
    variants: list[Variant] = ["pure", "short", "long", "rag", "ascl"]
    sampling: Sampling = Sampling()
    eval_batch: int = Field(default=32, ge=1, le=ranges.BATCH)
    judge: JudgeSettings = JudgeSettings()
    teacher: Teacher | None = None
    lora: Lora | None = None
    sft: SftSettings = SftSettings()
    rl: Rl = Rl()
    reward: RewardWeights = RewardWeights()

    @field_validator("judge", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """`judge: offline` is short for `judge: {kind: offline}`."""
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        if self.sft.form == "split" and self.dialect != "qwen_agent":
            raise ValueError("sft.form: split needs `dialect: qwen_agent` (the text format it is made for)")
        return self

    def smoke(self) -> "RunConfig":
        """The same run, cut down to minutes: a few prompts, two variants, a few training steps."""
        return self.model_copy(
            update={
                "test_limit": 4,
                "train_limit": 12,
                "variants": ["pure", "ascl"],
                "sampling": self.sampling.model_copy(update={"max_tokens": min(48, self.sampling.max_tokens)}),
                "sft": self.sft.model_copy(update={"epochs": 1}),
                "rl": self.rl.model_copy(
                    update={
                        "settings": self.rl.settings.model_copy(
                            update={"max_steps": 2, "prompts_per_step": 1, "group_size": 4, "micro_batch_size": 4}
                        )
                    }
                ),
            }
        )


def load_config(path: Path) -> RunConfig:
    """Read a YAML configuration; `${NAME}` in it is replaced by the environment variable.

    Raises InputError naming the file and the line or field.
    """
    data = parse_yaml(path, _with_environment(path, read_text(path)))
    if not isinstance(data, dict):
        raise InputError(f"{path}: a mapping of settings is expected")
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from error


def _with_environment(path: Path, text: str) -> str:
    """The text with `${NAME}` replaced; a line that is only comment is left alone, a value is not looked at again."""
    lines, room = text.split("\n"), LONGEST_TEXT
    for index, line in enumerate(lines):
        if line.lstrip().startswith("#"):
            continue
        parts = re.split(r"\$\{(\w+)\}", line)  # every second one is a name
        for at in range(1, len(parts), 2):
            where, name = f"{path}, line {index + 1}", parts[at]
            if name not in os.environ:
                raise InputError(f"{where}: the environment variable {name} is not set")
            parts[at] = os.environ[name]
            room -= len(parts[at])
            if room < 0:
                raise InputError(f"{where}: the values of the environment variables make the file too long")
        lines[index] = "".join(parts)
    return "\n".join(lines)
