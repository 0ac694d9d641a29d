"""One prompt's walk under Inspect: the messages, the loop and the tool of training, with Inspect's model."""

from functools import cache
from typing import Any, get_args

import anyio
from inspect_ai.model import ChatMessage, GenerateConfig, ModelOutput, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolInfo

from ascl.adapters.inspect.messages import read_output, to_inspect, tool_info
from ascl.chat.messages import Trajectory
from ascl.chat.turn import Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import VARIANTS, Variant, with_rules
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.errors import InputError
from ascl.evals.collect import epoch_id
from ascl.models.retry import RequestFailed, pause
from ascl.rules.book import RuleBook
from ascl.sampling.job import seed_of

ATTEMPTS = 4  # requests for a turn that the server breaks off
BACKOFF = 0.5  # seconds before the second of them, doubling after
TRAJECTORY = "trajectory"  # the trajectory's place in a sample's store


@solver
def consult(variant: Variant = "ascl", seed: int = 0) -> Solver:
    """Walk a prompt in a variant until the model has answered; the trajectory lands in the sample's store.

    The tool is offered in the `ascl` variant only. Turn t of a prompt samples with its own seed (`seed_of`) + t, as on
    a server under `ascl eval`.
    """
    check_variant(variant)
    tool = ConsultTool(rule_book())
    offered = tool if variant == "ascl" else None
    tools = [tool_info(tool.schema)] if offered else []

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        prompt = prompt_of(state.metadata)
        shown = with_rules(variant, question(prompt), tool.under(prompt.book))
        trajectory = start(epoch_id(prompt.id, state.epoch - 1), shown, book=prompt.book)
        sent: list[ChatMessage] = [to_inspect(message) for message in trajectory.messages]
        turn_seed, going = seed_of(seed, trajectory.prompt_id), True
        try:
            while going:
                output, turn = await _asked(sent, tools, GenerateConfig(seed=turn_seed))
                known = len(trajectory.messages)
                going = advance(trajectory, turn, offered)
                spoken, *results = trajectory.messages[known:]
                sent += [to_inspect(spoken, output), *map(to_inspect, results)]
                state.messages, state.output = sent, output
                turn_seed += 1
        finally:  # a limit of Inspect may end the walk: what there is then is no answer
            state.store.set(TRAJECTORY, trajectory.model_dump(mode="json"))
        return state

    return solve


async def _asked(sent: list[ChatMessage], tools: list[ToolInfo], config: GenerateConfig) -> tuple[ModelOutput, Turn]:
    """The model's next turn, asked for again where it was broken off. Raises RequestFailed, which fails the sample."""
    for attempt in range(1, ATTEMPTS + 1):
        output = await get_model().generate(sent, tools=tools, config=config)
        try:
            return output, read_output(output)
        except RequestFailed:
            if attempt == ATTEMPTS:
                raise
        await anyio.sleep(pause(attempt, BACKOFF))
    raise AssertionError("ATTEMPTS is at least 1")


@cache
def rule_book() -> RuleBook:
    """Our own rules, read once."""
    return RuleBook.load()


def check_variant(variant: str) -> None:
    """Raises InputError where there is no such variant."""
    if variant not in get_args(Variant):
        raise InputError(f"variant {variant}: use one of {', '.join(VARIANTS)}")


def prompt_of(metadata: dict[str, Any]) -> Prompt:
    """The prompt in a sample's metadata. Raises InputError."""
    try:
        return Prompt.model_validate({name: metadata[name] for name in Prompt.model_fields if name in metadata})
    except ValueError as error:
        raise InputError("this sample holds no ascl prompt; only samples of ascl's own tasks can be used") from error


def trajectory_of(store: dict[str, Any]) -> Trajectory:
    """The trajectory in a sample's store. Raises InputError."""
    try:
        return Trajectory.model_validate(store[TRAJECTORY])
    except (KeyError, ValueError) as error:
        raise InputError("this sample holds no trajectory; only ascl's own solver leaves one") from error
