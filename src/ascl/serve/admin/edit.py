"""A file of the rule book, edited: what the edit would change, and the file written where nobody wrote it meanwhile."""

import hashlib
import threading
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ascl.errors import InputError
from ascl.files import write_text
from ascl.inputs import read_text
from ascl.rules.book import RuleBook, RuleDiff, diff, lint
from ascl.rules.load import YAML, yaml_files
from ascl.rules.reading import Reading
from ascl.serve.trail.consultations import Recorded
from ascl.serve.trail.replay import Replay, replay

_WRITING = threading.Lock()


class Changed(Exception):
    """The file is no longer what it was when it was opened; its text now is the argument."""


@dataclass
class Preview:
    """What an edited book is: how its rules differ from those in force, what `ascl rules lint` says of it that it did
    not say before, and which look-ups of the past would find other rules.
    """

    changes: RuleDiff
    problems: list[str] = field(default_factory=list)
    replayed: Replay = field(default_factory=Replay)


def files_of(source: str) -> dict[str, Path]:
    """The YAML files that a rule book is read from, by their names within it; none where it is read from anything else.

    A name that a request gives is looked up here: no other file can be reached.
    """
    path = Path(source)
    if source == "default":
        return {}
    if path.is_dir():
        return {str(file.relative_to(path)): file for file in yaml_files(path, Reading())}
    return {path.name: path} if path.suffix.lower() in YAML else {}


def mark_of(text: str) -> str:
    """What changes when the text of a file does."""
    return hashlib.sha256(text.encode()).hexdigest()


def edited_book(source: str, name: str, text: str, embedding_model: str | None) -> RuleBook:
    """The book with another text in one of its files, read as it would be. Raises InputError where it can't be."""
    with TemporaryDirectory() as folder:
        for other, file in files_of(source).items():
            copy = Path(folder, other)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text if other == name else read_text(file), encoding="utf-8")
        try:
            return RuleBook.load(folder if Path(source).is_dir() else Path(folder, name), embedding_model)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "").replace(folder, source)) from error


def preview(before: RuleBook, after: RuleBook, past: list[Recorded]) -> Preview:
    """Hold an edited book against the one in force. past: consultations, which are looked up in both."""

    @cache
    def found(query: str, top_k: int) -> tuple[str, ...]:
        return tuple(rule.id for rule, _ in before.search(query, top_k))

    asked = [replace(one, rules=found(one.query, one.top_k)) for one in past if one.query and one.top_k]
    known = set(lint(before))
    return Preview(diff(before, after), [line for line in lint(after) if line not in known], replay(asked, after))


def publish(file: Path, text: str, opened: str) -> None:
    """Write a file. opened: the mark of the text that was edited. Raises Changed where the file has another by now."""
    with _WRITING:
        now = read_text(file)
        if mark_of(now) != opened:
            raise Changed(now)
        write_text(file, text)
