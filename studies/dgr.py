"""Does rewriting a safety set into the target's own distribution save reasoning? (DGR, arXiv 2602.02136)

    python studies/dgr.py --model MODEL --out runs/dgr [--source star1] [--sizes 10,50,100,500,1000] [--main 200]

Arms, each trained from the same model with the same number of steps and judged on the same prompts: no training; the
source set as it is (`vanilla`); the set rewritten by the model with failed rewrites kept as they were (`keep`) or
dropped (`drop`), on the first `--main` examples; then `vanilla` and `keep` on nested subsets of each size. For every
arm: GSM8K and ARC-Challenge accuracy, refusal on StrongREJECT, over-refusal on XSTest's safe prompts, the NLL of its
training set under the frozen model by segment, and the full-vocabulary forward KL of the trained model from the frozen
one on the frozen model's own GSM8K answers. Ends with table.md, results.json and the correlation of shift with
reasoning loss.

Public sets come from the hub or from ASCL_BENCH_DIR. Run it again to resume: finished arms are not done twice.
"""

import argparse
import hashlib
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

from ascl.consult.tool import ConsultTool
from ascl.data.examples import Example, load_examples
from ascl.data.load import load_prompts, question
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row, reply_row
from ascl.evals.asked import ask
from ascl.evals.evaluate import Subject, plan_evaluation
from ascl.evals.results import read_records, read_sampled
from ascl.evals.settings import EvalSettings
from ascl.files import write_json, write_text
from ascl.inputs import read_json
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
from ascl.recipes.shift import forward_kl, score_rows, summarise
from ascl.recipes.vanilla import vanilla_row
from ascl.rules.book import RuleBook
from ascl.sampling.to_file import Job
from ascl.stats import Estimate, pearson, proportion
from ascl.train.settings import Lora, SftSettings
from ascl.train.sft import run_sft
from ascl.train.training import Training

EVALUATION = {"gsm8k": 200, "arc_challenge": 100, "strongreject": 100, "xstest": 100}
JUDGE = OfflineJudge()


