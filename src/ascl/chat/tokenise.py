"""From a rendered conversation to token ids, so that control tokens come from the template's own text alone.

A conversation is tokenised as one text: that is what a model has learnt from, and where a word and its neighbours make
one token they do so here. Then it is checked that each added token of the tokenizer stands in the template's own text,
and that these are the template's own, in their order. A break (`neutralise.py`) can't promise that: a tokenizer may
fold other letters into a token (NFKC, lower case), and one character can't be broken. Where the check fails, untrusted
texts are tokenised apart, by the same tokenizer without its added tokens.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

Span = tuple[int, int]  # [first, end) of a text


@dataclass
class Rendered:
    """A rendered conversation. untrusted: its parts that the template did not write; turns: the model's."""

    text: str
    untrusted: list[Span] = field(default_factory=list)
    turns: list[Span] = field(default_factory=list)

    @classmethod
    def of_marked(cls, marked: str, begin: str, end: str, turns: Iterable[Span] = ()) -> "Rendered":
        """From a text whose untrusted parts stand between two characters, which are taken out; `turns` lie in it.

        Raises ValueError where the two do not come in turn.
        """
        found = [(match.start(), match[0]) for match in re.finditer(f"[{begin}{end}]", marked)]
        if [mark for _, mark in found] != [begin, end] * (len(found) // 2):
            raise ValueError("a text begins or ends within another")
        marks = [at for at, _ in found]
        plain = [at - i for i, at in enumerate(marks)]
        return cls(
            re.sub(f"[{begin}{end}]", "", marked),
            list(zip(plain[::2], plain[1::2], strict=True)),
            [(first - bisect_right(marks, first - 1), end - bisect_right(marks, end - 1)) for first, end in turns],
        )

    def cut(self, first: int, end: int) -> "Rendered":
        """The part text[first:end]."""
        spans = [(max(f, first) - first, min(e, end) - first) for f, e in self.untrusted if f < end and e > first]
        return Rendered(self.text[first:end], spans)

    def pieces(self) -> list[tuple[str, bool]]:
        """The text in pieces, and whether each is untrusted."""
        cuts = [0, *(at for span in self.untrusted for at in span), len(self.text)]
        return [(self.text[f:e], i % 2 == 1) for i, (f, e) in enumerate(pairwise(cuts)) if f < e]


class Tokeniser:
    """Tokenises with a transformers fast tokenizer. markers: its added tokens, the control tokens."""

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.get_added_vocab()
        self.tokenizer = tokenizer
        self.markers = tuple(sorted(added))
        self._control = set(added.values())
        self._written: dict[str, list[int]] = {}  # the control tokens in texts of the template

    def ids(self, rendered: Rendered) -> list[int]:
        """The ids of a rendered text, no special tokens added.

        A character the tokenizer has no tokens for (some control characters and rare planes in SmolLM2) is read as
        U+FFFD: the unknown token may be a control token (`<|endoftext|>` there), which no text may become.
        """
        ids, spans = self._tokenise(rendered.text)
        unknown = self.tokenizer.unk_token_id
        if unknown in ids:
            unread = {ord(char): "\ufffd" for char in set(rendered.text) if unknown in self._tokenise(char)[0]}
            rendered = Rendered(rendered.text.translate(unread), rendered.untrusted)
            ids, spans = self._tokenise(rendered.text)
        if not rendered.untrusted or self._sound(rendered, ids, spans):
            return ids
        apart: list[int] = []
        for piece, untrusted in rendered.pieces():
            apart += self._plain_ids(piece) if untrusted else self._tokenise(piece)[0]
        return apart

    def _tokenise(self, text: str) -> tuple[list[int], list[Span]]:
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return encoded["input_ids"], encoded["offset_mapping"]

    def _sound(self, rendered: Rendered, ids: list[int], spans: list[Span]) -> bool:
        """Whether the control tokens are those of the template's texts, in their order, and lie in them."""
        found = [(token, span) for token, span in zip(ids, spans, strict=True) if token in self._control]
        wanted: list[int] = []
        for piece, untrusted in rendered.pieces():
            if not untrusted:
                if piece not in self._written:
                    self._written[piece] = [i for i in self._tokenise(piece)[0] if i in self._control]
                wanted += self._written[piece]
        ends = [end for _, end in rendered.untrusted]

        def of_template(span: Span) -> bool:
            after = bisect_right(ends, span[0])
            return after == len(ends) or rendered.untrusted[after][0] >= span[1]

        return [token for token, _ in found] == wanted and all(of_template(span) for _, span in found)

    @cached_property
    def _plain(self) -> Any:
        """The tokenizer without its added tokens."""
        from tokenizers import Tokenizer

        state = json.loads(self.tokenizer.backend_tokenizer.to_str())
        return Tokenizer.from_str(json.dumps(state | {"added_tokens": [], "truncation": None, "padding": None}))

    def _plain_ids(self, text: str) -> list[int]:
        """Ids of an untrusted text, none of them a control token.

        A vocabulary of words or pieces may hold one besides: then each character is tokenised for itself, and one that
        is a control token is read as U+FFFD, or left out where that is none either.
        """
        ids = self._plain.encode(text, add_special_tokens=False).ids
        if self._control.isdisjoint(ids):
            return ids
        if len(text) > 1:
            return [token for char in text for token in self._plain_ids(char)]
        return [] if text == "\ufffd" else self._plain_ids("\ufffd")
