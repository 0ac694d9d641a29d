"""The arms of a run: what each starts from, what it is trained on and by which method, in the world of the run.

**The contract of a method.** A subclass of `BaseArm` (pydantic) with

- `method: Literal["its_name"]`; of a class of your own the import path; its settings as fields, with ranges;
- `check(name, settings, world)`: looks for what the training will need before the first stage of a run begins. Raises
  InputError naming what is missing; leaves nothing behind.
- `train(job)`: trains the model `job.training.model` and leaves one that transformers can load, with its tokenizer, in
  `job.training.out`. Same job, same model. A training that was killed is started again, with what stands in
  `job.training.work`. Heavy imports belong into the method: configurations are read where torch is not installed.

`sft`, `preference`, `rl`, `edit` and `distill` are five of them. One of your own needs no fork: write
`method: package.module:ClassName` in an arm (a class that Python can import). One that wants the rows of a recipe is a
subclass of `SftArm`, one that wants pairs of `PreferenceArm`, one that wants RL's prompts of `RlArm`; any other of
`BaseArm`. The run does the rest: what is checked, resumed, evaluated and shown.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from ascl import ranges
from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.data.books import Books
from ascl.data.prompt import Kind, Prompt, choose, harmful_and_plain
from ascl.data.row import Pair
from ascl.data.rows import read_pairs, read_rows
from ascl.errors import InputError
from ascl.evals.asked import AskedPrompts
from ascl.extension import imported_settings, is_import_path
from ascl.judges.judge import Judge
from ascl.models.sampling import Sampling
from ascl.progress import console
from ascl.servers import optional_address
from ascl.train.advantages import Algorithm
from ascl.train.edit.settings import EditSettings
from ascl.train.installed import check_installed
from ascl.train.settings import DistillSettings
from ascl.train.training import Training

DIRECTION = (Kind.HARMFUL, Kind.PLAIN)  # prompts that the refusal direction is found with
ArmName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]  # an arm names folders


class World(Protocol):
    """What a run and its arms ask of their world; a seed may change all of it."""

    def facts(self) -> dict[str, Any]:
        """What a run depends on beside its configuration, as JSON."""
        ...

    def base_model(self, seed: int) -> str:
        """The model that arms without a start go on from: a name or a folder."""
        ...

    def renderer(self) -> Renderer:
        """The renderer of every model of the run."""
        ...

    def tool(self, split: str, seed: int) -> ConsultTool:
        """The consult tool, over the rule book of a split."""
        ...

    def check_rows(self, arm: "DataArm") -> None:
        """Raise InputError where the rows of an arm can't be made."""
        ...

    def make_rows(self, name: str, arm: "DataArm", seed: int, folder: Path) -> list[Path]:
        """The files of the rows of an arm; those that are made lie in `folder`."""
        ...

    def rl_prompts(self, arm: "RlArm", seed: int, cloned: Collection[str]) -> list[Prompt]:
        """The prompts of an RL arm, without those of which its model was shown an answer."""
        ...

    def train_prompts(self, kinds: Sequence[Kind], seed: int, shown: Collection[str]) -> list[Prompt]:
        """The run's train prompts of these kinds, without those of which the model was shown an answer."""
        ...

    def asked(self, seed: int) -> AskedPrompts:
        """What every evaluation asks."""
        ...

    def reward_judge(self, folder: Path) -> Judge:
        """Who gives the reward; replies of a judging model are kept in `folder`."""
        ...

    def judges(self, folder: Path) -> list[Judge]:
        """Who judges an evaluation; the first one gives the figures."""
        ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """The training of an arm with one seed.

    name: of the arm. training: the model it goes on from, the renderer, and where the trained model goes. settings: the
    run's settings of the arm's method, with the arm's own changes; None for a method of your own. data: the folder of
    what is made before the training. shown: the ids of prompts of whose answers the model it goes on from was shown
    some.
    """

    name: str
    training: Training
    world: World
    settings: Any
    data: Path
    shown: frozenset[str] = frozenset()

    @property
    def seed(self) -> int:
        """The seed of the training."""
        return self.training.seed


