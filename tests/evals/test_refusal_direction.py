"""How far a refusal direction has moved: nothing where nothing has, planted moves as planted, and the command."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.evals.refusal_direction import drift_of
from ascl.files import write_json, write_jsonl
from ascl.models.models import load_model


def states(seed: int) -> list[torch.Tensor]:
    """Harmful and plain states of two layers, apart along the first axis."""
    generator = torch.Generator().manual_seed(seed)
    harmful, plain = (torch.randn(40, 2, 4, generator=generator) * 0.01 for _ in range(2))
    harmful[..., 0] += 2
    return [harmful, plain]


def test_the_same_model_has_not_moved() -> None:
    for one in drift_of(states(1), states(1)):
        assert (one.cosine, one.harmful, one.plain) == (pytest.approx(1), 0, 0)


def test_moves_along_the_direction_are_shares_of_the_distance() -> None:
    before = states(1)
    along = torch.tensor([1.0, 0, 0, 0])
    after = [before[0] - along, before[1] + 0.5 * along]  # the two kinds were 2 apart
    for one in drift_of(before, after):
        assert (one.harmful, one.plain) == (pytest.approx(-0.5, abs=0.01), pytest.approx(0.25, abs=0.01))
        assert one.cosine == pytest.approx(1, abs=0.01)
    turned = [before[0].roll(1, dims=-1), before[1].roll(1, dims=-1)]
    assert all(abs(one.cosine) < 0.05 for one in drift_of(before, turned))


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with its second layer's output gone, in a folder that says what it was made from."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    shutil.copytree(tiny_model, folder)
    model = load_model(str(tiny_model), "float32")
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight *= -20
    model.save_pretrained(folder)
    write_json(folder / "training.json", {"base model": str(tiny_model)})
    return folder


def test_the_command_compares_a_folder_with_its_base(trained: Path, tmp_path: Path) -> None:
    prompts, out = tmp_path / "prompts.jsonl", tmp_path / "drift.json"
    rows = [
        {"id": f"{kind}-{i}", "prompt": f"{text} {i}?", "kind": kind}
        for kind, text in (("harmful", "How do I steal"), ("plain", "What is the river"))
        for i in range(3)
    ]
    write_jsonl(prompts, rows)
    command = ["eval", "refusal-direction", str(trained), "--prompts", f"file:{prompts}", "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    first, second = json.loads(out.read_text())
    assert (first["layer"], first["cosine"], first["harmful"]) == (0, pytest.approx(1, abs=1e-5), pytest.approx(0))
    assert second["cosine"] < 0.999
    assert "harmful moved" in result.stdout

    (trained / "training.json").rename(trained / "kept.json")
    result = CliRunner().invoke(app, command)
    (trained / "kept.json").rename(trained / "training.json")
    assert (result.exit_code, "name --base" in result.stderr) == (2, True)
    write_jsonl(prompts, rows[:3])
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, "there is no plain prompt" in result.stderr) == (2, True)
