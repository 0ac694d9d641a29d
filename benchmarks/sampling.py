"""How close sampling from a server comes to what the server can give, and how much memory it takes.

    python benchmarks/sampling.py [--prompts 6400] [--concurrency 96] [--small 1000] [--large 50000]

A server in a process of its own answers after 200 ms, 64 requests at a time; what comes on top waits. Every prompt
takes two turns: a call of the consult tool, then an answer. Prints trajectories per second, the ideal (64 slots / 0.4 s
= 160 per second) and their ratio; then, without latency, the largest memory of the process up to the end of a run over
few prompts, and of one over many. Server and client each get a core of their own. Run it on an idle machine; the load
is printed.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.load import load_prompts
from ascl.models.openai_server import OpenAIClient
from ascl.models.sampling import Sampling
from ascl.rules.book import RuleBook
from ascl.sampling.to_file import Job, sample_to

SLOTS, LATENCY = 64, 0.2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=6400)
    parser.add_argument("--concurrency", type=int, default=96)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--large", type=int, default=50_000)
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        asyncio.run(serve(options.serve))
        return
    _pin(0)
    tool = ConsultTool(RuleBook.load())
    console = Console()
    console.print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    ideal = SLOTS / (2 * LATENCY)
    sample(tool, 64, options.concurrency, LATENCY)  # imports and first connections
    seconds, busy = sample(tool, options.prompts, options.concurrency, LATENCY)
    rate = options.prompts / seconds
    table = Table("trajectories", "seconds", "per second", "ideal", "ratio", "client CPU ms per request")
    cost = f"{1000 * busy / (2 * options.prompts):.2f}"
    table.add_row(str(options.prompts), f"{seconds:.1f}", f"{rate:.1f}", f"{ideal:.0f}", f"{rate / ideal:.3f}", cost)
    console.print(table)
    table = Table("prompts without latency", "seconds", "per second", "peak resident MB")
    for prompts in filter(None, (options.small, options.large)):
        seconds, _ = sample(tool, prompts, options.concurrency, 0.0)
        table.add_row(str(prompts), f"{seconds:.1f}", f"{prompts / seconds:.1f}", f"{_peak():.1f}")
    console.print(table)


def sample(tool: ConsultTool, prompts: int, concurrency: int, latency: float) -> tuple[float, float]:
    """Seconds on the clock and of this process's CPU time for sampling that many two-turn prompts to a file."""
    texts = [with_rules("ascl", prompt.messages, tool) for prompt in load_prompts(["starter"])]

    def jobs() -> Iterator[Job]:
        for i in range(prompts):
            yield Job(f"p{i:06}", texts[i % len(texts)])

    command = [sys.executable, __file__, "--serve", str(latency)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            client = OpenAIClient("m", f"http://127.0.0.1:{int(server.stdout.readline())}/v1", concurrency)
            path = Path(folder) / "rows.jsonl"
            started, busy = time.perf_counter(), time.process_time()
            sample_to(path, client, jobs(), tool, Sampling())
            spent = time.perf_counter() - started, time.process_time() - busy
            with path.open("rb") as file:
                assert sum(1 for _ in file) == prompts
        finally:
            server.kill()
    return spent


def _peak() -> float:
    """The most megabytes of memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # kilobytes on Linux


def _pin(core: int) -> None:
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


async def serve(latency: float) -> None:
    """The server: prints its port, then answers until it is killed. Nothing is parsed that need not be."""
    _pin(1)
    slots = asyncio.Semaphore(SLOTS)
    call = {"name": TOOL_NAME, "arguments": json.dumps({"query": "weapons that hurt people"})}
    consult = {
        "role": "assistant",
        "content": "",
        "reasoning_content": "This may do harm; I should look the rules up before I answer. " * 4,
        "tool_calls": [{"id": "x", "type": "function", "function": call}],
    }
    thought = "The rules do not forbid this. " * 8
    answer = {"role": "assistant", "content": "Take the second street on the left. " * 20, "reasoning_content": thought}
    first, second = _response(consult), _response(answer)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                async with slots:
                    await asyncio.sleep(latency)
                writer.write(second if b'"role": "tool"' in body else first)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _response(message: Any) -> bytes:
    usage = {"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    made = {"id": "r", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    body = json.dumps(made).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


if __name__ == "__main__":
    main()
