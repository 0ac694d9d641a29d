"""Read rules from a folder of YAML (one category a file), one YAML file, a CSV, or a Markdown list.

YAML: `category`, `title`, `rules: [{id, text}]`, a rule with `exempt` where wanted. CSV: see `table.py`. Markdown: see
`markdown.py` and `ids.py`; the category is the first part of the id. Every error is an InputError that names the file
and, where there is one, the line or the rule.
"""

import os
import re
from pathlib import Path

from ascl.errors import InputError
from ascl.inputs import parse_yaml, read_text
from ascl.rules.ids import ids_file, make_ids, read_ids, recognise
from ascl.rules.markdown import read_list
from ascl.rules.reading import Reading, check_cost
from ascl.rules.rule import Rule
from ascl.rules.table import read_table

DEFAULT = Path(__file__).with_name("default")
TEMPLATE = Path(__file__).with_name("template.yaml")  # a small book to start from
YAML = (".yaml", ".yml")
_TABLE = (".csv", ".tsv")
MARKDOWN = (".md", ".markdown")
_YAML_COSTS = {re.compile(r"- "): 8, re.compile(r"[\n:?,\[{]"): 5}  # microseconds
_MOST_FILES = 10_000  # in a folder of rules and its subfolders


def load_rules(source: str | Path) -> list[Rule]:
    """The rules of a source (`default`, a folder, a file): ids are unique, the order is the source's own."""
    return [rule for rule, _ in read_rules(source).rules]


def read_rules(source: str | Path) -> Reading:
    """`load_rules` with the places of the rules and an account of what else was seen."""
    path = DEFAULT if str(source) == "default" else Path(source)
    if not path.exists():
        raise InputError(f"{path}: no such rule book; name `default`, a folder of YAML, a .yaml, .csv or .md file")
    reading = Reading()
    for file in yaml_files(path, reading) if path.is_dir() else [path]:
        before = len(reading.rules)
        reading.seen["file"] += 1
        _read(file, reading)
        if path.is_dir() and len(reading.rules) == before:
            reading.notes.append(f"{file}: holds no rules")
    if not reading.rules:
        kind = "the YAML files of a folder and its subfolders" if path.is_dir() else "list items or rows"
        raise InputError("; ".join([f"{path}: holds no rules", f"rules are read from {kind}", *reading.notes[:1]]))
    seen: dict[str, str] = {}
    for rule, where in reading.rules:
        if rule.id in seen:
            raise InputError(f"{where}: rule id {rule.id} is already used at {seen[rule.id]}; ids must be unique")
        seen[rule.id] = where
    return reading


def yaml_files(folder: Path, reading: Reading) -> list[Path]:
    """The visible YAML files of a folder and its subfolders by name, each once where links lead to it again.

    A link in a loop is among them, and is an error when it is read.
    """
    files: dict[str, Path] = {}  # where each lies, without links
    visited = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        if (place := os.path.realpath(parent)) in visited:
            folders.clear()
            continue
        visited.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(files) + len(reading.notes) + len(names) > _MOST_FILES:
            raise InputError(f"{folder}: holds more than {_MOST_FILES} files; name the folder of the rules alone")
        for file in (Path(parent, name) for name in sorted(names) if not name.startswith(".")):
            if file.suffix.lower() in YAML:
                files.setdefault(os.path.realpath(file), file)
            else:
                reading.notes.append(f"{file}: not read; the rules of a folder are its YAML files")
    return sorted(files.values())


def _read(file: Path, reading: Reading) -> None:
    suffix = file.suffix.lower()
    if suffix not in (*YAML, *_TABLE, *MARKDOWN):
        raise InputError(f"{file}: rules are read from {', '.join((*YAML, *_TABLE, *MARKDOWN))}")
    text = read_text(file)
    if suffix in YAML:
        _read_yaml(file, text, reading)
    elif suffix in _TABLE:
        read_table(file, text, reading)
    else:
        _read_markdown(file, text, reading)


def _read_yaml(file: Path, text: str, reading: Reading) -> None:
    check_cost(file, text, _YAML_COSTS, "YAML")
    data = parse_yaml(file, text)
    if not isinstance(data, dict) or not isinstance(data.get("rules"), list) or "category" not in data:
        raise InputError(f"{file}: expected the keys `category`, `title` and a list `rules`")
    category = data["category"]
    for number, item in enumerate(data["rules"], start=1):
        where = f"{file}, rule {number}"
        reading.seen["list item"] += 1
        if not isinstance(item, dict) or not {"id", "text"} <= set(item) <= {"id", "text", "exempt"}:
            raise InputError(f"{where}: expected the keys `id` and `text`, `exempt` where wanted, and no others")
        reading.add(where, category=category, title=data.get("title", category), **item)
    if unread := [str(key) for key in data if key not in ("category", "title", "rules")]:
        reading.notes.append(f"{file}: keys that are not read: {', '.join(unread)}")


def _read_markdown(file: Path, text: str, reading: Reading) -> None:
    found, kept = read_list(file, text), read_ids(file)
    named = {item.id for item in found.items if item.id}
    wordings = [(item.title, item.text) for item in found.items if not item.id]
    known = recognise(wordings, [rule for rule in kept if rule.id not in named])
    new = [wording for wording, id in zip(wordings, known, strict=True) if id is None]
    made = iter(make_ids(new, taken={*named, *(rule.id for rule in kept)}))
    ids = iter([id or next(made) for id in known])
    for item in found.items:
        id, where = item.id or next(ids), f"{file}, line {item.line}"
        rule = reading.add(where, id=id, category=id.split(".")[0], title=item.title, text=item.text)
        if not item.id:
            reading.without_id.append(rule)
    reading.seen["list item"] += found.seen
    reading.notes += [f"{file}, line {line}: {remark}" for line, remark in found.notes]
    reading.problems += [f"{file}, line {line}: {remark}" for line, remark in found.problems]
    command = f"`ascl rules ids {file}`"
    if kept and new:
        reading.problems.append(f"{file}: rules without an id in {ids_file(file).name}: {len(new)}; run {command}")
    elif new:
        reading.notes.append(
            f"{file}: ids made of a rule's words: {len(new)}; {command} keeps them when the words change"
        )
