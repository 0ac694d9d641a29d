"""Where prompts come from: the starter set, a file, or a named public set (hub id, or a local folder).

Named sets are read from the hub by `datasets`, or from `ASCL_BENCH_DIR` where that variable names a folder that holds
them (one folder a set, JSONL inside). Licences are the sets' own and are shown; nothing of them is shipped.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ascl.chat.messages import Message
from ascl.errors import InputError, first_problem
from ascl.files import read_jsonl
from ascl.prompts.prompt import Kind, Prompt

STARTER = Path(__file__).with_name("starter")

Row = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A public set: where it lies, under which licence, and how a row becomes prompt fields (None drops the row).

    `hub` is (id, configuration, split); `row` maps a local row, `hub_row` a hub row where the two differ.
    """

    folder: str
    file: str
    licence: str
    hub: tuple[str, str | None, str]
    row: Callable[[Row, int], Row | None]
    hub_row: Callable[[Row, int], Row | None] | None = None


def _number(row: Row) -> str:
    return str(row["answer"]).split("####")[-1].strip().replace(",", "")


def _choice(row: Row, index: int) -> Row:
    return {
        "id": row["id"],
        "prompt": row["question"],
        "kind": Kind.REASONING,
        "options": row["options"],
        "answer": chr(ord("A") + row["answer_index"]),
    }


def _arc_hub(row: Row, index: int) -> Row:
    return {
        "id": f"arc-c-{row['id']}",
        "prompt": row["question"],
        "kind": Kind.REASONING,
        "options": row["choices"]["text"],
        "answer": chr(ord("A") + row["choices"]["label"].index(row["answerKey"])),
    }


SOURCES: dict[str, Source] = {
    "xstest": Source(
        "xstest",
        "prompts.jsonl",
        "CC-BY-4.0",
        ("walledai/XSTest", None, "test"),
        lambda r, i: {
            "id": r.get("id", f"xstest-{i}"),
            "prompt": r["prompt"],
            "kind": Kind.SENSITIVE if r["label"] == "safe" else Kind.HARMFUL,
            "category": r["type"],
        },
    ),
    "strongreject": Source(
        "strongreject",
        "prompts.jsonl",
        "MIT",
        ("walledai/StrongREJECT", None, "train"),
        lambda r, i: {
            "id": r.get("id", f"strongreject-{i}"),
            "prompt": r["prompt"],
            "kind": Kind.HARMFUL,
            "category": r["category"],
        },
    ),
    "jailbreakbench": Source(
        "jailbreakbench",
        "behaviors.jsonl",
        "MIT",
        ("JailbreakBench/JBB-Behaviors", "behaviors", "harmful"),
        lambda r, i: {
            "id": r["id"],
            "prompt": r["prompt"],
            "kind": Kind.HARMFUL if r["label"] == "harmful" else Kind.SENSITIVE,
            "category": r.get("category"),
        },
        lambda r, i: {
            "id": f"jbb-harmful-{i}",
            "prompt": r["Goal"],
            "kind": Kind.HARMFUL,
            "category": r["Category"],
        },
    ),
    "or_bench_hard": Source(
        "or_bench",
        "hard_1k.jsonl",
        "CC-BY-4.0",
        ("bench-llm/or-bench", "or-bench-hard-1k", "train"),
        lambda r, i: {
            "id": r.get("id", f"orbench-hard-{i}"),
            "prompt": r["prompt"],
            "kind": Kind.SENSITIVE,
            "category": r.get("category"),
        },
    ),
    "phtest": Source(
        "phtest",
        "prompts.jsonl",
        "MIT",
        ("furonghuang-lab/PHTest", None, "train"),
        lambda r, i: (
            {"id": r.get("id", f"phtest-{i}"), "prompt": r["prompt"], "kind": Kind.SENSITIVE}
            if r["label"] == "harmless"
            else None
        ),
        lambda r, i: (
            {"id": f"phtest-{i}", "prompt": r.get("prompt") or r["Prompts"], "kind": Kind.SENSITIVE}
            if str(r.get("label") or r.get("Harmfulness")).lower() == "harmless"
            else None
        ),
    ),
    "salad_bench": Source(
        "salad_bench_sample",
        "base_sample.jsonl",
        "Apache-2.0",
        ("OpenSafetyLab/Salad-Data", "base_set", "train"),
        lambda r, i: (
            {"id": f"salad-{r['qid']}", "prompt": r["prompt"], "kind": Kind.HARMFUL, "category": r["category_2"]}
            if str(r.get("human_harmful", "1")) != "0"
            else None
        ),
        lambda r, i: {
            "id": f"salad-{r['qid']}",
            "prompt": r["question"],
            "kind": Kind.HARMFUL,
            "category": r["2-category"],
        },
    ),
    "gsm8k": Source(
        "gsm8k",
        "test.jsonl",
        "MIT",
        ("openai/gsm8k", "main", "test"),
        lambda r, i: {
            "id": r.get("id", f"gsm8k-test-{i}"),
            "prompt": r["question"],
            "kind": Kind.REASONING,
            "answer": _number(r),
        },
    ),
    "math500": Source(
        "math500",
        "test.jsonl",
        "MIT",
        ("HuggingFaceH4/MATH-500", None, "test"),
        lambda r, i: {
            "id": f"math500-{r.get('id') or r['unique_id']}",
            "prompt": r["problem"],
            "kind": Kind.REASONING,
            "answer": r["answer"],
            "category": r["subject"],
        },
    ),
    "arc_challenge": Source(
        "arc_challenge", "test.jsonl", "CC-BY-SA-4.0", ("allenai/ai2_arc", "ARC-Challenge", "test"), _choice, _arc_hub
    ),
}


