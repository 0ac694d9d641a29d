"""What reading a rule book gave: the rules with their places, and what was seen and is no rule."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ascl.errors import InputError, first_problem
from ascl.inputs import LONGEST_TEXT
from ascl.rules.rule import Rule

MOST = 2 * LONGEST_TEXT  # characters of all rules; aliases in YAML and nested lists may say one text again and again


_FREE = 500_000  # microseconds; ten thousand short rules of a Markdown list cost about as much


def check_cost(file: Path, text: str, costs: Mapping[re.Pattern[str], int], form: str) -> None:
    """Refuse a text before it is parsed that would take more than half a second and a second for each megabyte.

    costs: what a parser takes for each sign of a pattern, in microseconds. Raises InputError.
    """
    if sum(each * len(sign.findall(text)) for sign, each in costs.items()) > _FREE + len(text):
        lines, size = text.count("\n") + 1, len(text) // 1000
        raise InputError(
            f"{file}: {lines:,} lines with marks, entries or blank rows are too many for {size:,} kB of {form}; "
            "split it into files, and leave out what is empty"
        )


@dataclass
class Reading:
    """Filled file by file.

    `rules` holds each rule with its place (file and line), `without_id` those of a Markdown list that names no id.
    `seen` counts files, list items and rows. `notes` says what was seen and is no rule, `problems` what a person should
    mend.
    """

    rules: list[tuple[Rule, str]] = field(default_factory=list)
    without_id: list[Rule] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    characters: int = 0

    def add(self, where: str, **fields: Any) -> Rule:
        """Add the rule with these fields; raises InputError naming the place."""
        for name in ("text", "exempt"):
            if isinstance(text := fields.get(name), str):
                self.characters += len(text)
                fields[name] = " ".join(text.split())
        if self.characters > MOST:
            raise InputError(f"{where}: the rules up to here have more than {MOST >> 20} million characters")
        if isinstance(fields["id"], str):
            fields["id"] = unicodedata.normalize("NFC", fields["id"])
        try:
            rule = Rule(**fields)
        except ValidationError as error:
            raise InputError(f"{where}: {first_problem(error)}") from error
        self.rules.append((rule, where))
        return rule
