"""TRL's SFTTrainer with cross-entropy on harmful rows and forward KL to the frozen model on the others.

The formulas are in `losses/forward_kl.py`. Not for weights that FSDP or ZeRO-3 have split: the head is used outside of
the model's forward pass.
"""

from collections.abc import Callable
from typing import Any

import torch
from peft import PeftModel
from trl import SFTTrainer

from ascl.models.models import inside_adapters, load_model
from ascl.train.losses.forward_kl import cross_entropy_in_blocks, kl_in_blocks
from ascl.train.training import Training


class KlTrainer(SFTTrainer):
    """The loss of a step is the sum of the weighted losses of its labelled tokens over their number.

    weights: of a token of a harmful and of a benign row (`branch_weights`). Rows have a column `benign`.
    """

    def __init__(self, *, model: Any, training: Training, weights: tuple[float, float], **others: Any) -> None:
        super().__init__(model=model, **others)
        self.weights = weights
        self.student = inside_adapters(model)
        self.reference, self.reference_head = reference_of(model, training)
        plain = self.data_collator

        def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            return {**plain(rows), "benign": torch.tensor([row["benign"] for row in rows])}

        self.data_collator = collate

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns: Any = ["input_ids", "labels", "benign"]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """See the class. `return_outputs` is not used by a training."""
        read = {key: inputs[key] for key in ("input_ids", "attention_mask")}
        labels, benign = inputs["labels"][:, 1:], inputs["benign"][:, None]
        hidden = last_hidden(self.student, lambda: model(**read, use_cache=False, logits_to_keep=1))[:, :-1]
        with torch.no_grad():
            before = self.reference(read)[:, :-1]
        head = self.student.get_output_embeddings()
        learnt, kept = ((labels != -100) & branch for branch in (~benign, benign))
        entropy = cross_entropy_in_blocks(labels[learnt], hidden[learnt], head)
        kl = kl_in_blocks(before[kept], self.reference_head, hidden[kept], head)
        count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
        for name, total, tokens in (("cross_entropy", entropy, learnt.sum()), ("forward_kl", kl, kept.sum())):
            if tokens:
                self._metrics["train"][name].append((total.detach() / tokens).item())
        loss = (self.weights[0] * entropy + self.weights[1] * kl) / count
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        return loss


def reference_of(model: Any, training: Training) -> tuple[Callable[[dict[str, Any]], torch.Tensor], Any]:
    """What reads rows as the model did before the training (last hidden states, [B, T, H]), and its head.

    New adapters add nothing yet (their B is 0): the model without them is the reference, and nothing is held twice.
    """
    if isinstance(model, PeftModel) and not any(w.any() for name, w in model.named_parameters() if ".lora_B." in name):
        base = inside_adapters(model)

        def without_adapters(read: dict[str, Any]) -> torch.Tensor:
            with model.disable_adapter():
                return base.get_decoder()(**read, use_cache=False).last_hidden_state

        return without_adapters, base.get_output_embeddings()
    frozen = load_model(training.model, training.dtype, for_training=True).requires_grad_(False).eval()
    whole = inside_adapters(frozen)  # its adapters stay apart, as they were trained
    decoder = whole.get_decoder()
    return lambda read: decoder(**read, use_cache=False).last_hidden_state, whole.get_output_embeddings()


def last_hidden(model: Any, forward: Callable[[], Any]) -> torch.Tensor:
    """The last hidden states of a forward pass, which may go through wrappers around the model."""
    seen: list[torch.Tensor] = []
    hook = model.get_decoder().register_forward_hook(lambda module, given, output: seen.append(output[0]))
    try:
        forward()
    finally:
        hook.remove()
    return seen[0]
