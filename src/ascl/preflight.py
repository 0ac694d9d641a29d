"""What work needs, looked at before it begins: servers, judges, models, prompts, a folder to write to, disk space.

Every check raises InputError with one line, and leaves nothing behind.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl.errors import InputError
from ascl.judges.settings import JudgeSettings
from ascl.servers import server_address

if TYPE_CHECKING:
    import httpx2

    from ascl.judges.judge import Judge

SECONDS = 3.0  # for all servers together
NOT_READY = (502, 503, 504)  # a gateway without a model, or a server that still loads it
LISTS_NOTHING = (405, 501)  # a server that has no GET: it is there
BUSY = (408, 409, 429)  # and every 5xx: it is there, and will answer later
RECORDS = 50e6  # bytes for answers, verdicts, logs and the report


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server, what it is wanted for, and the model it must have.

    model: None for a server that need only be there (TRL's vLLM server, which has another protocol).
    """

    role: str
    model: str | None
    base_url: str | None

    @property
    def url(self) -> str:
        """Where it listens."""
        return server_address(self.base_url).rstrip("/")


def judge_servers(settings: JudgeSettings) -> list[Server]:
    """The servers of a judge."""
    found = [Server("judge", settings.model, settings.base_url)] if settings.base_url else []
    claims = settings.hallucination
    return found + ([Server("judge", claims.model, claims.base_url)] if claims and claims.base_url else [])


def check_servers(servers: Iterable[Server]) -> None:
    """Ask every server which models it has, all at the same time. Raises InputError naming each that can't be used."""
    wanted = list(dict.fromkeys(servers))
    for server in wanted:
        server_address(server.base_url)
    if not wanted:
        return
    from ascl.http_client import certificates

    certificates()  # the servers' seconds are not for this
    found: dict[Server, str | None] = {server: f"no answer within {SECONDS:g} s" for server in wanted}
    # Threads that nobody waits for: a name that can't be looked up may take longer than anyone wants to wait.
    looks = [threading.Thread(target=_look, args=(server, found), daemon=True) for server in wanted]
    for look in looks:
        look.start()
    until = time.monotonic() + SECONDS
    for look in looks:
        look.join(max(until - time.monotonic(), 0))
    problems = [f"{s.role} {s.model or ''} at {s.url}: {p}".replace("  ", " ") for s, p in dict(found).items() if p]
    if problems:
        raise InputError("; ".join(problems))


def _look(server: Server, found: dict[Server, str | None]) -> None:
    """Note what is wrong with a server, or None."""
    import httpx2

    from ascl.http_client import Client

    key = os.environ.get("OPENAI_API_KEY") or "none"
    try:
        with Client(SECONDS, headers={"Authorization": f"Bearer {key}"}) as client:
            path = "models" if server.model is not None else "health/"
            answer = client.get(f"{server.url}/{path}")
            problem, sure = _problem(server, answer)
            found[server] = problem
            if not sure:
                found[server] = _asked(server, client)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as error:
        if found[server] is not None:  # else it was there, and is only slow
            found[server] = _line(str(error) or type(error).__name__)


def _problem(server: Server, answer: "httpx2.Response") -> tuple[str | None, bool]:
    """What the list of a server's models says is wrong, and whether that settles it."""
    status = answer.status_code
    if status in NOT_READY:
        return f"not ready, it answers with status {status}", True
    if server.model is None or status in LISTS_NOTHING:
        return None, True
    if status in (401, 403):
        return f"it answers with status {status}; is OPENAI_API_KEY right?", True
    return None, server.model in _models(answer)


def _models(answer: "httpx2.Response") -> list[Any]:
    """The ids in a list of models; empty where it is none."""
    try:
        return [row["id"] for row in answer.json()["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _asked(server: Server, client: "httpx2.Client") -> str | None:
    """What is wrong with a server that does not list the model: some take any name, so one token is asked for."""
    asked = {"model": server.model, "messages": [{"role": "user", "content": "Hello."}], "max_tokens": 1}
    answer = client.post(f"{server.url}/chat/completions", json=asked)
    status = answer.status_code
    if status in (401, 403):
        return f"it answers with status {status}; is OPENAI_API_KEY right?"
    if 400 <= status < 500 and status not in BUSY:
        return (
            f"it does not serve this model there ({': '.join(filter(None, [f'status {status}', _line(answer.text)]))})"
        )
    if status == 200 and "choices" not in answer.text:
        return "it is no OpenAI-compatible server; does the address end in /v1?"
    return None


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())[:200]


def check_judge(judge: "Judge") -> None:
    """Look for the models of a judge that run in this process. Raises InputError where one is not there."""
    from ascl.judges.asking.local import LocalModel
    from ascl.judges.asking.model_judge import ModelJudge

    for reader in (judge.guard, judge.claims) if isinstance(judge, ModelJudge) else ():
        if reader is not None and isinstance(reader.model, LocalModel):
            model_config(reader.model.model, reader.model.revision)
            reader.model.untrusted("")  # reads its tokenizer and template


def model_config(name: str, revision: str | None = None) -> Any:
    """The transformers configuration of a model (of its base, for a LoRA folder).

    Raises InputError where there is none, or a folder lacks its weights.
    """
    from ascl.models.model_folder import check_weights, load_config

    if revision is None:
        check_weights(name)
    return load_config(name, revision)


def check_writable(folder: Path) -> None:
    """Raise InputError where `folder` can't be made, or nothing can be written to it. Makes neither."""
    there = _existing(folder)
    longest = os.pathconf(there, "PC_NAME_MAX")
    if any(len(os.fsencode(name)) > longest for name in folder.parts):
        raise InputError(f"{folder}: File name too long")
    if not there.is_dir():
        raise InputError(f"{folder}: {'File exists' if there == folder else 'Not a directory'}")
    try:
        tempfile.TemporaryFile(dir=there).close()  # has no name where the system can do that
    except OSError as error:
        raise InputError(f"{folder}: nothing can be written there ({error.strerror})") from error


def check_file(path: Path) -> None:
    """Raise InputError where `path` can't be a file that is written."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    check_writable(path.parent)


def check_space(folder: Path, needed: float, why: str) -> None:
    """Raise InputError where the disk of `folder` has less room than `needed` bytes; the line says both."""
    free = shutil.disk_usage(_existing(folder)).free
    if free < needed:
        raise InputError(
            f"{folder}: {why} needs {_size(needed)} of disk space, {_size(free)} are free; "
            "make room, or name another --out"
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
