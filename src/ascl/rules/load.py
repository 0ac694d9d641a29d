"""Read rules from a folder of YAML (one category a file), one YAML file, a CSV, or a Markdown list.

YAML: `category`, `title`, `rules: [{id, text}]`. CSV: columns `id,category,text` (`title` optional).
Markdown: `## Category title` headings, `- id: text` or `- text` items (an id is then made from the text's words).
Every error is an InputError that names the file and, where there is one, the line or the rule.
"""

import csv
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ascl.errors import InputError
from ascl.rules.rule import Rule

DEFAULT = Path(__file__).with_name("default")
_READABLE = (".yaml", ".yml", ".csv", ".md", ".markdown")


def load_rules(source: str | Path) -> list[Rule]:
    """The rules of a source (`default`, a folder, a file): ids are unique, the order is the source's own."""
    path = DEFAULT if str(source) == "default" else Path(source)
    if not path.exists():
        raise InputError(f"{path}: no such rule book; name `default`, a folder of YAML, a .yaml, .csv or .md file")
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in _READABLE) if path.is_dir() else [path]
    found = [(rule, where) for file in files for rule, where in _read(file)]
    if not found:
        raise InputError(f"{path}: holds no rules")
    seen: dict[str, str] = {}
    for rule, where in found:
        if rule.id in seen:
            raise InputError(f"{where}: rule id {rule.id} is already used at {seen[rule.id]}; ids must be unique")
        seen[rule.id] = where
    return [rule for rule, _ in found]


def _read(file: Path) -> list[tuple[Rule, str]]:
    if file.suffix.lower() not in _READABLE:
        raise InputError(f"{file}: rules are read from {', '.join(_READABLE)}")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{file}: can't be read as UTF-8 text ({error})") from error
    if file.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(file, text)
    return _from_csv(file, text) if file.suffix.lower() == ".csv" else _from_markdown(file, text)


def _rule(where: str, **fields: Any) -> tuple[Rule, str]:
    try:
        fields["text"] = " ".join(str(fields["text"]).split())
        return Rule(**fields), where
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _from_yaml(file: Path, text: str) -> list[tuple[Rule, str]]:
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{file}{line}: not YAML ({getattr(error, 'problem', None) or error})") from error
    if not isinstance(data, dict) or not isinstance(data.get("rules"), list) or "category" not in data:
        raise InputError(f"{file}: expected the keys `category`, `title` and a list `rules`")
    category = str(data["category"])
    found = []
    for number, item in enumerate(data["rules"], start=1):
        where = f"{file}, rule {number}"
        if not isinstance(item, dict) or set(item) != {"id", "text"}:
            raise InputError(f"{where}: expected the keys `id` and `text`, and no others")
        found.append(
            _rule(where, category=category, title=str(data.get("title", category)), id=item["id"], text=item["text"])
        )
    return found


def _from_csv(file: Path, text: str) -> list[tuple[Rule, str]]:
    reader = csv.DictReader(text.splitlines())
    missing = {"id", "category", "text"} - set(reader.fieldnames or [])
    if missing:
        raise InputError(f"{file}, line 1: missing column(s) {', '.join(sorted(missing))}")
    return [
        _rule(
            f"{file}, line {reader.line_num}",
            id=row["id"] or "",
            category=row["category"] or "",
            title=row.get("title") or row["category"] or "",
            text=row["text"] or "",
        )
        for row in reader
    ]


def _from_markdown(file: Path, text: str) -> list[tuple[Rule, str]]:
    title, found = "General", []
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := re.match(r"#+\s+(.+)", line):
            title = heading.group(1).strip()
        elif item := re.match(r"\s*[-*+]\s+(?:`?([a-z0-9_]+(?:\.[a-z0-9_]+)+)`?:\s+)?(.+)", line):
            category = slug(title)
            rule_id = item.group(1) or f"{category}.{slug(' '.join(item.group(2).split()[:6]))}"
            found.append(
                _rule(f"{file}, line {number}", id=rule_id, category=category, title=title, text=item.group(2))
            )
    return found


def slug(text: str) -> str:
    """Lower-case words joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "rule"
