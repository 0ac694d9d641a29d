"""What the gateway costs beside calling its model's server directly.

    python benchmarks/gateway.py [--requests 350] [--streams 64] [--growth 5000]

A server that answers at once and the clients that ask share one process on core 0; `ascl serve` runs on core 1 with one
worker, its audit trail on disk (synchronous=FULL), a key and limits. One at a time, a request goes to the server
directly and through the gateway in turn, in seven rounds; the median is that of the rounds' medians. What is added is
wall time; the CPU time of the gateway's process (all its threads) stands beside it, and is the figure to look at where
other work runs on the machine. Other gateways are not measured.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from ascl.consult.tool import TOOL_NAME
from ascl.serve.keys import make_key
from ascl.serve.run import KEYS

ROUNDS = 7
TOGETHER = 32  # requests at a time, for throughput
PIECES, EVERY = 200, 0.005  # chunks of a long stream, and seconds between them
SENTENCE = "Take the second street on the left and go on to the river. "
CONSULT, LONG = "Look it up first. ", "Tell me at length. "  # what the server goes by
END = b"0\r\n\r\n"  # of a chunked reply


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=350, help="of each case, one at a time")
    parser.add_argument("--streams", type=int, default=64, help="long streams at a time")
    parser.add_argument("--growth", type=int, default=5000, help="requests after which the memory is read again")
    options = parser.parse_args()
    os.sched_setaffinity(0, {0})
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    asyncio.run(measure(options.requests, options.streams, options.growth))


async def measure(requests: int, at_once: int, growth: int) -> None:
    """All cases, each with its table."""
    console = Console(width=120)
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=1024)
    direct = server.sockets[0].getsockname()[1]
    with gateway(direct) as started:
        console.print(f"ready after {started.ready:.2f} s, {started.memory():.0f} MiB resident")
        short, long = conversation(1_000), conversation(100_000)
        cases = {
            "direct answer": (short, False),
            "direct answer, streamed": (short, True),
            "direct answer, 100 kB of conversation": (long, False),
            "consult (two turns)": (conversation(1_000, CONSULT), False),
            "consult (two turns), streamed": (conversation(1_000, CONSULT), True),
        }
        await many(started, cases["consult (two turns)"], 100)  # first connections, caches
        table = Table("one at a time", "server alone, ms", "added p50, ms", "added p99, ms", "gateway's CPU, ms each")
        for name, (messages, stream) in cases.items():
            table.add_row(name, *await alone(direct, started, messages, stream, requests))
        console.print(table)
        table = Table(f"{TOGETHER} at a time", "requests per second", "gateway's CPU, ms each", "of its core")
        for name in ("direct answer", "direct answer, streamed", "consult (two turns)"):
            spent, seconds = await timed(started, many(started, cases[name], 4 * requests))
            busy, rate = f"{spent / seconds:.0%}", f"{4 * requests / seconds:.0f}"
            table.add_row(name, rate, f"{1e3 * spent / 4 / requests:.2f}", busy)
        console.print(table)
        console.print(await streams(direct, started, at_once))
        before = started.memory()
        await many(started, cases["direct answer"], growth)
        console.print(f"{before:.0f} MiB resident, {started.memory():.0f} after {growth} more requests")
    server.close()


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs. ready: seconds from its start to its first answer."""

    port: int
    key: str
    process: int
    ready: float

    def cpu(self) -> float:
        """Seconds of CPU that its threads have used."""
        threads = Path(f"/proc/{self.process}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def memory(self) -> float:
        """Resident MiB."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def gateway(upstream: int) -> Iterator[Gateway]:
    """`ascl serve` on core 1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        limits = {"requests_per_minute": 10**9, "tokens_per_day": 10**12}
        key = make_key(Path(folder) / KEYS, "bench", show="consultations", **limits)
        ascl = str(Path(sys.executable).with_name("ascl"))
        serve = [ascl, "serve", "--model", "m", "--upstream", f"http://127.0.0.1:{upstream}/v1", "--folder", folder]
        began = time.perf_counter()
        with subprocess.Popen(["taskset", "-c", "1", *serve, "--port", str(port)]) as process:
            try:
                while not _answers(port):
                    assert process.poll() is None, "the gateway did not start"
                yield Gateway(port, key, process.pid, time.perf_counter() - began)
            finally:
                process.terminate()


def _answers(port: int) -> bool:
    time.sleep(0.02)
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
    except urllib.error.URLError:
        return False
    return True


Case = tuple[list[dict[str, str]], bool]


def conversation(size: int, mark: str = "") -> list[dict[str, str]]:
    """Turns of a thousand bytes, the user's first and last."""
    said = SENTENCE * (1000 // len(SENTENCE))
    turns = [{"role": ("user", "assistant")[n % 2], "content": said} for n in range(size // 1000 - 1 | 1)]
    return [*turns[:-1], {"role": "user", "content": mark + said}]


def request(messages: list[dict[str, str]], stream: bool, key: str = "none") -> bytes:
    """A request for a completion."""
    body = json.dumps({"model": "m", "messages": messages, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Client(asyncio.Protocol):
    """One connection. `ask` gives a reply, and `times` the moments at which its chunks arrived."""

    def __init__(self) -> None:
        self.reply, self.times = bytearray(), list[float]()
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what came, and settle `done` with the last of it."""
        self.times += [time.perf_counter()] * data.count(b'"content":"')
        self.reply += data
        head, _, body = self.reply.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        if self.reply.endswith(END) if not length else len(body) >= int(length):
            self.done.set_result(bytes(self.reply))

    def connection_lost(self, exc: Exception | None) -> None:
        """A reply that is not whole fails."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed within a reply"))

    async def ask(self, sent: bytes) -> float:
        """Send a request and read its reply; the seconds that it took."""
        self.reply, self.times = bytearray(), []
        self.done = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self.transport.write(sent)
        reply = await self.done
        took = time.perf_counter() - began
        assert reply.startswith(b"HTTP/1.1 200"), reply[:500]
        return took


@asynccontextmanager
async def connected(*ports: int) -> AsyncIterator[list[Client]]:
    """A connection to each of these ports of this machine."""
    connect = asyncio.get_running_loop().create_connection
    clients = [(await connect(Client, "127.0.0.1", port))[1] for port in ports]
    try:
        yield clients
    finally:
        for client in clients:
            client.transport.close()


async def alone(direct: int, through: Gateway, messages: list[dict[str, str]], stream: bool, count: int) -> list[str]:
    """A row: what the server takes by itself, what the gateway adds (median, p99), and its CPU."""
    turns = [request(messages, True)]
    if CONSULT in messages[-1]["content"]:  # the two calls that an ideal client would make
        turns.append(request([*messages, {"role": "tool", "content": SENTENCE}], True))
    asked = request(messages, stream, through.key)
    rounds, spent, each = [], 0.0, max(1, count // ROUNDS)
    async with connected(direct, through.port) as (one, other):
        for _ in range(ROUNDS):
            pairs = []
            for _ in range(each):
                alone = sum([await one.ask(turn) for turn in turns])
                before = through.cpu()
                pairs.append((alone, await other.ask(asked)))
                spent += through.cpu() - before
            rounds.append(pairs)
    plain = median(median(alone for alone, _ in pairs) for pairs in rounds)
    added = [median(took - alone for alone, took in pairs) for pairs in rounds]
    worst = quantiles([took - plain for pairs in rounds for _, took in pairs], n=100)[-1]
    figures = (plain, median(added), worst, spent / ROUNDS / each)
    return [f"{1e3 * figure:.2f}" for figure in figures]


async def many(through: Gateway, case: Case, count: int) -> None:
    """Ask so often, `TOGETHER` at a time."""
    asked, left = request(*case, through.key), iter(range(count))

    async def one(client: Client) -> None:
        for _ in left:
            await client.ask(asked)

    async with connected(*[through.port] * TOGETHER) as clients:
        await asyncio.gather(*map(one, clients))


async def timed(through: Gateway, work: Awaitable[Any]) -> tuple[float, float]:
    """The gateway's CPU seconds and the wall seconds of something."""
    before, began = through.cpu(), time.perf_counter()
    await work
    return through.cpu() - before, time.perf_counter() - began


async def streams(direct: int, through: Gateway, count: int) -> Table:
    """Long streams at a time: when the first chunk comes, and the time between two chunks."""
    messages = conversation(1_000, LONG)
    table = Table(
        f"{count} streams at a time",
        "first chunk p50, ms",
        "p99",
        "gap p50, ms",
        "gap p99",
        "gateway's CPU, µs a chunk",
    )
    for name, port, key in (("server alone", direct, ""), ("through the gateway", through.port, through.key)):
        async with connected(*[port] * count) as clients:
            asked, began = request(messages, True, key), time.perf_counter()
            spent, _ = await timed(through, asyncio.gather(*[client.ask(asked) for client in clients]))
        chunks = sum(len(client.times) for client in clients)
        assert chunks >= PIECES * count
        firsts = [client.times[0] - began for client in clients]
        gaps = [after - before for client in clients for before, after in pairwise(client.times)]
        figures = [median(firsts), quantiles(firsts, n=100)[-1], median(gaps), quantiles(gaps, n=100)[-1]]
        table.add_row(name, *[f"{1e3 * figure:.2f}" for figure in figures], f"{1e6 * spent / chunks:.1f}")
    return table


class Upstream(asyncio.Protocol):
    """The server: answers at once, by what stands in the request; nothing is parsed that need not be."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.write: Callable[[bytes], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole."""
        self.got += data
        head, _, body = bytes(self.got).partition(b"\r\n\r\n")
        if len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0):
            return
        self.got.clear()
        if LONG.encode() in body:
            self.long(PIECES)
        elif CONSULT.encode() in body and b'"role": "tool"' not in body:
            self.write(CONSULTING)
        else:
            self.write(ANSWER)

    def long(self, left: int) -> None:
        """Send the next chunk of a long stream."""
        self.write(HEAD + BEGIN if left == PIECES else b"")
        self.write(PIECE if left else STOP)
        if left:
            asyncio.get_running_loop().call_later(EVERY, self.long, left - 1)


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    """An event of a chat completion, as an HTTP chunk."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return _sent(json.dumps(body, separators=(",", ":")).encode())


def _sent(event: bytes) -> bytes:
    event = b"data: " + event + b"\n\n"
    return f"{len(event):x}\r\n".encode() + event + b"\r\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
BEGIN, PIECE = chunk(role="assistant", content=""), chunk(content="Go on ")
USAGE = _sent(b'{"choices":[],"usage":{"prompt_tokens":400,"completion_tokens":100,"total_tokens":500}}')
STOP = chunk("stop") + USAGE + _sent(b"[DONE]") + END
CALL = {"name": TOOL_NAME, "arguments": json.dumps({"query": "weapons that hurt people"})}
THOUGHT = chunk(reasoning="This may do harm; I should look the rules up before I answer.")
CALLED = chunk(tool_calls=[{"index": 0, "id": "x", "type": "function", "function": CALL}])
CONSULTING = HEAD + BEGIN + THOUGHT + CALLED + chunk("tool_calls") + USAGE + _sent(b"[DONE]") + END
ANSWER = HEAD + BEGIN + chunk(content=SENTENCE) * 4 + STOP

if __name__ == "__main__":
    main()
