"""The card of a data set: a README.md in the form the Hugging Face hub reads, made from the set itself."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from ascl.data.row import Pair, Row


def data_card(rows: Sequence[Row | Pair], report: dict[str, Any], about: dict[str, Any]) -> str:
    """Front matter, what the set is and how it was made, counts by kind, mode and origin, and the build's report.

    about: `recipe`, `summary`, `command`, and `sources` (one dictionary a source, with `name` and `licence`), `model`,
    `parameters`, `versions`, `date`.
    """
    licences = list(dict.fromkeys(source["licence"] for source in about["sources"]))
    front = {
        "pretty_name": f"{about['recipe']} training set",
        "license": "other",
        "license_name": ", ".join(licences) or "unknown",
        "tags": ["safety", "reasoning", "ascl", about["recipe"]],
        "configs": [{"config_name": "default", "data_files": "train.jsonl"}],
    }
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {about['recipe']}",
        about["summary"],
        f"Made on {about['date']} with\n\n```bash\n{about['command']}\n```",
        _table(
            "sources",
            [(s["name"], ", ".join(f"{k}: {v}" for k, v in s.items() if k != "name" and v)) for s in about["sources"]],
        ),
        _table("settings", [(k, str(v)) for k, v in {"model": about["model"], **about["parameters"]}.items()]),
        _table("rows", sorted(Counter(_class(row) for row in rows).items())),
    ]
    for name, figures in report.items():
        if isinstance(figures, dict) and figures:
            parts.append(_table(name.replace("_", " "), list(figures.items())))
    parts.append(_table("versions", list(about["versions"].items())))
    parts.append("The rows come from a language model and from the sources named above; their licences apply.")
    return "\n\n".join(parts) + "\n"


def _class(row: Row | Pair) -> str:
    mode = row.mode if isinstance(row, Row) else "pair"
    return ", ".join(filter(None, [row.kind and row.kind.value, mode, row.provenance.get("origin")]))


def _table(title: str, pairs: Sequence[tuple[str, Any]]) -> str:
    lines = [f"| {_cell(key)} | {_cell(value)} |" for key, value in pairs]
    return "\n".join([f"## {title.capitalize()}", "", "| | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|")
