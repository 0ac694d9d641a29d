"""The MCP server, asked by a real MCP client: in process, over stdio and over streamable HTTP."""

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

import ascl
from ascl.consult import mcp_server
from ascl.consult.mcp_server import allowed, build_server
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.errors import InputError
from ascl.rules.book import RuleBook

TOOL = ConsultTool(RuleBook.load())
SOURCE = str(Path(ascl.__file__).parents[1])
COMMAND = [sys.executable, "-m", "ascl.cli.main", "mcp"]
ENVIRONMENT = os.environ | {"PYTHONPATH": SOURCE}
WIDE = "a person's bank, email, money, weapon, drug, child, election or illegal medical hack fraud"
OWN_RULES = "id,category,text\ntea.cold,tea,Serving cold tea to a guest.\n"

FAULTY: list[dict[str, Any]] = [
    {}, {"query": " "}, {"query": 5}, {"query": "bomb", "top_k": 0}, {"query": "bomb", "top_k": 21},
    {"query": "bomb", "top_k": "two"}, {"query": "bomb", "top_k": True}, {"query": "bomb", "other": 1},
]  # fmt: skip


async def call(client: Client, arguments: dict[str, Any], name: str = "retrieve_policy") -> tuple[bool, str]:
    """Whether the call is a tool error, and its text."""
    result = await client.call_tool(name, arguments)
    [content] = result.content
    assert content.type == "text"
    return bool(result.is_error), content.text


async def check_default_book(client: Client) -> None:
    """What every transport must do: list the one tool, search, and give faults back as tool errors."""
    server = client.server_info
    assert server is not None
    assert (server.name, server.version) == ("safety-policy", ascl.__version__)
    [tool] = (await client.list_tools()).tools
    function = TOOL.schema["function"]
    assert (tool.name, tool.description) == ("retrieve_policy", function["description"])
    assert tool.input_schema == function["parameters"]
    for arguments in ({"query": WIDE}, {"query": WIDE, "top_k": 1}, {"query": WIDE, "top_k": 20}, {"query": "zxqv"}):
        expected = TOOL.call(TOOL_NAME, arguments)
        assert expected.fault is None
        assert await call(client, arguments) == (False, expected.text)
    assert await call(client, {"query": "bomb", "top_k": 21}) == (True, "Error: top_k is between 1 and 20.")


def test_every_fault_comes_back_as_a_tool_error_with_the_tools_text() -> None:
    async def scenario() -> None:
        async with Client(build_server(TOOL)) as client:
            await check_default_book(client)
            for arguments in FAULTY:
                expected = TOOL.call(TOOL_NAME, arguments)
                assert expected.fault is not None
                assert await call(client, arguments) == (True, expected.text)
            for name in (
                "other", "", "safety-policy-", "safety-policy-safety-policy-retrieve_policy", "Retrieve_Policy",
            ):  # fmt: skip
                refused = await call(client, {"query": "bomb"}, name=name)
                assert refused == (True, "Error: there is no tool of this name; use retrieve_policy.")
            named = [await call(client, {"query": WIDE}, name=name) for name in ("retrieve_policy", TOOL_NAME)]
            assert named == [(False, TOOL.call(TOOL_NAME, {"query": WIDE}).text)] * 2

    asyncio.run(scenario())


def test_a_tools_own_default_is_listed_and_used() -> None:
    async def scenario() -> None:
        tool = ConsultTool(TOOL.book, default_top_k=5)
        async with Client(build_server(tool)) as client:
            [listed] = (await client.list_tools()).tools
            assert listed.input_schema["properties"]["top_k"]["default"] == 5
            _, text = await call(client, {"query": WIDE})
            assert len(text.splitlines()) == 5

    asyncio.run(scenario())


@asynccontextmanager
async def stdio(*options: str) -> AsyncIterator[Client]:
    """A client of `ascl mcp` over its standard input and output."""
    server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *options], env=dict(ENVIRONMENT))
    async with Client(stdio_client(server)) as client:
        yield client


def test_stdio() -> None:
    async def scenario() -> None:
        async with stdio() as client:
            await check_default_book(client)

    asyncio.run(scenario())


def test_stdio_serves_the_rule_file_that_is_named(tmp_path: Path) -> None:
    rules = tmp_path / "own.csv"
    rules.write_text(OWN_RULES, encoding="utf-8")
    expected = ConsultTool(RuleBook.load(rules)).call(TOOL_NAME, {"query": "cold tea"}).text

    async def scenario() -> None:
        async with stdio("--rules", str(rules)) as client:
            assert await call(client, {"query": "cold tea"}) == (False, expected)
            assert await call(client, {"query": "bomb"}) == (False, "No rule is about this.")

    asyncio.run(scenario())


@contextmanager
def http_server(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`ascl mcp --transport http` on a free port, listening; with its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "--transport", "http", "--port", str(port), *options], env=ENVIRONMENT, stdout=log, stderr=log
        )
    try:
        assert listening(process, port), (folder / "server.log").read_text()
        yield process, port
    finally:
        process.terminate()
        process.wait()


