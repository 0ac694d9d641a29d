"""The exporter's parquet, read back by pyarrow and by verl's own data set."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verl", reason="needs the extra `verl`, an environment of its own: `make test-verl`")

import pyarrow.parquet
from omegaconf import OmegaConf
from typer.testing import CliRunner
from verl.utils.dataset.rl_dataset import RLHFDataset

from ascl.adapters.verl.export import export_parquet
from ascl.adapters.verl.launch import TOOL_FILE
from ascl.cli.main import app
from ascl.consult.tool import ConsultTool
from ascl.data.load import load_prompts
from ascl.data.prompt import Prompt, split_of
from ascl.errors import InputError


def test_every_prompt_comes_back_whole(tool: ConsultTool, tmp_path: Path) -> None:
    prompts = load_prompts(["starter"])
    assert export_parquet(prompts, tool, tmp_path / "deep" / "train.parquet") == len(prompts)
    rows = pyarrow.parquet.read_table(tmp_path / "deep" / "train.parquet").to_pylist()
    assert [Prompt.model_validate_json(row["extra_info"]["prompt"]) for row in rows] == prompts
    assert [row["extra_info"]["index"] for row in rows] == list(range(len(prompts)))
    assert {row["extra_info"]["kind"] for row in rows} == {"harmful", "sensitive", "plain", "reasoning"}
    assert all(row["prompt"][0]["role"] == "system" and row["agent_name"] == "tool_agent" for row in rows)
    assert [row["reward_model"]["ground_truth"] for row in rows] == [prompt.answer or "" for prompt in prompts]


def test_verls_data_set_reads_it_and_counts_the_tool_into_the_length(
    tool: ConsultTool, tmp_path: Path, qwen_tokenizer: Any, harmful: Prompt, sensitive: Prompt
) -> None:
    path = tmp_path / "train.parquet"
    export_parquet([harmful, sensitive], tool, path)
    settings = {"function_tool_path": str(TOOL_FILE), "filter_overlong_prompts": True, "cache_dir": str(tmp_path)}
    settings |= {"filter_overlong_prompts_workers": None}
    data = RLHFDataset(str(path), qwen_tokenizer, OmegaConf.create(settings | {"max_prompt_length": 4096}))
    assert len(data) == 2
    row = data[0]
    assert row["extra_info"]["id"] == "h1" and row["index"] == 0 and row["agent_name"] == "tool_agent"
    assert "<|im_end|>" not in row["raw_prompt"][-1]["content"]
    text = qwen_tokenizer.apply_chat_template(row["raw_prompt"], tools=data.tool_schemas, tokenize=False)
    assert json.dumps(tool.schema["function"]["name"]) in text
    length = len(qwen_tokenizer.encode(text, add_special_tokens=False))
    short = RLHFDataset(str(path), qwen_tokenizer, OmegaConf.create(settings | {"max_prompt_length": length - 1}))
    assert [kept["extra_info"]["id"] for kept in short] == ["s1"]


def test_what_cannot_be_exported_is_an_input_error(tool: ConsultTool, tmp_path: Path, harmful: Prompt) -> None:
    with pytest.raises(InputError, match="no prompts"):
        export_parquet([], tool, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="occurs twice"):
        export_parquet([harmful, harmful], tool, tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()


def test_the_command_takes_the_train_split(tmp_path: Path) -> None:
    out = tmp_path / "train.parquet"
    found = CliRunner().invoke(app, ["data", "export-verl", "--from", "starter", "--out", str(out)])
    wanted = [p for p in load_prompts(["starter"]) if p.kind in ("harmful", "sensitive") and split_of(p) == "train"]
    assert found.stdout == f"{len(wanted)} prompts: {out}\n"
    assert pyarrow.parquet.read_table(out).num_rows == len(wanted)
