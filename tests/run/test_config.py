"""A run's configuration: defaults, shipped files, environment variables, and how each mistake is named."""

from pathlib import Path

import pytest
import yaml

from ascl.config import RunConfig, load_config
from ascl.errors import InputError
from ascl.train.advantages import Decoupled, Grpo, Ifpo
from ascl.train.settings import RlSettings

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fault(path: Path) -> str:
    """What is wrong with a configuration, without the file's name in front."""
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


def test_a_model_is_all_a_run_needs(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "model: embedded"))
    assert config == RunConfig(model="embedded")
    assert (config.prompts, config.rules.source, config.rules.top_k) == (["starter"], "default", 3)
    assert config.variants == ["pure", "short", "long", "rag", "ascl"]
    assert config.rl.arms == [Grpo(), Ifpo()] and config.rl.names == ["grpo", "ifpo"]
    # arXiv 2602.13562, behaviour cloning
    assert (config.sft.learning_rate, config.sft.batch_size, config.sft.epochs) == (1e-5, 128, 3)
    assert (config.sft.max_length, config.sft.warmup) == (4096, 0.05)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations_are_sound_and_so_are_their_smoke_runs(path: Path) -> None:
    config = load_config(path)
    resolved = yaml.safe_dump(config.model_dump(mode="json"))
    assert RunConfig.model_validate(yaml.safe_load(resolved)) == config
    smoke = config.smoke()
    assert RunConfig.model_validate(smoke.model_dump()) == smoke
    assert smoke.rl.settings.max_steps == 2
    assert smoke.model == config.model


def test_there_are_shipped_configurations() -> None:
    assert "quickstart" in [path.stem for path in CONFIGS]


def test_environment_variables_are_put_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASCL_TEST_MODEL", "a/b")
    monkeypatch.setenv("ASCL_TEST_SEED", "7")
    monkeypatch.delenv("ASCL_TEST_UNSET", raising=False)
    text = "# ${ASCL_TEST_UNSET} may be named here\nmodel: '${ASCL_TEST_MODEL}-${ASCL_TEST_SEED}'\n"
    config = load_config(write(tmp_path, text + "seed: ${ASCL_TEST_SEED}\n"))
    assert (config.model, config.seed) == ("a/b-7", 7)


def test_a_dollar_without_braces_is_only_a_dollar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASCL_TEST_MODEL", "a/b")
    assert load_config(write(tmp_path, "model: x$ASCL_TEST_MODEL")).model == "x$ASCL_TEST_MODEL"


def test_an_unset_environment_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASCL_TEST_UNSET", raising=False)
    path = write(tmp_path, "model: embedded\nteacher: {model: t, base_url: ${ASCL_TEST_UNSET}}\n")
    assert fault(path) == ", line 2: the environment variable ASCL_TEST_UNSET is not set"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ": a mapping of settings is expected"),
        ("- a", ": a mapping of settings is expected"),
        ("seed: 1", ": model: Field required"),
        ("model: embedded\nmodle: x", ": modle: there is no such setting"),
        ("model: embedded\nrl: {settings: {groups: 2}}", ": rl.settings.groups: there is no such setting"),
        ("model: embedded\n1: 2", ": 1: Keys should be strings"),
        ("model: 7", ": model: Input should be a valid string"),
        (
            "model: embedded\nrl: {settings: {group_size: 1}}",
            ": rl.settings.group_size: Input should be greater than or equal to 2",
        ),
        (
            "model: embedded\nrl: {arms: [{type: ifpo, tau: -0.5}]}",
            ": rl.arms.0.ifpo.tau: Input should be greater than or equal to 0",
        ),
        (
            "model: embedded\nrl: {arms: [{type: ifpo, w_min: 2, w_max: 1}]}",
            ": rl.arms.0.ifpo: w_min must not exceed w_max",
        ),
        ("model: embedded\nrl: {arms: [{type: grpo, tau: 1}]}", ": rl.arms.0.grpo.tau: there is no such setting"),
        (
            "model: embedded\nrl: {arms: [ifpo, {type: ifpo, tau: 1}]}",
            ": rl.arms: each algorithm may stand there once: an arm is called after it",
        ),
        (
            "model: embedded\nrl: {arms: ['nowhere.at_all:Mine']}",
            ": rl.arms.0: nowhere.at_all:Mine: can't be imported (ModuleNotFoundError: No module named 'nowhere'); "
            "is it installed, or its folder in PYTHONPATH?",
        ),
        (
            "model: embedded\nrl: {arms: ['ascl.config:RunConfig']}",
            ": rl.arms.0: ascl.config:RunConfig: is no subclass of ascl.train.advantages.BaseAlgorithm",
        ),
        (
            "model: embedded\nrl: {settings: {micro_batch_size: 7}}",
            ": rl.settings: micro_batch_size must divide prompts_per_step * group_size",
        ),
        (
            "model: embedded\nrl: {arms: [grpo, ppo]}",
            ": rl.arms.1: ppo: use one of grpo, ifpo, dr_grpo, ada_grpo, ampo, adaptthink, consult_penalty, decoupled, "
            "or a class of your own as package.module:ClassName",
        ),
        ("model: embedded\nprompts: []", ": prompts: List should have at least 1 item after validation, not 0"),
        ("model: embedded\nrules: {top_k: 21}", ": rules.top_k: Input should be less than or equal to 20"),
        ("model: embedded\nsampling: {top_p: 0}", ": sampling.top_p: Input should be greater than 0"),
        (
            "model: embedded\nsft: {form: split}",
            ": sft.form: split needs `dialect: qwen_agent` (the text format it is made for)",
        ),
        ("model: embedded\nseed: 2024-13-45", ", line 2: not YAML (no timestamp: month must be in 1..12)"),
    ],
)
def test_a_bad_setting_is_named_by_its_path(tmp_path: Path, text: str, expected: str) -> None:
    assert fault(write(tmp_path, text)) == expected


