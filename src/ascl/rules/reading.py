"""What reading a rule book gave: the rules with their places, and what was seen and is no rule."""

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ascl.errors import InputError, first_problem
from ascl.inputs import LONGEST_TEXT
from ascl.rules.rule import Rule

MOST = 2 * LONGEST_TEXT  # characters of all rules; aliases in YAML and nested lists may say one text again and again


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
