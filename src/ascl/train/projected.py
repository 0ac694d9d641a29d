"""Supervised fine-tuning that holds the model's refusal direction (`losses/projection.py`): a trainer and its start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from trl import SFTTrainer

from ascl.data.load import question
from ascl.data.prompt import Prompt, harmful_and_plain
from ascl.models.activations import decoder_layers, last_token_outputs, read_outputs
from ascl.models.refusal_direction import layer_states, refusal_directions
from ascl.train.losses.projection import WARM_UP, projection_drift, projections
from ascl.train.tokens import IGNORED
from ascl.train.training import Training

_BATCH = 16  # contexts read at once before the training


@dataclass(frozen=True)
class Projection:
    """The penalty's weight, the refusal directions [L, D] of the start model, and its projections [L] by context."""

    weight: float
    directions: torch.Tensor
    reference: dict[tuple[int, ...], torch.Tensor]
    filler: int


def start_projection(
    model: Any, training: Training, encoded: Sequence[dict[str, list[int]]], prompts: Sequence[Prompt], weight: float
) -> Projection:
    """What the penalty measures from, by the model that is about to be trained.

    encoded: the training rows. prompts: harmful and plain ones. Raises InputError where one of these kinds is missing.
    """
    harmful, plain = harmful_and_plain(prompts)
    filler = training.renderer.end_ids[0]
    contexts = sorted({tuple(context(row["input_ids"], row["labels"])) for row in encoded})
    layers = _layers(model, training.model)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=training.dtype == "bfloat16"):
        states = [
            layer_states(model, training.model, training.renderer, [question(p) for p in side], _BATCH)
            for side in (harmful, plain)
        ]
        found = last_token_outputs(model, layers, contexts, filler, _BATCH)
    directions = refusal_directions(*states)
    reference = projections(torch.stack([found[name] for name in layers], dim=1), directions)
    return Projection(weight, directions, dict(zip(contexts, reference, strict=True)), filler)


def context(ids: Sequence[int], labels: Sequence[int]) -> list[int]:
    """The ids of a row before the first that carries loss: where the model begins to speak."""
    return list(ids[: next((i for i, label in enumerate(labels) if label != IGNORED), len(ids))])


def _layers(model: Any, name: str) -> dict[str, torch.nn.Module]:
    return {str(number): layer for number, layer in enumerate(decoder_layers(model, name))}


class ProjectedTrainer(SFTTrainer):
    """SFTTrainer whose loss has the penalty besides, from a pass of its own over each row's context."""

    def __init__(self, *args: Any, projection: Projection, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.projection = projection

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss and the penalty, which is a mean over the rows of a step."""
        loss = super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
        drift = self._drift(model, inputs)
        self._metrics["train"]["projection_drift"].append(drift.item())
        warming = self.state.global_step < self.args.get_warmup_steps(self.state.max_steps)
        steps = self.current_gradient_accumulation_steps if num_items_in_batch is not None else 1
        return loss + self.projection.weight * (WARM_UP if warming else 1.0) * drift / steps

    def _drift(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        held = [mask.bool() for mask in inputs["attention_mask"]]
        contexts = [
            context(ids[kept].tolist(), labels[kept].tolist())
            for ids, labels, kept in zip(inputs["input_ids"], inputs["labels"], held, strict=True)
        ]
        layers = _layers(self.accelerator.unwrap_model(model), "in training")
        found = read_outputs(model, layers, contexts, self.projection.filler)
        states = torch.stack([found[name] for name in layers], dim=1)
        reference = torch.stack([self.projection.reference[tuple(one)] for one in contexts])
        return projection_drift(states, self.projection.directions.to(states.device), reference.to(states.device))
