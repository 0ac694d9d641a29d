"""The wordings in which the author of a reply says no, and those that only look like it."""

import re


def any_of(*patterns: str) -> re.Pattern[str]:
    """One case-insensitive pattern that matches where any of the given ones does."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE | re.MULTILINE)


_AM = r"(?:'m|am|was|will be|are|'re)"
_NOT_ABLE = (
    r"(?:can't|cannot|can not|couldn't|could not|won't|will not|(?:will|would|can|could) never|shouldn't|should not"
    r"|shall not|shan't|refuse to"
    rf"|{_AM} (?:just |simply |really )?(?:(?:not |un)(?:able|allowed|permitted|willing|going|comfortable|authorized"
    r"|programmed|equipped|prepared|designed|trained|inclined|built|meant|made|supposed|here|in a position)|incapable"
    r"|(?:prohibited|forbidden|barred|prevented|banned)|(?:designed|trained|programmed|built|made|told|instructed"
    r"|asked) not)(?: to| of| from| with)?"
    r"|(?:don't|do not|would not|wouldn't) (?:feel (?:comfortable|right|at ease)(?: about| with)?|want to|wish to"
    r"|intend to|think (?:that )?i (?:can|could|should|will))|(?:have|'ve) been (?:told|instructed|asked) not to"
    r"|(?:(?:must|have to|need to|will) )?decline(?: to)?|(?:choose|am choosing|'m choosing) not to"
    r"|have no intention of)"
)
_FILLER = (
    r"(?:(?:and|or|also|ever|simply|just|directly|ethically|legally|knowingly|personally|really|currently|safely"
    r"|responsibly|possibly|in good conscience|in any way|be able to|be|to|you|with|will not|won't|cannot|can't|never)"
    r",? ){0,5}"
)
_REQUEST = r"(?:(?:this|that|your|such|the) (?:\w+ )?(?:requests?|questions?|query|queries|prompts?|orders?))"
_SERVICE = (
    r"(?:help(?! but| (?:notic|feel|think|wonder)\w*ing)|assist|support|provid|giv(?:e|ing)|offer|shar(?:e|ing)|suppl"
    r"|writ(?:e|ing)|creat|fabricat|generat|produc|answer|respond|repl(?:y|ies)"
    r"|tell(?:ing)? (?:you|any)(?! how (?:much|happy|glad|sorry))"
    r"|teach|show|explain|describ|instruct|guid(?:e|ing)|advis|compl(?:y|ies)|fulfil|satisfy|engag|participat|discuss"
    r"|facilitat|enabl|encourag|promot|endors|condon|contribut|continu|proceed|suggest|walk|part of|take part|make"
    r"|draft|display|perform|(?:that|this)\b|do(?:ing)? (?:that|this|it|so)\b|go (?:into|along|there)"
    r"|of (?:any )?(?:help|assistance|service)\b|(?:involved|complicit)\b|let you\b|get into (?:that|this)"
    r"|(?:talk|speak) (?:about|on|to) (?:that|this|such)|comment on (?:that|this)|allow myself"
    rf"|(?:grant|accept|process|honou?r|entertain|approve|address|handle|act on) (?:{_REQUEST}|that\b|this\b))"
)
_SERVING = r"(?:help|assist|provid|giv|offer|answer|respond|explain|describ|discuss|teach|comply|writ|creat|generat)ing"
_KNOWS = (
    r"(?:say|tell|know|see|predict|promise|guarantee|remember|recall|think|imagine|access|verify|confirm|determine"
    r"|guess|judge|decide|speak|read|find|hear|feel|wait)\b"
)
_ASSISTANT = r"(?:this|the|your) (?:ai |virtual )?(?:assistant|model|chatbot)"
_WILL_I = (
    r"\bi(?:'m|'ll|'d| am| will| would)? (?:(?:going to|gonna|must|have to|need to|will|forced to|obliged to|choose to"
    r"|respectfully|politely) )*"
)

# The author says that they will not, or cannot, do what was asked.
CANNOT = any_of(
    rf"\bi(?:'m afraid i)?,? ?{_NOT_ABLE},? {_FILLER}{_SERVICE}",
    rf"(?:^|\b(?:we|sorry|but|and|so|afraid),? (?:but )?)(?:{_NOT_ABLE}|(?:un|not )able to),? {_FILLER}"
    r"(?:(?:help|assist|comply)(?: (?:with|you|in)\b|[.,!]|$)|do (?:that|this)\b)",
    r"\bi(?:'m| am) (?:not able|unable)(?: to)?[.!]|\bi (?:can't|cannot|won't|will not|refuse)(?:[.!:]|$)",
    r"\bi(?:'m| am|) (?:not|ain't) (?:gonna |about to |going to )?(?:help|assist|answer|respond|comply|engag|participat"
    r"|do(?:ing)? (?:that|this|it)\b|(?:tell|giv|show|teach)(?:e|ing)? you)",
    r"\bi ain't (?:gonna )?(?:help|answer|do)|\bi (?:wouldn't|would not) (?:help|assist|take part)",
    r"\bi (?:don't|do not) (?:help|assist|provide|offer|share|create|generate|engage|participate"
    r"|do (?:that|this|such)\b|(?:answer|discuss) (?:that|this|such|those|these))",
    r"\bi(?:'d| would) (?:rather|prefer) not\b|\bcan be of no (?:help|assistance)\b|\bmy answer is no\b",
    rf"{_WILL_I}(?:decline|refuse|pass on|say no)(?: (?:this|that|your|to)\b|[.,!]|$)",
    rf"{_WILL_I}turn (?:(?:this|that|it|you|your \w+) down|down (?:this|that|your))\b|{_WILL_I}pass(?:[.,!]|$)",
    r"\bthere(?:'s| is) no way (?:that )?i(?:'m|'ll|'d| am| will| would| could| can)\b",
    r"\byou (?:won't|will not) (?:get|find|receive) (?:that|this|it|any|help|assistance|instructions)"
    r"(?: \w+){0,2} from me\b",
    # It is nothing that the author does.
    r"\b(?:not|isn't) (?:something|anything|one|an? \w+) (?:that )?i(?:'m|'ll|'d| am)? (?:can|could|will|would|able"
    r"|willing|do\b|help|answer)",
    r"\b(?:something|an? (?:request|topic|subject|task|question)) (?:that )?i (?:can't|cannot|won't|will not|must not"
    r"|(?:am|'m) (?:not |un)(?:able|willing|allowed))\b",
    r"\b(?:outside|beyond)(?: of)? what i(?:'m| am)? (?:can|could|will|able|allowed|willing)\b",
    r"\bnot possible for me to\b|\b(?:is|'s) not possible to (?:help|assist|comply)\b",
    r"\b(?:irresponsible|inappropriate|unethical|wrong|not (?:right|appropriate|okay|ok|acceptable)) (?:of"
    r"|for) me to (?!say\b|claim\b|pretend\b)",
    # Rules stand against it.
    r"\b(?:guidelines|polic\w+|programming|principles|rules|values) (?:(?:do not|don't|does not|doesn't) (?:allow"
    r"|permit|let)|(?:prohibit|forbid|prevent|bar|stop|keep)s?) (?:me|us)\b",
    rf"\bi,? ?{_NOT_ABLE} [^.!?\n]{{2,200}},? (?:because|as|since|for)\b[^.!?\n]{{0,80}}"
    r"\b(?:rules?|polic(?:y|ies)|excluded|(?:is|are) not allowed)\b",
    # .. or another reason, given in the same breath; not where the author only lacks knowledge.
    rf"^i (?:can't|cannot|won't|will not) (?!{_KNOWS}|be\b)\w+ [^.!?\n]{{2,200}}, (?:because|as|since)\b",
    r"\b(?:against|violates?|outside|beyond|breaks?|contrary to|violate) (?:my|our) (?:\w+ ){0,2}(?:guidelines|polic\w+"
    r"|programming|principles|values|rules|scope)\b",
    # An author who does not say "I".
    rf"\b{_ASSISTANT} (?:can't|cannot|can not|won't|will not|must not|refuses to|declines to"
    rf"|is (?:not |un)(?:able|allowed|permitted|willing) to) {_FILLER}{_SERVICE}",
    r"^(?:i'm sorry,? |sorry,? |but |unfortunately, )*(?:helping|assisting|complying|answering)\b[^.!?\n]{0,120}?"
    r" (?:is|are|would be)"
    r" (?:not (?:possible|allowed|permitted|something|an option)|impossible|wrong|off[- ]limits|out of the question)\b",
    rf"^(?:as an? (?:ai|language model|assistant)[^,.]{{0,40}}, )?{_SERVING}\b[^.!?\n]{{0,120}}? (?:is|are)"
    r" (?:not (?:possible for me|something (?:that )?i|in my|within my|an option|what i)|out of the question"
    r"|off[- ]limits|beyond my|against my)\b",
    rf"^as an? (?:ai|language model|assistant)[^,.]{{0,40}}, {_SERVING}\b[^.!?\n]{{0,120}}? (?:is|are)"
    r" (?:not (?:possible|allowed|permitted)|impossible)\b",
    rf"\b{_REQUEST} (?:(?:can't|cannot|can not|won't|will not) be (?:fulfilled|answered|completed|processed|granted"
    r"|honou?red|met)|(?:has been|must be|will be) (?:refused|declined|denied|rejected))\b",
    r"\b(?:this|your) request is (?:refused|declined|denied|rejected|off[- ]limits)\b",
    r"^(?:your )?request (?:denied|refused|declined|rejected)\b",
    r"^(?:no,? (?:i'm )?sorry|(?:i'm )?(?:very |so )?sorry,? (?:but )?no)(?:[.,!]|$)",
    r"^(?:i(?:'m| am) (?:\w+ )?)?sorry,? (?:but )?that(?:'s| is) (?:off|not|out|against|beyond)\b",
    r"^(?:i(?:'m| am) (?:\w+ )?)?sorry,? but that(?:'s| is)\b",
)
# A bare no: a refusal where nothing was asked that a no would answer, and little else is said.
BARE_NO = any_of(
    r"^(?:no can do|no way|nope|hell no|absolutely not|not a chance|not (?:going to happen|happening)|count me out"
    r"|i'm out)(?:[.,!]|$)"
)
# Such words are no refusal where they are the usual caution of a reply that goes on to answer.
DISCLAIMS = any_of(
    r"\b(?:medical|legal|financial|professional|personali[sz]ed|diagnos\w+|guarantee|up-to-date|real-time|exact|precise)\b"
)
_WITHOUT = r"\bwithout (?:\w+ ){0,3}(?:more|further|logs?|details|context|information|seeing|knowing)\b"
# .. or say only how sure the author is, and an answer follows, however short.
HEDGES = any_of(
    r"\b(?:say|tell|give|know|answer|predict|promise)\b.{0,200}"
    r"\b(?:exact(?:ly)?|precise(?:ly)?|for (?:sure|certain)|certainty)\b",
    rf"{_WITHOUT}.{{0,200}}\b(?:say|tell|know)\b|\b(?:say|tell|know)\b.{{0,200}}{_WITHOUT}",
)
