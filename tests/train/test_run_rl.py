"""`run_rl` from prompts to a folder: one process or two, full or LoRA, new or from a cloned adapter."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from scripted_rollouts import GROUP, PROMPTS, ScriptedClient
from torch.utils._python_dispatch import TorchDispatchMode
from training_runs import LORA, both, in_two_processes, log_of, main, moved, rl, rollouts, weights

from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.judges.record import Record
from ascl.models.in_process import InProcessClient
from ascl.models.models import load_renderer
from ascl.rules.edit import BookEdit
from ascl.rules.rule import Rule
from ascl.train.advantages import Grpo, Ifpo
from ascl.train.advantages.grpo import grpo_advantages
from ascl.train.checkpoints import accumulation
from ascl.train.prompt_order import prompt_order
from ascl.train.settings import Lora, RlSettings


def groups_of(log: list[dict[str, Any]]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """The rollouts of each (step, group)."""
    found: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in log:
        found.setdefault((row["step"], row["group"]), []).append(row)
    return found


@pytest.fixture(scope="module")
def one(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of SFT and RL; to be read only."""
    both(tiny_model, out := tmp_path_factory.mktemp("one") / "of")
    return out.parent


def test_two_processes_train_as_one_does(tiny_model: Path, one: Path, tmp_path: Path) -> None:
    in_two_processes("both", tiny_model, tmp_path / "of")
    stages = ["of-decoupled", "of-rl", "of-sft"]
    assert [sorted(path.name for path in folder.iterdir()) for folder in (one, tmp_path)] == [stages] * 2
    for stage in stages:
        first, second = one / stage, tmp_path / stage
        before, after = weights(first), weights(second)
        assert moved(tiny_model, first) > 1e-2
        for name, tensor in before.items():
            torch.testing.assert_close(after[name], tensor, rtol=1e-3, atol=1e-4)
        assert load_renderer(str(second)).dialect.name == "smollm2"
        if stage == "of-sft":
            continue
        groups, others = groups_of(rollouts(first)), groups_of(rollouts(second))
        assert groups.keys() == others.keys() == {(step, group) for step in range(1, 3) for group in range(3)}
        for key, rows in groups.items():
            assert len(rows) == GROUP
            for row, other in zip(rows, others[key], strict=True):
                alike = ("prompt", "trajectory", "verdict", "reward", "weight")
                assert {name: other[name] for name in alike} == {name: row[name] for name in alike}
                for name in ("advantage", "decision_advantage"):
                    assert other[name] == pytest.approx(row[name], abs=1e-6)
        for row, other in zip(log_of(first), log_of(second), strict=True):
            told = {name for name in row if name.startswith(("reward", "consult_rate", "weight", "truncated"))}
            assert {name: other[name] for name in told} == pytest.approx({name: row[name] for name in told})


def test_processes_share_a_batch_or_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert accumulation(128, 8) == 16
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert accumulation(128, 8) == 4
    with pytest.raises(InputError, match="micro_batch_size 8 x 4 processes must divide 48"):
        accumulation(48, 8)


class CastsOfOneShape(TorchDispatchMode):
    """Counts float32 tensors of a gated MLP's shape that are cast to bfloat16."""

    seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and kwargs.get("dtype") is torch.bfloat16:
            CastsOfOneShape.seen += tuple(args[0].shape) == (32, 16)
        return func(*args, **kwargs)


class CountingClient(InProcessClient):
    """Samples as ever, and counts passes of the model and casts of its weights."""

    passes = 0

    def complete(self, trajectories: Any, tools: Any, sampling: Any) -> Any:
        def counted(*_: Any) -> None:
            CountingClient.passes += 1

        hook = self.model.register_forward_pre_hook(counted)
        with CastsOfOneShape():
            turns = super().complete(trajectories, tools, sampling)
        hook.remove()
        return turns


def test_a_steps_rollouts_cast_each_weight_once(tiny_model: Path, tmp_path: Path) -> None:
    rl(tiny_model, tmp_path / "full", dtype="bfloat16", client=CountingClient, max_steps=1)
    assert CountingClient.passes > 2
    assert CastsOfOneShape.seen == 2 * 2, "two layers, two such matrices"