class ArmData(BaseModel):
    """The training rows of an arm, or its pairs.

    recipe: one of `ascl data build`, on the train prompts of `from` (the run's prompts, unless named), with its
    parameters; model, base_url, sampling, concurrency: who is sampled, and how. The recipe `ascl` without a model plays
    the shipped demonstrations that fit the rule book, each under a book of its own where `books` says so
    (`data/books.py`). rows: finished training sets instead of a recipe. limit: rows of each kind of prompt (0: all).
    """

    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    recipe: str = "ascl"
    sources: list[str] | None = Field(default=None, alias="from", min_length=1)
    model: str | None = None
    base_url: Annotated[str | None, AfterValidator(optional_address)] = None
    sampling: Sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=4096)
    concurrency: int = Field(default=16, ge=1, le=ranges.CONCURRENCY)
    parameters: dict[str, Any] = Field(default_factory=dict)
    books: Books = "off"
    rows: list[str] = Field(default_factory=list)
    limit: int = Field(default=0, ge=0, le=ranges.PROMPTS)

    @model_validator(mode="after")
    def _check_books(self) -> "ArmData":
        if self.books != "off" and (self.rows or self.model is not None or self.recipe != "ascl"):
            raise ValueError("books: it goes with the shipped demonstrations (recipe ascl without model or rows) alone")
        return self


class BaseArm(BaseModel):
    """start: the arm whose model this one goes on from (of the same seed); None: the run's model."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, allow_inf_nan=False)

    method: str
    start: ArmName | None = Field(default=None, alias="from")

    def check(self, name: str, settings: Any, world: World) -> None:
        """Look for what the training will need. Raises InputError."""

    def train(self, job: Job) -> None:
        """Leave a trained model in `job.training.out`. Raises InputError."""
        raise NotImplementedError


class DataArm(BaseArm):
    """An arm that is trained on a data set. pairs: whether on pairs, else on rows."""

    pairs: ClassVar[bool] = False
    settings: dict[str, Any] = Field(default_factory=dict)
    data: ArmData = ArmData()

    def check(self, name: str, settings: Any, world: World) -> None:
        """See `BaseArm`: packages, and the rows or what they are made of."""
        check_installed(settings)
        world.check_rows(self)


class SftArm(DataArm):
    """Supervised fine-tuning on rows. settings: what the arm changes in the run's `sft`."""

    method: Literal["sft"]

    def check(self, name: str, settings: Any, world: World) -> None:
        """See `DataArm`, and the prompts of `projection`."""
        super().check(name, settings, world)
        if settings.projection:
            harmful_and_plain(world.train_prompts(DIRECTION, 0, ()))

    def train(self, job: Job) -> None:
        """See `BaseArm` and `train/sft.py`."""
        from ascl.train.sft import run_sft

        rows = read_rows(job.world.make_rows(job.name, self, job.seed, job.data))
        prompts = job.world.train_prompts(DIRECTION, job.seed, ()) if job.settings.projection else []
        run_sft(job.training, rows, job.settings, prompts)


class PreferenceArm(DataArm):
    """Preference optimisation (DPO after the beginning that a pair shares) on the pairs of some kinds of prompts.

    settings: what the arm changes in the run's `preference`. kinds: every kind, unless given.
    """

    pairs: ClassVar[bool] = True
    method: Literal["preference"]
    kinds: list[Kind] | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _by_ipo(cls, given: Any) -> Any:
        """Pairs are made by `ipo` where nothing else is named."""
        data = given.get("data", {}) if isinstance(given, dict) else None
        return given | {"data": {"recipe": "ipo"} | data} if isinstance(data, dict) else given

    def check(self, name: str, settings: Any, world: World) -> None:
        """See `DataArm`, and the kinds of pairs that are there."""
        super().check(name, settings, world)
        if self.data.rows:
            self._chosen(name, read_pairs([Path(one) for one in self.data.rows]))

    def train(self, job: Job) -> None:
        """See `BaseArm` and `train/preference.py`. Raises InputError where no pair is of these kinds."""
        from ascl.train.preference import run_preference

        pairs = read_pairs(job.world.make_rows(job.name, self, job.seed, job.data))
        run_preference(job.training, self._chosen(job.name, pairs), job.settings)

    def _chosen(self, name: str, pairs: list[Pair]) -> list[Pair]:
        """The pairs of the arm's kinds. Raises InputError where there is none."""
        if self.kinds is None or not pairs:
            return pairs
        found = sorted({str(pair.kind) for pair in pairs})
        chosen = [pair for pair in pairs if pair.kind in self.kinds]
        if not chosen:
            raise InputError(f"arms.{name}.kinds: no pair is of these; there are pairs of {', '.join(found)}")
        return chosen


