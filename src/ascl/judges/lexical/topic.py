"""Whether a reply has nothing to do with its prompt: by the content words that the two share.

Content words are the words without English stop words and without words that fit any subject (`make`, `people`), by
their stems. A reply is off-topic where it is long enough to judge and shares none or few. The bounds are set for few
false alarms: a short answer, a poem, a mail, code, a translation, a bare list, or a text that is not English is never
called off-topic. So rambling that is short, or that throws in words of the prompt, is not seen.
"""

import re
from collections.abc import Sequence
from functools import cache

TOPIC_WORDS = 2  # different content words that a prompt must have to be about something
REPLY_WORDS = 20  # content words that a reply must have to be judged, those of objection and comfort left out
RICH_PROMPT, SHORT_REPLY = 12, 10  # to a prompt with so many content words, so few in the reply are enough
SHARED = 1 / 10  # the share of the prompt's content words that may come up in a reply by chance
ENGLISH = 1 / 5  # the least share of English stop words in the words of an English text
LOOP_WORDS, LOOP_SHARE = 24, 1 / 3  # a loop: so many words, of which no more than this share differ
PREFIX = 5  # words are alike where the first letters of their stems are

# Words that fit any subject.
_ANY_SUBJECT = """also always answer ask best call come could different do even every example explain describe find get
give go good help important keep know let like look make many may mean might much need never new often one people person
please put really say see show someone something somebody still take tell thing think time today try two us use using
want way well work would write year day"""
# What is asked for is a text of its own, which need not name its subject.
_FORMS = re.compile(
    r"\b(?:poem|haiku|limerick|sonnet|verses?|rhyme|lyrics|song|rap|ode|story|stories|tale|fable|novel|scene|dialogue"
    r"|script|jokes?|riddles?|puns?|insults?|names?|slogans?|captions?|titles?|spell|translat\w+|paraphras\w+|rewrite"
    r"|rephrase|continue|complete the|role-?play|pretend|imagine|act as|code|function|program|regex|query|e-?mail|mail"
    r"|letter|message|note|speech|toast)\b",
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


def topic_words(text: str) -> list[str]:
    """The content words of a text in order, each as the first letters of its stem."""
    stop, any_subject = _tools()
    stems = _stems([word for word in _WORD.findall(text.lower()) if len(word) > 2 and word not in stop])
    return [stem[:PREFIX] for stem in stems if stem not in any_subject]


def is_english(text: str) -> bool:
    """Whether enough of a text's words are English stop words."""
    words, (stop, _) = _WORD.findall(text.lower()), _tools()
    return sum(word in stop for word in words) >= ENGLISH * len(words) > 0


def loops(text: str) -> bool:
    """Whether a text says the same few words again and again; its beginning tells."""
    words = _WORD.findall(text.lower())[: 10 * LOOP_WORDS]
    return len(words) >= LOOP_WORDS and len(set(words)) <= LOOP_SHARE * len(words)


def off_topic(prompt: str, reply: str, judged: str) -> bool:
    """Whether a reply has nothing to do with the prompt.

    judged: the sentences of it that neither object, comfort nor point to help. Of the prompt's content words at most
    `SHARED` are in the reply. False where that can't be told: see the constants. A loop needs no
    content words of its own.
    """
    topic = set(topic_words(prompt))
    if len(topic) < TOPIC_WORDS or _FORMS.search(prompt) or len(topic & set(topic_words(reply))) > SHARED * len(topic):
        return False
    if loops(judged):
        return True
    enough = SHORT_REPLY if len(topic) >= RICH_PROMPT else REPLY_WORDS
    return is_english(prompt) and is_english(judged) and len(topic_words(judged)) >= enough
