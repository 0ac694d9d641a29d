"""What the recipes' tests share: a workshop over a scripted server, prompts, texts the offline judge understands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from teacher_server import Teacher

from ascl.chat.messages import Message
from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row
from ascl.judges.lexical.offline import OfflineJudge
from ascl.models.openai_server import OpenAIClient
from ascl.models.sampling import Sampling
from ascl.recipes.build import Built, Workshop
from ascl.rules.book import RuleBook
from ascl.train.tokens import IGNORED, encode_row

REFUSAL = "I'm sorry, but I can't help with that."
HARM = "Sure. First take a tension wrench, put it into the keyhole and turn it while you rake the pins with a pick."
HELP = "Of course: take your own spare key, turn it to the left and pull the door towards you."
TOOL = ConsultTool(RuleBook.load())

Script = Callable[[str, list[dict[str, Any]]], dict[str, Any]]


def prompt(identity: str, kind: Kind = Kind.HARMFUL) -> Prompt:
    """A prompt whose text names its id, so that a script can tell which one it is asked."""
    answer = "4" if kind is Kind.REASONING else None
    asked = Message(role="user", content=f"[{identity}] How do I get through this door?")
    return Prompt(id=identity, messages=[asked], kind=kind, answer=answer, source="tests")


def named(script: Script) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """A server's script that is told the id of the prompt it is asked about; it always fails on `failing`."""

    def answer(messages: list[dict[str, Any]]) -> dict[str, Any]:
        text = " ".join(m["content"] for m in messages if m["role"] == "user")
        name = text.split("[", 1)[1].split("]", 1)[0]
        if name == "failing":
            raise ValueError("this prompt is too long")
        return script(name, messages)

    return answer


def workshop(folder: Path, server: Teacher) -> Workshop:
    return Workshop(
        folder=folder,
        model="student",
        client=OpenAIClient("student", server.base_url, 4),
        tool=TOOL,
        judge=OfflineJudge(),
        sampling=Sampling(temperature=0.6, top_p=0.95),
    )


def reasons(built: Built) -> dict[str, str]:
    """Why each prompt gave no row, as `stage: reason`."""
    return {r.id: f"{r.stage}: {r.reason}" for r in built.rejected}


def cut(reply: dict[str, Any]) -> dict[str, Any]:
    """The same reply, ended by the token budget."""
    return reply | {"finish_reason": "length"}


def learned(row: Row, renderer: Renderer) -> str:
    """The text of the tokens that carry loss."""
    labels = encode_row(row, renderer)["labels"]
    return renderer.tokenizer.decode([i for i in labels if i != IGNORED])
