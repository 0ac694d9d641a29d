"""`ascl chat`: a conversation in the terminal, consultations shown."""

from rich.console import Console
from rich.text import Text

from ascl.chat.clients.in_process import InProcessClient
from ascl.chat.clients.models import load_model, load_renderer
from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.cli.printable import printable
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
            console.print(Text(f"thinks: {printable(message.reasoning_content)}", "dim"))
        for call in message.tool_calls:
            console.print(Text(f"consults: {printable(str(call.arguments.get('query', call.arguments)))}", "cyan"))
        if message.role == "tool":
            console.print(Text(printable(message.content), "yellow"))
    if trajectory.answer is not None:
        console.print(Text.assemble(("model ", "bold green"), printable(trajectory.answer)))
    if trajectory.stop is not StopReason.ANSWERED:
        console.print(Text(f"({': '.join(filter(None, [trajectory.stop, '; '.join(trajectory.faults)]))})", "red"))
