r"""Expressions that the words around them keep from being a result: "not 42", "> 42", "42 or more", "42 or perhaps 43".

Works on the text that `plain_text.plain` gives.
"""

import re
from collections.abc import Callable

_LONGEST = 80  # characters between two expressions of which either may be the result
_LINKS = (
    r"(?:\s+(?:a|about|actually|an|any|approximately|around|be|been|comes?|cost|earn|equals?|even|exactly|gets?|give|has"
    r"|have|make|necessarily|need|out|pay|quite|reach|really|take|the|to|total))*"
)
_NOT = (
    r"(?:\b(?:not|never|neither|nor|cannot|anything\s+but|other\s+than|different\s+from|instead\s+of|rather\s+than|except)"
    r"|n't)\b"
)
_MORE = r"(?:more|less|fewer|greater|larger|smaller|higher|lower|bigger|longer|shorter|older|younger|later|earlier)"
_BOUND = (
    rf"\b(?:{_MORE}\s+than(?:\s+or\s+equal\s+to)?|at\s+(?:the\s+)?(?:very\s+)?(?:least|most)|exceed(?:s|ing)?|upwards\s+of"
    r"|between|(?:is|are|was|were|be|has|have)\s+(?:just\s+|well\s+)?(?:up\s+to|over|under|above|below|beyond))\b"
    r"|\A\W*(?:up\s+to|over|under|above|below|beyond)\b"
)
_SIGN = r"(?<![-=<>\w\"'/])(?:[<>]=?|≥|≤|≠|!=)"
_BEFORE = re.compile(rf"(?:(?:{_NOT}|{_BOUND}){_LINKS}\s+|{_SIGN}\s*)([(\"'$€£-]*)", re.IGNORECASE)
_UNIT = r"(?:\s+[a-z]+){0,3}?"
_RESULT = r"(?:(?:the|our|an?)\s+)?(?:(?:right|correct|final)\s+)?(?:answer|result|solution|value|number)"
_AFTER = re.compile(
    rf"\s?\+(?!\s*(?:[\w(\\$+-]|\.\d))|{_UNIT}[\s,]*(?:"
    rf"\b(?:or|and)\s+(?:{_MORE}|above|below|over|under|up)\b(?!\s+(?:\w+\s+)?\$?\d|\s+\w+ly\b)"
    r"|\bat\s+(?:the\s+)?(?:very\s+)?(?:least|most)\b"
    r"|\b(?:which\s+)?(?:is|was|are|can|could|would)(?:n't|\s+not|\s+never)\s+(?:be\s+)?"
    rf"(?:{_RESULT}|it|right|correct|true|valid|possible)\b"
    r"|\b(?:which\s+)?(?:is|was|are|would\s+be)\s+(?:wrong|incorrect|false|impossible)\b)",
    re.IGNORECASE,
)
_PERHAPS = r"(?:perhaps|maybe|possibly|potentially|probably|conceivably|(?:more\s+|most\s+)?likely)"
_OR = re.compile(
    rf"(?P<unit>{_UNIT})[\s,;.(]*(?:(?P<either>\bor\b(?:\s+(?:else|even))?)|\b(?:and|but|though|although)\b)?[\s,]*"
    rf"(?P<perhaps>{_PERHAPS}[\s,]+)?"
    r"(?:(?:it|that|this|the\s+(?:answer|result))\s+(?:(?P<is>is|was)|(?P<may>could|might|may)(?:\s+also)?\s+be)\s+)?"
    rf"(?P<likely>{_PERHAPS}\s+)?(?:(?:about|around|the|an?)\s+)?[$€£]?",
    re.IGNORECASE,
)
_POSSIBLE = re.compile(
    rf"{_UNIT}\s+(?:is|are|would\s+be)\s+(?:also\s+|just\s+as\s+|equally\s+)?(?:conceivable|likely|plausible|possible)\b",
    re.IGNORECASE,
)


def denied(text: str) -> Callable[[int, int], bool]:
    """Of a text: whether its expression from a start to an end is negated, or no more than a bound."""
    starts = {start for found in _BEFORE.finditer(text) for start in range(found.start(1), found.end() + 1)}
    return lambda start, end: start in starts or bool(_AFTER.match(text, end))


def either(text: str, end: int, start: int, after: int) -> bool:
    """Whether the expression that ends at `end` and the next one, from `start` to `after`, are two possible results.

    What is said in another unit ("2 hours, or 120 minutes") is the same result.
    """
    between = _OR.fullmatch(text, end, start) if start - end <= _LONGEST else None
    if between is None:
        return False
    if between["perhaps"] or between["may"] or between["likely"] or _POSSIBLE.match(text, after):
        return True
    return bool(between["either"] and (between["is"] or text.startswith(between["unit"], after)))
