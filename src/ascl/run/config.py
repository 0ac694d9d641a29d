"""A run as data: a YAML configuration, checked by pydantic. Every choice of a run is here.

An arm names what it starts `from`; every (arm, seed) is trained and evaluated by itself.
"""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ascl import ranges
from ascl.consult.tool import DEFAULT_TOP_K, MAX_TOP_K
from ascl.consult.variants import VARIANTS, Variant
from ascl.errors import InputError, first_problem
from ascl.evals.settings import AnyJudge, EvalSettings
from ascl.judges.settings import JudgeSettings
from ascl.models.dtype import Dtype
from ascl.run.arms import Arm, ArmName, BaseArm, DataArm, DistillArm, EditArm, PreferenceArm, RlArm, SftArm
from ascl.settings_file import read_settings
from ascl.train.settings import Lora, PreferenceSettings, RlSettings, SftSettings

ZERO_SHOT = "ascl_zs"  # what the paper calls the tool given to the untrained model
Settings = TypeVar("Settings", SftSettings, PreferenceSettings, RlSettings)


class RuleSettings(BaseModel):
    """Which rule book, and how it is searched (BM25 unless an embedding model is named).

    exemptions: whether a rule is shown with what it allows. topics: whether the system text names the categories.
    """

    model_config = ConfigDict(extra="forbid")

    source: str = "default"
    embedding_model: str | None = None
    top_k: int = Field(default=DEFAULT_TOP_K, ge=1, le=MAX_TOP_K)
    exemptions: bool = True
    topics: bool = True


class RunConfig(BaseModel):
    """Everything a run depends on.

    prompts: see `data/load.py`; their train split is for training, and their test split is evaluated where
    `evaluate` names no suite. dtype: auto takes what this machine is fast in, and the run keeps it. sft, preference,
    rl: the settings of the arms of these methods. judge: who gives the reward of RL and checks sampled rows; the judges
    of `evaluate` give the figures.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    dialect: str | None = None
    dtype: Dtype = "auto"
    seeds: list[Annotated[int, Field(ge=0, le=ranges.SEED)]] = Field(default=[0], min_length=1)
    prompts: list[str] = Field(default=["starter"], min_length=1)
    rules: RuleSettings = RuleSettings()
    judge: AnyJudge = JudgeSettings()
    lora: Lora | None = None
    sft: SftSettings = SftSettings()
    preference: PreferenceSettings = PreferenceSettings()
    rl: RlSettings = RlSettings()
    arms: dict[ArmName, Arm] = Field(default_factory=dict)
    evaluate: "RunEvaluation" = Field(default_factory=lambda: RunEvaluation())

    @model_validator(mode="before")
    @classmethod
    def _of_this_layout(cls, value: Any) -> Any:
        if isinstance(value, dict) and (old := [line for key, line in _MOVED.items() if _has(value, key)]):
            raise ValueError(f"a configuration of an earlier layout: {'; '.join(old)} (docs/runs.md)")
        return value

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: one is there twice")
        for name, arm in self.arms.items():
            if name in VARIANTS or name == ZERO_SHOT:
                raise ValueError(f"arms.{name}: this is the name of a prompt variant; name the arm otherwise")
            if arm.start is not None and arm.start not in self.arms:
                raise ValueError(f"arms.{name}.from: there is no arm {arm.start}")
            self.lineage(name)
            try:
                settings = self.settings_of(arm)
            except ValidationError as error:
                raise ValueError(f"arms.{name}.settings.{first_problem(error)}") from error
            if isinstance(settings, SftSettings) and settings.form == "split" and self.dialect != "qwen_agent":
                raise ValueError("sft.form: split needs `dialect: qwen_agent` (the text format it is made for)")
        return self

    def lineage(self, name: str) -> list[str]:
        """The arms whose trainings an arm goes through, its own last. Raises ValueError where they form a ring."""
        found = [name]
        while (start := self.arms[found[0]].start) is not None:
            if start in found:
                raise ValueError(f"arms.{name}.from: it leads back to {start}")
            found.insert(0, start)
        return found

    def settings_of(self, arm: BaseArm) -> SftSettings | PreferenceSettings | RlSettings | None:
        """The settings of an arm; None where its method is the user's own. Raises ValueError for one that is none."""
        if isinstance(arm, SftArm):
            return _changed(self.sft, arm.settings)
        if isinstance(arm, PreferenceArm):
            return _changed(self.preference, arm.settings)
        return self.rl_settings(arm) if isinstance(arm, RlArm) else None

    def rl_settings(self, arm: RlArm) -> RlSettings:
        """The settings of an RL arm. Raises ValueError for one that is none."""
        return _changed(self.rl, arm.settings)

    def evaluation(self, seed: int) -> EvalSettings:
        """The settings of the evaluations of a seed."""
        given = self.evaluate.model_dump()
        suite = self.evaluate.suite or ",".join(self.prompts)
        return EvalSettings.model_validate(given | {"suite": suite, "seed": (self.evaluate.seed + seed) % 2**30})

    def smoke(self) -> "RunConfig":
        """The same run, cut down to minutes: a few prompts, two variants, a few training steps, one seed."""
        evaluate = self.evaluate.model_dump(exclude_unset=True) | {"limit": 4, "variants": ["pure", "ascl"]}
        evaluate["max_tokens"] = min(48, self.evaluate.max_tokens or 48)
        arms = {name: arm.model_dump(by_alias=True, exclude_unset=True) for name, arm in self.arms.items()}
        few = {"max_steps": 2, "prompts_per_step": 1, "group_size": 4, "micro_batch_size": 4}
        for name, arm in self.arms.items():
            given = arms[name]
            if isinstance(arm, RlArm):
                given["settings"] = arm.settings | few
            elif isinstance(arm, DataArm):
                data = arm.data.model_dump(by_alias=True, exclude_unset=True) | {"recipe": arm.data.recipe, "limit": 12}
                given |= {"settings": arm.settings | {"epochs": 1}, "data": data}
            elif isinstance(arm, EditArm):
                given |= {"prompts": 8, "shares": arm.shares[:1], "iterations": 1, "max_tokens": 16}
            elif isinstance(arm, DistillArm):
                given |= {"max_steps": 2, "prompts_per_step": 2, "micro_batch_size": 2, "max_tokens": 16}
        changed = {"arms": arms, "evaluate": evaluate, "seeds": self.seeds[:1]}
        return RunConfig.model_validate(self.model_dump(by_alias=True, exclude_unset=True) | changed)


