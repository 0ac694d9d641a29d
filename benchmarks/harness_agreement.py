"""Do our answers and graders agree with lm-evaluation-harness on the same prompts? GSM8K and ARC-Challenge, no tool.

    python -m venv .venv-harness && .venv-harness/bin/pip install torch 'lm_eval[hf]'
    python benchmarks/harness_agreement.py --model MODEL --harness .venv-harness/bin/lm_eval [--limit 64]

Our side is `ascl eval --variant pure --greedy`. The harness gets, as plain text, the very prompts our renderer made, in
the same data type, generates by itself, and grades by its own regular expressions: GSM8K by its task's
`flexible-extract` (the last number), ARC by the letter behind the last `Answer:`. Prints both accuracies with Wilson's
interval, whether each lies in the other's, on how many prompts the two agree, and on how many they would if they had
graded the same text: our answers by the harness's expressions. What is left of the difference is generation (another
batch, another attention, in bfloat16).
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from ascl.evals.results import read_records
from ascl.files import write_jsonl
from ascl.judges.record import Outcome
from ascl.models.models import load_renderer
from ascl.stats import Estimate, proportion

# The harness's own patterns: `flexible-extract` of its task gsm8k, and one for the line that our prompt asks for.
PATTERNS = {"gsm8k": r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "arc_challenge": r"(?i:answer): *\**\(?([A-E])\b"}
IGNORED = [",", r"\$", "(?s).*#### ", r"\.$"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--harness", required=True, type=Path, help="the harness's command in its own environment")
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("runs/harness"))
    options = parser.parse_args()
    evaluate(options.model, options.limit, options.max_tokens, options.out)
    table = Table(
        "benchmark", "prompts", "ours", "harness", "each in the\nother's interval", "agree", "on our\nanswers"
    )
    for name in PATTERNS:
        records = list(read_records(options.out / "pure", "offline", name))
        ours = {r.prompt.id: r.outcome is Outcome.CORRECT for r in records}
        theirs = harness(options, name, records)
        a, b = proportion(list(ours.values())), proportion([theirs[key] for key in ours])
        alike = sum(ours[key] == theirs[key] for key in ours)
        same = sum(ours[r.prompt.id] == graded(name, r.trajectory.answer or "", r.prompt.answer or "") for r in records)
        inside = "yes" if _holds(a, b) and _holds(b, a) else "no"
        table.add_row(name, str(len(ours)), _shown(a), _shown(b), inside, str(alike), str(same))
    Console().print(table)


def evaluate(model: str, limit: int, max_tokens: int, out: Path) -> None:
    """Our side, as a user would run it."""
    asked = ["--suite", ",".join(PATTERNS), "--limit", str(limit), "--max-tokens", str(max_tokens), "--greedy"]
    command = ["eval", "--model", model, *asked, "--variant", "pure", "--judge", "offline", "--out", str(out)]
    subprocess.run([sys.executable, "-m", "ascl.cli.main", *command], check=True)


def harness(options: argparse.Namespace, name: str, records: list[Any]) -> dict[str, bool]:
    """Whether the harness finds each prompt solved, by its id."""
    renderer = load_renderer(options.model)
    rows = [
        {
            "id": record.prompt.id,
            "text": renderer.tokenizer.decode(
                renderer.prompt_ids(record.trajectory.messages[: record.trajectory.prompt_length], [])
            ),
            "answer": record.prompt.answer,
        }
        for record in records
    ]
    task = {
        "task": f"ascl_{name}",
        "dataset_path": "json",
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{text}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {
            "until": list(renderer.dialect.ends),
            "do_sample": False,
            "max_gen_toks": options.max_tokens,
        },
        "filter_list": [
            {
                "name": "last",
                "filter": [
                    {"function": "regex", "regex_pattern": PATTERNS[name], "group_select": -1},
                    {"function": "take_first"},
                ],
            }
        ],
        "metric_list": [
            {
                "metric": "exact_match",
                "aggregation": "mean",
                "higher_is_better": True,
                "ignore_case": True,
                "regexes_to_ignore": IGNORED,
            }
        ],
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_jsonl(folder / "test.jsonl", rows)
        task["dataset_kwargs"] = {"data_files": {"test": str(folder / "test.jsonl")}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(task))
        command = [options.harness, "--model", "hf", "--model_args", f"pretrained={options.model},dtype=bfloat16"]
        command += ["--tasks", task["task"], "--include_path", folder, "--batch_size", "16", "--log_samples"]
        subprocess.run([*map(str, command), "--output_path", str(folder / "out")], check=True)
        (samples,) = (folder / "out").rglob("samples_*.jsonl")
        found = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    return {one["doc"]["id"]: one["exact_match"] == 1.0 for one in found}


def graded(name: str, text: str, answer: str) -> bool:
    """Whether the harness's expressions find the answer in a text: its last match, without what is to be ignored."""
    matches = [match.group(match.lastindex or 0) for match in re.finditer(PATTERNS[name], text)]
    found, wanted = matches[-1] if matches else "[invalid]", answer
    for ignored in IGNORED:
        found, wanted = re.sub(ignored, "", found), re.sub(ignored, "", wanted)
    return found.lower() == wanted.lower()


def _holds(interval: Estimate, other: Estimate) -> bool:
    assert interval.low is not None and interval.high is not None and other.value is not None
    return interval.low <= other.value <= interval.high


def _shown(figure: Estimate) -> str:
    value, low, high = (100 * (x or 0.0) for x in (figure.value, figure.low, figure.high))
    return f"{value:.0f} % [{low:.0f}, {high:.0f}]"


if __name__ == "__main__":
    main()
