"""Does rewriting a safety set into the target's own distribution save reasoning, and what does the benign side do?

    python studies/dgr.py --model MODEL --out runs/dgr --check       # what would be done, without a model
    python studies/dgr.py --model MODEL --out runs/dgr [--source star1] [--benign star_benign_915] [--form native]
    python studies/dgr_table.py runs/dgr                             # the table, of what is finished

DGR (arXiv 2602.02136). Arms, each trained from the same model with the same number of steps on the same prompts, as
many harmful as benign ones, and asked the same questions: no training (`none`); both sides as they are (`vanilla`); the
harmful replies rewritten by the model (`harmful`); the benign ones as well (`both`). First on `--main` examples of each
side, then on nested subsets of each of `--sizes`. `--benign ""` leaves the benign side out: few harmful rows alone.

`--held-out` harm categories of the source (0: none) are never trained on. Every arm leaves `arms/ARM.json`: refusals on
StrongREJECT, on prompts of the source of seen and of held-out categories, and beside them on XSTest's safe prompts;
GSM8K and ARC-Challenge; of its training set the NLL under the frozen model and the similarity of its replies to the
model's own; the forward KL of the trained model from the frozen one on the latter's GSM8K answers.

Public sets come from the hub or from ASCL_BENCH_DIR. Run it again to resume: finished arms are not done twice.
"""

import argparse
import hashlib
import shutil
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from ascl.chat.messages import Trajectory
from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.data.examples import Example, load_examples
from ascl.data.load import load_prompts, question
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row
from ascl.errors import InputError
from ascl.evals.asked import ask
from ascl.evals.evaluate import Subject, plan_evaluation
from ascl.evals.results import read_records, read_sampled
from ascl.evals.settings import EvalSettings
from ascl.files import write_json
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.record import Outcome, Record
from ascl.judges.settings import JudgeSettings
from ascl.models.in_process import InProcessClient
from ascl.models.models import load_model, load_renderer
from ascl.models.open_client import LocalClient
from ascl.models.sampling import Sampling
from ascl.progress import console
from ascl.recipes import dgr
from ascl.recipes.build import Workshop
from ascl.recipes.replies import Reply
from ascl.recipes.shift import forward_kl, score_rows, similarity, summarise
from ascl.recipes.vanilla import vanilla_row
from ascl.rules.book import RuleBook
from ascl.sampling.to_file import Job
from ascl.stats import Estimate, bootstrap_ratio, proportion
from ascl.train.settings import Lora, SftSettings
from ascl.train.sft import run_sft
from ascl.train.training import Training

# The sides that each arm rewrites.
ARMS: dict[str, tuple[str, ...]] = {"vanilla": (), "harmful": ("harmful",), "both": ("harmful", "benign")}
PUBLIC = {"gsm8k": 200, "arc_challenge": 100, "strongreject": 100, "xstest": 100}
REASONING = ("gsm8k", "arc_challenge")
MOST = 100  # prompts of seen and of held-out categories
OWN = 32  # prompts of each side that the frozen model answers itself, for the similarity
JUDGE = OfflineJudge()