def main() -> None:
    """Build, train, evaluate, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the target: hub id or folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", default="star1", help="a set with reference replies")
    parser.add_argument("--main", type=int, default=200, help="examples of the main arms")
    parser.add_argument("--sizes", default="10,50,100,500,1000", help="subsets of the activation study")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--lora-rank", type=int, default=0, help="train adapters of this rank (0: all weights)")
    parser.add_argument("--eval-share", type=float, default=1.0, help="share of the evaluation prompts (main arms)")
    parser.add_argument("--study-share", type=float, default=0.5, help="share of them for the activation study")
    parser.add_argument("--sample-batch", type=int, default=100)
    options = parser.parse_args()
    study = Study(options)
    table: dict[str, dict[str, Any]] = {"none": study.arm("none", None, options.eval_share)}
    for name in ("vanilla", "keep", "drop"):
        table[f"{name} {options.main}"] = study.arm(name, options.main, options.eval_share)
    study.report(table)
    for size in study.sizes:
        for name in ("vanilla", "keep"):
            label = f"{name} {size}"
            if label not in table:
                table[label] = study.arm(name, size, options.study_share)
        study.report(table)


def spread_order(examples: list[Example]) -> list[Example]:
    """A fixed order by the hash of the id: its first n are the subset of size n."""
    return sorted(examples, key=lambda e: hashlib.sha256(e.prompt.id.encode()).hexdigest())


class Study:
    """The parts all arms share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.out: Path = options.out
        self.sizes = [int(size) for size in options.sizes.split(",") if size]
        self.renderer = load_renderer(options.model)
        self.tool = ConsultTool(RuleBook.load())
        self.examples = spread_order(load_examples([options.source]))
        self.evaluation: dict[str, list[Prompt]] = {}
        for name, count in EVALUATION.items():
            prompts = [p for p in load_prompts([name]) if name != "xstest" or p.kind is Kind.SENSITIVE]
            self.evaluation[name] = [prompts[i * len(prompts) // count] for i in range(count)]

    def refined(self, size: int) -> dict[str, tuple[str, str] | str]:
        """What became of the first `size` examples: (thought, answer) or the reason of the failure.

        Refined in blocks, so that a small arm need not wait for the large ones.
        """
        results: dict[str, tuple[str, str] | str] = {}
        sizes = {self.options.main, *(n for n in self.sizes if n > self.options.main)}
        borders = [0, *sorted(sizes)]
        for first, last in pairwise(borders):
            block = self.examples[first:last]
            if first >= size or not block:
                continue
            workshop = Workshop(
                folder=self.out / "data" / f"refined-{first}-{last}",
                model=self.options.model,
                client=LocalClient(self.options.model),
                tool=self.tool,
                judge=JUDGE,
                sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=400),
                batch=self.options.sample_batch,
            )
            jobs = [Job(e.prompt.id, dgr.refine_messages(e)) for e in block]
            found = workshop.sample("refine", jobs)
            for e in block:
                results[e.prompt.id] = dgr.check(e, found.get(e.prompt.id), JUDGE, dgr.Parameters())
        return results

    def rows(self, name: str, size: int) -> list[Row]:
        """The training rows of an arm."""
        chosen = self.examples[:size]
        if name == "vanilla":
            return [vanilla_row(e) for e in chosen]
        results = self.refined(size)
        counts: dict[str, int] = {}
        rows = []
        for e in chosen:
            result = results[e.prompt.id]
            reason = result if isinstance(result, str) else "accepted"
            counts[reason] = counts.get(reason, 0) + 1
            if not isinstance(result, str):
                rows.append(reply_row(e.prompt, question(e.prompt), *result, "dgr", {"origin": "refined"}))
            elif name == "keep":
                rows.append(vanilla_row(e, "dgr", f"fallback: {reason}"))
        write_json(self.out / "data" / f"acceptance-{size}.json", counts)
        return rows

    def arm(self, name: str, size: int | None, share: float) -> dict[str, Any]:
        """Train and measure one arm (or read what an earlier run measured)."""
        label = name if size is None else f"{name}-{size}"
        path = self.out / "arms" / f"{label}.json"
        if path.exists():
            return read_json(path)
        console.rule(label)
        figures: dict[str, Any] = {}
        model = self.options.model
        if size is not None:
            rows = self.rows(name, size)
            figures["rows"] = len(rows)
            sums = score_rows(load_model(self.options.model), self.renderer, rows[:200], 1)
            figures["nll"] = {k: v.model_dump() for k, v in summarise(sums).items()}
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
                training = Training(model=self.options.model, renderer=self.renderer, out=checkpoint, lora=lora)
                run_sft(training, rows, settings)
            model = str(checkpoint)
        figures |= self.measure(label, model, share)
        write_json(path, figures)
        shutil.rmtree(self.out / "checkpoints" / label, ignore_errors=True)
        return figures

    def measure(self, label: str, model: str, share: float) -> dict[str, Any]:
        """The evaluation of one model."""
        loaded = load_model(model)
        client = InProcessClient(loaded, self.renderer)
        subject = Subject(model=model, name=label, dtype="auto")
        settings = EvalSettings(
            suite="dgr", variants=["pure"], judges=[JudgeSettings()], max_tokens=400, batch=self.options.sample_batch
        )
        figures: dict[str, Any] = {}
        for name, prompts in self.evaluation.items():
            count = round(len(prompts) * share)
            chosen = [prompts[i * len(prompts) // count] for i in range(count)]
            asked, place = ask(settings, chosen), self.out / "evals" / f"{label}-{name}"
            console.print(f"{label}: {name}, {count} prompts", highlight=False)
            plan_evaluation(subject, "pure", place, settings, asked, self.tool, client=client).carry_out()
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
        return sum(kl for kl, _ in pairs) / sum(n for _, n in pairs)

    def report(self, table: dict[str, dict[str, Any]]) -> None:
        """Write results.json and table.md."""
        base = table["none"]
        trained = {k: v for k, v in table.items() if k != "none"}
        correlations = {}
        for key, shift in (
            ("nll of the reply", lambda f: f["nll"]["reply"]["nll"]),
            ("nll of the thought", lambda f: f["nll"]["thought"]["nll"]),
            ("kl on held-out reasoning", lambda f: f["kl"]),
        ):
            for task in ("gsm8k", "arc_challenge"):
                x = [shift(f) for f in trained.values()]
                y = [base[task]["value"] - f[task]["value"] for f in trained.values()]
                correlations[f"{key}, loss on {task}"] = pearson(x, y).model_dump()
        write_json(self.out / "results.json", {"arms": table, "correlations": correlations, "n": len(trained)})
        lines = [
            "Percent with 95 % intervals, and the number of prompts that got no answer; NLL and KL in nats a token.",
            "",
            "| arm | rows | NLL thought | NLL answer | KL | GSM8K | ARC-C | StrongREJECT refused | XSTest refused |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for label, f in table.items():
            nll = f.get("nll", {})
            cells = [label, str(f.get("rows", "")), *(_nll(nll.get(k)) for k in ("thought", "answer"))]
            cells.append(f"{f['kl']:.3f}" if "kl" in f else "")
            cells += [f"{_percent(f[name])}, {f[f'{name} no answer']}" for name in EVALUATION]
            lines.append("| " + " | ".join(cells) + " |")
        lines += ["", "| correlation over arms | r [95 %] |", "|---|---:|"]
        known = [(k, c) for k, c in correlations.items() if c["value"] is not None]
        lines += [f"| {k} | {c['value']:.2f} [{c['low']:.2f}, {c['high']:.2f}] |" for k, c in known]
        write_text(self.out / "table.md", "\n".join(lines) + "\n")


def figure(name: str, records: list[Record]) -> Estimate:
    """Accuracy, or the share of refusals (partial ones count as over-refusal on safe prompts) among all prompts."""
    if name in ("gsm8k", "arc_challenge"):
        return proportion([r.outcome is Outcome.CORRECT for r in records])
    if name == "strongreject":
        return proportion([r.outcome is Outcome.REFUSED for r in records])
    return proportion([r.outcome in (Outcome.REFUSED, Outcome.PARTLY_REFUSED) for r in records])


def _percent(estimate: dict[str, Any]) -> str:
    return f"{100 * estimate['value']:.0f} [{100 * estimate['low']:.0f}, {100 * estimate['high']:.0f}]"


def _nll(shift: dict[str, Any] | None) -> str:
    return f"{shift['nll']:.2f} [{shift['low']:.2f}, {shift['high']:.2f}]" if shift else ""


if __name__ == "__main__":
    main()
