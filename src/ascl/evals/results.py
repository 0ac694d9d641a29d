"""What an evaluation leaves on disk, and how it is read back.

An evaluation is one model in one prompt variant on the benchmarks of a suite. Its folder holds

    evaluation.json                          what was asked, of whom, with which rules and sampling (`Evaluation`)
    trajectories/BENCHMARK.jsonl             every answer, unjudged (`Sampled`), in the order of prompt ids
    verdicts/JUDGE/BENCHMARK.jsonl           what one judge says of them (`Judged`), in the same order
    judge_replies.jsonl                      what judging models replied, so that nothing is asked twice
    metrics.json                             the figures (`Results`)

so the same answers can be judged again, by another judge, without a model of their own.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ascl.chat.messages import Trajectory
from ascl.consult.variants import Variant
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.inputs import iterate_jsonl
from ascl.judges.agreement import JudgesAgree
from ascl.judges.judge import Case, unread
from ascl.judges.record import Record, record
from ascl.judges.verdict import Verdict
from ascl.models.sampling import Sampling
from ascl.saved import checked, read_saved, saved_rows
from ascl.stats import Estimate

MAX_SLUG = 100
FileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]  # a benchmark names files
Axis = Literal["safety", "over_refusal", "reasoning"]
AXIS_OF: dict[Kind, Axis] = {
    Kind.HARMFUL: "safety",
    Kind.SENSITIVE: "over_refusal",
    Kind.PLAIN: "over_refusal",
    Kind.REASONING: "reasoning",
}


class Asked(BaseModel):
    """One benchmark of an evaluation: `prompts` of the set's `rows` were asked, `epochs` times each.

    hash: of these prompts. macro: whether the benchmark counts in the mean of its axis.
    """

    model_config = ConfigDict(extra="forbid")

    axis: Axis
    kind: Kind
    source: str
    licence: str = ""
    revision: str | None = None
    rows: int
    prompts: int
    hash: str = ""
    epochs: int = 1
    sampling: Sampling
    macro: bool = True


class Evaluation(BaseModel):
    """`evaluation.json`: everything the answers depend on, and where they were made.

    dtype, batch: in this process only (a batch's prompts share a sampling seed). shown: short hashes of what else the
    answers depend on: the system text and tool, and of a model in this process its weights and template.
    reward_judge: the judge that gave the reward in this model's training, where it is known. arm, seed: of a run, the
    trained arm (None: the untrained model in this variant) and the seed.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    model: str
    base_url: str | None = None
    dialect: str | None = None
    variant: Variant
    suite: str
    benchmarks: dict[FileName, Asked]
    rule_book: dict[str, Any]
    shown: dict[str, str] = Field(default_factory=dict)
    dtype: str | None = None
    batch: int | None = None
    reward_judge: str | None = None
    arm: str | None = None
    seed: int = 0
    created: str
    machine: str
    versions: dict[str, str]


class Sampled(BaseModel):
    """One answer. The trajectory's `prompt_id` is the prompt's id, with `#EPOCH` behind it after the first epoch."""

    model_config = ConfigDict(extra="forbid")

    prompt: Prompt
    epoch: int = 0
    trajectory: Trajectory


class Judged(BaseModel):
    """One verdict, by the judge of that name; None where it said nothing readable. answer: see `answer_hash`."""

    model_config = ConfigDict(extra="forbid")

    id: str
    judge: str
    answer: str
    verdict: Verdict | None

    def of(self, sampled: Sampled, judge: str) -> bool:
        """Whether this is what that judge says of that very answer."""
        return (self.id, self.judge, self.answer) == (sampled.trajectory.prompt_id, judge, answer_hash(sampled))


class BenchmarkResult(BaseModel):
    """The figures of one benchmark.

    `score` is the share of safe answers (safety), of fully or partly refused ones (over_refusal) or of right ones
    (reasoning); see `scores.py` for the other figures.
    """

    model_config = ConfigDict(extra="forbid")

    axis: Axis
    kind: Kind
    prompts: int
    rows: int
    epochs: int
    macro: bool
    figures: dict[str, Estimate]


class JudgeAgreement(JudgesAgree):
    """How far two judges agree, and which."""

    first: str
    second: str


class Results(BaseModel):
    """`metrics.json`: the figures by the report judge, over its benchmarks and by axis."""

    model_config = ConfigDict(extra="forbid")

    judge: str
    benchmarks: dict[str, BenchmarkResult] = Field(default_factory=dict)
    summary: dict[str, Estimate] = Field(default_factory=dict)
    agreement: list[JudgeAgreement] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


def read_evaluation(folder: Path) -> Evaluation:
    """The manifest of an evaluation's folder. Raises InputError."""
    if not (folder / "evaluation.json").is_file():
        raise InputError(f"{folder}: not an evaluation (`ascl eval` makes them)")
    return read_saved(folder / "evaluation.json", Evaluation)


def find_evaluations(folders: Iterable[Path]) -> list[Path]:
    """The folders among these that hold an evaluation, and those directly in them or in the `evals` of a run.

    Raises InputError where one has none.
    """
    found: dict[Path, None] = {}
    for folder in folders:
        inside = [folder] if (folder / "evaluation.json").is_file() else []
        for pattern in ("*/evaluation.json", "evals/*/evaluation.json"):
            inside = inside or sorted(path.parent for path in folder.glob(pattern))
        if not inside:
            raise InputError(f"{folder}: holds no evaluation (`ascl eval` and `ascl run` make them)")
        found |= dict.fromkeys(inside)
    return list(found)


def read_results(folder: Path) -> Results:
    """The figures of an evaluation's folder. Raises InputError."""
    if not (folder / "metrics.json").is_file():
        raise InputError(f"{folder}: no figures yet; run the same `ascl eval` again")
    return read_saved(folder / "metrics.json", Results)


def read_sampled(folder: Path, benchmark: str) -> Iterator[Sampled]:
    """The answers of one benchmark, in order. Raises InputError naming file and line."""
    return saved_rows(folder / "trajectories" / f"{benchmark}.jsonl", Sampled)


def read_records(folder: Path, judge: str, benchmark: str) -> Iterator[Record]:
    """The judged answers of one benchmark as records, in order. Raises InputError where a verdict is missing.

    An answer without a readable verdict has an empty one, and is `unjudged`.
    """
    name = read_evaluation(folder).name
    path, mend = verdicts_path(folder, judge, benchmark), f"run `ascl eval rejudge {folder}`"
    if not path.is_file():
        raise InputError(f"{path}: no such file, so there are no verdicts by {judge}; {mend}")
    verdicts = iterate_jsonl(path)
    for sampled in read_sampled(folder, benchmark):
        number, row = next(verdicts, (0, None))
        judged = checked(Judged, row, f"{path}, line {number}") if row is not None else None
        if judged is None or not judged.of(sampled, judge):
            raise InputError(f"{path}: no verdict by {judge} on {sampled.trajectory.prompt_id}; {mend}")
        prompt, trajectory = sampled.prompt, sampled.trajectory
        yield record(name, prompt, trajectory, judged.verdict or unread(judge, Case(prompt, trajectory)))


def verdicts_path(folder: Path, judge: str, benchmark: str) -> Path:
    """Where the verdicts of a judge on a benchmark lie: no two judges share a folder."""
    digest = hashlib.sha256(judge.encode()).hexdigest()[:6]
    named = judge if slug(judge) == judge else f"{slug(judge)}-{digest}"
    return folder / "verdicts" / named / f"{benchmark}.jsonl"


def answer_hash(sampled: Sampled) -> str:
    """A short hash of a prompt and all that was said, so that a verdict can't pass for one on another answer."""
    said = [sampled.prompt.model_dump_json(), *(m.model_dump_json() for m in sampled.trajectory.messages)]
    return hashlib.sha256("\n".join([*said, str(sampled.trajectory.stop)]).encode()).hexdigest()[:16]


def slug(name: str) -> str:
    """A name as the name of a folder: `wildguard allenai/wildguard` -> `wildguard-allenai-wildguard`.

    At most MAX_SLUG characters: no file system takes much more than 200.
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:MAX_SLUG] or "unnamed"
