"""Whether a reply has nothing to do with its prompt: by the content words that the two share.

Content words are the words without English stop words and without words that fit any subject (`make`, `people`), by
their stems. A reply is off-topic where it is long enough to judge and shares (almost) none. This is made for few false
alarms: a short answer, a poem, code, a translation, or a text that is not English is never called off-topic. So
rambling that is short, or that throws in a word of the prompt now and then, is not seen.
"""

import re
from collections.abc import Sequence
from functools import cache

TOPIC_WORDS = 2  # content words that a prompt must have to be about something
REPLY_WORDS = 24  # content words that a reply must have to be judged, those of refusal and comfort left out
CHANCE = 1 / 100  # the share of a reply's content words that may be the prompt's by chance
ENGLISH = 1 / 5  # the least share of English stop words in the words of an English text
PREFIX = 5  # words are alike where their stems are, or their first letters

# Words that fit any subject.
_ANY_SUBJECT = """also always answer ask best call come could different do even every example explain describe find get
give go good help important keep know let like look make many may mean might much need never new often one people person
please put really say see show someone something somebody still take tell thing think time today try two us use using
want way well work would write year day"""
# What is asked for is a text of its own, which need not name its subject.
_FORMS = re.compile(
    r"\b(?:poem|haiku|limerick|sonnet|verses?|rhyme|lyrics|song|rap|ode|story|stories|tale|fable|novel|scene"
    r"|dialogue|script"
    r"|jokes?|riddles?|puns?|insults?|names?|slogans?|captions?|titles?|spell|translat\w+|paraphras\w+|rewrite|rephrase"
    r"|continue|complete the|role-?play|pretend|imagine|act as|code|function|program|regex|query|e-?mail|mail|letter"
    r"|message"
    r"|note|speech|toast)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@cache
def _tools() -> tuple[frozenset[str], frozenset[str]]:
    """English stop words, and the stems of words that fit any subject."""
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    return frozenset(STOPWORDS_EN_PLUS), frozenset(_stems(_ANY_SUBJECT.split()))


def _stems(words: Sequence[str]) -> list[str]:
    import Stemmer

    stems: list[str] = Stemmer.Stemmer("english").stemWords(list(words))
    return stems


def content_stems(text: str) -> list[str]:
    """The stems of a text's content words, in order, repeated ones too."""
    stop, _ = _tools()
    return _stems([word for word in _WORD.findall(text.lower()) if len(word) > 2 and word not in stop])


def is_english(text: str) -> bool:
    """Whether enough of a text's words are English stop words."""
    words, (stop, _) = _WORD.findall(text.lower()), _tools()
    return sum(word in stop for word in words) >= ENGLISH * len(words) > 0


def off_topic(prompt: str, reply: str, judged: str) -> bool:
    """Whether a reply has nothing to do with the prompt.

    judged: the sentences of it that neither object, comfort nor point to help. Of the reply's content words at most
    `CHANCE` are the prompt's. False where that can't be told: see the constants.
    """
    _, any_subject = _tools()
    topic = {stem for stem in content_stems(prompt) if stem not in any_subject}
    if len(topic) < TOPIC_WORDS or _FORMS.search(prompt) or len(content_stems(judged)) < REPLY_WORDS:
        return False
    if not is_english(prompt) or not is_english(judged):
        return False
    beginnings = {stem[:PREFIX] for stem in topic}
    said = content_stems(reply)
    return sum(stem[:PREFIX] in beginnings for stem in said) <= CHANCE * len(said)
