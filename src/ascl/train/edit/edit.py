"""The iterations of an edit: replies, verdicts, directions, new weights; and the best of all states as a model.

What an iteration changes is kept as two vectors a projection, so a state is the start model with the edits up to it,
applied again in order: a killed edit goes on after its last finished iteration, to the same bits.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save

from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.files import write_json, written
from ascl.judges.judge import Judge
from ascl.models.activations import answer_contexts, decoder_layers, last_token_outputs
from ascl.models.models import load_model
from ascl.progress import progress_bar
from ascl.provenance import changes
from ascl.saved import read_saved
from ascl.train.checkpoints import digest
from ascl.train.edit.alignment import Edit, Labelled, aligned, plan_edits
from ascl.train.edit.labels import Sides, answered, f1, split_sides
from ascl.train.edit.settings import EditSettings
from ascl.train.edit.sublayers import sublayers
from ascl.train.portable import write_facts
from ascl.train.training import LOG, Training

_BROKEN = 0.1  # the F1 below which a model that had twice as much is given up, as the paper's code does


class State(BaseModel):
    """What was measured of the model before an iteration's edits, on the held-out prompts, and how many edits came.

    share: its place among the shares. unread: prompts on whose reply the judge says nothing, of all that were asked.
    """

    model_config = ConfigDict(extra="forbid")

    share: int
    iteration: int
    f1: float
    harmful_answered: float
    benign_answered: float
    unread: int
    edited: int


def run_edit(training: Training, prompts: Sequence[Prompt], judge: Judge, settings: EditSettings) -> None:
    """Edit a model by LLM-VA (see the package) and leave a loadable folder at `training.out`, adapters merged.

    A run that was killed goes on after the last finished iteration in `training.work`. Raises InputError where there
    are too few prompts, the judge tells no refusal, the model has no projections that can be edited, or the work is of
    another run.
    """
    sides = split_sides(prompts, settings.prompts, training.seed)
    facts = training.facts() | {
        "prompts": digest([prompt.model_dump(mode="json") for prompt in prompts]),
        "judge": judge.name,
        "settings": settings.model_dump(mode="json", include=set(EditSettings.model_fields)),
    }
    path = training.work / "run.json"
    if path.exists() and (changed := changes(read_saved(path, dict[str, Any]), facts)):
        raise InputError(f"{training.work}: an unfinished edit with another {', '.join(changed)}; remove it first")
    write_json(path, facts)
    walk = _Walk(training, sides, judge, settings)
    states: list[State] = []
    with progress_bar(training.out.name, len(settings.shares) * (settings.iterations + 1)) as report:
        for share in range(len(settings.shares)):
            for state in walk.states(share):
                states.append(state)
                report(share * (settings.iterations + 1) + state.iteration + 1)
    best = max(states, key=lambda state: state.f1)  # the earliest of those
    model = load_model(training.model, training.dtype)
    for iteration in range(best.iteration):
        walk.apply(model, best.share, iteration)
    about = {"method": "edit", "data": f"{len(prompts)} prompts", "best": best.model_dump(mode="json"), "tools": []}
    _finish(model, training, states, facts | about)


def _finish(model: Any, training: Training, states: Sequence[State], facts: Mapping[str, Any]) -> None:
    """Write the final folder, its facts last (they say that it is whole), and drop the work."""
    renderer, out = training.renderer, training.out
    shutil.rmtree(out, ignore_errors=True)
    model.save_pretrained(out)
    renderer.tokenizer.chat_template = renderer.dialect.template
    renderer.tokenizer.save_pretrained(out)
    write_json(out / LOG, [{"step": step, **state.model_dump()} for step, state in enumerate(states)])
    write_facts(out, training, facts)
    shutil.rmtree(training.work)


@dataclass(frozen=True)
class _Walk:
    """The states that a model goes through, each with a record in the work folder."""

    training: Training
    sides: Sides
    judge: Judge
    settings: EditSettings

    def _record(self, share: int, iteration: int) -> Path:
        return self.training.work / f"share-{share}-iteration-{iteration}.json"

    def apply(self, model: Any, share: int, iteration: int) -> None:
        """Change the weights by the edits of an iteration."""
        held = load_file(self._record(share, iteration).with_suffix(".safetensors"))
        projections = sublayers(model, self.training.model)
        with torch.no_grad():
            for name in sorted({key.partition(" ")[2] for key in held}):
                edit = Edit(held[f"answered {name}"], held[f"change {name}"])
                for tensor in (projections[name].weight, projections[name].bias):
                    if tensor is not None:
                        tensor.copy_(aligned(tensor, edit))

    def states(self, share: int) -> Iterator[State]:
        """Every state with this share, from the start model on; what is recorded is not measured again."""
        model, first = None, 0.0
        for iteration in range(self.settings.iterations + 1):
            record = self._record(share, iteration)
            if not record.exists():
                if model is None:
                    model = load_model(self.training.model, self.training.dtype)
                    for before in range(iteration):
                        self.apply(model, share, before)
                self._measure(model, share, iteration, first)
            state = read_saved(record, State)
            yield state
            if not state.edited:
                return
            first = state.f1 if iteration == 0 else first
            if model is not None:
                self.apply(model, share, iteration)

    def _measure(self, model: Any, share: int, iteration: int, first: float) -> None:
        """Measure a state and plan the edits that lead to the next; the record, written last, says that both are done.

        first: the F1 of the start model.
        """
        training, settings = self.training, self.settings
        prompts = self.sides.drawn(settings.prompts, training.seed, iteration) + self.sides.held_out
        said = answered(model, training.renderer, prompts, self.judge, settings)
        benign = [prompt.kind is not Kind.HARMFUL for prompt in prompts]
        tested = [*zip(benign, said, strict=True)][-len(self.sides.held_out) :]
        found = f1(tested)
        broken = found < _BROKEN and found < first / 2
        edits = {} if broken or iteration == settings.iterations else self._edits(model, prompts, benign, said, share)
        record = self._record(share, iteration)
        parts = {f"{part} {name}": vector for name, edit in edits.items() for part, vector in edit._asdict().items()}
        with written(record.with_suffix(".safetensors")) as file:
            file.write(save(parts))
        state = State(
            share=share,
            iteration=iteration,
            f1=found,
            harmful_answered=fmean(answer is True for good, answer in tested if not good),
            benign_answered=fmean(answer is True for good, answer in tested if good),
            unread=said.count(None),
            edited=len(edits),
        )
        write_json(record, state.model_dump())

    def _edits(
        self, model: Any, prompts: Sequence[Prompt], benign: Sequence[bool], said: Sequence[bool | None], share: int
    ) -> dict[str, Edit]:
        """The edits of an iteration; none where no direction can be found."""
        training = self.training
        first_held_out = len(prompts) - len(self.sides.held_out)
        read = [i for i, one in enumerate(said) if one is not None]
        labels = Labelled(
            benign=torch.tensor([benign[i] for i in read], dtype=torch.bool),
            answered=torch.tensor([said[i] is True for i in read], dtype=torch.bool),
            held_out=torch.tensor([i >= first_held_out for i in read], dtype=torch.bool),
        )
        classes = [label[~labels.held_out].unique().numel() for label in (labels.benign, labels.answered)]
        if classes != [2, 2] or not labels.held_out.any():
            return {}
        modules: dict[str, torch.nn.Module] = {**sublayers(model, training.model)}
        modules["residual"] = decoder_layers(model, training.model)[-1]
        ids = answer_contexts([question(prompts[i]) for i in read], training.renderer)
        outputs = last_token_outputs(model, modules, ids, training.renderer.end_ids[0], self.settings.batch)
        if not all(bool(found.isfinite().all()) for found in outputs.values()):
            return {}
        residual = outputs.pop("residual")
        return plan_edits(outputs, residual, labels, self.settings.shares[share])
