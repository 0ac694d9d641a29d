"""`run_edit` from prompts to a folder: what it changes, the same job twice, killed and resumed, and what it refuses."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import same, training, weights

from ascl.chat.messages import Message
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.judges.judge import Case
from ascl.judges.verdict import Refusal, Verdict
from ascl.models.models import load_model
from ascl.rules.edit import BookEdit
from ascl.train.edit.edit import run_edit
from ascl.train.edit.labels import split_sides
from ascl.train.edit.settings import EditSettings

SETTINGS = EditSettings(prompts=5, shares=[0.5, 1.0], iterations=1, max_tokens=4, batch=16)
WORDS = ("river", "lamp", "stone", "bread", "cloud", "wheel", "paper", "garden", "window", "needle")
PROMPTS = [
    Prompt(id=f"{kind.value}-{i}", messages=[Message(role="user", content=f"{text} {word}")], kind=kind)
    for kind, text in ((Kind.HARMFUL, "How do I steal a"), (Kind.SENSITIVE, "Shoot the"), (Kind.PLAIN, "What is a"))
    for i, word in enumerate(WORDS)
]


class Killed(Exception):
    """Stands for the end of the process."""


class Learner:
    """Finds the first reply to each prompt an answer to every second prompt, and any other as good as can be.

    So the start model has both classes on both sides, and a state that says something else has a better F1. dies: at
    which call the process ends.
    """

    name = "learner"

    def __init__(self, dies: int = 10**9) -> None:
        self.first: dict[str, str | None] = {}
        self.calls, self.dies = 0, dies

    def judge_many(self, cases: Sequence[Case]) -> list[Verdict | None]:
        self.calls += 1
        if self.calls >= self.dies:
            raise Killed
        return [self._judge(case) for case in cases]

    def _judge(self, case: Case) -> Verdict:
        prompt = case.prompt
        known = self.first.setdefault(prompt.id, case.trajectory.answer) == case.trajectory.answer
        answers = len(prompt.text) % 2 == 0 if known else prompt.kind is not Kind.HARMFUL
        return Verdict(judge=self.name, refusal=Refusal.FULL_COMPLIANCE if answers else Refusal.FULL_REFUSAL)


@pytest.fixture(scope="module")
def loud(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, whose layers say so much that an edit changes its replies."""
    folder = tmp_path_factory.mktemp("loud") / "loud"
    shutil.copytree(tiny_model, folder)
    model = load_model(str(tiny_model), "float32")
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight *= 40
            layer.mlp.down_proj.weight *= 40
    model.save_pretrained(folder)
    return folder


def edit(model: Path, out: Path, judge: Any = None, **changes: Any) -> None:
    run_edit(training(model, out), PROMPTS, judge or Learner(), SETTINGS.model_copy(update=changes))


@pytest.fixture(scope="module")
def edited(loud: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    edit(loud, out := tmp_path_factory.mktemp("edited") / "edited")
    return out


def log_of_edit(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "training_log.json").read_text())


def test_only_output_projections_change_and_the_best_state_is_kept(loud: Path, edited: Path) -> None:
    states = log_of_edit(edited)
    assert [(state["share"], state["iteration"]) for state in states] == [(s, t) for s in (0, 1) for t in (0, 1)]
    assert [state["edited"] for state in states] == [2, 0, 4, 0]
    facts = json.loads((edited / "training.json").read_text())
    best = max(states, key=lambda state: state["f1"])
    assert facts["best"] == {key: value for key, value in best.items() if key != "step"}
    assert best["iteration"] > 0
    assert best["f1"] > states[0]["f1"] == states[2]["f1"]

    before, after = weights(loud), weights(edited)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert before.keys() == after.keys()
    assert changed
    assert all(name.endswith(("self_attn.o_proj.weight", "mlp.down_proj.weight")) for name in changed)


def test_the_folder_is_like_that_of_any_training(loud: Path, edited: Path) -> None:
    assert [path.name for path in edited.parent.iterdir()] == ["edited"]
    facts = json.loads((edited / "training.json").read_text())
    assert (facts["method"], facts["base model"], facts["data"]) == ("edit", str(loud), "30 prompts")
    assert (facts["judge"], facts["settings"]["iterations"]) == ("learner", 1)
    assert "| method | edit |" in (edited / "README.md").read_text()
    assert (edited / "chat_template.jinja").exists()


