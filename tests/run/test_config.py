"""A run's configuration: defaults, shipped files, environment variables, and how each mistake is named."""

from pathlib import Path

import pytest
import yaml

import ascl
from ascl.errors import InputError
from ascl.run.arms import SftArm
from ascl.run.commented import commented
from ascl.run.config import RunConfig, find_config, load_config
from ascl.train.advantages import Ifpo
from ascl.train.settings import RlSettings, SftSettings

CONFIGS = sorted((Path(ascl.__file__).parent / "configs").glob("*.yaml"))
BC = "bc: {method: sft}"


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
    assert config.evaluate.variants == ["pure", "short", "long", "rag", "ascl"]
    assert (config.seeds, config.arms) == ([0], {})
    # arXiv 2602.13562, behaviour cloning
    assert (config.sft.learning_rate, config.sft.batch_size, config.sft.epochs) == (1e-5, 128, 3)
    assert (config.sft.max_length, config.sft.warmup) == (4096, 0.05)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations_are_sound_and_so_are_their_smoke_runs(path: Path) -> None:
    assert find_config(path.stem) == find_config(path.name) == path
    config = load_config(path)
    resolved = yaml.safe_dump(config.model_dump(mode="json", by_alias=True))
    assert RunConfig.model_validate(yaml.safe_load(resolved)) == config
    assert RunConfig.model_validate(yaml.safe_load(commented(config))) == config
    smoke = config.smoke()
    assert RunConfig.model_validate(smoke.model_dump(by_alias=True)) == smoke
    assert (smoke.model, smoke.seeds, list(smoke.arms)) == (config.model, config.seeds[:1], list(config.arms))


def test_a_configuration_that_is_neither_there_nor_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"best: no such file, nor a shipped configuration \(books, quickstart, "):
        find_config("best")
    write(tmp_path, "model: m").rename(tmp_path / "quickstart")
    assert find_config("quickstart") == Path("quickstart"), "one's own comes first"
    assert find_config("none/best") == Path("none/best")


def test_a_commented_configuration_says_what_each_part_means() -> None:
    text = commented(RunConfig.model_validate({"model": "m", "arms": {"bc": {"method": "sft"}}}))
    assert "# Supervised fine-tuning on rows." in text
    assert "    method: sft" in text.splitlines()
    assert max(len(line) for line in text.splitlines() if "#" in line) <= 100


def test_environment_variables_are_put_in_and_those_that_are_not_set_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASCL_TEST_MODEL", "a/b")
    monkeypatch.setenv("ASCL_TEST_SEED", "7")
    monkeypatch.delenv("ASCL_TEST_UNSET", raising=False)
    text = "# ${ASCL_TEST_UNSET} may be named here\nmodel: '${ASCL_TEST_MODEL}-${ASCL_TEST_SEED}'\n"
    config = load_config(write(tmp_path, text + "seeds: ['${ASCL_TEST_SEED}']\n"))
    assert (config.model, config.seeds) == ("a/b-7", [7])
    assert load_config(write(tmp_path, "model: x$ASCL_TEST_MODEL")).model == "x$ASCL_TEST_MODEL"
    path = write(tmp_path, "model: embedded\njudge: {kind: wildguard, model: g, base_url: ${ASCL_TEST_UNSET}}\n")
    assert fault(path) == ", line 2: the environment variable ASCL_TEST_UNSET is not set"