class RlArm(BaseArm):
    """RL by one algorithm, on the train prompts of `rl.kinds` whose answers no model of this arm was shown.

    settings: what the arm changes in the run's `rl`. prompts: sources, as the run's `prompts` are named; those, unless
    given. limit: prompts of each kind (0: all). books: whether each is asked under a book of its own, and with `full`
    the house prompts too (`data/books.py`).
    """

    method: Literal["rl"]
    settings: dict[str, Any] = Field(default_factory=dict)
    algorithm: Algorithm
    prompts: list[str] | None = Field(default=None, min_length=1)
    limit: int = Field(default=0, ge=0, le=ranges.PROMPTS)
    books: Books = "off"

    def check(self, name: str, settings: Any, world: World) -> None:
        """See `BaseArm`: packages, and prompts of every kind."""
        check_installed(settings)
        check_kinds(world.rl_prompts(self, 0, ()), settings.kinds)

    def train(self, job: Job) -> None:
        """See `BaseArm` and `train/rl.py`. Raises InputError where no prompt is left."""
        from ascl.train.rl import run_rl

        prompts = job.world.rl_prompts(self, job.seed, job.shown)
        if not prompts:
            raise InputError(
                f"arms.{job.name}: every train prompt of the kinds in rl.kinds was shown with its answer to the model "
                "this arm goes on from, so none is left for RL; add prompts"
            )
        left = {prompt.kind for prompt in prompts}
        for kind in (kind for kind in job.settings.kinds if kind not in left):
            console.say(
                f"{job.name}: every {kind.value} train prompt was shown with its answer; RL goes on without any"
            )
        tool, judge = job.world.tool("train", job.seed), job.world.reward_judge(job.data)
        run_rl(job.training, prompts, tool, judge, self.algorithm, job.settings)


def check_kinds(prompts: Sequence[Prompt], kinds: Sequence[Kind], where: str = "rl.kinds") -> None:
    """Raise InputError where a training would find no train prompt of a kind it is to train on."""
    if missing := [kind.value for kind in kinds if not choose(prompts, "train", [kind])]:
        raise InputError(
            f"{where}: there is no train prompt of kind {' or '.join(missing)}; add some to `prompts`, "
            f"or leave the kind out of {where}"
        )


class EditArm(BaseArm, EditSettings):
    """LLM-VA: a closed-form edit of weights (`train/edit/`), on the run's train prompts with the judge of the reward.

    prompts: harmful ones, and as many benign ones, of an iteration; at most as many of each are for validation. shares:
    of all output projections that an iteration changes; each share is tried from the start model on, and the best by
    validation F1 is kept. iterations: of each share. max_tokens: of a reply. batch: prompts read and answered at once.
    """

    method: Literal["edit"]

    def check(self, name: str, settings: Any, world: World) -> None:
        """See `BaseArm`: enough prompts of both sides, and a model that can be edited."""
        from ascl.train.edit.labels import KINDS, split_sides
        from ascl.train.edit.sublayers import check_sublayers

        split_sides(world.train_prompts(KINDS, 0, ()), self.prompts, 0)
        check_sublayers(world.base_model(0))

    def train(self, job: Job) -> None:
        """See `BaseArm` and `train/edit/edit.py`."""
        from ascl.train.edit.edit import run_edit
        from ascl.train.edit.labels import KINDS

        prompts = job.world.train_prompts(KINDS, job.seed, job.shown)
        run_edit(job.training, prompts, job.world.reward_judge(job.data), self)


class DistillArm(BaseArm, DistillSettings):
    """OPSA: the model with the rules in its prompt teaches itself without them (`train/distill.py`).

    On the run's train prompts of these kinds. The fields are `DistillSettings`'.
    """

    method: Literal["distill"]

    def check(self, name: str, settings: Any, world: World) -> None:
        """See `BaseArm`: packages, and prompts of every kind."""
        check_installed(self)
        check_kinds(world.train_prompts(self.kinds, 0, ()), self.kinds, f"arms.{name}.kinds")

    def train(self, job: Job) -> None:
        """See `BaseArm` and `train/distill.py`."""
        from ascl.train.distill import run_distill

        prompts = job.world.train_prompts(self.kinds, job.seed, job.shown)
        run_distill(job.training, prompts, job.world.tool("train", job.seed), self)


Ours = SftArm | PreferenceArm | RlArm | EditArm | DistillArm
METHODS = ("sft", "preference", "rl", "edit", "distill")


def _read(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """An import path as `method` names a class of the user's own."""
    if isinstance(value, BaseArm):
        return value
    method = value.get("method") if isinstance(value, dict) else None
    if isinstance(method, str) and is_import_path(method):
        return imported_settings(method, BaseArm, value)
    if isinstance(method, str) and method not in METHODS:
        known = f"use one of {', '.join(METHODS)}, or a class of your own as package.module:ClassName"
        raise InputError(f"method: {method}: {known}")
    return check(value)


Arm = Annotated[SerializeAsAny[Annotated[Ours, Field(discriminator="method")]], WrapValidator(_read)]