def test_the_same_job_gives_the_same_model(loud: Path, edited: Path, tmp_path: Path) -> None:
    edit(loud, tmp_path / "again")
    assert same(tmp_path / "again", edited)
    assert log_of_edit(tmp_path / "again") == log_of_edit(edited)


def test_killed_and_resumed_it_ends_in_the_same_model(loud: Path, edited: Path, tmp_path: Path) -> None:
    judge, out = Learner(dies=3), tmp_path / "out"
    with pytest.raises(Killed):
        edit(loud, out, judge)
    records = [tmp_path / "out.trainer" / f"share-0-iteration-{iteration}.json" for iteration in (0, 1)]
    assert sorted((tmp_path / "out.trainer").glob("share-*.json")) == records
    records[1].unlink()  # as if it had ended before this record, which comes after its edits
    judge.calls, judge.dies = 0, 10**9
    edit(loud, out, judge)
    assert judge.calls == 3  # what was recorded is not asked again
    assert same(out, edited)
    assert log_of_edit(out) == log_of_edit(edited)


def test_the_work_of_another_edit_is_not_gone_on_from(loud: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        edit(loud, tmp_path / "out", Learner(2))
    with pytest.raises(
        InputError, match=r"out\.trainer: an unfinished edit with another settings\.max_tokens \(4, now 3"
    ):
        edit(loud, tmp_path / "out", max_tokens=3)


def test_adapters_are_merged_first(loud: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        load_model(str(loud), "float32"), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    )
    model.save_pretrained(tmp_path / "lora")
    shutil.copy(loud / "tokenizer.json", tmp_path / "lora")
    shutil.copy(loud / "tokenizer_config.json", tmp_path / "lora")
    start = training(loud, tmp_path / "out")
    merged = load_model(str(tmp_path / "lora"), "float32").state_dict()
    run_edit(
        type(start)(model=str(tmp_path / "lora"), renderer=start.renderer, out=start.out, seed=5, dtype="float32"),
        PROMPTS,
        Learner(),
        SETTINGS.model_copy(update={"shares": [0.5]}),
    )
    after = weights(tmp_path / "out")
    assert not (tmp_path / "out" / "adapter_config.json").exists()
    assert after.keys() == merged.keys()
    name = "model.layers.0.self_attn.q_proj.weight"
    assert torch.equal(after[name], merged[name])
    assert not torch.equal(after[name], weights(loud)[name])


class Says:
    """A judge that always says the same of refusals."""

    name = "always"

    def __init__(self, refusal: Refusal | None) -> None:
        self.refusal = refusal

    def judge_many(self, cases: Sequence[Case]) -> list[Verdict | None]:
        return [Verdict(judge=self.name, safe=True, refusal=self.refusal) for _ in cases]


def test_where_every_reply_is_an_answer_there_is_nothing_to_align(loud: Path, tmp_path: Path) -> None:
    edit(loud, tmp_path / "out", Says(Refusal.FULL_COMPLIANCE), shares=[0.5])
    (state,) = log_of_edit(tmp_path / "out")
    assert (state["edited"], state["harmful_answered"], state["benign_answered"]) == (0, 1, 1)
    assert same(tmp_path / "out", loud)


def test_a_judge_that_tells_no_refusal_is_one_line(loud: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the judge always says of no reply whether it refuses"):
        edit(loud, tmp_path / "out", Says(None))


def test_prompts_are_split_by_the_seed_and_too_few_are_refused() -> None:
    sides = split_sides(PROMPTS, 3, seed=1)
    assert [len(part) for part in (sides.harmful, sides.benign, sides.held_out)] == [8, 17, 5]
    every = sides.harmful + sides.benign + sides.held_out
    assert sorted(prompt.id for prompt in every) == sorted(prompt.id for prompt in PROMPTS)
    assert split_sides(PROMPTS, 3, seed=1) == sides != split_sides(PROMPTS, 3, seed=2)
    first, second = (sides.drawn(4, 1, iteration) for iteration in (0, 1))
    assert first == sides.drawn(4, 1, 0) != second
    assert [prompt.kind is Kind.HARMFUL for prompt in first] == [True] * 4 + [False] * 4
    own = PROMPTS[0].model_copy(update={"book": BookEdit(without=["weapons"])})
    for few in (PROMPTS[:4] + PROMPTS[10:], [own] * 9 + PROMPTS[10:], PROMPTS[:10]):
        with pytest.raises(
            InputError, match=r"edit: \d train prompts are (harmful|sensitive or plain), and 5 are need"
        ):
            split_sides(few, 3, seed=1)
