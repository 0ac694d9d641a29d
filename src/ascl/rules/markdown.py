"""The list items of a Markdown text (CommonMark) that are rules, each with the heading it stands under.

Every list item is a rule, nested ones too: its paragraphs, without marks, are the rule's text. These are none:

- an item without words, and one that is only a link or only the name of a heading (a table of contents);
- an item that holds a list and is no sentence: with less than five words it is the heading of that list; where it ends
  in a colon and a section's heading is there already, it is the beginning of each rule in that list;
- what is struck out, and everything in a comment, a code block, a quotation, a table, HTML or the front matter.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from ascl.errors import InputError
from ascl.inputs import parse_yaml
from ascl.rules.plain_text import plain_text
from ascl.rules.reading import check_cost
from ascl.rules.rule import count_words, is_id

_NO_HEADING = "General"
_MAX_NESTING = 200  # of blocks; markdown-it drops what is nested deeper
_MAX_MARKS = 20  # of marks inside a paragraph; deeper ones are text. The time for a `[` grows with it
# What signs cost markdown-it, in microseconds of an old processor (see `check_cost`).
_COSTS = {
    re.compile(r"\n"): 40,
    re.compile(r"(?:[-*+>]|#{1,6}|\d[.)]) "): 50,  # what opens an item, a heading or a quotation
    re.compile(r"<"): 50,
    re.compile(r"[\[!|&]"): 40,
    re.compile(r"[*_~]"): 18,
    re.compile(r"`"): 8,
    re.compile(r"[#$%+\-:=>@\\\]^{}]"): 4,
}
_CLOSINGS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>", "<!": ">"}  # of HTML that is no tag, the longest first
_LONGEST_BEGINNING = 1000  # characters; each rule in the list repeats them
_LISTS = ("bullet_list", "ordered_list")
_NOT_READ = {
    "fence": "a code block",
    "code_block": "a code block (indented by four spaces or a tab)",
    "blockquote": "a quotation",
    "html_block": "a comment or HTML",
    "table": "a table",
}
_SENTENCE_ENDS = tuple(".!?…。．！？।؟۔")
_COLONS = (":", "：")
_ITEM = re.compile(r"[\s>]*(?:[-*+]|\d{1,9}[.)])\s+\S")
# How people write items that Markdown takes for a paragraph's text.
_ALMOST_ITEM = re.compile(r"\s*(?:[•‣▪◦●○·]\s*\w|[-+]\w|\(?\d{1,3}(?:\.\d{1,3})*[.)]\s*[^\W\d]|\(?[a-z]\)\s)")


@dataclass(frozen=True)
class ListItem:
    """A list item that is a rule; `id` where it names one (`- id: text`)."""

    line: int
    title: str
    id: str | None
    text: str


@dataclass
class RuleList:
    """The rules of a Markdown text, the number of its list items, and (line, remark) for what is no rule."""

    items: list[ListItem] = field(default_factory=list)
    seen: int = 0
    notes: list[tuple[int, str]] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)


def read_list(file: Path, text: str) -> RuleList:
    """The rules of a Markdown text. Raises InputError naming file and line where something hides the rest of it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    front = _front_matter(text)
    text = "\n" * front.count("\n") + text[len(front) :]  # lines keep their numbers
    check_cost(file, text, _COSTS, "Markdown")
    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable(["table", "strikethrough"])
    parser.inline.ruler.before("html_inline", "unread", _unread)
    parser.core.ruler.before("inline", "marks", lambda state: state.md.options.update(maxNesting=_MAX_MARKS))
    try:
        tokens = parser.parse(text)
        if any(token.level >= _MAX_NESTING - 2 for token in tokens):
            raise RecursionError
        return _Reader(file, text.split("\n"), SyntaxTreeNode(tokens)).found
    except RecursionError as error:
        raise InputError(f"{file}: can't be read: nested too deeply") from error


