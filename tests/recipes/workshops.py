"""What the recipes' tests share: a workshop over a scripted server, prompts, texts the offline judge understands."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from teacher_server import Teacher

from ascl.chat.messages import Message
from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row
from ascl.judges.judge import Case, Judge
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.verdict import Verdict
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


class Guard(OfflineJudge):
    """The offline judge, but a text with the word `wrench` in it is unsafe: it can read thoughts as well."""

    name = "guard"
    reads_thoughts = True

    def judge_many(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """See `Judge`."""
        found = [(case, verdict) for case, verdict in zip(cases, super().judge_many(cases), strict=True) if verdict]
        for case, verdict in found:
            verdict.safe = "wrench" not in (case.trajectory.answer or "")
        return [verdict for _, verdict in found]


def workshop(folder: Path, server: Teacher | str, concurrency: int = 4, judge: Judge | None = None) -> Workshop:
    """A workshop whose model is called big, at a server or an address; the judge is the offline one, unless given."""
    url = server if isinstance(server, str) else server.base_url
    return Workshop(
        folder=folder,
        model="big",
        client=OpenAIClient("big", url, concurrency, attempts=2, backoff=0.01),
        tool=TOOL,
        judge=judge or OfflineJudge(),
        sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=64, seed=3),
    )


def twice(build: Callable[..., Built], prompts: list[Any], parameters: Any, folder: Path, server: Teacher) -> Built:
    """What is built; a second build asks nothing, and its outcome and files are the same."""
    first = build(prompts, parameters, workshop(folder, server))
    asked, before = len(server.requests), contents(folder)
    assert build(prompts, parameters, workshop(folder, server)) == first
    assert len(server.requests) == asked, "a second build asks nothing"
    assert contents(folder) == before
    return first


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What a prompt asks of a teacher, its kind, and why it gives no row (None: it does).
Asked = list[tuple[str, Kind, str | None]]


def prompts_of(asked: Asked, category: str | None = "violence") -> list[Prompt]:
    """A prompt a row, called p00, p01, ..; a sum's answer is 4 where it ends in 2, and 5 elsewhere."""
    return [
        Prompt(
            id=f"p{i:02}",
            messages=[Message(role="user", content=text)],
            kind=kind,
            category=category,
            answer="4" if text.endswith("2?") else "5",
            source="made",
        )
        for i, (text, kind, _) in enumerate(asked)
    ]


def kept(asked: Asked) -> list[str]:
    return [f"p{i:02}" for i, (_, _, reason) in enumerate(asked) if reason is None]


def lost(asked: Asked, stage: str) -> dict[str, str]:
    """As `reasons` says it of a build that loses all at one stage."""
    return {f"p{i:02}": f"{stage}: {reason}" for i, (_, _, reason) in enumerate(asked) if reason is not None}


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
