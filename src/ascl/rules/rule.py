"""One safety rule: a sentence that describes prohibited content."""

import re
import unicodedata
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field, field_validator

# Scripts that put no spaces between words (Thai, Lao, Burmese, Khmer, Japanese, Chinese): two characters are a word.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
LONGEST = 20_000  # characters of a rule's text, title, category or id; judges read no longer text either
_VARIANT = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # marks that choose how an emoji or a letter looks


class Rule(BaseModel):
    """A rule with a stable id (`privacy.doxxing`), its category's slug and title, and one sentence of text.

    exempt: the legitimate cases next to it, which it does not forbid (after SafeHarbor, arXiv 2605.05704).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(max_length=LONGEST)
    category: str = Field(min_length=1, max_length=LONGEST)
    title: str = Field(min_length=1, max_length=LONGEST)
    text: str = Field(min_length=1, max_length=LONGEST)
    exempt: str = Field(default="", max_length=LONGEST)

    @property
    def shown(self) -> str:
        """What a model reads (see `with_exemptions`)."""
        return with_exemptions(self.text, self.exempt)

    @field_validator("id")
    @classmethod
    def _well_formed(cls, id: str) -> str:
        if not is_id(id):
            raise ValueError(f"`{id}` is no id; write small letters, digits and _, with dots between the parts")
        return id


def with_exemptions(rule: str, exempt: str) -> str:
    """The words of a rule, and after them what it allows."""
    return f"{rule} Allowed: {exempt}" if exempt else rule


def is_id(text: str) -> bool:
    """Whether a text is an id: small letters (of any script), digits and `_`, in parts joined by dots."""
    return text == text.lower() and all(part and all(map(is_word_character, part)) for part in text.split("."))


@lru_cache(maxsize=1 << 16)
def is_word_character(character: str) -> bool:
    """Whether a character may stand in an id: `_`, a letter, a mark on a letter (as in Hindi), a digit."""
    if _VARIANT.match(character):
        return False
    kind = unicodedata.category(character)
    return character == "_" or kind[0] in "LN" or kind in ("Mn", "Mc")


def count_words(text: str) -> int:
    """The words of a text; in scripts without spaces two characters count as a word."""
    return len(re.findall(rf"[{UNSPACED}]{{1,2}}|[^\s{UNSPACED}]+", text))
