"""How far training has moved a model's refusal direction, layer by layer (as ProCon asks, arXiv 2509.06795).

The direction of a layer is the normalised difference of the mean states of harmful and plain prompts where the answer
begins. A training that loses it, or that moves prompts along it, has changed what the model refuses.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ascl.data.load import load_prompts, question
from ascl.data.prompt import Prompt, harmful_and_plain
from ascl.errors import InputError
from ascl.inputs import read_json
from ascl.models.models import load_model, load_renderer
from ascl.models.refusal_direction import layer_states, refusal_directions

if TYPE_CHECKING:
    import torch

_FACTS = "training.json"  # in a trained model's folder


class LayerDrift(BaseModel):
    """Of one layer. cosine: of the two models' directions. harmful, plain: how far the mean projection of these prompts
    on the base model's direction has moved, as a share of the distance between the two kinds in the base model.
    """

    layer: int
    cosine: float
    harmful: float
    plain: float


def measure_drift(model: str, base: str | None, prompts: str, batch: int = 16) -> list[LayerDrift]:
    """The drift of each layer of a trained model from its base, on harmful and plain prompts of a source.

    base: what it was trained from; None for what its folder names. Raises InputError where that names none, a kind of
    prompt is missing, or the two models differ in shape.
    """
    base = base or _base_of(model)
    sides = harmful_and_plain(load_prompts([prompts]))
    before, after = (_states(name, sides, batch) for name in (base, model))
    if before[0].shape != after[0].shape:
        raise InputError(f"model {model}: its layers have another shape than those of {base}; name its base model")
    return drift_of(before, after)


def _base_of(model: str) -> str:
    path = Path(model) / _FACTS
    facts = read_json(path) if path.is_file() else {}
    base = facts.get("base model") if isinstance(facts, dict) else None
    if not isinstance(base, str):
        raise InputError(f"model {model}: its folder does not say what it was trained from; name --base")
    return base


def _states(name: str, sides: Sequence[Sequence[Prompt]], batch: int) -> list["torch.Tensor"]:
    """The states of the prompts of each side, [N, L, D]; the model is held no longer than for this."""
    renderer, model = load_renderer(name), load_model(name)
    return [layer_states(model, name, renderer, [question(prompt) for prompt in side], batch) for side in sides]


def drift_of(before: Sequence["torch.Tensor"], after: Sequence["torch.Tensor"]) -> list[LayerDrift]:
    """The drift between two models, from the states [N, L, D] of harmful and of plain prompts in each.

    cosine = r'_l . r_l        moved = (mean h'_l . r_l - mean h_l . r_l) / (mean of harmful - mean of plain in h)
    """
    r, moved_r = refusal_directions(*before), refusal_directions(*after)
    cosines = (r * moved_r).sum(dim=-1)
    (old_harmful, old_plain), (harmful, plain) = (
        [(states * r).sum(dim=-1).mean(dim=0) for states in sides] for sides in (before, after)
    )
    apart = old_harmful - old_plain
    moves: Any = zip(cosines, (harmful - old_harmful) / apart, (plain - old_plain) / apart, strict=True)
    return [
        LayerDrift(layer=layer, cosine=float(cosine), harmful=float(one), plain=float(other))
        for layer, (cosine, one, other) in enumerate(moves)
    ]
