"""Whatever a server answers, a request fails with a kind or is read: for models, judges, embeddings and the first look.

No reply ends a run with another exception, fills the memory, or has the texts sent to another server.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer

import httpx2
import pytest
from evil_server import TRAITS, EvilServer, evil_server

from ascl import http_client
from ascl.chat.messages import Message
from ascl.chat.turn import MAX_CALLS, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import ConsultTool
from ascl.errors import InputError
from ascl.judges.asking.served import MAX_REPLY, ServedModel
from ascl.models.openai_server import OpenAIClient
from ascl.models.retry import RequestFailed
from ascl.models.sampling import Sampling
from ascl.preflight import Server, check_servers
from ascl.rules.book import RuleBook
from ascl.rules.search import searcher

BOUND = 2**20  # bytes of a body; the real bound makes no other paths, only a slower test
VALUES = 2**18  # in a body
BUFFERS = 2**24  # bytes that a connection may hold on its way

FAILS = {
    "big": "not_a_completion", "endless": "not_a_completion", "endless_zeros": "not_a_completion",
    "gzip_bomb": "not_a_completion", "deflate_bomb": "not_a_completion", "twice_packed_bomb": "not_a_completion",
    "charset_bomb": "http_400", "error_endless": "http_500", "refusal_endless": "http_400", "error_bomb": "http_400",
    "error_deep": "http_400", "torn_gzip": "not_a_completion", "list": "not_a_completion", "page": "not_a_completion",
    "deep": "not_a_completion", "many_values": "not_a_completion", "odd_error": "unfinished",
    "wait_year": "http_429", "wait_list": "http_429",
    "moved_host": "redirected", "moved_port": "redirected", "moved_scheme": "redirected", "moved_file": "redirected",
    "moved_short": "redirected", "moved_user": "redirected", "moved_nowhere": "http_307", "moved_circle": "connection",
}  # fmt: skip
REFUSED_HOSTS = [name for name, kind in FAILS.items() if kind == "redirected"]


@pytest.fixture(scope="module")
def running() -> Iterator[EvilServer]:
    with evil_server() as server:
        yield server


@pytest.fixture
def server(running: EvilServer, monkeypatch: pytest.MonkeyPatch) -> EvilServer:
    monkeypatch.setattr(http_client, "MAX_BODY", BOUND)
    monkeypatch.setattr(http_client, "MAX_VALUES", VALUES)
    running.evil, running.bytes_sent = 10**9, 0
    running.hosts.clear()
    running.paths.clear()
    return running


def ask(url: str, attempts: int = 1) -> Turn:
    """The turn of one request."""
    client = OpenAIClient("m", url, attempts=attempts, backoff=0.001)

    async def one() -> Turn:
        async with client.connect() as connected:
            return await client.turn(connected, start("p", [Message(role="user", content="Hi")]), [], Sampling())

    return asyncio.run(one())


@pytest.mark.parametrize("trait", TRAITS)
def test_a_model_is_read_or_its_request_fails_with_a_kind(server: EvilServer, trait: str) -> None:
    try:
        turn = ask(server.url(trait))
    except RequestFailed as failed:
        assert failed.kind == FAILS.get(trait, failed.kind)
        assert failed.reason and "\n" not in failed.reason
        assert failed.wait is None or failed.wait >= 0
        assert failed.ends_run is (trait in REFUSED_HOSTS)
    else:
        assert trait not in FAILS
        assert 0 <= turn.tokens <= 2**31
        assert turn.tokens == (3 if not trait.startswith("usage_") else 0)
    assert server.bytes_sent < BUFFERS
    assert set(server.hosts) == {f"127.0.0.1:{server.port}"}, "the texts went nowhere else"


@pytest.mark.parametrize("trait", TRAITS)
def test_a_judge_is_heard_or_left_out(server: EvilServer, trait: str) -> None:
    server.evil = 7  # more than the attempts that two looks have
    client = OpenAIClient("g", server.url(trait), attempts=2, backoff=0.0001)
    client.answered = True
    judge = ServedModel("g", client, wait=0.0001, answered=True)
    heard: dict[int, str | None] = {}
    try:
        judge.ask([[{"role": "user", "content": "A text."}]], Sampling(), heard.__setitem__)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert heard[0] is None or len(heard[0]) <= MAX_REPLY
    assert set(server.hosts) == {f"127.0.0.1:{server.port}"}


@pytest.mark.parametrize("trait", TRAITS)
def test_embeddings_are_numbers_or_an_input_error(
    server: EvilServer, trait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url(trait))
    with pytest.raises(InputError) as caught:
        searcher(["tea", "coffee"], "endpoint:m")
    assert str(caught.value).startswith("embedding model endpoint:m at http://127.0.0.1")
    assert server.bytes_sent < BUFFERS
    assert set(server.hosts) == {f"127.0.0.1:{server.port}"}


@pytest.mark.parametrize("trait", TRAITS)
def test_a_first_look_passes_or_is_an_input_error(server: EvilServer, trait: str) -> None:
    try:
        check_servers([Server("model", "m", server.url(trait))])
    except InputError as error:
        assert "\n" not in str(error)
    assert set(server.hosts) == {f"127.0.0.1:{server.port}"}


@pytest.mark.parametrize(
    ("trait", "told"), [("gzip_bomb", "is longer than 1 MB"), ("many_values", "holds more than 262,144 values")]
)
def test_a_body_too_long_is_not_asked_for_again(server: EvilServer, trait: str, told: str) -> None:
    with pytest.raises(RequestFailed, match=f"the reply {told}"):
        ask(server.url(trait), attempts=5)
    assert len(server.paths) == 1


def test_a_redirect_to_another_server_names_it(server: EvilServer) -> None:
    with pytest.raises(RequestFailed, match=rf"it redirects to http://127\.0\.0\.2:{server.port}/; name that address"):
        ask(server.url("moved_host"), attempts=5)
    assert len(server.paths) == 1


def test_a_redirect_to_the_same_server_is_followed(server: EvilServer) -> None:
    """Even one whose own body does not end."""
    server.evil = 1
    assert ask(server.url("moved_endless")).content == "safe"
    assert server.paths == ["/moved_endless/v1/chat/completions", "/sound/v1"]


def test_cookies_are_not_kept() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert "cookie" not in request.headers
        return httpx2.Response(200, headers={"Set-Cookie": "a=b"}, content=b"x")

    with http_client.Client(1.0, transport=httpx2.MockTransport(answer)) as client:
        for _ in range(2):
            assert client.get("http://a.example").content == b"x"


def test_of_too_many_calls_the_first_are_run(server: EvilServer) -> None:
    trajectory = start("p", [Message(role="user", content="Hi")])
    assert advance(trajectory, ask(server.url("many_calls")), ConsultTool(RuleBook.load()))
    asked, *results = trajectory.completion
    assert len(asked.tool_calls) == len(results) == len(trajectory.consultations) == MAX_CALLS
    assert trajectory.faults == ["too_many_calls"]


@contextmanager
def dripping(head: bytes) -> Iterator[str]:
    """A server that sends `head` again and again, and never a reply; its address."""
    over = threading.Event()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            with suppress(OSError):
                while not over.wait(0.01):
                    self.wfile.write(head)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        over.set()
        server.shutdown()
        thread.join()


HEADS = {"informational": b"HTTP/1.1 100 Continue\r\n\r\n", "status line": b"H", "nothing": b""}


@pytest.mark.parametrize("head", HEADS)
def test_embeddings_whose_head_never_ends_are_not_waited_for(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ascl.rules.search.SECONDS", 0.2)
    with dripping(HEADS[head]) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        with pytest.raises(InputError, match=r"embedding model endpoint:m at http.*(no answer within 0.2 s|timed out)"):
            searcher(["tea", "coffee"], "endpoint:m")