def load_prompts(names: list[str]) -> list[Prompt]:
    """The prompts of several sources, in order; raises InputError on an unknown name, a bad row or a doubled id.

    A name is `starter`, `file:PATH` (JSONL), a key of `SOURCES`, or `KEY:NUMBER` for that many of its first rows.
    """
    prompts = [prompt for name in names for prompt in _load(name)]
    if not prompts:
        raise InputError(f"prompts: {', '.join(names) or 'none named'}: no prompt found")
    seen: dict[str, str] = {}
    for prompt in prompts:
        if prompt.id in seen:
            raise InputError(f"prompts: the id {prompt.id} occurs twice (in {seen[prompt.id]} and {prompt.source})")
        seen[prompt.id] = prompt.source
    return prompts


def _load(name: str) -> list[Prompt]:
    if name == "starter":
        return [p for kind in Kind for p in _from_file(STARTER / f"{kind.value}.jsonl", "starter")]
    if name.startswith("file:"):
        return _from_file(Path(name.removeprefix("file:")), Path(name).name)
    key, _, count = name.partition(":")
    if key not in SOURCES or (count and not count.isdecimal()):
        raise InputError(f"prompts: unknown source {name}; use starter, file:PATH, or one of {', '.join(SOURCES)}")
    rows = _public(key)
    return rows[: int(count)] if count else rows


def _from_file(path: Path, source: str) -> list[Prompt]:
    return [_prompt(row, source, f"{path}, line {number}") for number, row in read_jsonl(path)]


def _public(name: str) -> list[Prompt]:
    source = SOURCES[name]
    folder = os.environ.get("ASCL_BENCH_DIR")
    local = Path(folder) / source.folder / source.file if folder else None
    if local is not None and local.exists():
        rows, mapping, where = [row for _, row in read_jsonl(local)], source.row, str(local)
    else:
        rows, mapping, where = _hub(name, source), source.hub_row or source.row, source.hub[0]
    prompts = []
    for index, row in enumerate(rows):
        try:
            fields = mapping(row, index)
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{where}, row {index + 1}: not a row of {name} (field {error})") from error
        if fields is not None:
            prompts.append(_prompt(fields, name, f"{where}, row {index + 1}"))
    return prompts


def _hub(name: str, source: Source) -> list[Row]:
    repository, configuration, split = source.hub
    try:
        from datasets import load_dataset

        return list(load_dataset(repository, configuration, split=split))
    except ImportError as error:
        raise InputError(f"prompts: {name}: install the extra `train` to read hub sets") from error
    except Exception as error:  # the hub client raises many kinds; all mean: not to be had
        raise InputError(
            f"prompts: {name}: hub set {repository} can't be read ({repr(error)[:150]}); set "
            f"ASCL_BENCH_DIR to a folder that holds {source.folder}/{source.file}, or ask for access on the hub"
        ) from error


def _prompt(row: Row, source: str, where: str) -> Prompt:
    """A prompt from `prompt` (one user text) or `messages`, and the other fields of `Prompt`."""
    fields: Row = {"source": source} | row
    if "prompt" in fields:
        fields["messages"] = [{"role": "user", "content": fields.pop("prompt")}]
    try:
        return Prompt.model_validate(fields)
    except ValidationError as error:
        problem = first_problem(error)
        if "prompt" in row:
            problem = problem.replace("messages.0.content", "prompt", 1)
        raise InputError(f"{where}: {problem}") from error


def question(prompt: Prompt) -> list[Message]:
    """The messages a model gets: the prompt's own, with the options of a multiple-choice problem listed."""
    if not prompt.options:
        return list(prompt.messages)
    listed = "\n".join(f"{chr(ord('A') + i)}. {option}" for i, option in enumerate(prompt.options))
    last = prompt.messages[-1]
    text = f"{last.content}\n{listed}\nEnd with `Answer: ` and the letter."
    return [*prompt.messages[:-1], last.model_copy(update={"content": text})]
