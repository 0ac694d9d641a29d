"""The rule book: rules loaded from anywhere, searched, hashed and compared."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ascl.rules.edit import BookEdit
from ascl.rules.load import load_rules
from ascl.rules.rule import Rule, count_words
from ascl.rules.search import Searcher, searcher
from ascl.rules.words import scripts

LONGEST_QUERY = 20_000  # characters of a query that are read
_FULL_STOPS = (".", "。", "．", "।", "۔")


@dataclass
class RuleBook:
    """An immutable list of rules. Edit the files and load again to change it."""

    rules: list[Rule]
    embedding_model: str | None = None

    @classmethod
    def load(cls, source: str | Path = "default", embedding_model: str | None = None) -> "RuleBook":
        """Load `default`, a folder or a file (see `rules/load.py`); raises InputError.

        Where an embedding model is named, the rules are embedded at once, so that a bad name is found now.
        """
        book = cls(load_rules(source), embedding_model)
        if embedding_model is not None:
            _ = book._search
        return book

    def search(self, query: str, top_k: int) -> list[tuple[Rule, float]]:
        """The rules that are about a query: at most top_k with their similarity in (0, 1], best first.

        Ties keep the book's order. The first 20,000 characters of the query are read.
        """
        return self._best(query, np.flatnonzero(self._search.hits(query[:LONGEST_QUERY])), top_k)

    def nearest(self, query: str, top_k: int) -> list[tuple[Rule, float]]:
        """As `search`, but with rules that share no more than a word by chance."""
        return self._best(query, np.arange(len(self.rules)), top_k)

    def reads(self, query: str) -> bool:
        """Whether a query has letters of the book's scripts, or none: no other query can find a rule by its words."""
        asked = scripts(query[:LONGEST_QUERY])
        return not asked or self.embedding_model is not None or not asked.isdisjoint(self._scripts)

    def _best(self, query: str, places: np.ndarray, top_k: int) -> list[tuple[Rule, float]]:
        """The best of the rules at these places."""
        scores = self._search.similarities(query[:LONGEST_QUERY])[places]
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [(self.rules[places[i]], float(scores[i])) for i in order if scores[i] > 0]

    @cached_property
    def _search(self) -> Searcher:
        return searcher([rule.text for rule in self.rules], self.embedding_model)

    @cached_property
    def _scripts(self) -> set[str]:
        return scripts(" ".join(rule.text for rule in self.rules))

    def edited(self, edit: BookEdit) -> "RuleBook":
        """The book with an edit."""
        return RuleBook(edit.of(self.rules), self.embedding_model)

    @cached_property
    def titles(self) -> list[str]:
        """The category titles, each once, in order."""
        return list(dict.fromkeys(rule.title for rule in self.rules))

    @property
    def categories(self) -> list[str]:
        """The category slugs, each once, in order."""
        return list(dict.fromkeys(rule.category for rule in self.rules))

    @cached_property
    def hash(self) -> str:
        """sha256 over all that each rule says, whatever files and order (first 16 hex digits)."""
        said = sorted([r.id, r.category, r.title, r.text, *filter(None, [r.exempt])] for r in self.rules)
        content = json.dumps(said, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RuleDiff:
    """What changed from one rule book to another."""

    added: list[Rule]
    removed: list[Rule]
    changed: list[tuple[Rule, Rule]]


def diff(old: RuleBook, new: RuleBook) -> RuleDiff:
    """Rules added, removed, and (old, new) pairs of which anything changed, by id."""
    before = {rule.id: rule for rule in old.rules}
    after = {rule.id: rule for rule in new.rules}
    return RuleDiff(
        added=[rule for rule in new.rules if rule.id not in before],
        removed=[rule for rule in old.rules if rule.id not in after],
        changed=[(before[i], after[i]) for i in after if i in before and before[i] != after[i]],
    )


def lint(book: RuleBook) -> list[str]:
    """Problems a person should mend: length, more than one sentence, no full stop, near-equal texts, foreign ids."""
    problems = []
    seen: dict[frozenset[str], str] = {}
    for rule in book.rules:
        words = count_words(rule.text)
        if not 5 <= words <= 40:
            problems.append(f"{rule.id}: {words} words; a rule has 5 to 40")
        if not rule.text.endswith(_FULL_STOPS):
            problems.append(f"{rule.id}: does not end with a full stop")
        if any(mark in rule.text[:-1] for mark in (". ", "! ", "? ", *_FULL_STOPS[1:], "！", "？")):
            problems.append(f"{rule.id}: more than one sentence")
        if not rule.id.startswith(f"{rule.category}."):
            problems.append(f"{rule.id}: the id does not start with its category `{rule.category}`")
        key = frozenset(word.strip(".,;").lower() for word in rule.text.split())
        if key in seen:
            problems.append(f"{rule.id}: same words as {seen[key]}")
        seen[key] = rule.id
    return problems
