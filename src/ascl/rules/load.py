"""Read rules from a folder of YAML (one category a file), one YAML file, a CSV, or a Markdown list.

YAML: `category`, `title`, `rules: [{id, text}]`. CSV: columns `id,category,text` (`title` optional).
Markdown: `## Category title` headings, `- id: text` items (the category is the id's first part) or `- text` items (an
id is then made from the text's words). An item ends at an empty line, a heading or the next item.
Every error is an InputError that names the file and, where there is one, the line or the rule.
"""

import csv
import io
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ascl.errors import InputError, first_problem
from ascl.files import parse_yaml, read_text
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
    text = read_text(file)
    if file.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(file, text)
    return _from_csv(file, text) if file.suffix.lower() == ".csv" else _from_markdown(file, text)


def _rule(where: str, **fields: Any) -> tuple[Rule, str]:
    if isinstance(fields["text"], str):
        fields["text"] = " ".join(fields["text"].split())
    try:
        return Rule(**fields), where
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from error


def _from_yaml(file: Path, text: str) -> list[tuple[Rule, str]]:
    data = parse_yaml(file, text)
    if not isinstance(data, dict) or not isinstance(data.get("rules"), list) or "category" not in data:
        raise InputError(f"{file}: expected the keys `category`, `title` and a list `rules`")
    category = data["category"]
    found = []
    for number, item in enumerate(data["rules"], start=1):
        where = f"{file}, rule {number}"
        if not isinstance(item, dict) or set(item) != {"id", "text"}:
            raise InputError(f"{where}: expected the keys `id` and `text`, and no others")
        found.append(_rule(where, category=category, title=data.get("title", category), **item))
    return found


def _from_csv(file: Path, text: str) -> list[tuple[Rule, str]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        missing = {"id", "category", "text"} - set(reader.fieldnames or [])
        if missing:
            raise InputError(f"{file}, line 1: missing column(s) {', '.join(sorted(missing))}")
        return [_csv_rule(f"{file}, line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{file}, line {reader.reader.line_num}: not CSV ({error})") from error


def _csv_rule(where: str, row: dict[str, str]) -> tuple[Rule, str]:
    if None in row:  # where DictReader puts the fields beyond the header
        raise InputError(f"{where}: more fields than columns; put a text that holds commas in double quotes")
    return _rule(
        where,
        id=row["id"] or "",
        category=row["category"] or "",
        title=row.get("title") or row["category"] or "",
        text=row["text"] or "",
    )


def _from_markdown(file: Path, text: str) -> list[tuple[Rule, str]]:
    title, open_item = "General", False
    found: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if heading := re.match(r"#+\s+(.+)", line):
            title, open_item = heading.group(1).strip(), False
        elif item := re.match(r"\s*[-*+]\s+(?:`?([a-z0-9_]+(?:\.[a-z0-9_]+)+)`?:\s+)?(.+)", line):
            found.append({"line": number, "title": title, "id": item.group(1), "text": item.group(2)})
            open_item = True
        elif open_item and line.strip():
            found[-1]["text"] += f" {line}"
        else:
            open_item = False
    return [_markdown_rule(file, **item) for item in found]


def _markdown_rule(file: Path, line: int, title: str, id: str | None, text: str) -> tuple[Rule, str]:
    category = id.split(".")[0] if id else slug(title)
    return _rule(
        f"{file}, line {line}",
        id=id or f"{category}.{slug(' '.join(text.split()[:6]))}",
        category=category,
        title=title,
        text=text,
    )


def slug(text: str) -> str:
    """Lower-case words joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "rule"
