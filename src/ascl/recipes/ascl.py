"""ASCL's behaviour-cloning set: the SFT cold start of "Mitigating the Safety-Utility Trade-off in LLM Alignment via
Adaptive Safe Context Learning" (arXiv 2602.13562).

The rules stay out of the weights: the model learns when to look them up with a tool, and how to reason about what it
read. A teacher (in the paper Qwen3-235B-A22B) answers with the tool at hand; a second model purifies what it wrote;
harmful prompts are balanced over the rule categories; the parts are mixed

    harmful+consult : sensitive+consult : sensitive+direct = 2 : 3 : 2

which in the paper are 980 + 1469 + 980 = 3429 prompts, and 2 * 980 + 2 * 1469 + 980 = 5878 samples in the split form.

Reconstruction: the paper's prompts and checks are not public. Ours: the purifier's prompt (`purify.py`), the checks
(`consult_checks.py`), rule search as the default label of a harmful prompt (the paper asks a model), the balance over
accepted trajectories rather than over prompts. Direct trajectories are not purified, since every edit the paper asks
for concerns a look-up. Plain and reasoning prompts give direct rows beside the mixture (a small model forgets
otherwise how to answer; the paper's set has none).
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, field_validator, model_validator

from ascl.chat.messages import Trajectory
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row, native_row, split_row
from ascl.progress import console
from ascl.recipes.balance import RATIO, label_prompts, mix, mix_warning, parts_of
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.consult_checks import MENDABLE, acceptable, check
from ascl.recipes.demonstrations import demonstrate, demonstrated, load_demonstrations
from ascl.recipes.purify import purify
from ascl.sampling.to_file import Job
from ascl.servers import optional_address

__all__ = ["Parameters", "acceptable", "build", "demonstrate", "demonstrated", "is_cloned", "load_demonstrations"]

INPUT = "prompts"
SAMPLES = True


class Parameters(BaseModel):
    """ratio: harmful+consult : sensitive+consult : sensitive+direct.

    purify: whether consultations are purified; by `purifier` (a model, behind `purifier_base_url` or in this process),
    or by the teacher itself where none is named. labels: how a harmful prompt gets its rule category, by rule search or
    from the teacher. form: one multi-turn row a prompt, or the paper's split form, one row a model turn.
    """

    model_config = ConfigDict(extra="forbid")

    ratio: str = ":".join(map(str, RATIO))
    purify: bool = True
    purifier: str | None = None
    purifier_base_url: Annotated[str | None, AfterValidator(optional_address)] = None
    labels: Literal["search", "model"] = "search"
    form: Literal["native", "split"] = "native"

    @field_validator("ratio")
    @classmethod
    def _check_ratio(cls, ratio: str) -> str:
        parts = ratio.split(":")
        if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and int(part) for part in parts):
            raise ValueError("write three whole numbers above 0 with colons, e.g. 2:3:2")
        return ratio

    @model_validator(mode="after")
    def _check_purifier(self) -> "Parameters":
        if self.purifier_base_url is not None and self.purifier is None:
            raise ValueError("purifier_base_url: name the purifier that it serves as well")
        return self

    @property
    def shares(self) -> tuple[int, int, int]:
        """The ratio as numbers."""
        harmful, consulting, direct = map(int, self.ratio.split(":"))
        return harmful, consulting, direct


@dataclass
class Walk:
    """A trajectory, the stage it comes from (`teacher` or `purify`), and why it gives no row, if it gives none."""

    trajectory: Trajectory
    stage: str
    reason: str | None


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """Teacher, checks, purification, labels, balance, mixture: one row a prompt (in the split form, one a turn)."""
    by_id = {prompt.id: prompt for prompt in prompts}
    walks = teach(prompts, workshop)
    report: dict[str, dict[str, int | float]] = {"teacher": _reasons(walks)}
    if parameters.purify:
        mended = mend(walks, by_id, parameters, workshop)
        walks = {i: walk for i, walk in walks.items() if not _to_mend(walk)} | mended
        report["purification"] = _reasons(mended)
    harmful = [by_id[i] for i, walk in walks.items() if walk.reason is None and by_id[i].kind is Kind.HARMFUL]
    labels = label_prompts(harmful, parameters.labels, workshop)
    rows = []
    for identity, walk in walks.items():
        prompt = by_id[identity]
        labelled = prompt.kind is not Kind.HARMFUL or identity in labels  # else its label's request failed
        if walk.reason is None and labelled:
            origin = {"origin": "teacher", "model": workshop.model}
            if walk.stage == "purify":
                origin |= {"origin": "purified", "purifier": parameters.purifier or workshop.model}
            rows.append(consult_row(prompt, walk.trajectory, workshop.tool, origin, labels.get(identity)))
    mixed = mix(rows, parameters.shares, workshop.seed)
    if warning := mix_warning(rows, mixed):
        console.say(f"mix {parameters.ratio}: {warning}")
    taken = {row.id for row in mixed}
    rejected = [Rejected(i, walk.stage, walk.reason) for i, walk in walks.items() if walk.reason is not None]
    rejected += [Rejected(row.id, "mix", "surplus", row.messages) for row in rows if row.id not in taken]
    report["accepted before mixing"] = _classes(rows)
    report["harmful prompts by category"] = dict(Counter(str(r.provenance["category"]) for r in parts_of(mixed)[0]))
    if parameters.form == "split":
        mixed = [part for row in mixed for part in split_row(row)]
    return Built(mixed, rejected, report)


def teach(prompts: list[Prompt], workshop: Workshop) -> dict[str, Walk]:
    """What the teacher does with each prompt when it has the tool, checked."""
    jobs = [
        Job(prompt.id, with_rules("ascl", question(prompt), workshop.tool.under(prompt.book)), book=prompt.book)
        for prompt in prompts
    ]
    found = workshop.sample("teacher", jobs, workshop.tool)
    return {p.id: _checked(p, found[p.id], "teacher", workshop) for p in prompts if p.id in found}


def mend(
    walks: dict[str, Walk], prompts: dict[str, Prompt], parameters: Parameters, workshop: Workshop
) -> dict[str, Walk]:
    """The consultations that are sound, or that a purifier can make so: purified, and checked again."""
    client = workshop.open_client(parameters.purifier, parameters.purifier_base_url)
    chosen = {i: walk.trajectory for i, walk in walks.items() if _to_mend(walk)}
    mended = {}
    for identity, result in purify(chosen, prompts, workshop, client).items():
        if isinstance(result, str):
            mended[identity] = Walk(chosen[identity], "purify", result)
        else:
            mended[identity] = _checked(prompts[identity], result, "purify", workshop)
    return mended


def consult_row(
    prompt: Prompt, trajectory: Trajectory, tool: ConsultTool, origin: dict[str, str], category: str | None
) -> Row:
    """The whole trajectory as one row, with where it comes from and, for harmful prompts, its rule category."""
    provenance = origin | ({"category": category} if category is not None else {})
    row = native_row(trajectory, prompt.kind, [tool.schema], "ascl", prompt.source)
    return row.model_copy(update={"provenance": provenance})


def is_cloned(prompt: Prompt) -> bool:
    """Whether a teacher demonstrates this train prompt: every second one, by its id; the others are left to RL."""
    return hashlib.sha256(f"cloned {prompt.id}".encode()).digest()[0] % 2 == 0


def _checked(prompt: Prompt, trajectory: Trajectory, stage: str, workshop: Workshop) -> Walk:
    return Walk(trajectory, stage, check(prompt, trajectory, workshop.judge, workshop.tool.book))


def _to_mend(walk: Walk) -> bool:
    return walk.trajectory.consulted and (walk.reason is None or walk.reason in MENDABLE)


def _reasons(walks: dict[str, Walk]) -> dict[str, int | float]:
    return dict(Counter(walk.reason or "accepted" for walk in walks.values()).most_common())


def _classes(rows: list[Row]) -> dict[str, int | float]:
    return dict(sorted(Counter(f"{row.kind}, {row.mode}" for row in rows).items()))
