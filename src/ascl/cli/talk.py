"""`ascl chat`: a conversation in the terminal, consultations shown."""

from rich.text import Text

from ascl.chat.messages import Message, RuleHit, StopReason, Trajectory
from ascl.consult.rollout import rollout, start
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import Variant, with_rules
from ascl.models.in_process import InProcessClient
from ascl.models.model_folder import model_path
from ascl.models.models import load_model, load_renderer
from ascl.models.openai_server import OpenAIClient
from ascl.models.sampling import Client, Sampling
from ascl.preflight import Server, check_servers
from ascl.progress import Screen, waiting

ATTEMPTS = 2  # someone is waiting for the answer


def open_model(model: str, base_url: str | None, dialect: str | None = None) -> Client:
    """The model, ready to answer: loaded, with a line that says so, or found on its server. Raises InputError."""
    if base_url is not None:
        check_servers([Server("model", model, base_url)])
        return OpenAIClient(model, base_url, attempts=ATTEMPTS)
    model_path(model)  # a folder that is not there is not worth a line
    import torch  # noqa: F401  (nor is a missing extra)

    title = f"loading {model}"
    Screen().say(f"{title} ..")
    with waiting(title):
        return InProcessClient(load_model(model), load_renderer(model, dialect))


def talk(client: Client, variant: Variant, tool: ConsultTool, sampling: Sampling) -> None:
    """Read questions until an empty line; each answer keeps the earlier questions and answers as context.

    The tool is offered in the `ascl` variant only.
    """
    console = Screen()
    history: list[Message] = []
    while True:
        try:
            question = console.input("[bold]you[/] ").strip()
        except EOFError:
            return
        if not question:
            return
        asked = Message(role="user", content=question)
        if variant == "rag":
            found = tool.book.nearest(question, tool.default_top_k)
            _show_rules(console, tool.hits(found))
        walked = start("chat", with_rules(variant, [*history, asked], tool))
        with console.status("the model writes"):
            rollout(client, [walked], tool if variant == "ascl" else None, sampling)
        _show(console, walked)
        if walked.answer is not None:
            history += [asked, Message(role="assistant", content=walked.answer)]


def _show(console: Screen, trajectory: Trajectory) -> None:
    consultations = iter(trajectory.consultations)
    for message in trajectory.completion:
        if message.reasoning_content:
            console.print(Text(f"thinks: {message.reasoning_content}", "dim"))
        for call in message.tool_calls:
            console.print(Text(f"consults: {call.arguments.get('query', call.arguments)}", "cyan"))
        if message.role == "tool":
            consulted = None if message.error else next(consultations, None)
            if consulted is not None and consulted.hits:
                _show_rules(console, consulted.hits)
            else:
                console.print(Text(message.content, "yellow"))
    if trajectory.answer is not None:
        console.print(Text.assemble(("model ", "bold green"), trajectory.answer))
    if trajectory.stop is not StopReason.ANSWERED:
        console.print(Text(f"({': '.join(filter(None, [trajectory.stop, '; '.join(trajectory.faults)]))})", "red"))


def _show_rules(console: Screen, hits: list[RuleHit]) -> None:
    """The list that the model reads, with the id of each rule, as `ascl rules search` prints it."""
    for rank, hit in enumerate(hits, start=1):
        line = f"{rank}. ({100 * hit.similarity:.1f}%) {hit.id}: {hit.shown}"
        console.print(Text(line, "yellow"))