def test_malformed_yaml_is_named_by_its_line(tmp_path: Path) -> None:
    assert fault(write(tmp_path, "model: embedded\nprompts: [starter\nseed: 1\n")).startswith(", line 3: not YAML (")


def test_files_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.yaml") == ": no such file"
    assert fault(tmp_path) == ": can't be read as UTF-8 text (Is a directory)"
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"model: caf\xe9")
    assert fault(path).startswith(": can't be read as UTF-8 text (")


def test_the_split_form_goes_with_the_text_dialect(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "model: embedded\ndialect: qwen_agent\nsft: {form: split}"))
    assert config.sft.form == "split"


def test_smoke_changes_sizes_only(tmp_path: Path) -> None:
    arms = "[{type: ifpo, tau: 0.25}, decoupled]"
    text = f"model: embedded\nseed: 3\nrl: {{settings: {{learning_rate: 2.0e-5}}, arms: {arms}}}\n"
    smoke = load_config(write(tmp_path, text)).smoke()
    kept = {"learning_rate": 2e-5}
    changed = {"max_steps": 2, "prompts_per_step": 1, "group_size": 4, "micro_batch_size": 4}
    assert smoke.rl.settings == RlSettings(**kept, **changed)  # type: ignore[arg-type]
    assert (smoke.seed, smoke.rl.arms, smoke.test_limit) == (3, [Ifpo(tau=0.25), Decoupled()], 4)


@pytest.mark.parametrize("value", ["1e999", ".inf", ".nan", "-.inf", str(10**20), str(-(10**20)), "9" * 500])
@pytest.mark.parametrize(
    "field",
    [
        "seed", "test_limit", "train_limit", "eval_batch", "sampling.temperature", "sampling.top_p",
        "sampling.max_tokens", "sampling.seed", "judge.concurrency", "judge.timeout", "teacher.concurrency", "lora.r",
        "lora.alpha", "rules.top_k", "sft.epochs", "sft.learning_rate", "sft.batch_size", "sft.micro_batch_size",
        "sft.max_length", "sft.save_steps", "rl.settings.group_size", "rl.settings.prompts_per_step",
        "rl.settings.micro_batch_size", "rl.settings.max_steps", "rl.settings.epochs", "rl.settings.max_tokens",
        "rl.settings.temperature", "rl.settings.save_steps",
    ],
)  # fmt: skip
def test_a_number_beyond_all_sense_is_named_by_its_path(tmp_path: Path, field: str, value: str) -> None:
    *path, last = field.split(".")
    inner = f"{last}: {value}"
    inner = f"model: x, {inner}" if path == ["teacher"] else inner
    inner = f"kind: qwen3guard, model: x, {inner}" if path == ["judge"] else inner
    for name in reversed(path):
        inner = f"{name}: {{{inner}}}"
    assert field in fault(write(tmp_path, f"{{model: x, {inner}}}"))


def test_variables_are_replaced_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "${TWO}")
    monkeypatch.setenv("TWO", "2")
    config = load_config(write(tmp_path, 'model: "${ONE}${TWO}"\n'))
    assert config.model == "${TWO}2"
    text = "model: x\nx: a" + "${TWO}" * 200_000  # its square would take an hour
    assert "x: there is no such setting" in fault(write(tmp_path, text))
    monkeypatch.setenv("TWO", "2" * 10_000)
    assert "the values of the environment variables make the file too long" in fault(write(tmp_path, text))
