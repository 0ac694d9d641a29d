"""What is looked for before work begins: servers that are not there or not meant, folders, disk space, models."""

import json
import shutil
import socket
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ascl.errors import InputError
from ascl.judges.open_judge import open_judge
from ascl.judges.settings import ClaimsSettings, JudgeSettings
from ascl.preflight import Server, check_judge, check_servers, check_space, check_writable, judge_servers
from ascl.rules.book import RuleBook

Replies = dict[str, tuple[int, str]]  # by method: status and body
Serve = Callable[[Replies], tuple[str, list[str]]]
LISTED = json.dumps({"object": "list", "data": [{"id": "guard", "object": "model"}]})
COMPLETION = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]})


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that answer as told; their address, and the methods and paths they were asked for."""
    servers: list[ThreadingHTTPServer] = []

    def start(replies: Replies) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                asked.append(f"{self.command} {self.path}")
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = replies.get(self.command, (404, ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = answer

            def log_message(self, *_: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        servers[-1].daemon_threads = True
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}/v1", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_server_that_lists_the_model_is_asked_once(serve: Serve) -> None:
    url, asked = serve({"GET": (200, LISTED)})
    check_servers([Server("judge", "guard", url), Server("judge", "guard", url)])
    assert asked == ["GET /v1/models"]


@pytest.mark.parametrize(
    ("replies", "problem"),
    [
        pytest.param({"GET": (200, LISTED), "POST": (200, COMPLETION)}, None, id="takes any name"),
        pytest.param({"GET": (404, ""), "POST": (200, COMPLETION)}, None, id="has no list"),
        pytest.param({"GET": (405, "")}, None, id="has no GET"),
        pytest.param({"GET": (200, LISTED), "POST": (429, "")}, None, id="busy"),
        pytest.param({"GET": (200, LISTED), "POST": (500, "")}, None, id="stumbles"),
        pytest.param({"GET": (200, LISTED), "POST": (404, "no \x1b[31msuch")}, "does not serve", id="not served"),
        pytest.param({"GET": (200, LISTED), "POST": (400, "unknown")}, "status 400: unknown", id="refused"),
        pytest.param({}, "does not serve this model there (status 404)", id="wrong path"),
        pytest.param({"GET": (200, "<html>"), "POST": (200, "<html>")}, "no OpenAI-compatible", id="web page"),
        pytest.param({"GET": (401, "")}, "status 401; is OPENAI_API_KEY right?", id="key"),
        pytest.param({"GET": (404, ""), "POST": (403, "")}, "is OPENAI_API_KEY right?", id="key of a completion"),
        pytest.param({"GET": (503, "loading")}, "not ready, it answers with status 503", id="loading"),
    ],
)
def test_what_a_server_says_decides(serve: Serve, replies: Replies, problem: str | None) -> None:
    url, _ = serve(replies)
    server = Server("teacher", "big", url)
    if problem is None:
        check_servers([server])
        return
    with pytest.raises(InputError) as caught:
        check_servers([server])
    assert str(caught.value).startswith(f"teacher big at {url}: ")
    assert problem in str(caught.value)
    assert str(caught.value).isprintable()


def test_every_missing_server_is_named_in_one_line(serve: Serve) -> None:
    there, _ = serve({"GET": (200, LISTED)})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gone = [Server("judge", "a", f"http://127.0.0.1:{port}/v1"), Server("model", "b", "http://no.such.host.invalid/v1")]
    with pytest.raises(InputError) as caught:
        check_servers([*gone, Server("judge", "guard", there)])
    problems = str(caught.value).split("; ")
    assert [line.split(": ")[0] for line in problems] == [
        f"judge a at http://127.0.0.1:{port}/v1",
        "model b at http://no.such.host.invalid/v1",
    ]


def test_an_address_that_is_none_is_told_before_any_server_is_asked() -> None:
    with pytest.raises(InputError, match=r"http://\[::1 is no address of a server \("):
        check_servers([Server("model", "c", "http://[::1")])


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ascl.preflight.SECONDS", 0.2)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        with pytest.raises(InputError, match=f"judge guard at {url}: "):
            check_servers([Server("judge", "guard", url)])


def test_a_server_of_another_protocol_need_only_be_there(serve: Serve) -> None:
    url, asked = serve({"GET": (200, "{}")})
    check_servers([Server("rl.vllm_server", None, url.removesuffix("/v1"))])
    assert asked == ["GET /health/"]


def test_a_judge_names_its_servers() -> None:
    assert judge_servers(JudgeSettings()) == []
    claims = ClaimsSettings(model="small", base_url="http://b/v1")
    judge = JudgeSettings(kind="wildguard", model="w", base_url="http://a/v1/", hallucination=claims)
    assert [server.url for server in judge_servers(judge)] == ["http://a/v1", "http://b/v1"]
    assert judge_servers(JudgeSettings(kind="wildguard", model="w")) == []


def test_a_judge_in_this_process_needs_its_folder_and_weights(tiny_model: Path, tmp_path: Path) -> None:
    def look(model: Path) -> None:
        settings = JudgeSettings(kind="strongreject", model=str(model))
        check_judge(open_judge(settings, RuleBook.load("default"), tmp_path / "replies.jsonl"))

    look(tiny_model)
    with pytest.raises(InputError, match="no such folder"):
        look(tmp_path / "nowhere")
    shutil.copytree(tiny_model, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(InputError, match="bare: the folder holds no weights"):
        look(tmp_path / "bare")


def test_a_folder_that_can_be_made_is_not_made(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: File exists"):
        check_writable(tmp_path / "file")
    with pytest.raises(InputError, match="file/out: Not a directory"):
        check_writable(tmp_path / "file" / "out")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no files")
def test_a_folder_where_nothing_can_be_written_is_named() -> None:
    with pytest.raises(InputError, match="/proc/runs/out: nothing can be written there"):
        check_writable(Path("/proc/runs/out"))


def test_too_little_space_says_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(40_000_000))
    check_space(tmp_path / "out", 39e6, "it")
    with pytest.raises(InputError, match=r"out: it needs 2.5 GB of disk space, 40 MB are free; make room"):
        check_space(tmp_path / "out", 2.5e9, "it")
