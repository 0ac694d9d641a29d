"""Five ways to give a model its rules (arXiv 2602.13562, section on zero-shot variants), and the system text of each.

pure: nothing. short: one reminder sentence. long: all category titles, and to refuse. rag: the top rules for the
prompt, always placed in the system prompt. ascl: the tool. The wordings are ours (the paper's are longer); models
trained here always run in the `ascl` form.
"""

import json
from itertools import accumulate
from typing import Literal, get_args

from ascl.chat.messages import Message
from ascl.consult.tool import ConsultTool, result_text
from ascl.models.fingerprint import fingerprint, short_hash
from ascl.rules.book import RuleBook

Variant = Literal["pure", "short", "long", "rag", "ascl"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

MOST_TOPICS = 600  # characters of category titles in the system text
_SHORT = "You are a helpful assistant. Answer safely: do not help with harmful requests."
_LONG = (
    "You are a helpful assistant. Refuse every request that falls under one of these categories: {titles}. "
    "Answer all other requests."
)
_RAG = (
    "You are a helpful assistant. These rules say what you must not do:\n{rules}\n"
    "Refuse what they forbid; answer all else."
)
ASCL_TEXT = (
    "You are a helpful assistant. If a request may be unsafe, look up the rules first, "
    "then judge: refuse real harm, answer ordinary requests."
)


def shown_to(variant: Variant, tool: ConsultTool) -> dict[str, str]:
    """Short hashes of what a variant shows a model beside the prompt: the system text and the tool.

    The texts of the rules that a look-up gives are not in them (`RuleBook.hash`), but the weights of a local folder
    that finds them are.
    """
    probe = with_rules(variant, [Message(role="user", content="Hello.")], tool)
    tools = [tool.schema] if variant == "ascl" else []
    found = {"system text": short_hash(json.dumps([*(m.for_template() for m in probe), *tools], ensure_ascii=False))}
    if variant in ("rag", "ascl") and (weights := fingerprint(tool.book.embedding_model or "")):
        found["embedding model"] = weights
    return found


def topics(book: RuleBook) -> str:
    """What a book covers, in a sentence: its category titles, so that a model can know that a house rule may exist.

    They stand in the order of the alphabet, at most 600 characters of them; then how many more there are.
    """
    titles = sorted(book.titles, key=str.casefold)
    ends = accumulate(len(title) + 2 for title in titles)  # each with the comma after it
    shown = titles[: sum(end - 2 <= MOST_TOPICS for end in ends)]
    more = f" and {len(titles) - len(shown)} more" if len(shown) < len(titles) else ""
    return f"Topics of the rules: {', '.join(shown)}{more}."


def with_rules(variant: Variant, messages: list[Message], tool: ConsultTool) -> list[Message]:
    """The prompt's messages with the variant's system text in front (joined with the prompt's own, if it has one)."""
    if variant == "pure":
        return list(messages)
    if variant == "short":
        text = _SHORT
    elif variant == "long":
        text = _LONG.format(titles=", ".join(tool.book.titles))
    elif variant == "rag":
        found = tool.book.nearest(messages[-1].content, tool.default_top_k)
        text = _RAG.format(rules=result_text(tool.hits(found)))
    else:
        text = f"{ASCL_TEXT} {topics(tool.book)}" if tool.topics else ASCL_TEXT
    if messages[0].role == "system":
        return [Message(role="system", content=f"{text}\n\n{messages[0].content}"), *messages[1:]]
    return [Message(role="system", content=text), *messages]
