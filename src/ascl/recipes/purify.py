"""Purification of ASCL's trajectories (arXiv 2602.13562): a second reader mends the texts of a consultation.

The paper asks for minimal edits, no reference to results before the call, a first thought that says why checking is
prudent, and a second thought that says why the rules do or do not apply before it answers. Its prompt is not public:
ours gives the purifier the whole trajectory and takes back the texts of the turns, one labelled section each. The
calls and the results are no part of what comes back, so the consulted rules stay the real tool's. What stands beside a
call is dropped: the paper's first turn is a thought and a call. Every change is logged as a unified diff.
"""

import difflib
import re
from collections import Counter

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.phrases import break_phrases, fill, unbroken
from ascl.data.prompt import Prompt
from ascl.files import write_jsonl
from ascl.models.sampling import Client
from ascl.recipes.build import Workshop
from ascl.sampling.to_file import Job

MOST_LINES = 500  # of a transcript that is compared line by line, for difflib takes more than quadratic time
MIN_KEPT = 0.5  # the least `likeness` that counts as an edit

_ASK = """An assistant got a request, looked up safety rules about it, and answered. Its texts are to become an \
example for others. Correct them with as few edits as possible:
- The first thought was written before the look-up. It must say what in the request makes it prudent to check the \
rules. It must not mention, quote or foresee what the look-up gave.
- A thought that follows a look-up must say why the rules that were found do or do not apply to this request. The last \
one then decides.
- The answer must do what the last thought decides. Whether it helps or refuses must stay as it is.
- Leave every sentence that needs no correction as it is, word by word. A missing thought must be written, in two or \
three sentences.

The request:
{request}

What the assistant wrote, and what it looked up:

{walk}

Write the corrected texts in exactly this form, each label alone on its line, and nothing else:

{form}"""

# What stands for a part of the question where a text holds it; the roles, where a request has several turns.
_LABELS = ("[Thought", "[Answer]", "[Rules found]", "[Beside the call]", "[Looked up]")
_ROLES = ("user:", "assistant:", "system:")
_LABEL = re.compile(r"^[ \t#*_]*\[(thought \d+|answer)\][ \t:*_]*$", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(r"\w+")


def purify(
    walked: dict[str, Trajectory], prompts: dict[str, Prompt], workshop: Workshop, client: Client
) -> dict[str, Trajectory | str]:
    """Each trajectory purified, or the reason why it is not; prompts whose requests failed for good are left out.

    Reasons: `no purification` (no whole reply), `purification form` (not the labelled texts), `rewritten` (more than
    edits: see `MIN_KEPT`). The diffs go to `stages/purify.diffs.jsonl`, one record for each reply that could be read.
    """
    jobs = [Job(identity, purify_messages(prompts[identity], t)) for identity, t in walked.items()]
    replies = workshop.sample("purify", jobs, client=client)
    found: dict[str, Trajectory | str] = {}
    diffs = []
    for identity, reply in sorted(replies.items()):
        before = walked[identity]
        if reply.stop is not StopReason.ANSWERED or not reply.answer:
            found[identity] = "no purification"
        elif (texts := read_texts(reply.answer, len(before.thoughts))) is None:
            found[identity] = "purification form"
        else:
            after = with_texts(before, texts)
            diffs.append({"id": identity, "diff": diff(before, after)})
            found[identity] = after if likeness(texts_of(before), texts) >= MIN_KEPT else "rewritten"
    write_jsonl(workshop.folder / "stages" / "purify.diffs.jsonl", diffs)
    return found


def purify_messages(prompt: Prompt, trajectory: Trajectory) -> list[Message]:
    """What the purifier is asked: the request, the whole walk, and the corrected texts in the labelled form."""
    count = len(trajectory.thoughts)
    roles = _ROLES if len(prompt.messages) > 1 else ()
    said = [(message.role, break_phrases(message.content, (*_LABELS, *roles))) for message in prompt.messages]
    request = "\n".join(text if len(said) == 1 else f"{role}: {text}" for role, text in said)
    shown = [
        (label, break_phrases(text, _LABELS)) for label, text in sections(with_texts(trajectory, texts_of(trajectory)))
    ]
    walk = transcript(shown)
    form = "\n".join([f"[Thought {n}]\n(thought {n}, corrected)" for n in range(1, count + 1)] + ["[Answer]\n(answer)"])
    return [Message(role="user", content=fill(_ASK, request=request, walk=walk, form=form))]


def texts_of(trajectory: Trajectory) -> list[str]:
    """What a purifier may edit: the thought of every turn, and the answer."""
    return [*trajectory.thoughts, trajectory.answer or ""]


def read_texts(reply: str, thoughts: int) -> list[str] | None:
    """The texts of a purifier's reply; None unless every label stands once, in order, each followed by a text."""
    labels = list(_LABEL.finditer(reply))
    wanted = [f"thought {n}" for n in range(1, thoughts + 1)] + ["answer"]
    if [label.group(1).lower() for label in labels] != wanted or reply[: labels[0].start()].strip():
        return None
    ends = [label.start() for label in labels[1:]] + [len(reply)]
    texts = [unbroken(reply[label.end() : end]).strip() for label, end in zip(labels, ends, strict=True)]
    return texts if all(texts) else None


def with_texts(trajectory: Trajectory, texts: list[str]) -> Trajectory:
    """A copy with other thoughts and another answer. Calls and results stay; a turn with a call keeps no other text."""
    remaining = iter(texts[:-1])
    messages = list(trajectory.messages)
    for i, message in enumerate(messages[trajectory.prompt_length :], start=trajectory.prompt_length):
        if message.role == "assistant":
            content = "" if message.tool_calls else texts[-1]
            messages[i] = message.model_copy(update={"reasoning_content": next(remaining), "content": content})
    return trajectory.model_copy(update={"messages": messages})


def sections(trajectory: Trajectory) -> list[tuple[str, str]]:
    """The texts of the completion, each with its label."""
    found, turn = [], 0
    for message in trajectory.completion:
        if message.role == "tool":
            found.append(("Rules found", message.content))
            continue
        turn += 1
        found.append((f"Thought {turn}", message.reasoning_content or ""))
        if message.content or not message.tool_calls:
            found.append(("Beside the call" if message.tool_calls else "Answer", message.content))
        found += [("Looked up", str(call.arguments.get("query"))) for call in message.tool_calls]
    return found


def transcript(labelled: list[tuple[str, str]]) -> str:
    """Labelled texts as one."""
    return "\n\n".join(f"[{label}]\n{text}" for label, text in labelled)


def diff(before: Trajectory, after: Trajectory) -> str:
    """The unified diff of two transcripts; of one with more than 500 lines every line counts as changed."""
    old, new = (transcript(sections(trajectory)).splitlines() for trajectory in (before, after))
    if max(len(old), len(new)) > MOST_LINES:
        head = ["--- before", "+++ after", f"@@ -1,{len(old)} +1,{len(new)} @@"]
        return "\n".join([*head, *(f"-{line}" for line in old), *(f"+{line}" for line in new)])
    return "\n".join(difflib.unified_diff(old, new, "before", "after", lineterm=""))


def likeness(before: list[str], after: list[str]) -> float:
    """The share of words that the texts have in common with their edited forms: 2 * common / all, 1 is unchanged.

    The order of words is ignored, and so is a text that was missing before.
    """
    old, new = Counter[str](), Counter[str]()
    for text, edited in zip(before, after, strict=True):
        if text.strip():
            old.update(_WORD.findall(text.lower()))
            new.update(_WORD.findall(edited.lower()))
    return 2 * (old & new).total() / max(old.total() + new.total(), 1)
