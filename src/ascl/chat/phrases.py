"""Break the labels of a question inside the texts that are put into it, so that no text can forge a part of it.

A model reads `User:`, `[Rules found]` or `Thoughts:` as the frame of its question, however it is written: so a text is
compared as it looks, without case, accents, blanks, marks of Markdown and invisible characters, and with the letters of
other scripts that look the same. A zero-width space after a label's first character breaks it; the text reads the same.
"""

import re
import unicodedata
from collections.abc import Iterable

from ascl.chat.neutralise import BREAK

_MARKS = "*_~`\\"  # Markdown's, which a reader does not see
_INVISIBLE = "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # letters and signs without a shape
# What looks like a Latin letter or a sign that labels use, after each of them. `l`, `1` and `I` look alike as well.
_LOOKS_LIKE = {
    "a": "аαɑᴀꭺꓮ", "b": "вβʙᏼꓐь", "c": "сᴄꮯꓚϲ", "d": "ԁᴅꭰꓓ", "e": "еεᴇꭼꓰєҽ", "f": "ꜰꓝғ", "g": "ɡɢꮐꓖԍ",
    "h": "һнհʜꮋꓧΗ", "i": "іιıɪꓲӏl1|Ιᛁʟꮮꓡ", "j": "јᴊꭻꓙϳ", "k": "кκᴋꮶꓗ", "m": "мᴍꮇꓟΜϻ", "n": "ոηɴꓠпΝ", "o": "оοօᴏꓳ0σ",
    "p": "рρᴘꮲꓑ", "q": "ԛգ", "r": "гʀꮢꓣᴦ", "s": "ѕꜱꮪꓢʂ", "t": "тτᴛꭲꓔ", "u": "սυᴜꓴʋц", "v": "νᴠꮩꓦѵΥ", "w": "ԝωᴡꮃꓪѡ",
    "x": "хχꓫ×", "y": "уʏꓬүγ", "z": "ᴢꮓꓜζ",
    ":": "∶꞉ː˸׃։܃⁚፡", "-": "‐‑‒–—―−⁃➖─━ー", "<": "‹⟨〈ᐸ❮˂≺", ">": "›⟩〉ᐳ❯˃≻", "[": "【〔⟦❲〚", "]": "】〕⟧❳〛",
}  # fmt: skip
_SAME = {ord(other): sign for sign, others in _LOOKS_LIKE.items() for other in others}


class _Looks(dict[int, str]):
    """What each character looks like, for `str.translate`; worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        if (
            sign.isspace()
            or sign in _MARKS + _INVISIBLE
            or 0xE0000 <= code <= 0xE0FFF
            or unicodedata.category(sign) in ("Cf", "Cc", "Mn", "Me")
        ):
            looks = ""
        elif 0x1F1E6 <= code <= 0x1F1FF or 0x1F170 <= code <= 0x1F189:  # letters of flags and in black squares
            looks = _LATIN[(code - (0x1F1E6 if code >= 0x1F1E6 else 0x1F170))]
        elif code in _SAME:
            looks = _SAME[code]
        else:
            plain = unicodedata.normalize("NFKD", sign)
            looks = plain.casefold() if plain == sign else self.of(plain)
            looks = "".join(_SAME.get(ord(part), part) for part in looks)
        self[code] = looks
        return looks

    def of(self, text: str) -> str:
        """What a text looks like."""
        return text.translate(self)


_LATIN = [_SAME.get(ord(letter), letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
_LOOKS = _Looks()


def break_phrases(text: str, phrases: Iterable[str]) -> str:
    """`text` with every phrase broken that it holds, or that looks the same.

    Idempotent. A phrase has at least two visible characters. Linear in the length of the text.
    """
    view = _LOOKS.of(text)
    found: set[int] = set()
    for phrase in {_LOOKS.of(phrase) for phrase in phrases}:
        at = view.find(phrase)
        while at >= 0:
            found.add(at)
            at = view.find(phrase, at + 1)
    if not found:
        return text
    parts: list[str] = []
    seen = 0  # characters of the view
    for sign, following in zip(text, text[1:] + " ", strict=True):
        parts.append(sign)
        width = len(_LOOKS[ord(sign)])
        here = seen in found if width == 1 else not found.isdisjoint(range(seen, seen + width))
        if here and following != BREAK:
            parts.append(BREAK)
        seen += width
    return "".join(parts)


def unbroken(text: str) -> str:
    """A text that a model wrote after it had read broken ones, without the breaks that it repeats."""
    return text.replace(BREAK, "")


_LABEL = re.compile(r"^([A-Z][^\n:{}]*)(?::[ \t]*$|:(?= \()|(?=\{\w+\}[^\n]*:[ \t]*$))", re.MULTILINE)
_PLACE = re.compile(r"\{(\w+)\}")


def labels_of(template: str) -> list[str]:
    """The labels of a question: how its lines begin that end in a colon, or go on with `(what is to stand there)`."""
    return [found.group().rstrip() for found in _LABEL.finditer(template)]


def fill(template: str, **texts: str) -> str:
    """The template with a text at each `{name}`, in which every label of the template is broken. Braces stay braces."""
    labels = labels_of(template)
    broken = {name: break_phrases(text, labels) for name, text in texts.items()}
    return _PLACE.sub(lambda place: broken[place[1]], template)