FAULTS = [
    ("", "a mapping of settings is expected"),
    ("- a", "a mapping of settings is expected"),
    ("seeds: [1]", "model: Field required"),
    ("model: embedded\nmodle: x", "modle: there is no such setting"),
    ("model: embedded\nrl: {groups: 2}", "rl.groups: there is no such setting"),
    ("model: embedded\n1: 2", "1: Keys should be strings"),
    ("model: 7", "model: Input should be a valid string"),
    ("model: m\nseeds: []", "seeds: List should have at least 1 item after validation, not 0"),
    ("model: m\nseeds: [1, 1]", "seeds: one is there twice"),
    ("model: m\nrl: {group_size: 1}", "rl.group_size: Input should be greater than or equal to 2"),
    ("model: m\nrl: {micro_batch_size: 7}", "rl: micro_batch_size must divide prompts_per_step * group_size"),
    ("model: m\nprompts: []", "prompts: List should have at least 1 item after validation, not 0"),
    ("model: m\nrules: {top_k: 21}", "rules.top_k: Input should be less than or equal to 20"),
    ("model: m\nevaluate: {judges: []}", "evaluate.judges: List should have at least 1 item after validation, not 0"),
    (
        "model: m\nevaluate: {variants: [bare]}",
        "evaluate.variants.0: Input should be 'pure', 'short', 'long', 'rag' or 'ascl'",
    ),
    ("model: m\narms: []", "arms: Input should be a valid dictionary"),
]
NAMED = "this is the name of a prompt variant; name the arm otherwise"
OWN = "or a class of your own as package.module:ClassName"
ALGORITHMS = "grpo, ifpo, dr_grpo, ada_grpo, ips_grpo, ampo, adaptthink, consult_penalty, decoupled"
NOWHERE = (
    "can't be imported (ModuleNotFoundError: No module named 'nowhere'); is it installed, or its folder in PYTHONPATH?"
)
ARM_FAULTS = [
    ("pure: {method: sft}", f"arms.pure: {NAMED}"),
    ("ascl_zs: {method: sft}", f"arms.ascl_zs: {NAMED}"),
    ("a/b: {method: sft}", "arms.a/b: String should match pattern '^[a-z][a-z0-9_]{0,40}$'"),
    (
        "a: {method: sft, from: b}, b: {method: sft, from: c}, c: {method: sft, from: b}",
        "arms.a.from: it leads back to b",
    ),
    (
        "a: {method: sft, settings: {form: split}}",
        "sft.form: split needs `dialect: qwen_agent` (the text format it is made for)",
    ),
]
OF_AN_ARM = [
    ("{}", ": Unable to extract tag using discriminator 'method'"),
    ("{method: dpo}", f": method: dpo: use one of sft, preference, rl, edit, distill, {OWN}"),
    ("{method: sft, from: b}", ".from: there is no arm b"),
    ("{method: sft, from: a}", ".from: it leads back to a"),
    ("{method: sft, tau: 1}", ".tau: there is no such setting"),
    ("{method: sft, settings: {epoch: 1}}", ".settings.epoch: there is no such setting"),
    ("{method: sft, settings: {epochs: -1}}", ".settings.epochs: Input should be greater than 0"),
    ("{method: sft, data: {from: []}}", ".data.from: List should have at least 1 item after validation, not 0"),
    ("{method: rl}", ".algorithm: Field required"),
    (
        "{method: rl, algorithm: grpo, settings: {group_size: 1}}",
        ".settings.group_size: Input should be greater than or equal to 2",
    ),
]
OF_AN_ALGORITHM = [
    ("ppo", f": ppo: use one of {ALGORITHMS}, {OWN}"),
    ("{type: grpo, tau: 1}", ".tau: there is no such setting"),
    ("{type: ifpo, tau: -0.5}", ".tau: Input should be greater than or equal to 0"),
    ("{type: ifpo, w_min: 2, w_max: 1}", ": w_min must not exceed w_max"),
    ("'nowhere.at_all:Mine'", f": nowhere.at_all:Mine: {NOWHERE}"),
    (
        "'ascl.run.config:RunConfig'",
        ": ascl.run.config:RunConfig: is no subclass of ascl.train.advantages.algorithm.BaseAlgorithm",
    ),
]
OF_AN_ARM += [(f"{{method: rl, algorithm: {text}}}", f".algorithm{said}") for text, said in OF_AN_ALGORITHM]
ARM_FAULTS += [(f"a: {arm}", f"arms.a{said}") for arm, said in OF_AN_ARM]


