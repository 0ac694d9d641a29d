"""Which characters are shown by name, since a reader would not see them: one pattern, for Python and the page.

They are the control and format characters and whatever else Unicode 16 calls default-ignorable (zero-width characters,
direction marks, the "tag" block, variation selectors, fillers), blanks that are no blanks, lone surrogates and
noncharacters. Kept as they are, where a script or an emoji has a use for them:

- U+FE0E and U+FE0F after an emoji, and in a keycap; U+200D between two emoji;
- U+200C and U+200D between two letters of the Arabic, Syriac, N'Ko, Indic and related blocks;
- the variation selectors of Mongolian after a letter of it; the Arabic number signs beside a letter or before a digit.
"""

import re
from collections.abc import Callable, Iterable

Range = tuple[int, int]

_HIDDEN: list[Range] = [
    (0x00, 0x08),  # tab and line feed are seen
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x200B, 0x200B),
    (0x200E, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xD800, 0xDFFF),  # a file name may hold some; a page in UTF-8 can't
    (0xFDD0, 0xFDEF),
    (0xFE00, 0xFE0D),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0xFFFE, 0xFFFF),
    (0x13430, 0x1343F),
    (0x16FE4, 0x16FE4),
    (0x1BCA0, 0x1BCA3),
    (0x1D159, 0x1D159),
    (0x1D173, 0x1D17A),
    *((plane + 0xFFFE, plane + 0xFFFF) for plane in range(0x10000, 0x110000, 0x10000)),
    (0xE0000, 0xE0FFF),
]
_EMOJI: list[Range] = [
    (0xA9, 0xA9),
    (0xAE, 0xAE),
    (0x203C, 0x203C),
    (0x2049, 0x2049),
    (0x2122, 0x2122),
    (0x2139, 0x2139),
    (0x2194, 0x21AA),
    (0x231A, 0x23FF),
    (0x24C2, 0x24C2),
    (0x25AA, 0x25FE),
    (0x2600, 0x27BF),
    (0x2934, 0x2935),
    (0x2B05, 0x2B55),
    (0x3030, 0x303D),
    (0x3297, 0x3299),
    (0x1F000, 0x1FAFF),
]
_JOINING: list[Range] = [
    (0x0620, 0x0DFF),  # Arabic, Syriac, Thaana, N'Ko, Mandaic, Devanagari .. Sinhala
    (0x0F00, 0x109F),  # Tibetan, Myanmar
    (0x1780, 0x17B3),  # Khmer
    (0x17B6, 0x17DD),
    (0x1820, 0x18AA),  # Mongolian
    (0x1900, 0x1BFF),  # Limbu .. Batak, Balinese among them
    (0xA840, 0xA877),  # Phags-pa
    (0xA8E0, 0xA9FF),  # Devanagari extended, Javanese, Myanmar extended
    (0xAA60, 0xABFF),  # Myanmar extended, Meetei Mayek
    (0xFB50, 0xFDCF),  # Arabic presentation forms
    (0xFE70, 0xFEFC),
    (0x10D00, 0x10D3F),
    (0x11000, 0x11DFF),  # Brahmi and its relatives
]
_MONGOLIAN: list[Range] = [(0x1820, 0x18AA)]
_SIGNS: list[Range] = [  # format characters that are seen, before digits
    (0x0600, 0x0605),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
]


def _pattern(char: Callable[[int], str]) -> str:
    """The pattern in the syntax that Python and JavaScript share; `char` writes a character of it."""

    def of(ranges: Iterable[Range]) -> str:
        return "".join(f"{char(first)}-{char(last)}" for first, last in ranges)

    emoji, joining, text, colour = of(_EMOJI), of(_JOINING), char(0xFE0E), char(0xFE0F)
    joiner, non_joiner, keycap = char(0x200D), char(0x200C), char(0x20E3)
    return "|".join(
        [
            f"[{of(_HIDDEN)}]",
            f"(?<![{emoji}]){text}",
            f"(?<![{emoji}]){colour}(?!{keycap})",
            f"(?<![{emoji}0-9#*]){colour}",
            f"(?<![{joining}]){non_joiner}",
            f"{non_joiner}(?![{joining}])",
            f"{joiner}(?!(?<=[{joining}]{joiner})[{joining}]|(?<=[{emoji}{colour}]{joiner})[{emoji}])",
            f"(?<![{of(_MONGOLIAN)}])[{of([(0x180B, 0x180F)])}]",
            f"(?<![{joining}])[{of(_SIGNS)}](?![{joining}0-9])",
        ]
    )


INVISIBLE = re.compile(_pattern(lambda code: f"\\U{code:08x}"))
JAVASCRIPT = _pattern(lambda code: f"\\u{{{code:x}}}")  # for the flag `u`


def visible(text: str) -> str:
    """The text with characters that hide, or hide or reorder others, shown by name."""
    return INVISIBLE.sub(lambda match: f"[U+{ord(match[0]):04X}]", text.replace("\r\n", "\n"))
