"""The consult tool, defined once: its name, schema, argument checks, faults and result text.

The rollout loop, the MCP server and (later) other engines only adapt what is here. From arXiv 2602.13562: name,
arguments, default and maximum of top_k, and the numbered result list (rank, similarity in percent, rule text).
The description is ours and short: every prompt carries it.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any

from ascl.chat.messages import Consultation, RuleHit
from ascl.rules.book import RuleBook
from ascl.rules.edit import BookEdit
from ascl.rules.rule import Rule

SERVER_NAME = "safety-policy"
SHORT_NAME = "retrieve_policy"
TOOL_NAME = f"{SERVER_NAME}-{SHORT_NAME}"  # how an agent that joins server and tool names sees it
DESCRIPTION = "Lists what the assistant must not do on a topic."
DEFAULT_TOP_K = 3
MAX_TOP_K = 20
OTHER_SCRIPT = "The rules are written in another script than this query. Look them up in their own language."

EDITED = 256  # edited books that a tool keeps

TOO_MANY_CALLS = "too_many_calls"
FAULTS = (
    "unknown_tool",  # a call of a tool that does not exist
    "missing_query",  # no query, or an empty one
    "wrong_type",  # query is not a string, or top_k no whole number
    "top_k_range",  # top_k outside 1..20
    "unknown_argument",  # an argument the schema does not have
    TOO_MANY_CALLS,  # a turn with more calls than are run
)


@dataclass(frozen=True)
class ToolResult:
    """What a call gave: the text for the model and either the consultation or the fault."""

    text: str
    consultation: Consultation | None = None
    fault: str | None = None


@dataclass
class ConsultTool:
    """The tool over one rule book.

    default_top_k: what a call without top_k gets. exemptions: whether a rule's exemptions are shown with it. topics:
    whether the system text says which categories the book has (`variants.py`). returned: what every look-up gives in
    the place of the rules it finds (`BookEdit`).
    """

    book: RuleBook
    default_top_k: int = DEFAULT_TOP_K
    exemptions: bool = True
    topics: bool = True
    returned: tuple[Rule, ...] = ()
    schema: dict[str, Any] = field(init=False)
    _edited: OrderedDict[BookEdit, "ConsultTool"] = field(default_factory=OrderedDict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.schema = {
            "type": "function",
            "function": {
                "name": TOOL_NAME,
                "description": DESCRIPTION,
                "parameters": {
                    "type": "object",
                    "properties": {
                        "query": {"type": "string", "description": "The topic to look up."},
                        "top_k": {
                            "type": "integer",
                            "description": "How many rules to list.",
                            "default": self.default_top_k,
                            "minimum": 1,
                            "maximum": MAX_TOP_K,
                        },
                    },
                    "required": ["query"],
                },
            },
        }

    def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Check a call and look the rules up. A fault gives an error text and no consultation; it never raises."""
        if name != TOOL_NAME:
            return _fault("unknown_tool", f"there is no tool of this name; use {TOOL_NAME}")
        if unknown := set(arguments) - {"query", "top_k"}:
            return _fault("unknown_argument", f"{len(unknown)} unknown argument(s); only query and top_k exist")
        query, top_k = arguments.get("query", ""), _whole_number(arguments.get("top_k"), self.default_top_k)
        if not isinstance(query, str) or top_k is None:
            return _fault("wrong_type", "query is a string and top_k an integer")
        if not query.strip():
            return _fault("missing_query", "the argument query is required")
        if not 1 <= top_k <= MAX_TOP_K:
            return _fault("top_k_range", f"top_k is between 1 and {MAX_TOP_K}")
        found = self.book.search(query, top_k)
        if self.returned:
            found = [(rule, similarity) for rule, (_, similarity) in zip(self.returned, found, strict=False)]
        hits = self.hits(found)
        text = result_text(hits) if hits or self.book.reads(query) else OTHER_SCRIPT
        return ToolResult(text, Consultation(query=query, top_k=top_k, hits=hits))

    def hits(self, found: list[tuple[Rule, float]]) -> list[RuleHit]:
        """Rules with their similarities as the tool shows them."""
        return [
            RuleHit(id=rule.id, text=rule.text, similarity=similarity, exempt=rule.exempt if self.exemptions else "")
            for rule, similarity in found
        ]

    def under(self, edit: BookEdit | None) -> "ConsultTool":
        """The same tool over the edited book; the last few are kept."""
        if edit is None:
            return self
        if edit not in self._edited:
            self._edited[edit] = replace(self, book=self.book.edited(edit), returned=edit.returned)
            if len(self._edited) > EDITED:
                self._edited.popitem(last=False)
        self._edited.move_to_end(edit)
        return self._edited[edit]


def loosely_typed(arguments: dict[str, Any]) -> bool:
    """Whether top_k is given as null or as text. The tool takes it so; the schema says integer."""
    return "top_k" in arguments and isinstance(arguments["top_k"], str | None)


def _whole_number(value: Any, default: int) -> int | None:
    """An integer as models write it: 5, 5.0, "5", or null for the default. None where it is something else."""
    if value is None:
        return default
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,9}(\.0*)?", value.strip(), re.ASCII):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def result_text(hits: list[RuleHit]) -> str:
    """The numbered list a model reads: `1. (42.6%) rule text`, and after it what the rule allows."""
    if not hits:
        return "No rule is about this."
    return "\n".join(f"{rank}. ({100 * hit.similarity:.1f}%) {hit.shown}" for rank, hit in enumerate(hits, start=1))


def _fault(fault: str, text: str) -> ToolResult:
    return ToolResult(f"Error: {text}.", fault=fault)
