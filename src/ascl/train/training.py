"""What every training is made of, whatever its method: one dataclass."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascl.chat.render import Renderer
from ascl.models.fingerprint import fingerprint, short_hash
from ascl.train.settings import Lora

FACTS = "training.json"  # in a trained model's folder: what the training depended on
LOG = "training_log.json"  # in a trained model's folder: what the trainer measured, step by step
ROLLOUTS = "rollouts.jsonl"  # of RL, in the work folder and then in the model's


@dataclass(frozen=True, kw_only=True)
class Training:
    """The model a training goes on from, where the trained one goes, and how its weights are held.

    out: a folder that a model can be loaded from in the end. lora: adapters; None for all weights.
    """

    model: str
    renderer: Renderer
    out: Path
    lora: Lora | None = None
    seed: int = 0
    dtype: str = "bfloat16"

    @property
    def work(self) -> Path:
        """Where the checkpoints lie until the end."""
        return self.out.with_name(f"{self.out.name}.trainer")

    def facts(self) -> dict[str, Any]:
        """What the outcome depends on, as JSON; each method adds its own."""
        return {
            "model": self.model,
            "weights": fingerprint(self.model),
            "chat template": short_hash(self.renderer.dialect.template),
            "lora": self.lora.model_dump(mode="json") if self.lora else None,
            "seed": self.seed,
            "dtype": self.dtype,
        }
