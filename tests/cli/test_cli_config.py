"""`ascl init`, `ascl config` and `ascl plan`: configurations to start from, and what they would do and cost."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ascl.run.config import RunConfig, find_config, load_config

Ascl = Callable[..., tuple[int, str]]
Complaint = Callable[..., str]


@pytest.fixture
def small(folder: Path, tiny_model: Path) -> Path:
    """A run of one clone and one RL arm, with two seeds."""
    arms = "bc: {method: sft}, mine: {from: bc, method: rl, algorithm: ifpo, limit: 6}"
    rl = "group_size: 2, prompts_per_step: 2, micro_batch_size: 2, max_tokens: 8, epochs: 1"
    text = f"model: {tiny_model}\nseeds: [0, 1]\nrl: {{{rl}}}\narms: {{{arms}}}\n"
    (folder / "small.yaml").write_text(f"{text}evaluate: {{limit: 2, variants: [pure], max_tokens: 8}}\n")
    return folder / "small.yaml"


def test_init_starts_a_project_that_can_be_checked(ascl: Ascl, complaint: Complaint, folder: Path) -> None:
    code, printed = ascl("init", "mine")
    assert code == 0
    assert printed.splitlines() == [
        *["mine/ascl.yaml", "mine/rules.yaml"],
        "edit them, then: ascl config check mine/ascl.yaml",
    ]
    config = load_config(folder / "mine" / "ascl.yaml")
    assert config == load_config(find_config("quickstart"))
    assert '`source: "mine/rules.yaml"`' in (folder / "mine" / "ascl.yaml").read_text(encoding="utf-8")
    code, printed = ascl("rules", "lint", "mine/rules.yaml")
    assert code == 0, "a book that can be read"
    (folder / "mine" / "rules.yaml").unlink()
    before = (folder / "mine" / "ascl.yaml").read_bytes()
    assert complaint("init", "mine", "--config", "rivals") == "mine/ascl.yaml: is there already; name another folder"
    assert [path.name for path in (folder / "mine").iterdir()] == ["ascl.yaml"]
    assert (folder / "mine" / "ascl.yaml").read_bytes() == before


def test_show_prints_every_default(ascl: Ascl) -> None:
    code, printed = ascl("config", "show")
    assert code == 0
    assert RunConfig.model_validate(yaml.safe_load(printed)) == RunConfig(model="embedded")
    code, printed = ascl("config", "show", "quickstart")
    assert (code, "Supervised fine-tuning on rows." in printed) == (0, True)


def test_check_says_what_a_run_would_do_and_does_nothing(ascl: Ascl, folder: Path, small: Path) -> None:
    code, printed = ascl("config", "check", "small.yaml")
    assert code == 0
    stages, arms, evaluations, cloned, reinforced = printed.splitlines()
    of_a_seed = "data bc-{0}, bc-{0}, eval bc-{0}, mine-{0}, eval mine-{0}"
    assert stages.endswith(f"{of_a_seed.format(0)}, {of_a_seed.format(1)}")
    assert arms == "2 arms, seeds 0, 1"
    assert "evaluations of 8 answers" in evaluations
    assert cloned.startswith("bc: sft, of ") and reinforced.startswith("mine: rl by ifpo, 6 steps of 4 rollouts")
    assert [path.name for path in folder.iterdir()] == ["small.yaml"]


def test_the_plan_of_an_arm(ascl: Ascl, complaint: Complaint, small: Path) -> None:
    code, printed = ascl("plan", "small.yaml", "--arm", "mine")
    assert code == 0
    assert printed.splitlines()[-1].endswith(" GiB of a process, by formula")
    assert complaint("plan", "small.yaml") == "--arm ifpo: no RL arm of this configuration; use one of mine"
