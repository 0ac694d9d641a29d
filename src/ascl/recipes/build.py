"""`ascl data build`: what every recipe works with, and the data set folder it leaves.

**The contract.** A recipe is a module: one of this folder by its name, or one of your own as `package.module` (one that
Python can import: it is installed, or its folder is in PYTHONPATH), in `ascl data build` and as `recipe` of an arm's
`data`. It holds

- a docstring: the paper, what is done, and where it deviates; the card of a data set begins with it;
- `INPUT`: `"prompts"`, or `"examples"` (prompts with a reference reply);
- `SAMPLES`: whether it asks a model, so that one must be named;
- `PAIRS = True` where its rows are preference pairs;
- `Parameters`: a pydantic model that forbids what it does not know, every field with a default and a range;
- `build(inputs, parameters, workshop) -> Built`. inputs: `Prompt`s or `Example`s in the order of their ids. Whatever is
  sampled goes through `workshop.sample`, one name a stage: it lies in `stages/`, so that a build that was stopped goes
  on where it was. Every input ends in a row (`data/row.py`: `Row` or `Pair`) or in a `Rejected` with its reason. The
  same inputs, parameters, seed and replies give the same rows.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ascl.chat.messages import Message, Trajectory
from ascl.consult.tool import ConsultTool
from ascl.data.row import Pair, Row
from ascl.files import write_json, write_jsonl, write_text
from ascl.judges.judge import Judge
from ascl.models.open_client import open_client
from ascl.models.sampling import Client, Sampling
from ascl.progress import progress_bar
from ascl.recipes.card import data_card
from ascl.sampling.to_file import Budget, Job, rejections, sample_to
from ascl.saved import saved_rows


@dataclass(frozen=True)
class Rejected:
    """A prompt that gave no row, and why: the stage that stopped it and a reason from the recipe's fixed list.

    messages: what was rejected, where it is not the reply that lies in the stage's file.
    """

    id: str
    stage: str
    reason: str
    messages: Sequence[Message] = ()

    def dump(self) -> dict[str, str]:
        """The line in `rejected.jsonl`."""
        return {"id": self.id, "stage": self.stage, "reason": self.reason}


@dataclass
class Built:
    """What a recipe made. report: figures for the card (counts by reason, shares), in the order they are shown.

    replaced: replies that were rejected though their prompts have a row, with the reference in it.
    """

    rows: Sequence[Row | Pair]
    rejected: list[Rejected]
    report: dict[str, dict[str, int | float]] = field(default_factory=dict)
    replaced: list[Rejected] = field(default_factory=list)


class _Sampled(BaseModel):
    """A record of a stage."""

    trajectory: Trajectory


@dataclass
class Workshop:
    """What a recipe works with: a model to sample, the consult tool, a judge, and a folder for the stages."""

    folder: Path
    model: str
    client: Client
    tool: ConsultTool
    judge: Judge
    sampling: Sampling
    batch: int = 32
    concurrency: int = 16
    budget: Budget = field(default_factory=Budget)
    seed: int = 0

    def open_client(self, model: str | None, base_url: str | None) -> Client:
        """A second model (a purifier, an analyser); the workshop's own where none is named."""
        return self.client if model is None else open_client(model, base_url, self.concurrency)

    def sample(
        self,
        stage: str,
        jobs: list[Job],
        tool: ConsultTool | None = None,
        sampling: Sampling | None = None,
        client: Client | None = None,
    ) -> dict[str, Trajectory]:
        """The trajectories of `jobs` by prompt id; a prompt whose requests failed for good is left out.

        The failures lie beside the stage's file, in `stages/rejected.jsonl`.
        """
        path = self.folder / "stages" / f"{stage}.jsonl"
        sampling = sampling or self.sampling
        with progress_bar(stage, len(jobs)) as progress:
            sample_to(
                path,
                client or self.client,
                jobs,
                tool,
                sampling,
                chunk=self.batch,
                budget=self.budget,
                progress=progress,
            )
        wanted = {job.id for job in jobs}
        sampled = (row.trajectory for row in saved_rows(path, _Sampled))
        return {trajectory.prompt_id: trajectory for trajectory in sampled if trajectory.prompt_id in wanted}


def write_data_set(built: Built, workshop: Workshop, about: dict[str, Any]) -> None:
    """Write `train.jsonl`, `rejected.jsonl`, `report.json` and the card `README.md` into the workshop's folder.

    about: what the card says of the recipe, its inputs and its parameters.
    """
    folder = workshop.folder
    rows = sorted(built.rows, key=lambda row: row.id)
    rejected = without_row(built, folder)
    reasons = Counter(f"{r.stage}: {r.reason}" for r in rejected)
    report = {"rows": len(rows), "rejected": dict(reasons.most_common()), **built.report}
    write_jsonl(folder / "rejected.jsonl", (r.dump() for r in rejected))
    write_json(folder / "report.json", report)
    write_text(folder / "README.md", data_card(rows, report, about))
    write_jsonl(folder / "train.jsonl", (row.dump() for row in rows))


def without_row(built: Built, folder: Path) -> list[Rejected]:
    """Every prompt without a row, by id: what the recipe rejected, and what failed for good (`failures`)."""
    with_row = {row.prompt_id if isinstance(row, Row) else row.id for row in built.rows}
    rejected = {r.id: r for r in built.rejected}
    failed = [f for f in failures(folder) if f["id"] not in with_row]
    rejected |= {f["id"]: Rejected(f["id"], f["stage"], f["reason"]) for f in failed}  # these know the reason better
    return [rejected[identity] for identity in sorted(rejected)]


def failures(folder: Path) -> list[dict[str, str]]:
    """The prompts whose requests failed for good, over all stages."""
    return [{"id": f.id, "stage": f.stage, "reason": f.kind} for f in rejections(folder / "stages" / "any")]