def _unread(state: StateInline, silent: bool) -> bool:
    """A comment or another piece of HTML that is no tag; one that is not closed is text.

    In place of markdown-it's own rule, which looks from every `<!--` to the end of the text.
    """
    opening = next((mark for mark in _CLOSINGS if state.src.startswith(mark, state.pos)), None)
    if opening is None or (opening == "<!" and not state.src[state.pos + 2 : state.pos + 3].isalpha()):
        return False
    closing = _CLOSINGS[opening]
    if _last(state.src, closing) < state.pos + 2:
        end = state.pos + len(opening)
        if not silent:
            state.pending += opening
    else:
        end = state.src.index(closing, state.pos + 2) + len(closing)
        if not silent:
            state.push("html_inline", "", 0).content = state.src[state.pos : end]
    state.pos = end
    return True


@lru_cache(maxsize=16)
def _last(text: str, sign: str) -> int:
    return text.rfind(sign)


class _Reader:
    """Walks through one text. A heading holds for what follows it; a heading in an item, to the item's end."""

    def __init__(self, file: Path, lines: list[str], root: SyntaxTreeNode) -> None:
        self.file, self.lines, self.found = file, lines, RuleList()
        headings = [(node.tag, self._title(node)) for node in root.walk() if node.type == "heading"]
        self.headings = {title.casefold() for _, title in headings}
        top = [title for tag, title in headings if tag == "h1"]
        self.no_sections = {_NO_HEADING, *(top if len(top) == 1 else [])}  # the one top heading names the whole text
        self._blocks(root.children, _NO_HEADING, "")

    def _blocks(self, nodes: list[SyntaxTreeNode], title: str, beginning: str) -> None:
        for node in nodes:
            if node.type == "heading":
                title = self._title(node)
            elif node.type in _LISTS:
                for item in node.children:
                    self._item(item, title, beginning)
            elif node.type == "paragraph":
                self._find_almost_items(node)
            elif node.type in _NOT_READ:
                self._pass_over(node)

    def _item(self, node: SyntaxTreeNode, title: str, beginning: str) -> None:
        self.found.seen += 1
        paragraphs = [child for child in node.children if child.type == "paragraph"]
        for paragraph in paragraphs:
            if any(token.type == "text" and "<!--" in token.content for token in _inline(paragraph)):
                raise self._error(paragraph, "a comment that is not closed before the text ends; close it with -->")
        tokens = [token for paragraph in paragraphs for token in _inline(paragraph)]
        text = " ".join(filter(None, (plain_text(_inline(paragraph)) for paragraph in paragraphs)))
        text = re.sub(r"^\[[ xX]?\](\s+|$)", "", text)  # the box of a task list
        first = next((token.type for token in tokens if token.content or token.nesting), "")
        id, text = _split_id(text, marked=first in ("code_inline", "strong_open", "em_open"))
        remark = None if id else self._why_no_rule(tokens, text)
        if not id and not remark and any(child.type in _LISTS for child in node.children):
            colon, section = text.endswith(_COLONS), title not in self.no_sections
            if not text.endswith(_SENTENCE_ENDS) and not (colon and section) and count_words(text) < 5:
                title, remark = text.rstrip(":： "), "the heading of its list"
            elif colon:
                beginning, remark = f"{beginning}{text} ", "the beginning of the rules in its list"
                if len(beginning) > _LONGEST_BEGINNING:
                    raise self._error(node, f"a beginning of rules of more than {_LONGEST_BEGINNING} characters")
        if remark:
            self.found.notes.append((_line(node), f"a list item that is no rule: {remark}"))
        else:
            self.found.items.append(ListItem(_line(node), title, id, beginning + text))
        self._blocks(node.children, title, beginning)

    def _why_no_rule(self, tokens: list[Token], text: str) -> str | None:
        if not re.search(r"\w", text) or not plain_text(tokens, leave_out=["image"]):
            return "it has no words"
        links = [str(token.attrGet("href")) for token in tokens if token.type == "link_open"]
        all_linked = bool(links) and not re.search(r"[^\W\d_]", plain_text(tokens, leave_out=["link"]))
        if all_linked and (all(link.startswith("#") for link in links) or not text.endswith(_SENTENCE_ENDS)):
            return "it is only a link"
        return "it is the name of a heading" if text.casefold() in self.headings else None

    def _title(self, heading: SyntaxTreeNode) -> str:
        title = re.sub(r"\s*\{#[\w-]+\}$", "", plain_text(_inline(heading)))  # without an anchor's name
        if not title:
            raise self._error(heading, "a heading without words; name the category")
        return title

    def _find_almost_items(self, paragraph: SyntaxTreeNode) -> None:
        """Report lines of a paragraph that a person may take for list items; an item's own first line is one."""
        in_item = paragraph.parent is not None and paragraph.parent.type == "list_item"
        for number, line in enumerate(self._source(paragraph)):
            if _ALMOST_ITEM.match(line) and not (in_item and number == 0):
                remark = "looks like a list item, but Markdown takes it for text; put an empty line before it"
                self.found.problems.append((_line(paragraph) + number, f"{remark} and begin it with `- ` or `1. `"))

    def _pass_over(self, node: SyntaxTreeNode) -> None:
        """Report a block that is not read where it is a table or holds lines like list items."""
        source = self._source(node)
        mark = node.markup if node.type == "fence" and node.parent is not None and node.parent.is_root else ""
        if mark and (len(source) < 2 or not source[-1].strip().startswith(mark)):
            raise self._error(node, f"a code block that is not closed; close it with {mark}")
        if node.type == "html_block" and _ends_in_comment(node.content):
            raise self._error(node, "a comment that is not closed; close it with -->")
        items = sum(bool(_ITEM.match(line)) for line in source)
        if items or node.type == "table":
            remark = f"{_NOT_READ[node.type]}, which is not read; lines like list items in it: {items}"
            self.found.notes.append((_line(node), remark))

    def _source(self, node: SyntaxTreeNode) -> list[str]:
        first, end = node.map or (0, 0)
        return self.lines[first:end]

    def _error(self, node: SyntaxTreeNode, problem: str) -> InputError:
        return InputError(f"{self.file}, line {_line(node)}: {problem}")


