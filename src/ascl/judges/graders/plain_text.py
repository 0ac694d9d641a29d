r"""The text of an answer without its typography: what a number, an expression or a letter is read from.

Markdown, HTML, dollar signs around mathematics, fonts and sizes say nothing about the result and fall away. LaTeX that
does (`\frac`, `\boxed`) stays, as do dollar signs that are money.
"""

import html
import re
import unicodedata

_NUMBERED = re.compile(r"(?<=&#)(?:[xX]0*[0-9a-fA-F]{7}[0-9a-fA-F]*|0*\d{8}\d*)")  # no character has such a number
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SPACE = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000\t]")
_SAME = str.maketrans(
    {
        **{chr(0xFF01 + i): chr(0x21 + i) for i in range(94)},  # full-width forms
        **dict.fromkeys("−﹣‐‑‒", "-"),
        **dict.fromkeys("‘’´", "'"),
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("∗⋆", "*"),
        **dict.fromkeys("⁄∕", "/"),
        "∶": ":",
        "。": ".",
    }
)
_STYLED = re.compile("[\u2100-\u2131\u2133-\u214f\u24b6-\u24e9\U0001d400-\U0001d7cb\U0001f130-\U0001f149]")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ₀₁₂₃₄₅₆₇₈₉", "0123456789-+n0123456789")
# An en or em dash is a minus where a number follows at once and no word stands before it.
_DASH_MINUS = re.compile(r"(?<![\w)\]}.;!?])[–—](?=[$€£¥₹\\\0]{0,2}[.\d])|(?<=\d)–(?=\d)")
_NOTE_MARK = re.compile(
    r"\\(?:footnote|cite\w*)\{[^{}\n]*\}|【[^】\n]{0,200}】|<<[^<>\n]*>>|<sup>\[\w{1,3}\]</sup>|(?<=[.!?,;])[⁰¹²³⁴⁵⁶⁷⁸⁹]+|[†‡]"
    r"|(?<=\S)\^?\[\^\w{1,9}\]|(?<=[\w.,;:!?*)}$])\^?\[\d{1,2}\](?![(\w])|(?<=[\d.!?*)}$]) \[\d{1,2}\](?![(\w])"
)
_TAG = re.compile(
    r"</?(?:b|big|br|center|code|div|em|font|h[1-6]|i|li|mark|p|pre|small|span|strong|u)(?:\s[^<>\n]{0,200})?/?>"
)
# What stands between the digits of a long number in LaTeX.
_GROUP = re.compile(
    r"(?<=\d) *(?:\{\s*,\s*\}|\{\\[,;:! ]\}|,?\\!|\\[,;: ]|\\text\{,\}|\{?\\(?:thin|med)?space\}?|~) *(?=\d{3}(?!\d))"
)
_SPACING = re.compile(
    r"(?<!\\)\\[,;: ]|\\q?quad(?![a-zA-Z])|\\(?:thin|med|thick)space(?![a-zA-Z])|\\hspace\{[^{}\n]*\}|(?<=\S)~(?=\S)"
)
_NOTHING = re.compile(
    r"(?<!\\)\\!|\\(?:left|right|middle)(?![a-zA-Z])\.?|\\[bB]igg?[lrm]?(?![a-zA-Z])|\\(?:display|text|script)style(?![a-zA-Z])"
    r"|\\(?:bf|rm|it|sf|tt|sc|bfseries|large|Large|LARGE|huge|Huge|limits)(?![a-zA-Z])"
)
_FONT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|sc|md|up|normal)?|[mh]box|math(?:bf|rm|it|sf|tt|cal|frak|scr|bb|normal)|boldsymbol|bm|emph"
    r"|underline|textcolor\{\w+\}|color\{\w+\}|operatorname|ensuremath)\*?\s*\{([^{}]*)\}"
)
_DOLLARS = re.compile(r"\$\$([^$]+)\$\$|\$([^$\n]+)\$(?!\d)")
_MONEY = re.compile(r"\s*[\d.][^$]*\s(?!(?:and|or)\s+\S)[a-z]{2,}(?:\s|$)|(?:.*\s)?[a-z]{4,}\s", re.DOTALL)
_DISPLAY = re.compile(r"(?<!\\)\\[()\[\]]|\\(?:begin|end)\{(?:align|equation|gather|multline|displaymath|math)\*?\}")
_EMPHASIS = re.compile(
    r"(?<![\w)\]}*])\*([^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])|(?<![\w\\}^])_{1,3}([^\s_](?:[^_\n]*[^\s_])?)_{1,3}(?!\w)"
)
_QUOTED = re.compile(r"(?<=\n)>\s?")  # a line of a quotation; a text that begins with `>` may be an inequality
_KEPT = re.compile(
    _FONT.pattern + r"|\\(?:begin|end)\{\w+\*?\}|\\[a-zA-Z]+|(?<![a-zA-Z0-9})] )(?<![a-zA-Z])[a-zA-Z]{2,3}(?![a-zA-Z])"
)
_NAME = re.compile(
    r"(?:sin|cos|tan|cot|sec|csc|log|ln|exp|pi|and|or|mod|max|min|gcd|lcm|inf|cm|mm|km|kg|ft|mph|st|nd|rd|th)"
)
# 70,000; 70 000,50 and 70'000; 1,00,000; 1.234.567 and 70.000,50. One dot alone is a decimal point.
_LONG = re.compile(
    r"(?<![\d.,_^])(?:(?P<whole>[1-9]\d{0,2}(?P<sep>[ ,'_])\d{3}(?:(?P=sep)\d{3})*)(?![\d_]|,\d{3,}|(?P=sep)\d)"
    r"(?:(?<!,\d{3}),(?P<comma>\d\d?)(?![\d,]))?"
    r"|(?P<indian>[1-9]\d?(?:,\d\d)+,\d{3})(?![\d,])"
    r"|(?P<dotted>[1-9]\d{0,2}(?:(?:\.\d{3}){2,}(?![\d.])|(?:\.\d{3})+(?=,\d\d?(?![\d,]))))(?:,(?P<after_dots>\d\d?)(?![\d,]))?)"
)