def listening(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the server accepts a connection, asked until it does or has died."""
    while process.poll() is None:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return True
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
    return False


def test_streamable_http(tmp_path: Path) -> None:
    with http_server(tmp_path) as (process, port):

        async def scenario() -> None:
            async with Client(f"http://127.0.0.1:{port}/mcp") as client:
                await check_default_book(client)

        asyncio.run(scenario())
        assert process.poll() is None
        busy = subprocess.run(
            [*COMMAND, "--transport", "http", "--port", str(port)], env=ENVIRONMENT, capture_output=True, text=True
        )
        assert busy.returncode == 2
        assert busy.stderr == f"ascl: 127.0.0.1, port {port}: can't listen there (Address already in use)\n"


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}},
}


def status(port: int, host: str, origin: str | None = None) -> int:
    """The HTTP status of a first message that a proxy would pass on with these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Host": host, "Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    connection.request("POST", "/mcp", json.dumps(INITIALIZE), headers | ({"Origin": origin} if origin else {}))
    with closing(connection), connection.getresponse() as response:
        return response.status


def test_a_proxys_host_is_let_through_where_it_is_named(tmp_path: Path) -> None:
    with http_server(tmp_path, "--allow-host", "rules.example.com", "--allow-host", "other.example:8443") as (_, port):
        own = [f"127.0.0.1:{port}", f"localhost:{port}"]
        for host in [
            *own, "rules.example.com", "rules.example.com:443", f"rules.example.com:{port}", "other.example:8443",
        ]:  # fmt: skip
            assert status(port, host) == 200
            assert status(port, host, f"https://{host}") == 200
        for host in (
            "evil.example", "other.example", "rules.example.com.evil.example", "rules.example.com:evil",
            "127.0.0.1:evil",
        ):  # fmt: skip
            assert status(port, host) == 421
        for origin in (
            "https://evil.example",
            "https://rules.example.com.evil.example",
            f"http://localhost:{port}.evil.example",
        ):
            assert status(port, "rules.example.com", origin) == 403


def test_a_proxys_host_is_refused_where_it_is_not_named(tmp_path: Path) -> None:
    with http_server(tmp_path) as (_, port):
        own = f"127.0.0.1:{port}"
        assert status(port, own) == status(port, own, f"http://localhost:{port}") == 200
        for host in ("rules.example.com", "127.0.0.1:evil", "localhost:", f"127.0.0.1:{port}.evil.example", "[::1]:x"):
            assert status(port, host) == 421
        for origin in (f"http://localhost:{port}.evil.com", "http://localhost:evil", "http://127.0.0.1:@evil", "null"):
            assert status(port, own, origin) == 403


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of an HTTP server in this process that waits a short while for a request."""
    monkeypatch.setattr(mcp_server, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(mcp_server, "ANSWER_SECONDS", 0.6)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening_at:
        port = listening_at.getsockname()[1]
        server = mcp_server.http_server(build_server(TOOL), "127.0.0.1", port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening_at]}, daemon=True)
        thread.start()
        yield port
        server.should_exit = True
        thread.join()


HEAD = "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
HALF = ["", "PO", HEAD, HEAD + "Content-Length: 99\r\n\r\n{{", HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\nab"]


@pytest.mark.parametrize("half", HALF)
def test_half_a_request_is_dropped(served: int, half: str) -> None:
    """The first one of a connection, and one after a whole request."""
    for later in (False, True):
        with closing(http.client.HTTPConnection("127.0.0.1", served)) as connection:
            connection.connect()
            if later:
                connection.request("GET", "/nothing")
                assert connection.getresponse().read() == b"Not Found"
            connection.sock.sendall(half.format(port=served).encode())
            assert connection.sock.recv(1) == b"", "the server ends it"
    assert status(served, f"127.0.0.1:{served}") == 200


def test_a_stream_that_is_left_open_ends(served: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", served)) as connection:
        connection.request("GET", "/mcp", headers={"Accept": "text/event-stream"})
        response = connection.getresponse()
        assert response.status == 200
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()


def test_a_request_leaves_no_session(served: int) -> None:
    for _ in range(3):
        with closing(http.client.HTTPConnection("127.0.0.1", served)) as connection:
            sent = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
            connection.request("POST", "/mcp", json.dumps(INITIALIZE), sent)
            response = connection.getresponse()
            assert response.status == 200 and response.read()
            assert response.headers["mcp-session-id"] is None


def test_what_is_answered_depends_on_the_address() -> None:
    assert allowed("0.0.0.0", 8000, []) is None
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        settings = allowed(host, 8000, [])
        assert settings and "[::1]:8000" in settings.allowed_hosts and "localhost:8000" in settings.allowed_hosts
    settings = allowed("192.168.0.7", 8000, ["a.example"])
    assert settings and {"192.168.0.7:8000", "a.example", "a.example:8000"} <= set(settings.allowed_hosts)
    settings = allowed("0.0.0.0", 8000, ["[fd00::1]"])
    assert settings and "[fd00::1]:8000" in settings.allowed_hosts
    assert not any(host.startswith("0.0.0.0") for host in settings.allowed_hosts)


@pytest.mark.parametrize(
    "host", ["https://rules.example.com", "rules.example.com/mcp", "*", "", "a b", "a:b", "a:*", "é"]
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(InputError, match="a host is expected"):
        allowed("127.0.0.1", 8000, [host])


def test_serving_rules_needs_no_torch() -> None:
    """The server starts in a second: building and asking it imports none of the heavy packages."""
    script = (
        "import sys, ascl.cli.main\n"
        "from ascl.consult.mcp_server import build_server\n"
        "from ascl.consult.tool import TOOL_NAME, ConsultTool\n"
        "from ascl.rules.book import RuleBook\n"
        "tool = ConsultTool(RuleBook.load())\n"
        "build_server(tool)\n"
        "assert tool.call(TOOL_NAME, {'query': 'bomb'}).consultation.hits\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'trl'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
