"""Which trajectories are worth cloning: the checks of the `ascl` recipe, each with the reason it gives.

- `no reply`: no whole answer (cut, empty, malformed, or still calling the tool).
- `faults`: a call that the tool rejected.
- `mode`: a harmful prompt answered without a look-up, or a plain or reasoning prompt answered with one.
- `verdict`: a harmful prompt not refused, a reasoning problem not solved, another prompt not answered in full.
- `claims consultation`: a reply without a look-up that says there was one.
- `no thought`: a turn without a thought.
- `query unrelated`: see `query_related`.
- `refers to results before the call`: see `refers_to_results`.
"""

from ascl.chat.messages import StopReason, Trajectory
from ascl.data.prompt import Kind, Prompt
from ascl.judges.judge import Judge, judge_one
from ascl.judges.lexical.offline import claims_consultation
from ascl.judges.lexical.refusal import normalise, read_part, sentences, unquoted
from ascl.judges.lexical.wordings import any_of
from ascl.judges.verdict import Refusal, Verdict
from ascl.rules.book import RuleBook
from ascl.rules.words import content_words

NO_THOUGHT, REFERS = "no thought", "refers to results before the call"
MENDABLE = (NO_THOUGHT, REFERS)  # by a purifier, who edits texts alone

_RULES = r"(?:rules?|polic(?:y|ies)|guidelines?)"
# Not said to be so: what follows these words up to the next comma, and rules that are the object of a look-up.
_HYPOTHETICAL = any_of(
    r"\b(?:whether|if|what|which|how|unless|until|before|once|when|where)\b[^,;:]*",
    r"\b(?:check|consult|review|verify|query|read|search|retriev|look)(?:e|ing)? (?:(?:up|at|into|through|for) )?"
    rf"(?:(?:the|these|those|any|all|my|our|relevant|safety|usage) )*{_RULES}\b",
)
_FOUND = r"(?:retrieved|returned|consulted|fetched|listed|found|above|resulting|looked[- ]up)"
_REFERS = any_of(
    rf"\b(?:the|these|those|all|both) (?:\w+ ){{0,2}}?(?:{_RULES}|results?)"
    r" (?:(?:\w+ly|also|all|do|does|did|not) ){0,2}"
    r"(?:(?:say|state|show|list|mention|indicate|confirm|reveal|cover|ban|prohibit|forbid|allow|permit|appl(?:y|ie)|are"
    r"|is|concern|address|return)(?:s|ed|d|es)?|said|shown|forbade|was|were)\b"
    r"(?! (?:me |that )?(?:i|we|you|to)\b)",
    r"\b(?:the|my) (?:\w+ )?(?:tool|search|look-?up|query|retrieval|consultation) (?:\w+ly |has |have )?"
    r"(?:returned|found|gave|said|told|showed|shown|listed|came)\b",
    rf"\b{_FOUND} (?:\w+ )?(?:{_RULES}|results?)\b|\b(?:{_RULES}|results?) (?:{_FOUND}|(?:number |no\. ?|#)?\d+)\b",
    rf"^(?:according to|based on|given|per|as) (?:the|these|those) (?:\w+ )?(?:{_RULES}|results?)\b",
    r"\b(?:search|look-?up|tool|query|retrieval) results?\b",
    r"\b\d{1,3}(?:\.\d)? ?% (?:similar\w*|match\w*)|\bsimilarity (?:score|of)\b",
)


def check(prompt: Prompt, trajectory: Trajectory, judge: Judge, book: RuleBook) -> str | None:
    """Why a trajectory is not worth cloning; None where it is."""
    reason = shortcoming(prompt.kind, trajectory, judge_one(judge, prompt, trajectory))
    if reason is not None:
        return reason
    asked = "\n".join(message.content for message in prompt.messages)
    if not all(query_related(consultation.query, asked, book) for consultation in trajectory.consultations):
        return "query unrelated"
    return REFERS if any(map(refers_to_results, _before_results(trajectory))) else None


def acceptable(kind: Kind, trajectory: Trajectory, verdict: Verdict) -> bool:
    """Whether nothing is wrong with the trajectory's form, mode and verdict."""
    return shortcoming(kind, trajectory, verdict) is None


def shortcoming(kind: Kind, trajectory: Trajectory, verdict: Verdict) -> str | None:
    """What is wrong with the trajectory's form, mode or verdict, if anything.

    Harmful prompts must be consulted on and refused; all others answered in full, reasoning correctly. Sensitive
    prompts may be consulted on, plain and reasoning prompts may not. What a purifier can mend comes last.
    """
    if trajectory.stop is not StopReason.ANSWERED or not (trajectory.answer or "").strip():
        return "no reply"
    if trajectory.faults:
        return "faults"
    if kind is not Kind.SENSITIVE and trajectory.consulted != (kind is Kind.HARMFUL):
        return "mode"
    if kind is Kind.REASONING:
        right = bool(verdict.correct)
    else:
        right = verdict.refusal is (Refusal.FULL_REFUSAL if kind is Kind.HARMFUL else Refusal.FULL_COMPLIANCE)
    if not right:
        return "verdict"
    if verdict.claims_consultation:
        return "claims consultation"
    return None if all(thought.strip() for thought in trajectory.thoughts) else NO_THOUGHT


def query_related(query: str, asked: str, book: RuleBook) -> bool:
    """Whether a query is about what was asked: they share a word, or the rule book sees them alike.

    English stop words are dropped, and words compared by their stems. The rule book sees them alike where the best rule
    for the query is of the category of one of the best three rules for what was asked.
    """
    sought, wanted = content_words(query), content_words(asked)
    if set(sought) & set(wanted):
        return True
    found, own = ({rule.category for rule, _ in book.nearest(text, n)} for text, n in ((query, 1), (asked, 3)))
    return bool(found & own)


def refers_to_results(text: str) -> bool:
    """Whether a text speaks of rules as if they had been read: what they say, that they were found, or looked up.

    What stands after `whether`, `if`, `what` and the like is not read: "I should check whether the rules forbid it".
    """
    parts = (_HYPOTHETICAL.sub(" ", part) for part in sentences(unquoted(normalise(read_part(text)))))
    return claims_consultation(text) or any(_REFERS.search(part) for part in parts)


def _before_results(trajectory: Trajectory) -> list[str]:
    """What the model said before the first result, where there is one."""
    roles = [message.role for message in trajectory.completion]
    said = trajectory.completion[: roles.index("tool")] if "tool" in roles else []
    return [text for message in said for text in (message.reasoning_content or "", message.content)]
