"""The rule books in force: each request takes one version and keeps it; an edited file takes its place within a second.

A version is named by all that decides what a look-up gives: the rules in their order with their exemptions, the search,
the tool's settings and the system text. A book that can't be read, or has no rule, is not taken: the last good one
stays in force, and `problem` says why.
"""

import asyncio
import glob
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ascl.chat.messages import Message
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules
from ascl.errors import InputError
from ascl.files import write_json
from ascl.rules.book import RuleBook
from ascl.rules.signature import check_signature
from ascl.saved import read_saved
from ascl.serve.log import MESSAGES

EVERY = 0.5  # seconds between two looks at the files

CANDIDATE = "candidate"  # the name of an edited book that is tried, among the books and as the arm of a canary


@dataclass(frozen=True)
class Pinned:
    """A version of a book, as a request holds it."""

    name: str
    version: str
    tool: ConsultTool


def version_of(tool: ConsultTool) -> str:
    """sha256 over the ordered rules, the search, the tool and the system text (first 16 hex digits)."""
    rules = [[r.id, r.category, r.title, r.text, r.exempt] for r in tool.book.rules]
    shown = with_rules("ascl", [Message(role="user", content="Hello.")], tool)[0].content
    said = [rules, tool.book.embedding_model, tool.schema, tool.exemptions, shown]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()[:16]


@dataclass
class Books:
    """The books by name, and where each is read from. changed: is told of each version that comes into force.

    trust: the public key of those whose signature a book must have (`rules/signature.py`); serials: where the last
    serial of each book is kept, so that an older one is refused after a restart too.
    """

    sources: Mapping[str, str]
    top_k: int
    embedding_model: str | None = None
    trust: Path | None = None
    serials: Path | None = None
    changed: Callable[[Pinned], None] = lambda pinned: None
    problem: dict[str, str] = field(default_factory=dict)
    _pinned: dict[str, Pinned] = field(default_factory=dict)
    _seen: dict[str, str] = field(default_factory=dict)

    def load(self) -> None:
        """Read every book. Raises InputError where one can't be read."""
        self._seen = {name: _mark(source) for name, source in self.sources.items()}
        for pinned in [self._read(name, source) for name, source in self.sources.items()]:
            self._put(pinned.name, pinned)

    def pin(self, name: str) -> Pinned:
        """The version in force now."""
        return self._pinned[name]

    async def watch(self) -> None:
        """Look at the files for ever; what changed is read aside and then put in force at once."""
        while True:
            await asyncio.sleep(EVERY)
            for name, source in self.sources.items():
                mark = await asyncio.to_thread(_mark, source)
                if mark != self._seen[name]:
                    await self._again(name, source)
                    self._seen[name] = mark

    async def _again(self, name: str, source: str) -> None:
        try:
            pinned = await asyncio.to_thread(self._read, name, source)
        except (InputError, OSError) as error:
            if self.problem.get(name) != str(error):
                MESSAGES.warning(f"rule book {name}: not taken, the last good one stays: {error}")
            self.problem[name] = str(error)
            return
        self.problem.pop(name, None)
        if pinned.version != self._pinned[name].version:
            self._put(name, pinned)

    def _read(self, name: str, source: str) -> Pinned:
        tool = ConsultTool(RuleBook.load(source, self.embedding_model), self.top_k)
        if self.trust is not None:
            self._check(name, source, tool, self.trust)
        tool.call(tool.schema["function"]["name"], {"query": "warm up"})
        return Pinned(name, version_of(tool), tool)

    def _check(self, name: str, source: str, tool: ConsultTool, trust: Path) -> None:
        kept = read_saved(self.serials, dict[str, int]) if self.serials and self.serials.exists() else {}
        found = check_signature(source, tool.book.rules, trust, kept.get(name, 0))
        if self.serials is not None and kept.get(name) != found.serial:
            write_json(self.serials, kept | {name: found.serial})

    def _put(self, name: str, pinned: Pinned) -> None:
        self._pinned[name] = pinned
        self.changed(pinned)


def _mark(source: str) -> str:
    """What changes when the files of a book do: names, sizes and times; empty for the shipped book."""
    path = Path(source)
    if source == "default" or not path.exists():
        return ""
    files = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
    files += path.parent.glob(f"{glob.escape(path.name)}.*")  # its ids, its signature
    stats = [(str(file), file.stat()) for file in files if file.is_file()]
    return repr([(name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats])
