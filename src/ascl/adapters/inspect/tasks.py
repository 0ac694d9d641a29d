"""Our benchmarks as tasks of Inspect, each made from its row in the table: `inspect eval ascl/xstest ..`."""

from collections.abc import Callable
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.viewer import ViewerConfig

from ascl.adapters.inspect.messages import to_inspect
from ascl.adapters.inspect.scorer import verdict
from ascl.adapters.inspect.solver import check_variant, consult, rule_book
from ascl.consult.variants import Variant
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.evals.asked import ask
from ascl.evals.benchmarks import BENCHMARKS
from ascl.evals.results import Asked
from ascl.evals.settings import EvalSettings
from ascl.models.sampling import Sampling

VERSION = 1  # of all tasks; another one where prompts, walk or scores change
MOST_FAILED = 0.5  # of the samples; a prompt whose request fails for good fails its sample, and the others go on
UNTRUSTED = ViewerConfig(trust_content=False)  # the viewer shows the texts of models and data sets as plain text


def _task(name: str) -> Callable[..., Task]:
    def benchmark(variant: Variant = "ascl", limit: int = 0, judge: str = "offline", seed: int = 0) -> Task:
        check_variant(variant)
        asked, prompts = ask(EvalSettings(suite=name, limit=limit, seed=seed))[name]
        return Task(
            dataset=MemoryDataset([sample_of(prompt) for prompt in prompts], name=asked.source),
            solver=consult(variant, seed),
            scorer=verdict(judge),
            epochs=asked.epochs,
            config=generate_config(asked.sampling),
            fail_on_error=MOST_FAILED,
            metadata=describe(name, asked, variant),
            version=VERSION,
            viewer=UNTRUSTED,
        )

    benchmark.__doc__ = f"""The benchmark {name} in a prompt variant.

    limit: that many prompts, evenly spread (0: all). judge: as for `ascl eval --judge`. seed: of the sampling.
    """
    return task(name=name)(benchmark)


def sample_of(prompt: Prompt) -> Sample:
    """A prompt as a sample; the prompt itself is in the metadata, and the solver and the scorer read it there."""
    return Sample(
        id=prompt.id,
        input=[to_inspect(message) for message in question(prompt)],
        target=prompt.answer or "",
        metadata=prompt.model_dump(mode="json"),
    )


def generate_config(sampling: Sampling) -> GenerateConfig:
    """The sampling of a benchmark. Seeds are set turn by turn, by the solver."""
    return GenerateConfig(temperature=sampling.temperature, top_p=sampling.top_p, max_tokens=sampling.max_tokens)


def describe(name: str, asked: Asked, variant: Variant) -> dict[str, Any]:
    """The metadata of a task and of its logs: the set, its licence and revision, the variant and the rule book."""
    book = rule_book()
    rules = {"source": "default", "hash": book.hash, "rules": len(book.rules)}
    return {"benchmark": name, "variant": variant, "rule_book": rules} | asked.model_dump(mode="json")


TASKS: dict[str, Callable[..., Task]] = {name: _task(name) for name in BENCHMARKS}