def test_every_group_of_the_log_adds_up(one: Path) -> None:
    lopsided = 0
    for rows in groups_of(rollouts(one / "of-rl")).values():
        records = [Record.model_validate(row) for row in rows]
        assert len({record.prompt.id for record in records}) == 1
        assert all(record.trajectory.prompt_id == record.prompt.id for record in records)
        flags = torch.tensor([[record.trajectory.consulted for record in records]])
        rewards = torch.tensor([[row["reward"]["total"] for row in rows]])
        assert [row["weight"] for row in rows] == Ifpo().weights(flags)[0].tolist()
        expected = grpo_advantages(rewards) * Ifpo().weights(flags)
        assert [row["advantage"] for row in rows] == pytest.approx(expected[0].tolist(), abs=1e-5)
        lopsided += 0 < flags.sum() < GROUP and flags.sum() != GROUP / 2
    assert lopsided >= 4


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_the_folder_loads_again_and_carries_our_template(tiny_model: Path, tmp_path: Path, lora: Lora | None) -> None:
    out = tmp_path / "arm"
    rl(tiny_model, out, lora, max_steps=2)
    assert [path.name for path in tmp_path.iterdir()] == ["arm"]
    assert {"README.md", "rollouts.jsonl", "training.json"} <= {path.name for path in out.iterdir()}
    assert {row["variant"] for row in rollouts(out)} == {"arm"}
    assert (out / "adapter_config.json").exists() == (lora is not None)
    renderer = load_renderer(str(out))
    assert renderer.tokenizer.chat_template == renderer.dialect.template
    assert moved(tiny_model, out) > 0
    assert [row["step"] for row in log_of(out) if "reward" in row] == [1, 2]


def test_rl_goes_on_training_the_cloned_adapter(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    rl(adapter, tmp_path / "arm", LORA, max_steps=1, learning_rate=1e-6, warmup=0.0)
    cloned = load_file(adapter / "adapter_model.safetensors")
    trained = load_file(tmp_path / "arm" / "adapter_model.safetensors")
    assert cloned.keys() == trained.keys()
    # Adam's first step is as long as the learning rate: the adapter is the cloned one, moved by no more than that.
    change = max((trained[name] - cloned[name]).abs().max().item() for name in cloned)
    assert 0 < change < 2e-6
    config = json.loads((tmp_path / "arm" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_model)
    assert load_renderer(str(tmp_path / "arm")).dialect.name == "smollm2"
    weights(tmp_path / "arm")


def test_a_prompt_reaches_the_model_as_it_does_in_evaluation(
    tiny_model: Path, tmp_path: Path, tool: ConsultTool
) -> None:
    from ascl.chat.messages import Message, ToolCall

    def asked(i: int, **arguments: Any) -> Prompt:
        """A conversation in which the model has called a tool before."""
        call = ToolCall(id="call_1_0", name="elsewhere", arguments=arguments)
        messages = [
            Message(role="system", content="You are brief."),
            Message(role="user", content="Look it up."),
            Message(role="assistant", content="", reasoning_content="So I do.", tool_calls=[call]),
            Message(role="tool", content="Found.", tool_call_id="call_1_0"),
            Message(role="assistant", content="Done."),
            Message(role="user", content=f"And how do I hurt {i} men?"),
        ]
        return Prompt(id=f"p{i}", messages=messages, kind=PROMPTS[0].kind)

    prompts = [PROMPTS[0], asked(1, topic="rain"), asked(2, topic=3, more=[1])]
    rl(tiny_model, tmp_path / "arm", prompts=prompts, prompts_per_step=3, max_steps=1, max_tokens=1)
    seen = {}
    for row in rollouts(tmp_path / "arm"):
        walked = Record.model_validate(row).trajectory
        seen[walked.prompt_id] = walked.messages[: walked.prompt_length]
    assert seen == {prompt.id: with_rules("ascl", prompt.messages, tool) for prompt in prompts}


def test_an_empty_set_and_a_package_that_is_not_there_are_named(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rl.vllm: the package vllm is not installed"):
        rl(tiny_model, tmp_path / "arm", vllm="colocate")
    with pytest.raises(InputError, match="the prompt set is empty"):
        rl(tiny_model, tmp_path / "arm", prompts=[])


def test_fewer_prompts_than_a_step_takes_still_train(tiny_model: Path, tmp_path: Path) -> None:
    rl(tiny_model, tmp_path / "arm", prompts=PROMPTS[:2], prompts_per_step=3, epochs=1, warmup=0.0)
    log = rollouts(tmp_path / "arm")
    assert Counter((row["step"], row["group"]) for row in log) == {(1, group): GROUP for group in range(3)}
    assert moved(tiny_model, tmp_path / "arm") > 0


@pytest.mark.parametrize(
    ("count", "changes", "steps"),
    [
        (6, {"epochs": 2}, 6), (6, {"epochs": 0.5}, 1), (7, {"epochs": 2}, 7), (7, {"epochs": 1}, 3),
        (1, {"epochs": 1}, 1), (6, {"epochs": 2, "max_steps": 2}, 2), (6, {"epochs": 1, "max_steps": 20}, 20),
    ],
)  # fmt: skip
def test_a_run_takes_its_passes_over_the_prompts_or_max_steps(count: int, changes: dict[str, Any], steps: int) -> None:
    chosen = RlSettings(prompts_per_step=2, group_size=4, micro_batch_size=4).model_copy(update=changes)
    kinds = [Kind.SENSITIVE] * count
    order = prompt_order(kinds, chosen, seed=1)
    assert len(order) == 2 * steps
    for first in range(0, len(order) - count + 1, count):
        assert sorted(order[first : first + count]) == list(range(count))
    assert order == prompt_order(kinds, chosen, seed=1)


def test_each_pass_and_each_seed_has_its_own_order() -> None:
    chosen = RlSettings(prompts_per_step=1, group_size=2, micro_batch_size=2, epochs=2)
    kinds = [Kind.HARMFUL, Kind.SENSITIVE] * 15
    order = prompt_order(kinds, chosen, seed=1)
    assert order[:30] != order[30:]
    assert order != prompt_order(kinds, chosen, seed=2)


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(Kind), min_size=1, max_size=40),
    st.integers(1, 16),
    st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.6, 1.0]),
    st.integers(0, 9),
)
def test_every_step_has_its_part_of_harmful_prompts(
    kinds: list[Kind], prompts_per_step: int, share: float, seed: int
) -> None:
    chosen = RlSettings(prompts_per_step=prompts_per_step, harmful_share=share, max_steps=9)
    order = prompt_order(kinds, chosen, seed)
    assert len(order) == 9 * prompts_per_step
    harmful = [kinds[i] is Kind.HARMFUL for i in order]
    if len(set(k is Kind.HARMFUL for k in kinds)) == 2:
        for step in range(9):
            taken = sum(harmful[step * prompts_per_step :][:prompts_per_step])
            assert abs(taken - share * prompts_per_step) < 1
    others = sorted({kind for kind in kinds if kind is not Kind.HARMFUL})
    taken_of = [sum(kinds[i] is kind for i in order) for kind in others]
    assert not others or max(taken_of) - min(taken_of) <= 1  # the other kinds take turns
    for kind in Kind:
        times = [order.count(i) for i, one in enumerate(kinds) if one is kind]
        assert not times or max(times) - min(times) <= 1