@pytest.mark.parametrize(
    ("text", "expected"), [*FAULTS, *((f"model: m\narms: {{{arms}}}", said) for arms, said in ARM_FAULTS)]
)
def test_a_bad_setting_is_named_by_its_path(tmp_path: Path, text: str, expected: str) -> None:
    assert fault(write(tmp_path, text)) == f": {expected}"


# Each key of an earlier layout, as it stood there, and what its line begins with.
EARLIER = {
    "seed: 1": "seed is seeds: [..]", "variants: [pure]": "variants is evaluate.variants",
    "test_limit: 4": "test_limit is evaluate.limit", "train_limit: 4": "train_limit is arms.NAME.data.limit",
    "sampling: {temperature: 0}": "sampling is evaluate.", "eval_batch: 8": "eval_batch is evaluate.batch",
    "teacher: {model: t}": "teacher is arms.NAME.data.model", "reward: {complied: 1}": "reward is rl.reward",
    "rl: {arms: [grpo]}": "rl.arms is arms: {",
    "rl: {settings: {group_size: 8}}": "what stood in rl.settings stands in rl",
}  # fmt: skip


@pytest.mark.parametrize("key", EARLIER)
def test_a_key_of_an_earlier_layout_says_what_became_of_it(tmp_path: Path, key: str) -> None:
    line = fault(write(tmp_path, f"model: m\n{key}\n"))
    assert line.startswith(f": a configuration of an earlier layout: {EARLIER[key]}") and line.endswith(
        " (docs/runs.md)"
    )


def test_all_keys_of_an_earlier_layout_are_in_one_line(tmp_path: Path) -> None:
    rl = "rl: {arms: [grpo], settings: {group_size: 8}}"
    line = fault(write(tmp_path, "\n".join(["model: m", rl, *(key for key in EARLIER if key[:2] != "rl")])))
    assert all(said in line for said in EARLIER.values())


def test_malformed_yaml_is_named_by_its_line(tmp_path: Path) -> None:
    assert fault(write(tmp_path, "model: m\nprompts: [starter\nseeds: [1]\n")).startswith(", line 3: not YAML (")
    expected = ", line 2: not YAML (no timestamp: month must be in 1..12)"
    assert fault(write(tmp_path, "model: m\nseeds: 2024-13-45")) == expected


def test_files_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.yaml") == ": no such file"
    assert fault(tmp_path) == ": can't be read as UTF-8 text (Is a directory)"
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"model: caf\xe9")
    assert fault(path).startswith(": can't be read as UTF-8 text (")


def test_an_arm_has_the_settings_of_its_method_with_its_own_changes(tmp_path: Path) -> None:
    text = "model: m\ndialect: qwen_agent\nsft: {epochs: 2}\nrl: {group_size: 4, max_steps: 9}\n"
    rl = "a: {from: bc, method: rl, algorithm: grpo, settings: {max_steps: 3}}"
    config = load_config(write(tmp_path, f"{text}arms: {{bc: {{method: sft, settings: {{form: split}}}}, {rl}}}"))
    arm = config.arms["bc"]
    assert isinstance(arm, SftArm)
    settings = config.settings_of(arm)
    assert isinstance(settings, SftSettings)
    assert (settings.form, settings.epochs) == ("split", 2)
    assert config.rl_settings(config.arms["a"]) == RlSettings(group_size=4, max_steps=3)  # type: ignore[arg-type]
    assert config.lineage("a") == ["bc", "a"]


def test_a_seed_shifts_the_seed_of_the_evaluation(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, f"model: m\nseeds: [0, 3, {2**32 - 1}]\nevaluate: {{seed: 5}}"))
    assert [config.evaluation(seed).seed for seed in config.seeds] == [5, 8, 4]
    assert config.evaluation(0).suite == "starter"


