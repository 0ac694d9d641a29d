"""On-policy self-distillation: a model with the rules in its prompt teaches itself without them (OPSA).

After arXiv 2605.15239: the student, asked the prompt alone, samples a reply; the teacher, the model that the training
goes on from, reads the same reply after a prompt that holds a safety context; the loss is the mean over the reply's
tokens of `losses/symmetric_kl.py`. Nothing but the teacher's context makes the two differ, so the policy goes into the
weights. One reply for each prompt, temperature 1.

Deviations: the paper picks one context for all prompts, by how often it turns the teacher's replies; here each prompt
gets the top rules of the book for it (the form `rag`), so the policy is the rule book's. The mean is over the tokens of
a micro-batch. The paper's proportion of harmful prompts is not known; half of them are. In one process only.
"""

import os
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments

from ascl.consult.rollout import start
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import Variant, with_rules
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.errors import InputError
from ascl.models.in_process import InProcessClient
from ascl.models.models import inside_adapters
from ascl.models.sampling import Sampling
from ascl.train.checkpoints import (
    accumulation,
    callbacks,
    digest,
    finish,
    last_checkpoint,
    same_run,
    train,
    trainable_model,
    trainer_arguments,
)
from ascl.train.kl_sft import last_hidden, reference_of
from ascl.train.losses.forward_kl import kl_in_blocks
from ascl.train.losses.symmetric_kl import symmetric_kl
from ascl.train.prompt_order import prompt_order
from ascl.train.settings import DistillSettings
from ascl.train.training import Training


class DistillTrainer(Trainer):
    """Samples the replies to a micro-batch of prompts, and lets the teacher read them.

    prompts: in their order. taught: the teacher's prompt ids for each. Sampling seeds depend on the place of a prompt
    in the order only, so a resumed run samples what an uninterrupted one would have.
    """

    def __init__(
        self,
        *,
        model: Any,
        training: Training,
        prompts: list[Prompt],
        taught: list[list[int]],
        settings: DistillSettings,
        **others: Any,
    ) -> None:
        super().__init__(model=model, **others)
        self.training, self.prompts, self.taught, self.settings = training, prompts, taught, settings
        self.student = inside_adapters(model)
        self.reference, self.reference_head = reference_of(model, training)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean of `symmetric_kl` over the tokens of the replies. `return_outputs` is not used by a training."""
        places = inputs["place"].tolist()
        sampling = Sampling(
            temperature=self.settings.temperature,
            max_tokens=self.settings.max_tokens,
            seed=(self.training.seed * 1_000_003 + places[0]) % 2**31,
        )
        replies = [start("", question(self.prompts[place])) for place in places]
        InProcessClient(self.accelerator.unwrap_model(model), self.training.renderer).complete(replies, [], sampling)
        said = [reply.completion_ids for reply in replies]
        with torch.no_grad():
            before = _states(self.reference, [self.taught[place] for place in places], said, model.device)
        now = _states(lambda read: self._read(model, read), [one.prompt_ids for one in replies], said, model.device)
        head = self.student.get_output_embeddings()
        return kl_in_blocks(before, self.reference_head, now, head, symmetric_kl) / max(1, len(now))

    def _read(self, model: Any, read: dict[str, Any]) -> torch.Tensor:
        return last_hidden(self.student, lambda: model(**read, use_cache=False, logits_to_keep=1))


def _states(
    hidden: Callable[[dict[str, Any]], torch.Tensor], prompts: list[list[int]], replies: list[list[int]], device: Any
) -> torch.Tensor:
    """The states that each token of the replies is predicted from, [tokens of all replies, H]."""
    rows = [[*prompt, *reply] for prompt, reply in zip(prompts, replies, strict=True)]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
    states = hidden({"input_ids": ids, "attention_mask": mask})
    return torch.cat([states[i, len(prompt) - 1 : len(rows[i]) - 1] for i, prompt in enumerate(prompts)])


def run_distill(
    training: Training, prompts: list[Prompt], tool: ConsultTool, settings: DistillSettings, teacher: Variant = "rag"
) -> None:
    """Train a model on its own replies to `prompts` and leave a loadable folder at `training.out`.

    teacher: how its prompt holds the rules. A killed run goes on, as in `run_sft`. Raises InputError where there is no
    prompt, and where the checkpoints are of another run.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("distill: it trains in one process, not in several")
    if not prompts:
        raise InputError("distill: there is no prompt to train on")
    micro_batch_size = min(settings.micro_batch_size, settings.prompts_per_step)
    order = [prompts[i] for i in prompt_order([prompt.kind for prompt in prompts], settings, training.seed)]
    shown = [with_rules(teacher, question(prompt), tool.under(prompt.book)) for prompt in order]
    facts = {
        "prompts": digest([message.for_template() for messages in shown for message in messages]),
        "rule book": tool.book.hash,
        "settings": settings.model_dump(mode="json", include=set(DistillSettings.model_fields)),
    }
    same_run(training.work, training.facts() | facts)
    arguments = TrainingArguments(
        **trainer_arguments(settings, training.work, training.seed, training.dtype),
        train_sampling_strategy="sequential",
        per_device_train_batch_size=micro_batch_size,
        gradient_accumulation_steps=accumulation(settings.prompts_per_step, micro_batch_size),
        remove_unused_columns=False,
    )
    trainer = DistillTrainer(
        model=trainable_model(training),
        training=training,
        prompts=order,
        taught=[training.renderer.prompt_ids(messages, []) for messages in shown],
        settings=settings,
        args=arguments,
        train_dataset=Dataset.from_dict({"place": list(range(len(order)))}),
        processing_class=training.renderer.tokenizer,
        data_collator=lambda rows: {"place": torch.tensor([row["place"] for row in rows])},
        callbacks=callbacks(training.out.name),
    )
    train(trainer, last_checkpoint(training.work))
    finish(trainer, training, {"method": "distill", "data": f"{len(prompts)} prompts", "tools": []})