def test_a_prompt_is_asked_under_a_rule_book_of_its_own(tiny_model: Path, tmp_path: Path) -> None:
    rule = Rule(id="house.weapons", category="house", title="Paper Weapons", text="Weapons of paper.")
    edit = BookEdit(without=("violence.*", "illegal.*"), add=(rule,))
    edited = {prompt.id for prompt in PROMPTS[::2]}  # the others have none, and share its batches
    prompts = [p.model_copy(update={"book": edit}) if p.id in edited else p for p in PROMPTS]
    rl(tiny_model, tmp_path / "arm", client=ScriptedClient, prompts=prompts, max_steps=3)
    found = [Record.model_validate(row) for row in rollouts(tmp_path / "arm")]
    consulted: dict[bool, set[bool]] = {True: set(), False: set()}
    for one in found:
        own = one.prompt.id in edited
        assert one.trajectory.book == (edit if own else None) == one.prompt.book
        assert ("Paper Weapons" in one.trajectory.messages[0].content) is own
        consulted[own] |= {hit.id == rule.id for c in one.trajectory.consultations for hit in c.hits}
    assert consulted == {True: {True}, False: {False}}


def test_a_training_does_not_go_on_from_another_ones_checkpoint(tiny_model: Path, tmp_path: Path) -> None:
    assert forked.finish(tmp_path / "log", main, "rl", str(tiny_model), str(tmp_path / "arm"), "step:3") != 0
    work = tmp_path / "arm.trainer"
    assert any(work.glob("checkpoint-*"))
    for changes, named in (
        ({"algorithm": Grpo()}, r"algorithm\.type \(ifpo, now grpo\)"),
        ({"learning_rate": 1e-3}, r"settings\.learning_rate \(0\.01, now 0\.001\)"),
    ):
        with pytest.raises(InputError, match=f"arm.trainer: an unfinished training with another {named}"):
            rl(tiny_model, tmp_path / "arm", **changes)
    rl(tiny_model, tmp_path / "arm")
    assert not work.exists()
