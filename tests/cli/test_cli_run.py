"""`ascl run`, `init`, `config` and `plan`: bad input is one line and nothing is lost; what they say and would do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ascl.cli.run import _print_best
from ascl.evals.arms import ArmResult, RunResults
from ascl.run.config import RuleSettings, RunConfig, find_config, load_config
from ascl.stats import Estimate

Ascl = Callable[..., tuple[int, str]]
Complaint = Callable[..., str]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def earlier(folder: Path) -> Path:
    """A run folder with something in it."""
    run = folder / "out"
    (run / "data").mkdir(parents=True)
    (run / "data" / "prompts.jsonl").write_text("{}\n", encoding="utf-8")
    return run


PROMPTS = '{"id": "a", "kind": "harmful", "prompt": "x"}\n{bad\n'

RUN_FAULTS = [
    pytest.param(None, "x.yaml: no such file", id="missing"),
    pytest.param("model: embedded\nprompts: [starter\n", "x.yaml, line 3: not YAML (", id="malformed"),
    pytest.param("model: embedded\nmodle: x\n", "x.yaml: modle: there is no such setting", id="unknown field"),
    pytest.param(
        "model: embedded\nrl: {group_size: 1}",
        "x.yaml: rl.group_size: Input should be greater than or equal to 2",
        id="group of one",
    ),
    pytest.param(
        "model: embedded\narms: {a: {method: rl, algorithm: {type: ifpo, tau: -1}}}",
        "x.yaml: arms.a.algorithm.tau: Input should be greater than or equal to 0",
        id="negative tau",
    ),
    pytest.param(
        "model: embedded\nprompts: [nowhere]",
        "prompts: unknown source nowhere; use starter, file:PATH, or one of xstest, ",
        id="prompt source",
    ),
    pytest.param("model: embedded\nprompts: ['file:none.jsonl']", "none.jsonl: no such file", id="prompt file"),
    pytest.param(
        "model: embedded\nprompts: ['file:bad.jsonl']", "bad.jsonl, line 2: not JSON (", id="malformed prompt file"
    ),
    pytest.param("model: ./nowhere", "model ./nowhere: no such folder", id="model folder"),
    pytest.param("model: ./out", "model ./out: ", id="not a model folder"),
    pytest.param("model: embedded\nrules: {source: none.csv}", "none.csv: no such rule book; ", id="rule book"),
    pytest.param(
        "model: embedded\nrules: {embedding_model: './nowhere'}", "embedding model ./nowhere: ", id="embedding model"
    ),
]


@pytest.mark.parametrize("options", [[], ["--fresh"], ["--smoke", "--fresh"]], ids=" ".join)
@pytest.mark.parametrize(("text", "expected"), RUN_FAULTS)
def test_a_run_that_can_not_start_leaves_everything_as_it_was(
    complaint: Complaint, folder: Path, earlier: Path, text: str | None, expected: str, options: list[str]
) -> None:
    (folder / "bad.jsonl").write_text(PROMPTS, encoding="utf-8")
    if text is not None:
        (folder / "x.yaml").write_text(text, encoding="utf-8")
    before = files_in(folder)
    assert complaint("run", "x.yaml", "--out", "out", *options).startswith(expected)
    assert files_in(folder) == before


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ('{"stages": {}, "config": {"model": "other", "evaluate": {}, "arms": {}}}', "model (other, now "),
        ('{"stages": {}, "seed": 0}', "model (not noted, now "),  # as an earlier layout left it
    ],
)
def test_a_run_folder_of_other_settings_is_refused(
    complaint: Complaint, folder: Path, tiny_model: Path, before: str, said: str
) -> None:
    (folder / "x.yaml").write_text(f"model: {tiny_model}\n", encoding="utf-8")
    (folder / "out").mkdir()
    (folder / "out" / "manifest.json").write_text(before, encoding="utf-8")
    files = files_in(folder)
    line = complaint("run", "x.yaml", "--out", "out")
    assert line.startswith(f"out: holds a run with another {said}")
    assert line.endswith("; name another --out or pass --fresh")
    assert files_in(folder) == files


@pytest.mark.parametrize("seeds", ["x", "1,x", "1,", "-1", "1.5", "1,1", str(2**32), "9" * 50])
def test_seeds_that_are_none(complaint: Complaint, folder: Path, seeds: str) -> None:
    (folder / "x.yaml").write_text("model: embedded\n", encoding="utf-8")
    assert complaint("run", "x.yaml", "--seeds", seeds).startswith(f"--seeds {seeds}: ")


def test_a_run_folder_that_can_not_be_made_is_named(complaint: Complaint, folder: Path, tiny_model: Path) -> None:
    (folder / "x.yaml").write_text(f"model: {tiny_model}\n", encoding="utf-8")
    (folder / "file").write_text("precious", encoding="utf-8")
    assert complaint("run", "x.yaml", "--out", "file/out") == "file/out: Not a directory"
    assert complaint("run", "x.yaml", "--out", "file") == "file: File exists"
    assert (folder / "file").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ({"pure": 0.9, "bc": 0.54, "grpo": 0.09, "ifpo": None}, ["bc", "54"]),
        ({"bc": 0.54, "grpo": 0.6, "ifpo": 0.6}, ["grpo", "60"]),
        ({"bc": None, "grpo": None, "ifpo": 0.0}, ["ifpo", "0"]),
        ({"bc": None, "grpo": None, "ifpo": None}, ["bc", None]),
        ({"pure": 0.9}, None),
    ],
)
def test_the_command_at_the_end_names_the_best_model(
    capsys: pytest.CaptureFixture[str], reached: dict[str, float | None], said: list[str | None] | None
) -> None:
    config = RunConfig(model="m", rules=RuleSettings(source="mine.csv", top_k=2))
    arms = [
        ArmResult(name=name, trained=name != "pure", seeds=[3], figures={"h_avg": Estimate(value=value)})
        for name, value in reached.items()
    ]
    _print_best(RunResults(name="r", headline="h", arms=arms), config, Path("a run"))
    printed = capsys.readouterr().out.splitlines()
    if said is None:
        assert printed == [], "nothing is trained"
        return
    name, h_avg = said
    why = "no model has an H-avg" if h_avg is None else f"the highest H-avg of the trained models, {h_avg}"
    assert printed == [
        f"talk to {name} ({why}):",
        f"ascl chat --model 'a run/arms/{name}-3' --rules mine.csv --top-k 2",
    ]


# init, config and plan


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
