"""`run_sft` from rows to a folder: the loss is the plain one, the folder loads again, bad rows are refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import trl.trainer.utils as trl_utils
from safetensors.torch import load_file
from training_runs import LORA, log_of, moved, rows, same, sft, tool
from trl.kernels import chunked_logprob

from ascl.chat.messages import Message
from ascl.chat.render import Renderer
from ascl.consult.rollout import start
from ascl.errors import InputError
from ascl.files import write_json, write_text
from ascl.models.in_process import InProcessClient
from ascl.models.models import load_model, load_renderer
from ascl.models.sampling import Sampling
from ascl.train import cpu
from ascl.train.settings import Lora
from ascl.train.tokens import encode_row


def plain_loss(model: Any, encoded: list[dict[str, list[int]]]) -> torch.Tensor:
    """The mean loss over all labelled tokens, by transformers and torch alone."""
    total, count = torch.tensor(0.0), 0
    for row in encoded:
        logits = model(torch.tensor([row["input_ids"]])).logits[0, :-1]
        labels = torch.tensor(row["labels"][1:])
        total = total + F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        count += int((labels != -100).sum())
    return total / count


@pytest.mark.parametrize("shortened", [True, False], ids=["labelled tokens only", "as TRL has it"])
def test_the_loss_and_its_gradient_are_the_plain_ones(
    tiny_model: Path, renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shortened: bool
) -> None:
    # Set back to TRL's own first: earlier runs in this process have shortened it for good.
    monkeypatch.setattr(trl_utils, "_use_triton", chunked_logprob._use_triton)
    if not shortened:
        monkeypatch.setattr(cpu, "fit_trl_to_cpu", lambda: None)
    given = rows(tool())
    sft(tiny_model, tmp_path / "out", epochs=1, batch_size=len(given), micro_batch_size=2, warmup=0.0)
    assert trl_utils._use_triton(torch.device("cpu")) == shortened
    (first,) = log_of(tmp_path / "out")

    model = load_model(str(tiny_model), "float32", for_training=True)
    loss = plain_loss(model, [encode_row(row, renderer) for row in given])
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert first["loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert float(first["grad_norm"]) == pytest.approx(norm.item(), rel=1e-3)


@pytest.mark.parametrize("trained", ["cloned", "adapter"])
def test_the_folder_loads_again_and_carries_our_template(
    tiny_model: Path, trained: str, request: pytest.FixtureRequest
) -> None:
    out: Path = request.getfixturevalue(trained)
    losses = [row["loss"] for row in log_of(out)]
    assert losses[-1] < losses[0]
    assert [path.name for path in out.parent.iterdir()] == ["bc"]
    assert (out / "adapter_config.json").exists() == (trained == "adapter")
    facts = json.loads((out / "training.json").read_text())
    said = ("sft", str(tiny_model), "12 rows of the recipe test")
    assert (facts["method"], facts["base model"], facts["data"]) == said
    assert f"| base model | {tiny_model} |" in (out / "README.md").read_text()
    if trained == "adapter":
        config = json.loads((out / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == str(tiny_model)

    assert moved(tiny_model, out) > 0
    renderer = load_renderer(str(out))
    assert renderer.dialect.name == "smollm2"
    assert renderer.tokenizer.chat_template == renderer.dialect.template
    assert (out / "chat_template.jinja").read_text() == renderer.dialect.template
    speaker = InProcessClient(load_model(str(out), "float32"), renderer)
    trajectory = start("p", [Message(role="user", content="Hello")])
    speaker.complete([trajectory], [], Sampling(max_tokens=2))
    assert len(trajectory.completion_ids) <= 2


def test_full_training_in_bfloat16_loses_no_small_step(tiny_model: Path, tmp_path: Path) -> None:
    # A weight of 1 moves in bfloat16 by 0.004 or not at all; here it is asked to move by at most 0.0005 a step.
    sft(tiny_model, tmp_path / "out", dtype="bfloat16", learning_rate=5e-4, epochs=4, warmup=0.0, save_steps=100)
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    moved = [name for name, tensor in stored.items() if "norm" in name and (tensor != 1).any()]
    assert moved


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_seeds_differ_and_repeat(tiny_model: Path, tmp_path: Path, lora: Lora | None) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sft(tiny_model, tmp_path / name, lora, seed=seed, epochs=1)
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


def test_another_runs_checkpoint_is_told_before_the_model_is_read(tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    (model / "model.safetensors").unlink()
    work = tmp_path / "out.trainer"
    write_json(work / "run.json", {"model": "another"})
    write_text(work / "checkpoint-1" / "complete", "")
    with pytest.raises(InputError, match=r"out.trainer: an unfinished training with another model"):
        sft(model, tmp_path / "out")
    shutil.rmtree(work / "checkpoint-1")  # nothing is left to go on from, so nothing can be mixed
    with pytest.raises(InputError, match=f"model {model}: "):
        sft(model, tmp_path / "out")


def test_a_row_is_never_cut_and_an_empty_set_refused(tiny_model: Path, renderer: Renderer, tmp_path: Path) -> None:
    given = rows(tool())
    lengths = {row.id: len(encode_row(row, renderer)["input_ids"]) for row in given}
    longest = max(lengths, key=lengths.__getitem__)
    with pytest.raises(InputError, match=rf"row {longest} has {lengths[longest]} tokens; raise sft.max_length"):
        sft(tiny_model, tmp_path / "out", max_length=lengths[longest] - 1)
    with pytest.raises(InputError, match="the training set is empty"):
        sft(tiny_model, tmp_path / "out", rows=[])
    assert list(tmp_path.iterdir()) == []