def _ends_in_comment(text: str) -> bool:
    at = text.find("<!--")
    while at >= 0:
        end = text.find("-->", at + 4)
        if end < 0:
            return True
        at = text.find("<!--", end)
    return False


def _inline(node: SyntaxTreeNode) -> list[Token]:
    """The inline tokens of a heading or paragraph."""
    return [token for inline in node.children for token in inline.to_tokens()[0].children or []]


def _line(node: SyntaxTreeNode) -> int:
    return node.map[0] + 1 if node.map else 1


def _split_id(text: str, marked: bool) -> tuple[str | None, str]:
    """(id, text) of `id: text`, or of a marked id (bold, code) and a text after a dash or with a capital letter."""
    match = re.match(r"([^\s:：]+)(\s?:\s+|\s?：\s*|\s+[-–—]\s+|\s+)(.+)", text)
    if match is None:
        return None, text
    id, between, rest = match.groups()
    separated = between.strip().endswith(_COLONS) or (marked and (between.strip() or rest[0].isupper()))
    return (id, rest) if separated and "." in id and id[0].isalpha() and is_id(id) else (None, text)


def _front_matter(text: str) -> str:
    """The YAML (---) or TOML (+++) before the text; empty where `---` is only a line across the page."""
    match = re.match(r"\s*(---|\+\+\+)[ \t]*\n(.*?\n)(\1|\.\.\.)[ \t]*(\n|$)", text, re.DOTALL)
    if match is None or (match[1] == "---" and not _is_yaml_mapping(match[2])):
        return ""
    return match.group()


def _is_yaml_mapping(text: str) -> bool:
    try:
        return isinstance(parse_yaml(Path(), text), dict)
    except InputError:  # with a mistake in it: it begins with a key and has no gap
        return bool(re.match(r"[\w\"'-]+\s*:", text)) and "\n\n" not in text
