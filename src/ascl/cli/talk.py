"""`ascl chat`: a conversation in the terminal, consultations shown."""

from rich.console import Console
from rich.markup import escape

from ascl.chat.clients.in_process import InProcessClient
from ascl.chat.clients.models import load_model, load_renderer
from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.consult.rollout import rollout, start
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules


def talk(model: str, tool: ConsultTool, sampling: Sampling) -> None:
    """Read questions until an empty line; each answer keeps the earlier questions and answers as context."""
    console = Console()
    client = InProcessClient(load_model(model), load_renderer(model))
    history: list[Message] = []
    while True:
        try:
            question = console.input("[bold]you[/] ").strip()
        except EOFError:
            return
        if not question:
            return
        asked = Message(role="user", content=question)
        walked = start("chat", with_rules("ascl", [*history, asked], tool))
        rollout(client, [walked], tool, sampling)
        _show(console, walked)
        if walked.answer is not None:
            history += [asked, Message(role="assistant", content=walked.answer)]


def _show(console: Console, trajectory: Trajectory) -> None:
    for message in trajectory.completion:
        if message.reasoning_content:
            console.print(f"[dim]thinks: {_plain(message.reasoning_content)}[/]")
        for call in message.tool_calls:
            console.print(f"[cyan]consults: {_plain(str(call.arguments.get('query', call.arguments)))}[/]")
        if message.role == "tool":
            console.print(f"[yellow]{_plain(message.content)}[/]")
    if trajectory.answer is not None:
        console.print(f"[bold green]model[/] {_plain(trajectory.answer)}")
    if trajectory.stop is not StopReason.ANSWERED:
        console.print(f"[red]({trajectory.stop}{': ' + '; '.join(trajectory.faults) if trajectory.faults else ''})[/]")


def _plain(text: str) -> str:
    """Model text for a terminal: rich markup escaped, control characters (escape sequences) dropped."""
    return escape("".join(c for c in text if c == "\n" or c == "\t" or c.isprintable()))