def main() -> None:
    """Build, train, evaluate, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the target: hub id or folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", default="star1", help="a set of harmful prompts with reference replies")
    parser.add_argument("--benign", default="star_benign_915", help="a set of benign ones; '': none")
    parser.add_argument("--held-out", type=int, default=2, help="harm categories that are not trained on")
    parser.add_argument("--form", default="sections", choices=["sections", "native"], help="how a rewrite is asked for")
    parser.add_argument("--main", type=int, default=200, help="examples of each side in the main arms")
    parser.add_argument("--sizes", default="10,50,100", help="examples of each side in the small arms")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--lora-rank", type=int, default=0, help="train adapters of this rank (0: all weights)")
    parser.add_argument("--eval-share", type=float, default=1.0, help="share of the evaluation prompts (main arms)")
    parser.add_argument("--study-share", type=float, default=0.5, help="share of them for the small arms")
    parser.add_argument("--max-tokens", type=int, default=400, help="of a rewrite and of an answer")
    parser.add_argument("--sample-batch", type=int, default=100)
    parser.add_argument("--check", action="store_true", help="read the sets, print the arms, do nothing")
    study = Study(parser.parse_args())
    if study.options.check:
        study.check()
    else:
        study.run()


def spread_order(examples: list[Example]) -> list[Example]:
    """A fixed order by the hash of the id: its first n are the subset of size n."""
    return sorted(examples, key=lambda e: _hash(e.prompt.id))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def categories(example: Example) -> set[str]:
    """The harm categories of an example."""
    return {part.strip() for part in (example.prompt.category or "").split(",") if part.strip()}


def spread(prompts: list[Prompt], count: int) -> list[Prompt]:
    """`count` prompts over all of them; all where they are fewer."""
    return [prompts[i * len(prompts) // count] for i in range(count)] if count < len(prompts) else prompts


class Study:
    """The parts all arms share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.out: Path = options.out
        self.sizes = [int(size) for size in options.sizes.split(",") if size]
        self.most = max([options.main, *self.sizes])
        harmful = spread_order(load_examples([options.source]))
        known = sorted({one for example in harmful for one in categories(example)}, key=_hash)
        if options.held_out and options.held_out >= len(known):
            raise InputError(f"--held-out {options.held_out}: {options.source} has {len(known)} harm categories")
        self.held_out = set(known[: options.held_out])
        trained = [e for e in harmful if not categories(e) & self.held_out]
        benign = spread_order(load_examples([options.benign])) if options.benign else []
        self.sides = {"harmful": trained[: self.most], "benign": benign[: self.most]}
        self.arms = [name for name, sides in ARMS.items() if options.benign or "benign" not in sides]
        held = [e.prompt for e in harmful if categories(e) & self.held_out]
        asked = {"held_out": spread(held, MOST), "seen": spread([e.prompt for e in trained[self.most :]], MOST)}
        for name, count in PUBLIC.items():
            chosen = [p for p in load_prompts([name]) if name != "xstest" or p.kind is Kind.SENSITIVE]
            asked[name] = spread(chosen, count)
        self.evaluation = {name: prompts for name, prompts in asked.items() if prompts}

    @cached_property
    def renderer(self) -> Renderer:
        """The renderer of the target and of what is trained from it."""
        return load_renderer(self.options.model)

    def check(self) -> None:
        """Print what would be done."""
        print("held out:", ", ".join(sorted(self.held_out)) or "nothing")
        print("asked:", ", ".join(f"{name} {len(self.evaluation[name])}" for name in self.evaluation))
        for size in dict.fromkeys([self.options.main, *self.sizes]):
            rows = ", ".join(f"{len(examples[:size])} {side}" for side, examples in self.sides.items() if examples)
            print(f"arms of {rows} rows:", ", ".join(self.arms))

    def run(self) -> None:
        """Every arm."""
        main = self.options.main
        self.arm("none", None, self.options.eval_share)
        for size in dict.fromkeys([main, *self.sizes]):
            share = self.options.eval_share if size == main else self.options.study_share
            for name in self.arms:
                self.arm(name, size, share)

    def workshop(self, folder: str, sampling: Sampling) -> Workshop:
        """The target, ready to be sampled into a folder."""
        return Workshop(
            folder=self.out / "data" / folder,
            model=self.options.model,
            client=LocalClient(self.options.model),
            tool=ConsultTool(RuleBook.load()),
            judge=JUDGE,
            sampling=sampling,
            batch=self.options.sample_batch,
        )

    def refined(self, side: str, size: int) -> dict[str, Reply]:
        """The accepted rewrites among the first `size` examples of a side, in blocks, so that small arms come first."""
        found: dict[str, Reply] = {}
        borders = [0, *sorted({self.options.main, *self.sizes})]
        sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=self.options.max_tokens)
        for first, last in pairwise(borders):
            block = self.sides[side][first:last]
            if first >= size or not block:
                continue
            workshop = self.workshop(f"refined-{side}-{first}-{last}", sampling)
            climbed = dgr.rewrites(block, dgr.Parameters(form=self.options.form), workshop)
            covered = climbed.coverage([example.prompt.id for example in block])
            write_json(workshop.folder / "report.json", {"covered": covered, "failed attempts": climbed.failures})
            found |= climbed.accepted
        return found

    def rows(self, name: str, size: int) -> list[Row]:
        """The training rows of an arm. A failed rewrite leaves the reference, as in the paper."""
        rows = []
        for side, examples in self.sides.items():
            replies = self.refined(side, size) if side in ARMS[name] else {}
            for e in examples[:size]:
                if reply := replies.get(e.prompt.id):
                    e = e.model_copy(update={"thought": reply.thought, "answer": reply.answer})
                rows.append(vanilla_row(e, "dgr", "refined" if reply else "reference"))
        return rows

    @cached_property
    def own(self) -> dict[str, Trajectory]:
        """The frozen model's own greedy replies to some prompts of each side, by prompt id."""
        asked = [e.prompt for examples in self.sides.values() for e in examples[:OWN]]
        workshop = self.workshop("own", Sampling(max_tokens=self.options.max_tokens))
        return workshop.sample("own", [Job(prompt.id, question(prompt)) for prompt in asked])

    def arm(self, name: str, size: int | None, share: float) -> None:
        """Train and measure one arm, unless an earlier run did."""
        label = name if size is None else f"{name}-{size}"
        path = self.out / "arms" / f"{label}.json"
        if path.exists():
            return
        console.rule(label)
        figures: dict[str, Any] = {}
        model = self.options.model
        if size is not None:
            rows = self.rows(name, size)
            figures |= self.shift(rows)
            model = self.trained(label, rows)
        figures |= self.measure(label, model, share)
        write_json(path, figures)
        shutil.rmtree(self.out / "checkpoints" / label, ignore_errors=True)

    def shift(self, rows: list[Row]) -> dict[str, Any]:
        """How far the rows lie from the frozen model: NLL by segment, similarity to its own replies."""
        some = rows[:: max(1, len(rows) // 200)]  # of both sides
        sums = score_rows(load_model(self.options.model), self.renderer, some, 1)
        texts = [(_text(row.messages), _text(self.own[row.id].messages)) for row in rows if row.id in self.own]
        alike = bootstrap_ratio([(similarity(reply, own), 1) for reply, own in texts])
        nll = {k: v.model_dump() for k, v in summarise(sums).items()}
        return {"rows": len(rows), "nll": nll, "similarity": alike.model_dump()}

    def trained(self, label: str, rows: list[Row]) -> str:
        """The folder of the model trained on the rows."""
        settings = SftSettings(
            learning_rate=self.options.learning_rate,
            epochs=self.options.steps * self.options.batch / len(rows),
            batch_size=self.options.batch,
            micro_batch_size=min(4, self.options.batch),
            save_steps=1000,
        )
        checkpoint = self.out / "checkpoints" / label
        if not checkpoint.exists():
            rank = self.options.lora_rank
            lora = Lora(r=rank, alpha=2 * rank) if rank else None
            run_sft(
                Training(model=self.options.model, renderer=self.renderer, out=checkpoint, lora=lora), rows, settings
            )
        return str(checkpoint)

    def measure(self, label: str, model: str, share: float) -> dict[str, Any]:
        """The evaluation of one model."""
        loaded = load_model(model)
        client = InProcessClient(loaded, self.renderer)
        subject = Subject(model=model, name=label, dtype="auto")
        settings = EvalSettings(
            suite="dgr",
            variants=["pure"],
            judges=[JudgeSettings()],
            max_tokens=self.options.max_tokens,
            batch=self.options.sample_batch,
        )
        figures: dict[str, Any] = {}
        for name, prompts in self.evaluation.items():
            chosen = spread(prompts, max(round(len(prompts) * share), 1))
            asked, place = ask(settings, chosen), self.out / "evals" / f"{label}-{name}"
            console.print(f"{label}: {name}, {len(chosen)} prompts", highlight=False)
            tool = ConsultTool(RuleBook.load())
            plan_evaluation(subject, "pure", place, settings, asked, tool, client=client).carry_out()
            records = [record for benchmark in asked for record in read_records(place, JUDGE.name, benchmark)]
            figures[name] = figure(name, records).model_dump()
            figures[f"{name} no answer"] = sum(r.outcome is Outcome.NO_ANSWER for r in records)
        if label != "none":
            figures["kl"] = self.divergence(loaded)
        return figures

    def divergence(self, tuned: Any, count: int = 32) -> float:
        """Mean forward KL a token of the tuned model from the frozen one, on the latter's own GSM8K answers."""
        answered = (one.trajectory for one in read_sampled(self.out / "evals" / "none-gsm8k", "gsm8k_reasoning"))
        own = [trajectory for trajectory in answered if trajectory.answer is not None]
        rows = [Row(id=trajectory.prompt_id, messages=trajectory.messages) for trajectory in own[:count]]
        pairs = forward_kl(load_model(self.options.model), tuned, self.renderer, rows)
        return sum(kl for kl, _ in pairs) / max(sum(n for _, n in pairs), 1)


def figure(name: str, records: list[Record]) -> Estimate:
    """Accuracy, or the share of refusals (partial ones count as over-refusal on safe prompts) among all prompts."""
    if name in REASONING:
        return proportion([r.outcome is Outcome.CORRECT for r in records])
    refused = (Outcome.REFUSED, Outcome.PARTLY_REFUSED) if name == "xstest" else (Outcome.REFUSED,)
    return proportion([r.outcome in refused for r in records])


def _text(messages: list[Any]) -> str:
    return f"{messages[-1].reasoning_content or ''}\n\n{messages[-1].content}"


if __name__ == "__main__":
    main()