def plain(answer: str) -> str:
    r"""The text without typography: `70{,}000`, `70\,000`, `70 000` are `70000`; `m²` is `m^{2}`, `**$x$**` is `x`."""
    text = html.unescape(_NUMBERED.sub("", answer)) if "&" in answer else answer
    text = _SPACE.sub(" ", _INVISIBLE.sub("", text)).translate(_SAME)
    text = _STYLED.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text)
    text = re.sub(r"[^\D\x00-\x7f]", lambda m: str(unicodedata.decimal(m[0])), text)  # digits of other scripts
    text = _QUOTED.sub("", text)
    text = _TAG.sub(" ", re.sub(r"<sup>([^<>\n]{1,20})</sup>", r"^{\1}", _NOTE_MARK.sub("", text)))
    text = re.sub(
        "[¼-¾⅐-⅞]", lambda m: r"\frac{{{}}}{{{}}}".format(*unicodedata.normalize("NFKC", m[0]).split("⁄")), text
    )
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+", lambda m: f"^{{{m[0].translate(_RAISED)}}}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉]+", lambda m: f"_{{{m[0].translate(_RAISED)}}}", text)
    text = _DISPLAY.sub(" ", _without_dollars(_DASH_MINUS.sub("-", text.replace(r"\$", "\0"))))
    text = _NOTHING.sub("", _SPACING.sub(" ", _GROUP.sub(",", text)))
    text = re.sub(r"\\[dtc]frac(?![a-zA-Z])", r"\\frac", text)
    for _ in range(3):  # fonts in fonts
        text = _FONT.sub(r" \1 ", text)
    text = _EMPHASIS.sub(lambda m: m[1] or m[2], _without_bold(text.replace("`", "").replace("~~", "")))
    text = text.replace("\0", "$").replace(r"\%", "%").replace(r"\#", "#").replace(r"\_", "_")
    return _LONG.sub(_digits, text)


def apart(mathematics: str) -> str:
    """Mathematics with the letters of a product apart (`xy` is `x y`); names, units and longer words stay whole."""
    return _KEPT.sub(lambda m: m[0] if m[0][0] == "\\" or _NAME.fullmatch(m[0]) else " ".join(m[0]), mathematics)


def _digits(number: re.Match[str]) -> str:
    """A long number without what stands between its digits, with a point before its decimals."""
    decimals = number["comma"] or number["after_dots"]
    return re.sub(r"\D", "", number["whole"] or number["indian"] or number["dotted"]) + (
        f".{decimals}" if decimals else ""
    )


def _without_dollars(text: str) -> str:
    """The text with mathematics out of its dollar signs; a dollar before a number and prose is money and stays."""
    parts, at = [], 0
    while (start := text.find("$", at)) >= 0:
        found = _DOLLARS.match(text, start)
        inside = found and (found[1] or found[2])
        if found is None or inside is None or (found[2] and _MONEY.match(_FONT.sub("", inside))):
            parts.append(text[at : start + 1])
            at = start + 1
            continue
        before, after = text[start - 1 : start], text[found.end() : found.end() + 1]
        gaps = (" " if before.isalnum() else "", " " if after.isalnum() else "")
        parts += [text[at:start], gaps[0], apart(inside), gaps[1]]
        at = found.end()
    return "".join([*parts, text[at:]])


def _without_bold(text: str) -> str:
    """The text without `**`; between two operands and not in bold it is a power."""
    lines = []
    for line in text.split("\n"):
        first, *rest = line.split("**")
        bold, out = False, first
        for part in rest:
            power = not bold and re.search(r"[\w)]$", out[-1:]) and re.match(r"[\w(\-]", part)
            bold = not bold and not power
            out += ("^" if power else "") + part
        lines.append(out)
    return "\n".join(lines)
