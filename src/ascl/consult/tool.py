"""The consult tool, defined once: its name, schema, argument checks, faults and result text.

The rollout loop, the MCP server and (later) other engines only adapt what is here. From arXiv 2602.13562: name,
arguments, default and maximum of top_k, and the numbered result list (rank, similarity in percent, rule text).
The description is ours and short: every prompt carries it.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from ascl.chat.messages import Consultation, RuleHit
from ascl.rules.book import RuleBook

SERVER_NAME = "safety-policy"
SHORT_NAME = "retrieve_policy"
TOOL_NAME = f"{SERVER_NAME}-{SHORT_NAME}"  # how an agent that joins server and tool names sees it
DESCRIPTION = "Lists what the assistant must not do on a topic."
DEFAULT_TOP_K = 3
MAX_TOP_K = 20
OTHER_SCRIPT = "The rules are written in another script than this query. Look them up in their own language."

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
    """The tool over one rule book. `default_top_k` is what a call without top_k gets."""

    book: RuleBook
    default_top_k: int = DEFAULT_TOP_K
    schema: dict[str, Any] = field(init=False)

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
        hits = [RuleHit(id=r.id, text=r.text, similarity=s) for r, s in self.book.search(query, top_k)]
        text = result_text(hits) if hits or self.book.reads(query) else OTHER_SCRIPT
        return ToolResult(text, Consultation(query=query, top_k=top_k, hits=hits))


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
    """The numbered list a model reads: `1. (42.6%) rule text`."""
    if not hits:
        return "No rule is about this."
    return "\n".join(f"{rank}. ({100 * hit.similarity:.1f}%) {hit.text}" for rank, hit in enumerate(hits, start=1))


def _fault(fault: str, text: str) -> ToolResult:
    return ToolResult(f"Error: {text}.", fault=fault)
