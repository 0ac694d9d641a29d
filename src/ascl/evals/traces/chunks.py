"""A thought cut into micro-thoughts: the smallest steps that still say something (after SafeRBench, arXiv 2511.15169).

The paper has a language model cut; this is done by rule, so that the same thought always gives the same chunks and no
model is needed. A chunk ends

- where a paragraph ends, and before a list item or a heading;
- after a sentence, where the next word begins with anything but a small letter, or is a discourse marker;
- inside a sentence, behind punctuation and before a marker that turns the thought ("..., but", "; wait").

A chunk has at least two words: "Hmm." leads the next one. A fenced code block is one chunk, whatever it holds.
"""

import re
from collections.abc import Iterator

_CLOSERS = "\"'”’)]}*_»」』）"  # may stand after the end of a sentence
_SIGNS = _CLOSERS + "“‘([{,.;:!?…—–-"
_TOKEN = re.compile(  # a word with the blanks after it; Chinese and Japanese sentences end without a blank
    r"(?:\A\s*+)?(?:[^\s。！？]++(?:[。！？]++[”’」』）]*+)?|[。！？]++[”’」』）]*+)\s*+"
)
_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([^`\n]*+)(?:\n|\Z)", re.MULTILINE)
_LETTER = re.compile(r"\w")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{2}")  # words of Chinese and Japanese, with no blank between
_LIST_MARK = re.compile(r"(?:[-*+•–]|#{1,6}|\(?(?:\d{1,3}|[A-Za-z])[.)])\Z")
_NUMBER = re.compile(r"\(?\d{1,3}\.\Z")
_INITIALS = re.compile(r"\(?(?:[A-Za-z]\.)+\Z")  # J. Smith, U.S., e.g.


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ABBREVIATIONS = _words("mr mrs ms dr prof vs cf fig figs eq approx st gen sen rep al resp sec art")
_NUMBERED = _words("step section sec rule point option part policy no nos article chapter item case phase")
# What a sentence may begin with where its first letter is small.
_BEGINS = _words(
    "i wait but so however first second third next then finally alternatively actually also maybe perhaps hmm hm okay"
    " ok now therefore thus instead still yet let let's and or oh alright another"
)
# What turns a thought inside a sentence, and with which next words it does not.
_TURNS = _words("but however wait so alternatively actually let let's therefore instead otherwise hmm yet nevertheless")
_TURNS_NOT = {"so": _words("that far on forth much many called"), "instead": _words("of"), "let": _words("alone")}
_LEAST_WORDS = 2  # of a chunk
_LEAST_WORDS_TO_TURN = 3  # of a chunk that ends inside a sentence


def chunk(thought: str) -> list[str]:
    """The micro-thoughts of a thought, in order. Joined they are the thought; none is blank unless the thought is.

    Linear in the length of the thought. [] for the empty thought.
    """
    chunks: list[list[str]] = []
    said = False  # whether the last chunk holds a letter or digit; signs and blanks alone are no step
    for text, code in _blocks(thought):
        for piece in [text] if code else _steps(text):
            says = _LETTER.search(piece) is not None
            if chunks and not (said and says):
                chunks[-1].append(piece)
                said = said or says
            else:
                chunks.append([piece])
                said = says
    return list(map("".join, chunks))


def _blocks(thought: str) -> Iterator[tuple[str, bool]]:
    """The thought as prose and fenced code, in turn. A fence that nothing closes is prose."""
    fences = [(mark.start(), mark.end(), mark[1], not mark[2].strip()) for mark in _FENCE.finditer(thought)]
    last = {marks: number for number, (_, _, marks, bare) in enumerate(fences) if bare}
    at = number = 0
    while number < len(fences):
        start, end, marks, bare = fences[number]
        number += 1
        if last.get(marks, -1) < number:
            continue
        bare = False
        while not bare or fences[number - 1][2] != marks:
            _, end, _, bare = fences[number]
            number += 1
        if at < start:
            yield thought[at:start], False
        yield thought[start:end], True
        at = end
    if at < len(thought):
        yield thought[at:], False


def _steps(prose: str) -> Iterator[str]:
    """The chunks of a text without code blocks. What is too short at its end joins the chunk before."""
    tokens = _TOKEN.findall(prose) or [prose]
    waiting = ""  # a whole chunk, which what comes last may still join
    begun = words = 0
    for i, token in enumerate(tokens):
        words += _LEAST_WORDS if _UNSPACED.search(token) else bool(_LETTER.search(token))
        enough = words >= _LEAST_WORDS
        last = i + 1 == len(tokens)
        if last or (enough and _ends(tokens, i, words)):
            piece = "".join(tokens[begun : i + 1])
            if last and not enough:
                waiting, piece = "", waiting + piece
            if waiting:
                yield waiting
            waiting, begun, words = piece, i + 1, 0
    yield waiting


def _ends(tokens: list[str], i: int, words: int) -> bool:
    """Whether a chunk of so many words ends after token i, which is not the last one."""
    token, following = tokens[i], tokens[i + 1]
    lines = token[len(token.rstrip()) :].count("\n")
    if lines > 1 or (lines and _LIST_MARK.match(following.strip())):
        return True
    end, first = _end(token), following.strip().strip(_SIGNS)
    if end.endswith(("。", "！", "？")):
        return True
    if end.endswith((".", "…", "!", "?")) and _ends_sentence(tokens, i, end):
        return not first[:1].islower() or first.lower() in _BEGINS
    if end.endswith((",", ";", ":", "—", "–", "-")) and words >= _LEAST_WORDS_TO_TURN and first.lower() in _TURNS:
        second = tokens[i + 2].strip().strip(_SIGNS) if i + 2 < len(tokens) else ""
        return second.lower() not in _TURNS_NOT.get(first.lower(), ())
    return False


def _ends_sentence(tokens: list[str], i: int, end: str) -> bool:
    """Whether token i, a word with a stop, is no abbreviation, no initials, and no number of a list or step."""
    if end.lstrip("([{\"'“‘").lower()[:-1] in _ABBREVIATIONS:
        return False
    if _INITIALS.match(end):
        return end == "I."
    if _NUMBER.match(end):
        before = tokens[i - 1] if i else "\n"
        counted = before.strip().strip(_SIGNS).lower() in _NUMBERED
        return not (counted or "\n" in before or _end(before).endswith((".", ":", ";", "!", "?")))
    return True


def _end(token: str) -> str:
    """A word without the blanks and closing signs after it."""
    return token.strip().rstrip(_CLOSERS)
