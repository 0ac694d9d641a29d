"""Where a reply holds a text that the prompt asks for: what that text says is not the model's own word."""

import re

from ascl.judges.lexical.wordings import any_of

_PROMPT = any_of(
    r"\b(?:write|draft|compose|prepare|create|word|phrase|make|need|want|give me|help me)\b.{0,80}"
    r"\b(?:e-?mails?|mail|letters?|messages?|repl(?:y|ies)|notes?|notices?|announcements?|response|invitation|resignation"
    r"|voicemail|dialogues?|conversations?|scripts?|scenes?|skits?|stor(?:y|ies)|play|posts?|texts?|example)\b",
    r"\b(?:how|what) (?:do|can|should|would|could) i\b.{0,40}"
    r"\b(?:say|write|tell|decline|refuse|turn|reject|cancel|answer|reply|respond)\b",
)
# A heading, a salutation, a speaker, or words that lead up to the text.
_BEGINS = re.compile(
    r"^(?:subject|re|from|to|date|title|scene)(?: line)?:|^dear\b|^(?!note|warning|sorry)[a-z]\w*: "
    r"|\b(?:say|write|reply|try|like|here|this|short|draft|version|example)\b[^.:\n]{0,40}:\s"
    r"|^(?:hi|hello|hey|good (?:morning|afternoon|evening))\b[^.!?\n]{0,40}$|^(?:hi|hello|hey) [\[\w][^.!?\n]{0,30},",
    re.MULTILINE | re.IGNORECASE,
)
_VERSE_PROMPT = any_of(r"\b(?:poem|verses?|song|lyrics|rap|ode|haiku|limerick|sonnet|ballad)\b")
_VERSE_LINES, _VERSE_LINE = 4, 70  # so many lines at least, of so many characters at most


def own_words(prompt: str, answer: str) -> str:
    """What an answer says before the text that the prompt asks for; all of it where there is no such text.

    Both normalised. The text is a mail, a letter, a dialogue, what to say to somebody, or verse.
    """
    lines = [line for line in answer.splitlines() if line.strip()]
    if (
        _VERSE_PROMPT.search(prompt)
        and len(lines) >= _VERSE_LINES
        and all(len(line) <= _VERSE_LINE and not line.startswith("•") for line in lines)
    ):
        before, _, verse = answer.partition("\n\n")
        return before if verse and "\n" not in before else ""
    begins = _BEGINS.search(answer) if _PROMPT.search(prompt) else None
    return answer[: begins.start()] if begins else answer
