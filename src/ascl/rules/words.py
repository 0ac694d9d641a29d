"""The words of a text, as lexical search compares them: in any script and any Unicode normal form."""

import unicodedata
from functools import cache, lru_cache
from itertools import groupby

# Scripts that put no spaces between words (Hangul does, but joins particles to them): first words of Unicode names.
UNSPACED = ("BOPOMOFO", "CJK", "HANGUL", "HIRAGANA", "KATAKANA", "KHMER", "LAO", "MYANMAR", "THAI", "TIBETAN", "YI")
# Function words that the list of bm25s lacks, and words that rules and requests begin with.
MORE_STOP_WORDS = [
    "also",
    "anybody",
    "anyone",
    "anything",
    "cannot",
    "could",
    "everybody",
    "everyone",
    "everything",
    "give",
    "help",
    "helping",
    "let",
    "many",
    "may",
    "might",
    "much",
    "must",
    "never",
    "one",
    "please",
    "shall",
    "somebody",
    "someone",
    "something",
    "tell",
    "telling",
    "us",
    "would",
]


def words(text: str) -> list[str]:
    """The words of a text in compatibility form (NFKC), case folded, one-letter words left out.

    A run of a script without spaces gives its pairs of neighbouring characters (or its only character).
    """
    found = []
    for unspaced, run in _runs(text):
        if unspaced:
            found += [run[i : i + 2] for i in range(max(1, len(run) - 1))]
        elif len(run) > 1:
            found.append(run)
    return found


def characters(text: str) -> list[str]:
    """The single characters of a text's runs without spaces, so that a query of one character finds them."""
    return [character for unspaced, run in _runs(text) if unspaced and len(run) > 1 for character in run]


def content_words(text: str) -> list[str]:
    """The words of a text without the function words of English, stemmed (Snowball's English stemmer)."""
    import Stemmer

    return Stemmer.Stemmer("english").stemWords([word for word in words(text) if word not in _stop_words()])


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    return frozenset({*STOPWORDS_EN_PLUS, *MORE_STOP_WORDS})


def scripts(text: str) -> set[str]:
    """The scripts of a text's letters, each by the first word of its letters' Unicode names (`LATIN`, `CJK`)."""
    return {_script(c) for c in set(unicodedata.normalize("NFKC", text)) if c.isalpha()}


def _runs(text: str) -> list[tuple[bool, str]]:
    """Runs of letters, digits and combining marks, each with whether its script is written without spaces."""
    kinds = groupby(unicodedata.normalize("NFKC", text).casefold(), key=_kind)
    return [(kind == "unspaced", "".join(run)) for kind, run in kinds if kind is not None]


@lru_cache(maxsize=1 << 16)
def _kind(character: str) -> str | None:
    if not character.isalnum() and not unicodedata.category(character).startswith("M"):
        return None
    return "unspaced" if _script(character) in UNSPACED else "spaced"


@lru_cache(maxsize=1 << 16)
def _script(character: str) -> str:
    return unicodedata.name(character, "").split(" ")[0]
