"""What an evaluation costs on top of asking a server the same questions, and how much memory it takes.

    python benchmarks/evaluation.py [--prompts 20000] [--small 2000] [--concurrency 96]

The server of `benchmarks/sampling.py` answers after 200 ms, 64 requests at a time. Every prompt takes two turns. First
the bare client: the openai package in a loop, which keeps nothing. Then an evaluation: the answers are walked and
written to disk, then judged by the offline judge (rules of thumb, the only judge that costs no model) and measured.
Third, fewer of the prompts by Inspect, with our solver and scorer. Prints the ratio of walking to the bare client, what
judging adds, CPU time and the largest memory of each process. Server and client each get a core. Run it on an idle
machine; the load is printed.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.load import load_prompts
from ascl.data.prompt import Kind, Prompt
from ascl.evals.asked import ask
from ascl.evals.evaluate import Subject, plan_evaluation
from ascl.evals.evaluation import collect_answers, judge_evaluation
from ascl.evals.settings import EvalSettings
from ascl.judges.lexical.offline import OfflineJudge
from ascl.rules.book import RuleBook

LATENCY = 0.2
SERVER = Path(__file__).with_name("sampling.py")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=20_000)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=96)
    parser.add_argument("--measure", choices=list(MEASURES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        _pin(0)
        with server() as url:
            measured = MEASURES[options.measure](url, options.prompts, options.concurrency)
            print(json.dumps(measured | {"cpu": time.process_time(), "peak": _peak()}))
        return
    console = Console()
    console.print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    asked = _measured("bare", options.prompts, options.concurrency)["seconds"]
    found = {n: _measured("evaluation", n, options.concurrency) for n in (options.small, options.prompts)}
    walked, judged = (found[options.prompts][part] for part in ("walked", "judged"))
    table = Table("two-turn prompts", "bare client, s", "walking, s", "ratio", "judging, s")
    table.add_row(str(options.prompts), f"{asked:.1f}", f"{walked:.1f}", f"{walked / asked:.3f}", f"{judged:.1f}")
    console.print(table)
    table = Table("", "prompts", "seconds", "CPU ms a prompt, start and judging included", "peak resident MB")
    for prompts, one in found.items():
        _cost(table, "evaluation", prompts, one["walked"], one)
    one = _measured("inspect", options.small, options.concurrency)
    _cost(table, "Inspect", options.small, one["seconds"], one)
    console.print(table)


def _cost(table: Table, what: str, prompts: int, seconds: float, found: dict[str, float]) -> None:
    cpu = f"{1000 * found['cpu'] / prompts:.1f}"
    table.add_row(what, str(prompts), f"{seconds:.1f}", cpu, f"{found['peak']:.1f}")


def _measured(what: str, prompts: int, concurrency: int) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "--measure",
        what,
        "--prompts",
        str(prompts),
        "--concurrency",
        str(concurrency),
    ]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    result: dict[str, float] = json.loads(found.stdout.strip().splitlines()[-1])
    return result


def bare(url: str, prompts: int, concurrency: int) -> dict[str, float]:
    """Seconds for asking the same questions by the openai package alone."""
    import openai

    tool = ConsultTool(RuleBook.load())
    texts = [
        [m.for_openai() for m in with_rules("ascl", prompt.messages, tool)] for prompt in load_prompts(["starter"])
    ]

    tools: Any = [tool.schema]

    async def walk(client: openai.AsyncOpenAI, numbers: Iterator[int]) -> None:
        for i in numbers:
            messages: Any = list(texts[i % len(texts)])
            for _ in range(2):
                reply = await client.chat.completions.create(
                    model="m", messages=messages, tools=tools, temperature=0, max_tokens=512, seed=i
                )
                said: Any = reply.choices[0].message
                messages.append(said.model_dump(exclude_none=True))
                for call in said.tool_calls or []:
                    result = tool.call(call.function.name, json.loads(call.function.arguments)).text
                    messages.append({"role": "tool", "content": result, "tool_call_id": call.id})

    async def walk_all() -> None:
        numbers = iter(range(prompts))
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            await asyncio.gather(*(walk(client, numbers) for _ in range(concurrency)))

    started = time.perf_counter()
    asyncio.run(walk_all())
    return {"seconds": time.perf_counter() - started}


def evaluated(url: str, prompts: int, concurrency: int) -> dict[str, float]:
    """Seconds of walking and of judging for as many prompts, half of them harmful and half sensitive."""
    tool = ConsultTool(RuleBook.load())
    settings = EvalSettings(suite="made up", max_tokens=512, concurrency=concurrency)
    asked, subject = ask(settings, made_up(prompts)), Subject(model="m", name="benchmark", base_url=url)
    with tempfile.TemporaryDirectory() as folder:
        one = plan_evaluation(subject, "ascl", Path(folder) / "e", settings, asked, tool, judges=[OfflineJudge()])
        started = time.perf_counter()
        collect_answers(one.folder, one.evaluation, {name: of for name, (_, of) in asked.items()}, one.client, tool)
        walked = time.perf_counter()
        judge_evaluation(one.folder, one.judges)
        return {"walked": walked - started, "judged": time.perf_counter() - walked}


def by_inspect(url: str, prompts: int, concurrency: int) -> dict[str, float]:
    """Seconds for as many prompts by Inspect, with our solver and scorer."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset

    from ascl.adapters.inspect.scorer import verdict
    from ascl.adapters.inspect.solver import consult
    from ascl.adapters.inspect.tasks import sample_of

    os.environ |= {"LAB_BASE_URL": url, "LAB_API_KEY": "none"}
    data = MemoryDataset([sample_of(prompt) for prompt in made_up(prompts)])
    task = Task(dataset=data, solver=consult(), scorer=verdict("offline"))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        eval(
            task,
            model="openai-api/lab/m",
            max_connections=concurrency,
            max_samples=concurrency,
            display="none",
            log_dir=folder,
        )
        return {"seconds": time.perf_counter() - started}


MEASURES = {"bare": bare, "evaluation": evaluated, "inspect": by_inspect}


def made_up(number: int) -> list[Prompt]:
    """So many prompts, every second one harmful, the others sensitive."""
    texts, kinds = load_prompts(["starter"]), (Kind.HARMFUL, Kind.SENSITIVE)
    return [Prompt(id=f"p{i:06}", messages=texts[i % len(texts)].messages, kind=kinds[i % 2]) for i in range(number)]


@contextmanager
def server() -> Iterator[str]:
    """The server in a process of its own; its address."""
    command = [sys.executable, str(SERVER), "--serve", str(LATENCY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def _peak() -> float:
    """The most megabytes of memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # kilobytes on Linux


def _pin(core: int) -> None:
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


if __name__ == "__main__":
    main()
