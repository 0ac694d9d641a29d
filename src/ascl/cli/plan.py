"""`--plan`: what the RL of a configuration will need, before it is started; the arithmetic is in `train/plan.py`."""

from statistics import mean
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ascl.chat.clients.dtype import machine_dtype
from ascl.chat.clients.model_folder import load_config
from ascl.chat.clients.models import load_renderer
from ascl.chat.turn import ParsedCall, Turn
from ascl.config import RunConfig
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.errors import InputError
from ascl.progress import Screen
from ascl.prompts.prompt import Prompt, split_of
from ascl.prompts.sources import load_prompts, question
from ascl.rules.book import RuleBook
from ascl.train.costs import model_shape
from ascl.train.plan import Lengths, Plan, plan_step, steps_of

MEASURED_PROMPTS = 64  # their tokens are counted, spread over all


def plan_of(
    config: RunConfig,
    machine: str = "here",
    processes: int = 1,
    sharded: bool = False,
    completion_tokens: float = 0,
    consult_share: float = 0.5,
    judge_seconds: float = 0,
    judge_concurrency: int = 1,
) -> Plan:
    """The plan of one RL arm of a run. Prompt and tool tokens are counted; how much the model says is not known.

    machine: `here` (probed, about a minute) or a name of `machine.MACHINES`. completion_tokens: the mean of a model
    turn (0: half of max_tokens). Raises InputError on an unknown machine or where no prompt is left.
    """
    from ascl.train.machine import MACHINES, probe

    if machine != "here" and machine not in MACHINES:
        raise InputError(f"machine {machine}: unknown, use one of here, {', '.join(MACHINES)}")
    settings = config.rl.settings
    prompts = [p for p in load_prompts(config.prompts) if split_of(p) == "train" and p.kind in config.rl.kinds]
    if not prompts:
        raise InputError("RL: the prompt set is empty (no train prompt of the kinds named in rl.kinds)")
    lengths = lengths_of(config, prompts).model_copy(
        update={
            "completion_tokens": completion_tokens or settings.max_tokens / 2,
            "consult_share": consult_share,
            "judge_seconds": judge_seconds,
            "judge_concurrency": judge_concurrency,
        }
    )
    shape = model_shape(config.model, load_config(config.model))
    dtype = "bfloat16" if config.dtype == "auto" and machine in MACHINES else machine_dtype(config.dtype)
    found = MACHINES.get(machine) or probe(config.model, settings, lengths, config.lora, dtype)
    steps = steps_of(settings, len(prompts))
    return plan_step(shape, settings, lengths, found, config.lora, dtype, processes, sharded, steps)


def lengths_of(config: RunConfig, prompts: list[Prompt]) -> Lengths:
    """The tokens of prompts and of tool results, counted: the prompt itself is the query."""
    tool = ConsultTool(RuleBook.load(config.rules.source, config.rules.embedding_model), config.rules.top_k)
    renderer = load_renderer(config.model, config.dialect)
    asked, answered = [], []
    for prompt in prompts[:: max(1, len(prompts) // MEASURED_PROMPTS)]:
        trajectory = start(prompt.id, with_rules("ascl", question(prompt), tool))
        asked.append(len(renderer.prompt_ids(trajectory.messages, [tool.schema])))
        advance(trajectory, Turn("", "", [ParsedCall(TOOL_NAME, {"query": prompt.text})]), tool)
        answered.append(len(renderer.suffix_ids(trajectory.messages, [tool.schema])))
    return Lengths(
        prompt_tokens=mean(asked), longest_prompt=max(asked), completion_tokens=1, tool_tokens=mean(answered)
    )


def print_plan(plan: Plan) -> None:
    """Print memory and time by part, and what they come to."""
    console = Screen()
    console.print(f"{plan.model} on {plan.processes} x {plan.machine}: predicted, nothing was run")
    console.print(_parts("GiB of a process", plan.memory, "peak"))
    console.print(_parts("seconds of a step", plan.times, "step"))
    console.print(
        f"{plan.rollouts} rollouts a step, {plan.sampled_tokens:,.0f} tokens sampled, {plan.trained_tokens:,.0f} "
        f"trained on with padding; {plan.steps} steps: {plan.hours:.1f} hours"
    )
    if plan.memory_limit and plan.memory.total > plan.memory_limit:
        console.print(Text(f"It will not fit: {plan.memory.total:.1f} of {plan.memory_limit:.1f} GiB.", "bold"))


def _parts(title: str, parts: Any, total: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column("part")
    table.add_column("", justify="right")
    for name, value in parts.model_dump().items():
        if value:
            table.add_row(name.replace("_", " "), f"{value:.2f}")
    table.add_section()
    table.add_row(total, f"{parts.total:.2f}")
    return table
