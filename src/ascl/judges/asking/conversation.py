"""What a judging model sees of a prompt: its text, or the whole conversation where the user spoke more than once."""

from ascl.chat.messages import Message
from ascl.chat.phrases import break_phrases
from ascl.judges.judge import Case

LABELS = ("[user]", "[assistant]")


def shown_prompt(case: Case) -> str:
    """The last words of the user, after the earlier turns of the conversation where the user has earlier ones.

    Each turn stands under a line `[user]` or `[assistant]`, and no turn can forge such a line, nor can a prompt alone
    pass for a conversation. System texts are not shown: they hold what the variant adds.
    """
    prompt, trajectory = case.prompt.text, case.trajectory
    turns = [m for m in trajectory.messages[: trajectory.prompt_length] if m.role in ("user", "assistant")]
    earlier = turns[:-1]
    if not any(turn.role == "user" for turn in earlier):
        return break_phrases(prompt, LABELS)
    said = [turn for turn in earlier if turn.content.strip()]
    return "\n\n".join(
        f"[{turn.role}]\n{break_phrases(turn.content, LABELS)}"
        for turn in (*said, Message(role="user", content=prompt))
    )