def test_smoke_changes_sizes_only(tmp_path: Path) -> None:
    arms = f"{BC}, ifpo: {{from: bc, method: rl, algorithm: {{type: ifpo, tau: 0.25}}}}"
    smoke = load_config(
        write(tmp_path, f"model: m\nseeds: [3, 4]\nrl: {{learning_rate: 2.0e-5}}\narms: {{{arms}}}\n")
    ).smoke()
    changed = {"max_steps": 2, "prompts_per_step": 1, "group_size": 4, "micro_batch_size": 4}
    bc, ifpo = smoke.arms.values()
    assert smoke.rl_settings(ifpo) == RlSettings(learning_rate=2e-5, **changed)  # type: ignore[arg-type]
    assert (ifpo.algorithm, ifpo.start) == (Ifpo(tau=0.25), "bc")  # type: ignore[union-attr]
    assert (smoke.settings_of(bc).epochs, bc.data.limit) == (1, 12)  # type: ignore[union-attr]
    assert (smoke.seeds, smoke.evaluate.limit, smoke.evaluate.variants) == ([3], 4, ["pure", "ascl"])


# Where a number stands, with what must stand besides.
PLACES = {
    "seeds": "seeds: [HERE]",
    "judge": "judge: {kind: qwen3guard, model: x, HERE}",
    "arms.a": "arms: {a: {method: rl, algorithm: ifpo, HERE}}",
    "arms.a.settings": "arms: {a: {method: rl, algorithm: ifpo, settings: {HERE}}}",
    "arms.a.algorithm": "arms: {a: {method: rl, algorithm: {type: ifpo, HERE}}}",
    "arms.a.data": "arms: {a: {method: sft, data: {HERE}}}",
    "arms.a.data.sampling": "arms: {a: {method: sft, data: {sampling: {HERE}}}}",
}


@pytest.mark.parametrize("value", ["1e999", ".inf", ".nan", "-.inf", str(10**20), str(-(10**20)), "9" * 500])
@pytest.mark.parametrize(
    "field",
    [
        "seeds", "evaluate.limit", "evaluate.epochs", "evaluate.max_tokens", "evaluate.seed", "evaluate.batch",
        "evaluate.concurrency", "judge.concurrency", "judge.timeout", "lora.r", "lora.alpha", "rules.top_k",
        "sft.epochs", "sft.learning_rate", "sft.batch_size", "sft.micro_batch_size", "sft.max_length",
        "sft.save_steps", "rl.group_size", "rl.prompts_per_step", "rl.micro_batch_size", "rl.max_steps", "rl.epochs",
        "rl.max_tokens", "rl.temperature", "rl.save_steps", "rl.harmful_share", "arms.a.limit", "arms.a.data.limit",
        "arms.a.data.concurrency", "arms.a.data.sampling.temperature", "arms.a.data.sampling.top_p",
        "arms.a.data.sampling.max_tokens", "arms.a.data.sampling.seed", "arms.a.algorithm.tau",
        "arms.a.settings.learning_rate",
    ],
)  # fmt: skip
def test_a_number_beyond_all_sense_is_named_by_its_path(tmp_path: Path, field: str, value: str) -> None:
    above, _, last = field.rpartition(".")
    place = PLACES.get(above or field, f"{above}: {{HERE}}")
    text = place.replace("HERE", f"{last}: {value}" if above else value)
    assert fault(write(tmp_path, f"model: x\n{text}\n")).startswith(f": {field}")


def test_variables_are_replaced_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "${TWO}")
    monkeypatch.setenv("TWO", "2")
    config = load_config(write(tmp_path, 'model: "${ONE}${TWO}"\n'))
    assert config.model == "${TWO}2"
    text = "model: x\nx: a" + "${TWO}" * 200_000  # its square would take an hour
    assert "x: there is no such setting" in fault(write(tmp_path, text))
    monkeypatch.setenv("TWO", "2" * 10_000)
    assert "the values of the environment variables make the file too long" in fault(write(tmp_path, text))
