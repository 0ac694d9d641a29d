"""The front door for Python: what the commands do, each in one call (docs/python.md).

    from ascl import evaluate, ifpo_weights, judge, rollout, run_config, search

Everything here calls the rooms below and adds nothing: whoever needs more takes the same functions from there.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ascl.chat.messages import Message, Trajectory
from ascl.chat.turn import Turn
from ascl.consult.rollout import advance, start
from ascl.consult.rollout import rollout as roll_out
from ascl.consult.tool import DEFAULT_TOP_K, ConsultTool
from ascl.consult.variants import Variant, with_rules
from ascl.data.prompt import Kind, Prompt
from ascl.evals.arms import RunResults
from ascl.evals.evaluate import Subject
from ascl.evals.results import Results
from ascl.evals.settings import EvalSettings
from ascl.evals.variants import check_variants, evaluate_variants, plan_variants
from ascl.judges.judge import judge_one
from ascl.judges.named import judge_settings
from ascl.judges.open_judge import open_judge
from ascl.judges.verdict import Verdict
from ascl.models.sampling import Client, Sampling
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule

if TYPE_CHECKING:
    import torch


def search(query: str, rules: str | Path = "default", top_k: int = DEFAULT_TOP_K) -> list[tuple[Rule, float]]:
    """The rules about a query with their similarity in (0, 1], best first. rules: `default`, a file or a folder."""
    return RuleBook.load(rules).search(query, top_k)


def rollout(
    prompt: str | Sequence[Message],
    model: str | Client = "embedded",
    base_url: str | None = None,
    rules: str | Path = "default",
    variant: Variant = "ascl",
    max_tokens: int = 512,
    temperature: float = 0.0,
) -> Trajectory:
    """One rollout: the model decides whether to look rules up, reads them, and answers.

    model: a hub id, a folder, a name on the server at `base_url`, or a client (to load a model once). max_tokens: of
    one model turn. The answer is
    `trajectory.answer`, what it looked up `trajectory.consultations`. Raises InputError where the model can't be had.
    """
    if isinstance(model, str):
        model = Subject(model=model, name=model, base_url=base_url).client(concurrency=1)
    tool = ConsultTool(RuleBook.load(rules))
    asked = [Message(role="user", content=prompt)] if isinstance(prompt, str) else list(prompt)
    trajectories = [start("prompt", with_rules(variant, asked, tool))]
    offered = tool if variant == "ascl" else None
    return roll_out(model, trajectories, offered, Sampling(temperature=temperature, max_tokens=max_tokens))[0]


def ifpo_weights(consulted: "torch.Tensor", tau: float = 0.5) -> "torch.Tensor":
    """IFPO's weight of each rollout's advantage by how rare its mode is (arXiv 2602.13562).

    consulted: bool [groups, G]. Returns float32 [groups, G]; see `Ifpo.weights` for the formula and its limits.
    """
    from ascl.train.advantages.ifpo import Ifpo

    return Ifpo(tau=tau).weights(consulted)


def judge(
    prompt: str, answer: str, kind: str = "harmful", by: str = "offline", rules: str | Path = "default"
) -> Verdict:
    """The verdict on one answer. kind: harmful, sensitive or plain. by: as `--judge` names it. Raises InputError."""
    asked = Prompt(id="prompt", messages=[Message(role="user", content=prompt)], kind=Kind(kind))
    walked = start(asked.id, asked.messages)
    advance(walked, Turn(answer), None)
    with TemporaryDirectory() as folder:
        opened = open_judge(judge_settings(by), RuleBook.load(rules), Path(folder) / "judge_replies.jsonl")
        return judge_one(opened, asked, walked)


def evaluate(
    model: str,
    suite: str = "starter",
    out: str | Path | None = None,
    variant: Variant = "ascl",
    judges: Sequence[str] = ("offline",),
    base_url: str | None = None,
    rules: str = "default",
    **settings: Any,
) -> Results:
    """Measure a model on a suite and return the figures; the folder is what `ascl eval` leaves, and resumes.

    settings: other fields of `EvalSettings` (limit, epochs, greedy, max_tokens, seed, ..). Raises InputError.
    """
    named = [judge_settings(one) for one in judges]
    asked = EvalSettings(suite=suite, variants=[variant], judges=named, **settings)
    subject = Subject(model=model, name="", base_url=base_url, seed=asked.seed)
    planned = plan_variants(subject, asked, Path(out) if out is not None else None, rules)
    check_variants(planned)
    return evaluate_variants(planned)[variant]


def run_config(config: str | Path, out: str | Path | None = None, **changes: Any) -> RunResults:
    """Carry a run through: a YAML file, or a shipped configuration by its name. Returns what it came to.

    changes: keys of the configuration, e.g. seeds=[0, 1]. Run it again to resume. Raises InputError.
    """
    from ascl.run.config import RunConfig, find_config, load_config
    from ascl.run.run import run

    path = find_config(str(config))
    settings = load_config(path)
    if changes:
        settings = RunConfig.model_validate(settings.model_dump(by_alias=True) | changes)
    return run(settings, Path(out) if out is not None else Path("runs") / path.stem)
