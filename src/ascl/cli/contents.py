"""`ascl audit contents` and `ascl audit rows`: the conversations that a gateway kept, shown and made training data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascl.cli.entry import since
from ascl.cli.serve import Days, Folder
from ascl.terminal import echo

if TYPE_CHECKING:
    from ascl.chat.messages import Trajectory


def contents(
    request: Annotated[str, typer.Argument(help="The id of a request (header x-request-id).")],
    folder: Folder = Path("gateway"),
) -> None:
    """Show a conversation that was kept (`contents` in its key's policy): what was asked, looked up and answered."""
    from datetime import UTC, datetime

    from ascl.serve.trail.audit import AUDIT
    from ascl.serve.trail.contents import conversation

    kept = conversation(folder / AUDIT, request)
    said = kept.conversation
    assert said is not None
    echo(f"request {kept.id} of {kept.tenant}, {kept.kind} {datetime.fromtimestamp(kept.at, UTC):%Y-%m-%d %H:%M} UTC")
    echo(f"model {said.asked.model}, rules {said.rules}, {said.asked.forged} forged parts taken out")
    first = said.answers[0].trajectory
    for message in first.messages[: first.prompt_length]:
        _show(message.role, message.content)
    for number, answer in enumerate(said.answers, start=1):
        if len(said.answers) > 1:
            echo(f"answer {number}:")
        _show_completion(answer.trajectory)
        for call in answer.calls:
            _show("calls", f"{call['function']['name']} {call['function']['arguments']}")
        withheld = ["withheld by the guard"] if answer.finish_reason == "content_filter" else []
        ended = "; ".join([answer.trajectory.stop or answer.finish_reason, *withheld, *answer.trajectory.faults])
        echo(f"ended: {' '.join(ended.split())}")


def _show_completion(trajectory: "Trajectory") -> None:
    consultations = iter(trajectory.consultations)
    for message in trajectory.completion:
        if message.reasoning_content:
            _show("thinks", message.reasoning_content)
        for call in message.tool_calls:
            _show("consults", str(call.arguments.get("query", call.arguments)))
        if message.role == "tool":
            found = None if message.error else next(consultations, None)
            hits = [] if found is None else [f"{hit.id}: {hit.shown}" for hit in found.hits]
            _show("rules", "\n".join(hits) or message.content)
        elif message.content:
            _show("answers", message.content)


def _show(label: str, text: str) -> None:
    """A text under its label. Its lines are set in: none of them looks like a label of ours."""
    echo(f"{label}:")
    for line in text.split("\n"):
        echo(f"  {line}")


def rows(
    out: Annotated[Path, typer.Option(help="The file to write (JSONL).")],
    folder: Folder = Path("gateway"),
    kind: Annotated[
        str, typer.Option(help="sft: answers as rows (`ascl sft`); prompts: what was asked (`file:PATH`).")
    ] = "sft",
    days: Days = 0,
    tenant: Annotated[str, typer.Option(help="Of one tenant alone.")] = "",
    judge: Annotated[
        str, typer.Option(help="Who says whether an answer refused, for the kinds of prompts.")
    ] = "offline",
) -> None:
    """Write the conversations that were kept and ended well as training data. What is left out is counted."""
    import tempfile

    from ascl.errors import InputError
    from ascl.files import write_jsonl
    from ascl.judges.named import judge_settings
    from ascl.judges.open_judge import open_judge
    from ascl.rules.book import RuleBook
    from ascl.serve.trail.audit import AUDIT
    from ascl.serve.trail.contents import conversations
    from ascl.serve.trail.training_data import Taken, rl_prompts, sft_rows

    if kind not in ("sft", "prompts"):
        raise InputError(f"--kind {kind}: use sft or prompts")
    past, taken = conversations(folder / AUDIT, tenant or None, since(days)), Taken()
    if kind == "sft":
        write_jsonl(out, (row.dump() for row in sft_rows(past, taken)))
    else:
        with tempfile.TemporaryDirectory() as place:  # what a judge replied is not kept
            asked = open_judge(judge_settings(judge), RuleBook.load(), Path(place, "replies.jsonl"))
            write_jsonl(out, (one.model_dump(mode="json") for one in rl_prompts(past, asked, taken)))
        echo("the kinds are what the model made of the prompts: look them through before RL")
    echo(f"{out}: {taken.count} answers taken, {sum(taken.left_out.values())} left out")
    for reason, count in taken.left_out.most_common():
        echo(f"left out: {count} {reason}")
