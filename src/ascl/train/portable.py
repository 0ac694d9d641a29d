"""A trained folder that others can use: its base model by name, its card, merged into one model, and on the hub."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ascl.consult.tool import TOOL_NAME
from ascl.consult.variants import ASCL_TEXT
from ascl.errors import InputError
from ascl.files import write_json, write_text
from ascl.inputs import read_json
from ascl.models.model_folder import folder_of, load_tokenizer
from ascl.models.models import load_model
from ascl.provenance import version
from ascl.saved import read_saved
from ascl.stats import Estimate
from ascl.train.training import FACTS, LOG, ROLLOUTS, Training

CARD = "README.md"
FIGURES = {
    "safety": "safety",
    "over_refusal": "over-refusal",
    "reasoning": "reasoning",
    "h_avg": "H-avg",
    "separation": "separation",
}


def base_of(model: str) -> tuple[str, str | None]:
    """The base model of a model, as anybody can have it: its name and, of one on the hub, its commit.

    `embedded` stays a name, a local folder an absolute path; of a LoRA folder it is the base that this names.
    """
    adapter = Path(model) / "adapter_config.json"
    if model != "embedded" and adapter.is_file():
        facts = read_json(adapter)
        return str(facts["base_model_name_or_path"]), facts.get("revision")
    if model == "embedded":
        return model, None
    if os.path.isdir(model):
        return os.path.realpath(model), None
    return model, folder_of(model).name  # the cache's folder is named after the commit


def name_base(folder: Path, model: str) -> None:
    """Write the base model of an adapter folder by its name, where PEFT has put a path of this machine."""
    path = folder / "adapter_config.json"
    if path.exists():
        base, revision = base_of(model)
        write_json(path, read_json(path) | {"base_model_name_or_path": base, "revision": revision})


def write_facts(folder: Path, training: Training, facts: Mapping[str, Any]) -> None:
    """Note in a trained folder what the training depended on (`training.json`), name its base model, and add the card.

    facts: as `Training.facts`, with the method and what that adds.
    """
    base, revision = base_of(training.model)
    name_base(folder, training.model)
    dialect = training.renderer.dialect.name
    made = {"base model": base, "base revision": revision, "dialect": dialect, "ascl": version()}
    write_json(folder / FACTS, {**facts, **made})
    write_card(folder)


def write_card(folder: Path, figures: Mapping[str, Estimate] | None = None, of: str = "") -> None:
    """Write the model card: base, training, rules, figures (with what they are `of`), and how to use it."""
    write_text(folder / CARD, card(read_saved(folder / FACTS, dict[str, Any]), figures, of))


def card(facts: Mapping[str, Any], figures: Mapping[str, Estimate] | None, of: str) -> str:
    """The card of a model trained with these facts (`training.json`)."""
    base, revision = facts.get("base model"), facts.get("base revision")
    algorithm = facts.get("algorithm")
    listed = {
        "base model": f"{base}{f' at {revision}' if revision else ''}",
        "method": facts.get("method"),
        "algorithm": algorithm.get("type") if isinstance(algorithm, dict) else None,
        "training rows or prompts": facts.get("data"),
        "rule book": facts.get("rule book"),
        "judge of the reward": facts.get("judge"),
        "seed": facts.get("seed"),
        "dialect": facts.get("dialect"),
        "ascl": facts.get("ascl"),
    }
    hub = "" if base == "embedded" or str(base).startswith("/") else f"base_model: {base}\n"
    lines = [
        f"---\n{hub}library_name: transformers\ntags: [ascl, safety]\n---",
        "# A model that consults safety rules",
        "Trained by [ASCL](https://arxiv.org/abs/2602.13562): it decides by itself whether to look up rules with the "
        f"tool `{TOOL_NAME}`, reads what comes back, and then answers. The rules are not in the weights.",
        "| | |\n|---|---|\n"
        + "\n".join(f"| {name} | {_cell(value)} |" for name, value in listed.items() if value is not None),
    ]
    if figures:
        rows = [
            f"| {label} | {_percent(figures[key])} |"
            for key, label in FIGURES.items()
            if key in figures and figures[key].value is not None
        ]
        lines.append(f"## Figures\n\n{of}\n\n| figure | percent [95 %] |\n|---|---|\n" + "\n".join(rows))
    lines.append(
        "## How to use it\n\nThe chat template in this folder writes the tool and the calls as the model was trained. "
        "Send this system text and this tool with every request, and answer its calls with the rules that your search "
        "finds (`ascl mcp` serves one):\n\n"
        f"```text\n{ASCL_TEXT}\n```\n\n```json\n{json.dumps(facts.get('tools') or [], indent=2)}\n```\n\n"
        "```bash\nascl chat --model FOLDER                  # in this process, with the shipped rules\n"
        "ascl eval --model FOLDER --suite starter  # measure it\n```"
    )
    return "\n\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _percent(figure: Estimate) -> str:
    text = f"{100 * (figure.value or 0):.0f}"
    if figure.low is None or figure.high is None:
        return text
    return f"{text} [{100 * figure.low:.0f}, {100 * figure.high:.0f}]"


def merge_folder(model: Path, out: Path, dtype: str = "auto") -> None:
    """Write the model of a LoRA folder with its adapters merged in to `out`. Raises InputError.

    The file is whole or not there; log, rollouts, facts and card come along.
    """
    if not (model / "adapter_config.json").is_file():
        raise InputError(f"{model}: holds no adapters (adapter_config.json), so there is nothing to merge")
    if out.exists():
        raise InputError(f"--out {out}: exists already; name another, or remove it")
    tokenizer, merged = load_tokenizer(str(model)), load_model(str(model), dtype)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    merged.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    for name in (LOG, FACTS, ROLLOUTS, CARD):
        if (model / name).exists():
            shutil.copyfile(model / name, draft / name)
    draft.rename(out)


def push_folder(model: Path, repo: str, public: bool = False) -> str:
    """Put a trained folder on the hub and return its address. Raises InputError where that can't be done."""
    if not (model / FACTS).is_file():
        raise InputError(f"{model}: no trained folder of ascl (it lacks {FACTS})")
    adapters = (model / "adapter_config.json").is_file()  # else all weights are there
    if adapters and base_of(str(model))[0].startswith("/"):
        raise InputError(f"{model}: its base model is a folder of this machine; `ascl merge` it first")
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        api.create_repo(repo, private=not public, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=model, ignore_patterns=[ROLLOUTS, ".*"])
    except Exception as error:  # the hub client raises many kinds; all mean: it was not pushed
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{repo}: can't be pushed ({reason}); `hf auth login` or HF_TOKEN may be missing") from error
    return f"https://huggingface.co/{repo}"
