"""Text of a turn that may still turn out to be a call, a thought or a control token is held back from the client.

Servers leave calls and thoughts in the text where their parser does not know the model. A client must never see them,
and a turn that consults is no answer. So text is passed on up to the first character from which something of the kind
may begin; if it does begin there, the rest of the turn is held until it is whole.
"""

from ascl.chat.families import TOKENS

_OPENERS = tuple(
    sorted({*(token for token in TOKENS if len(token) > 2), "<tool_call", "<function", "<think", "</think", "<|", "✿"})
)
_LONGEST = max(map(len, _OPENERS))
_AT_START = ("{", "[", "`")  # a bare call, or one in a code fence


class HoldBack:
    """Takes a turn's text piece by piece and gives what may be shown already."""

    def __init__(self) -> None:
        self.held = ""
        self.closed = False  # something was found: all the rest is held
        self._begun = False

    def add(self, text: str) -> str:
        """The text that may be shown now."""
        self.held += text
        if self.closed:
            return ""
        if not self._begun:
            if not (shown := self.held.lstrip()):
                return ""
            self._begun = True
            if shown.startswith(_AT_START):
                self.closed = True
                return ""
        end = self._safe_end()
        shown, self.held = self.held[:end], self.held[end:]
        return shown

    def _safe_end(self) -> int:
        """Where in the held text something begins that may be a marker, or its end."""
        for place, character in enumerate(self.held):
            if character in _FIRST:
                rest = self.held[place : place + _LONGEST].casefold()
                if any(rest.startswith(opener) for opener in _FOLDED):
                    self.closed = True
                    return place
                if len(rest) < _LONGEST and any(opener.startswith(rest) for opener in _FOLDED):
                    return place
        return len(self.held)


_FOLDED = tuple(opener.casefold() for opener in _OPENERS)
_FIRST = {opener[0] for opener in _OPENERS} | {opener[0].casefold() for opener in _OPENERS}
