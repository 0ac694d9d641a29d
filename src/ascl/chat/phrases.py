"""Break the labels of a question inside the texts that are put into it, so that no text can forge a part of it.

A model reads `User:`, `[Rules found]` or `Thoughts:` as the frame of its question, however it is written: so a text is
compared as it looks, without case, accents, blanks, marks of Markdown and invisible characters, and with the letters of
other scripts that look the same. A zero-width space after a label's first character breaks it; the text reads the same.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from ascl.chat.neutralise import BREAK

_MARKS = "*_~`\\"  # Markdown's, which a reader does not see
_INVISIBLE = "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # letters and signs without a shape
# What looks like a Latin letter or a sign that labels use, after each of them: Unicode's confusables, and what people
# write Latin with for show. `l`, `1` and `I` look alike as well.
_LOOKS_LIKE = {
    "a": "аαɑᴀꭺꓮ⍺Ꭺᗅ𖽀𐊠ᗩ", "b": "вβʙᏼꓐьƄᏏᑲᖯꞴᏴᗷ𐊂𐊡𐌁", "c": "сᴄꮯꓚϲⲥ𐐽🝌𑣲𑣩ⲤᏟ𐊢𐌂𐐕𐔜", "d": "ԁᴅꭰꓓᏧᑯꓒᎠᗞᗪ",
    "e": "еεᴇꭼꓰєҽ℮ꬲ⋿ⴹᎬ𑢦𑢮𐊆ɛᗴ", "f": "ꜰꓝғꬵẝք𝈓Ϝᖴ𑣂𑢢𐊇𐊥𐔥", "g": "ɡɢꮐꓖԍƍցᏀᏳ", "h": "һнհʜꮋꓧΗᏂⲎᎻᕼ𐋏",
    "i": "іιıɪꓲӏl1|∣⏽۱𐌠ƖǀⲒⵏ𖼨𐊊𐌉𝈪ⳐᏞᒪ𖼖𑢣𑢲𐐛𐔦Ιᛁʟꮮꓡ˛⍳ɩͺꙇꭵᎥ𑣃", "j": "јᴊꭻꓙϳᎫᒍ", "k": "кκᴋꮶꓗⲔᏦᛕ𐔘",
    "m": "мᴍꮇꓟΜϻⲘᎷᗰᛖ𐊰𐌑", "n": "ոηɴꓠпΝռⲚ𐔓",
    "o": "оοօᴏꓳ0σంಂംං०੦૦௦౦೦൦๐໐၀۵ꬽⲟჿഠဝ𐓪𑣈𑣗𐐬০୦〇𑓐𑣠Ⲟⵔዐଠ𐓂𑢵𐊒𐊫𐐄𐔖", "p": "рρᴘꮲꓑ⍴ⲣⲢᏢᑭ𐊕", "q": "ԛգզⵕ",
    "r": "гʀꮢꓣᴦꭇꭈⲅꮁ𝈖ᎡᏒ𐒴ᖇ𖼵я", "s": "ѕꜱꮪꓢʂƽ𑣁𐑈ՏᏕᏚ𖼺𐊖𐐠ֆᔕƧƨ", "t": "тτᴛꭲꓔ⊤⟙🝨ⲦᎢ𖼊𑢼𐊗𐊱𐌕", "u": "սυᴜꓴʋцꞟ𐓶𑣘∪⋃ሀ𐓎ᑌ𖽂𑢸ʊᥙ",
    "v": "νᴠꮩꓦѵΥ∨⋁𑜆𑣀𝈍۷ⴸᏙᐯꛟ𖼈𑢠𐔝", "w": "ԝωᴡꮃꓪѡɯա𑜊𑜎𑜏𑣯𑣦ᎳᏔ", "x": "хχꓫ×᙮⤫⤬⨯ᕁᕽ᙭╳𐌢𑣬ꞳⲬⵝᚷ𐊐𐊴𐌗𐔧", "y": "уʏꓬүγɣᶌყ𑣜ⲨᎩᎽ𖽃𑢤𐊲",
    "z": "ᴢꮓꓜζ𑣄𐋵𑣥Ꮓ𑢩", ":": "∶꞉ː˸׃։܃⁚፡ःઃ᛬︰᠃᠉ꓽ፥꛴܄", "-": "‐‑‒–—―−⁃➖─━ー˗Ⲻ⸺⸻ㅡᅳ㇐⎯⏤▬═一", "<": "‹⟨〈ᐸ❮˂≺𝈶ᚲ≪⟪❰⋖⧼｟《«",
    ">": "›⟩〉ᐳ❯˃≻𝈷𖼿≫⟫❱⋗⧽｠》»", "[": "【〔⟦❲〚⁅⟮⟬〘⦋⌈⌊「『❬〖⎡", "]": "】〕⟧❳〛⁆⟯⟭〙⦌⌉⌋」』❭〗⎤",
}  # fmt: skip
# The names of Latin letters in another dress: with a stroke, a hook, reversed.
_DRESSED = re.compile(
    r"LATIN (?:SMALL |CAPITAL |LETTER )+(?:REVERSED |OPEN |INSULAR |SCRIPT |LONG |SIDEWAYS )*([A-Z])"
    r"(?: WITH .+| ROTUNDA| BAR)?"
)
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
        elif first := next((first for first in _ALPHABETS if first <= code < first + 26), 0):
            looks = _LATIN[code - first]
        elif code in _SAME:
            looks = _SAME[code]
        elif code > 0x7F and (dressed := _DRESSED.fullmatch(unicodedata.name(sign, ""))):
            looks = _LATIN[ord(dressed[1]) - ord("A")]
        else:
            plain = unicodedata.normalize("NFKD", sign)
            looks = plain.casefold() if plain == sign else self.of(plain)
            looks = "".join(_SAME.get(ord(part), part) for part in looks)
        self[code] = looks
        return looks

    def of(self, text: str) -> str:
        """What a text looks like."""
        return text.translate(self)


_ALPHABETS = (0x1F150, 0x1F170, 0x1F1E6)  # in black circles, in black squares, of flags
_LATIN = [_SAME.get(ord(letter), letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
_LOOKS = _Looks()


def break_phrases(text: str, phrases: Iterable[str]) -> str:
    """`text` with every phrase broken that it holds, or that looks the same.

    Idempotent. A phrase has at least two visible characters. Linear in the length of the text.
    """
    view = _LOOKS.of(text)
    found: set[int] = set()
    for phrase in _views(tuple(phrases)):
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


@lru_cache(maxsize=64)
def _views(phrases: tuple[str, ...]) -> frozenset[str]:
    """What phrases look like: worked out once for the many rules of a book."""
    return frozenset(map(_LOOKS.of, phrases))


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
