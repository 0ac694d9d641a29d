"""The model API `ascl/PATH_OR_ID`: our own in-process client under Inspect, with the template and ids of training.

A turn that calls a tool leaves its token ids here, under the id of the message it became; where that message comes back
with the tool's results, sampling goes on after these very ids. Any other conversation is rendered again.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    StopReason,
    modelapi,
)
from inspect_ai.tool import ToolCall, ToolChoice, ToolInfo

from ascl.adapters.inspect.gather import Gathered
from ascl.adapters.inspect.messages import from_inspect, kept, output_content, schema_of
from ascl.chat.messages import Trajectory
from ascl.chat.turn import Turn
from ascl.consult.rollout import start
from ascl.errors import InputError
from ascl.models.sampling import Sampling

if TYPE_CHECKING:
    from ascl.models.in_process import InProcessClient

BATCH = 32  # prompts sampled together where --max-connections does not say
PAUSE = 0.25  # seconds; a batch takes many, and prompts that have just been judged are about to be followed by others
MOST_OPEN = 4096  # turns whose ids are kept; a walk that Inspect has ended leaves its turn behind


@dataclass(frozen=True, eq=False)
class Call:
    """One awaited turn."""

    trajectory: Trajectory
    tools: list[dict[str, Any]]
    sampling: Sampling


class AsclModel(ModelAPI):
    """`embedded`, a hub id or a folder, loaded when it is first asked.

    dialect: found from the tokenizer unless named. dtype: as in `models/dtype.py`. Of the configuration it keeps
    temperature, top_p, max_tokens and seed. Calls that wait are sampled as one batch, in a thread; with a temperature
    above 0 the outcome depends on which calls met, and the first one's seed counts.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (Inspect's own signature)
        dialect: str | None = None,
        dtype: str = "auto",
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        self.dialect, self.dtype = dialect, dtype
        self._batch = config.max_connections or BATCH
        self._sample: Gathered[Call, Turn] = Gathered(self._complete, self._batch, PAUSE)
        self._open: OrderedDict[str, Trajectory] = OrderedDict()

    @cached_property
    def client(self) -> "InProcessClient":
        """The model and its renderer. Raises InputError where there is no such model."""
        from ascl.models.in_process import InProcessClient
        from ascl.models.models import load_model, load_renderer

        return InProcessClient(load_model(self.model_name, self.dtype), load_renderer(self.model_name, self.dialect))

    def max_connections(self) -> int:
        """As many calls as fit in a batch."""
        return self._batch

    def force_reasoning_history(self) -> Any:
        """All thoughts are kept: the ids of earlier turns hold them."""
        return "all"

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """The model's next turn."""
        if self.base_url:
            raise InputError(f"ascl/{self.model_name} runs in this process; for {self.base_url} use openai-api/..")
        asked = {name: getattr(config, name) for name in ("temperature", "top_p", "max_tokens", "seed")}
        sampling = Sampling(**{name: value for name, value in asked.items() if value is not None})
        trajectory = self._continued(input)
        turn = await self._sample(Call(trajectory, list(map(schema_of, tools)), sampling))
        return self._output(trajectory, turn)

    def _continued(self, input: list[ChatMessage]) -> Trajectory:
        """The conversation as a trajectory; it holds the ids sampled so far where its last turn is one of ours."""
        last = max((i for i, message in enumerate(input) if message.role == "assistant"), default=-1)
        answered = last >= 0 and last + 1 < len(input) and all(m.role == "tool" for m in input[last + 1 :])
        before = self._open.pop(input[last].id or "", None) if answered else None
        trajectory = start("", list(map(from_inspect, input)))
        if before is not None:
            trajectory.prompt_ids = before.prompt_ids
            trajectory.completion_ids, trajectory.completion_mask = before.completion_ids, before.completion_mask
        return trajectory

    def _complete(self, calls: Sequence[Call]) -> list[Turn]:
        """The turns of a batch, those of one sampling and one set of tools together."""
        groups: dict[str, list[int]] = {}
        for place, call in enumerate(calls):
            key = json.dumps([call.tools, call.sampling.model_dump(exclude={"seed"})])
            groups.setdefault(key, []).append(place)
        turns: dict[int, Turn] = {}
        for places in groups.values():
            first = calls[places[0]]
            walked = [calls[place].trajectory for place in places]
            turns |= zip(places, self.client.complete(walked, first.tools, first.sampling), strict=True)
        return [turns[place] for place in range(len(calls))]

    def _output(self, trajectory: Trajectory, turn: Turn) -> ModelOutput:
        message = ChatMessageAssistant(content=output_content(turn), model=self.model_name, source="generate")
        if turn.calls:
            message.tool_calls = [
                ToolCall(id=f"{message.id}_{i}", function=call.name, arguments=call.arguments)
                for i, call in enumerate(turn.calls)
            ]
            self._open[str(message.id)] = trajectory
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        read = len(trajectory.prompt_ids) + len(trajectory.completion_ids) - turn.tokens
        ended: StopReason = "tool_calls" if turn.calls else "stop"
        return ModelOutput(
            model=self.model_name,
            choices=[ChatCompletionChoice(message=message, stop_reason=ended if turn.ended else "max_tokens")],
            usage=ModelUsage(input_tokens=read, output_tokens=turn.tokens, total_tokens=read + turn.tokens),
            metadata=kept(turn),
        )


ascl = modelapi(name="ascl")(AsclModel)