class RunEvaluation(EvalSettings):
    """What a run evaluates: every arm of every seed as `ascl`, and the untrained model in `variants`.

    suite: None for the test split of the run's prompts.
    """

    suite: str | None = None  # type: ignore[assignment]
    variants: list[Variant] = Field(default_factory=lambda: [*VARIANTS])
    judges: list[AnyJudge] = Field(default_factory=lambda: [JudgeSettings()], min_length=1)


RunConfig.model_rebuild()
# What became of the keys of an earlier layout; a key inside another by its path.
_MOVED = {
    "seed": "seed is seeds: [..]",
    "variants": "variants is evaluate.variants",
    "test_limit": "test_limit is evaluate.limit",
    "train_limit": "train_limit is arms.NAME.data.limit (rows) or arms.NAME.limit (RL prompts)",
    "sampling": "sampling is evaluate.greedy and evaluate.max_tokens",
    "eval_batch": "eval_batch is evaluate.batch",
    "teacher": "teacher is arms.NAME.data.model, with base_url, sampling, concurrency and parameters: {purify: false}",
    "reward": "reward is rl.reward",
    "rl.arms": "rl.arms is arms: {bc: {method: sft}, NAME: {from: bc, method: rl, algorithm: NAME}}",
    "rl.settings": "what stood in rl.settings stands in rl, and tau, w_min, .. in arms.NAME.algorithm",
}


def _has(value: dict[str, Any], path: str) -> bool:
    first, _, rest = path.partition(".")
    inner = value.get(first)
    return first in value if not rest else isinstance(inner, dict) and _has(inner, rest)


def _changed(settings: Settings, changes: dict[str, Any]) -> Settings:
    return type(settings).model_validate(settings.model_dump() | changes)


def find_config(name: str) -> Path:
    """The path of a configuration: a file, or a shipped one by its name. Raises InputError."""
    path = Path(name)
    shipped = Path(str(files("ascl.configs") / f"{name.removesuffix('.yaml')}.yaml"))
    if path.exists() or path.is_symlink() or path.name != name:
        return path
    if not shipped.exists():
        known = ", ".join(sorted(one.stem for one in shipped.parent.glob("*.yaml")))
        raise InputError(f"{name}: no such file, nor a shipped configuration ({known})")
    return shipped


def load_config(path: Path) -> RunConfig:
    """Read a YAML configuration; `${NAME}` in it is replaced by the environment variable.

    Raises InputError naming the file and the line or field.
    """
    return read_settings(path, RunConfig)
