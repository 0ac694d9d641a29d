"""Whole runs with a tiny random model and a scripted teacher: through to the report, again, killed, and refused."""

import json
import random
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import forked
import pytest
import yaml
from teacher_server import Teacher, called, said, teacher, user_text
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.data.load import STARTER, load_prompts
from ascl.data.prompt import Kind, split_of
from ascl.evals.arms import RunResults
from ascl.evals.results import read_results
from ascl.judges.record import Record
from ascl.models.dtype import machine_dtype

DEFAULT_RULES = STARTER.parents[1] / "rules" / "default"
KINDS = {prompt.text: prompt.kind for prompt in load_prompts(["starter"])}
EVALUATED = ["pure", "ascl_zs", "bc", "grpo", "ifpo"]
STAGES = [
    *["eval pure-0", "eval ascl_zs-0"],
    *["data bc-0", "bc-0", "eval bc-0", "grpo-0", "eval grpo-0", "ifpo-0", "eval ifpo-0"],
]
SETTINGS = """
    dtype: float32
    sft: {epochs: 2, batch_size: 4, micro_batch_size: 4, save_steps: 1, learning_rate: 0.001}
    rl: {group_size: 2, prompts_per_step: 1, micro_batch_size: 2, max_steps: 2, save_steps: 1, max_tokens: 8,
         learning_rate: 0.001}
    arms:
        bc: {method: sft, data: {model: scripted, concurrency: 1, parameters: {purify: false}, limit: 4}}
        grpo: {from: bc, method: rl, algorithm: grpo, limit: 4}
        ifpo: {from: bc, method: rl, algorithm: {type: ifpo, tau: 0.5}, limit: 4}
    evaluate: {limit: 2, variants: [pure, ascl], greedy: true, max_tokens: 8, batch: 2}
"""
# Of the files, those that hold the same whatever the folder is called, and when and where it was made.
SAME = ("*.jsonl", "metrics.json", "model.safetensors")


def script(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Refuse harm after a look-up, look up every second sensitive prompt, answer the rest at once."""
    text = user_text(messages)
    harmful, sensitive = KINDS[text] is Kind.HARMFUL, KINDS[text] is Kind.SENSITIVE
    if messages[-1]["role"] == "user" and (harmful or (sensitive and len(text) % 2)):
        return called(text, "This may break a rule, so I should check.")
    if harmful:
        return said("I can't help with that, because people would be hurt.", "The rules apply, so I must refuse.")
    return said("Ask at the town library: they keep good books on this.", "That is harmless, so I answer.")


@pytest.fixture(scope="module")
def server() -> Iterator[Teacher]:
    with teacher(script) as running:
        yield running


class Workshop:
    """A folder with a configuration, its prompts and rules, and the environment in which `ascl run` is started."""

    def __init__(self, folder: Path, model: Path, base_url: str) -> None:
        self.folder, self.config = folder, folder / "tiny.yaml"
        self.prompts, self.rules = folder / "prompts.jsonl", folder / "rules"
        of_kind = [(STARTER / f"{kind.value}.jsonl").read_text(encoding="utf-8").splitlines(True) for kind in Kind]
        # Train prompts, a part of them cloned, and test prompts.
        self.prompts.write_text("".join("".join(rows[:20] + rows[-5:]) for rows in of_kind), encoding="utf-8")
        shutil.copytree(DEFAULT_RULES, self.rules)
        self.settings: dict[str, Any] = yaml.safe_load(SETTINGS)
        self.settings |= {
            "model": str(model),
            "prompts": [f"file:{self.prompts}"],
            "rules": {"source": str(self.rules)},
        }
        self.settings["arms"]["bc"]["data"]["base_url"] = base_url
        self.write({})

    def write(self, changes: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(self.settings | changes), encoding="utf-8")

    @contextmanager
    def changed(self, **changes: Any) -> Iterator[None]:
        """Other settings for a while."""
        self.write(changes)
        try:
            yield
        finally:
            self.write({})

    def command(self, out: str, *options: str) -> list[str]:
        return ["run", str(self.config), "--out", str(self.folder / out), *options]

    def start(self, out: str, *options: str) -> BaseProcess:
        """`ascl run` in a process of its own."""
        return forked.start(self.log(out), forked.ascl, *self.command(out, *options), without=("ASCL_BENCH_DIR",))

    def finish(self, out: str, *options: str) -> Path:
        process = self.start(out, *options)
        process.join()
        assert process.exitcode == 0, self.log(out).read_text(encoding="utf-8")[-3000:]
        return self.folder / out

    def log(self, out: str) -> Path:
        return self.folder / f"{out}.log"

    def refused(self, out: str, *options: str) -> str:
        """The one line of a run that is refused with exit code 2, from this process."""
        result = CliRunner().invoke(app, ["run", str(self.config), "--out", str(self.folder / out), *options])
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.output
        line = result.stderr.splitlines()[-1]
        assert line.startswith("ascl: ")
        return line


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, server: Teacher) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"), tiny_model, server.base_url)


@pytest.fixture(scope="module")
def whole(workshop: Workshop) -> Path:
    """A run that nothing disturbed, made with --fresh where another one had been."""
    folder = workshop.folder / "whole"
    folder.mkdir()
    (folder / "config.yaml").write_text("seeds: [9]\n", encoding="utf-8")
    return workshop.finish("whole", "--fresh")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rollouts(run: Path, unit: str) -> list[Record]:
    return [Record.model_validate(row) for row in rows_of(run / "arms" / unit / "rollouts.jsonl")]


def asked(run: Path, unit: str) -> list[dict[str, Any]]:
    """The prompts of an evaluation, in the order of its files."""
    return [row["prompt"] for path in sorted((run / "evals" / unit).glob("trajectories/*")) for row in rows_of(path)]


def results(run: Path) -> RunResults:
    return RunResults.model_validate_json((run / "results.json").read_text(encoding="utf-8"))


def outcome(run: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """What two runs of one configuration have in common, to the byte, and their results without dates and times."""
    files = {str(path.relative_to(run)): path.read_bytes() for pattern in SAME for path in run.rglob(pattern)}
    return files, results(run).model_dump(exclude={"name", "facts", "seconds"})


def test_a_run_leaves_everything_it_promises_and_fresh_puts_the_old_one_aside(workshop: Workshop, whole: Path) -> None:
    assert contents(workshop.folder / "whole.old1") == {"config.yaml": b"seeds: [9]\n"}
    assert yaml.safe_load((whole / "config.yaml").read_text(encoding="utf-8"))["seeds"] == [0]
    manifest = json.loads((whole / "manifest.json").read_text(encoding="utf-8"))
    assert list(manifest["stages"]) == STAGES
    assert re.fullmatch(r"\w+, \d{3} rules", manifest["facts"]["rule book"])
    tested = {prompt.text for prompt in load_prompts(["starter"]) if split_of(prompt) == "test"}
    for name in EVALUATED:
        found = asked(whole, f"{name}-0")
        assert sorted(prompt["kind"] for prompt in found) == sorted(kind for kind in Kind for _ in range(2))
        assert len({prompt["id"] for prompt in found}) == 8
        assert {prompt["messages"][-1]["content"] for prompt in found} <= tested
        about = json.loads((whole / "evals" / f"{name}-0" / "evaluation.json").read_text(encoding="utf-8"))
        trained = name in ("bc", "grpo", "ifpo")
        assert (about["arm"], about["seed"], about["name"]) == (name if trained else None, 0, name)
        assert about["variant"] == ("pure" if name == "pure" else "ascl")
    for arm in ("grpo", "ifpo"):
        rolled = rollouts(whole, f"{arm}-0")
        assert [record.step for record in rolled] == [1, 1, 2, 2]
        assert {record.prompt.kind for record in rolled} <= {Kind.HARMFUL, Kind.SENSITIVE}
        assert "Judge: offline. Seed 0." in (whole / "arms" / f"{arm}-0" / "README.md").read_text(encoding="utf-8")
    assert not list((whole / "arms").glob("*.trainer"))
    assert not [path for path in whole.rglob("*") if path.name.endswith(".tmp")]


def test_cloned_prompts_are_left_out_of_rl_and_no_test_prompt_is_trained_on(whole: Path) -> None:
    rows = rows_of(whole / "data" / "bc-0" / "rows.jsonl")
    cloned = {row["id"] for row in rows}
    asked_for = {"harmful": ("consult",), "sensitive": ("consult", "direct"), "plain": ("direct",)}
    assert {(row["kind"], row["mode"]) for row in rows} >= {
        (k, mode) for k, modes in asked_for.items() for mode in modes
    }
    rolled = {record.prompt.id for arm in ("grpo", "ifpo") for record in rollouts(whole, f"{arm}-0")}
    tested = {prompt["id"] for prompt in asked(whole, "pure-0")}
    assert not cloned & rolled
    assert not tested & (cloned | rolled)


def test_results_and_report(whole: Path) -> None:
    found = results(whole)
    assert [arm.name for arm in found.arms] == EVALUATED
    begun = [(False, None), (False, None), (True, None), (True, "bc"), (True, "bc")]
    assert [(arm.trained, arm.start) for arm in found.arms] == begun
    pure, _, cloned, *reinforced = found.arms
    consults = pure.figures["consult_harmful"]
    assert (consults.value, consults.low, consults.n) == (0.0, 0.0, 2)
    assert consults.high == pytest.approx(0.6576, abs=1e-4)
    assert pure.figures == read_results(whole / "evals" / "pure-0").summary, "one seed keeps the evaluation's intervals"
    for arm in reinforced:
        assert [point["step"] for point in arm.curve] == [1, 2]
        assert arm.rollouts == [f"arms/{arm.name}-0/rollouts.jsonl"]
    steps = 2 * -(-lines(whole / "data" / "bc-0" / "rows.jsonl") // 4)
    assert [point["step"] for point in cloned.loss] == list(range(1, steps + 1))
    assert list(found.seconds) == STAGES
    pairs = {(one.first, one.second) for one in found.differences}
    assert pairs == {("ascl_zs", "bc"), ("bc", "grpo"), ("bc", "ifpo"), ("grpo", "ifpo")}
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert all(name in page for name in EVALUATED)


def test_a_second_run_and_a_check_do_nothing_again(workshop: Workshop, whole: Path, server: Teacher) -> None:
    before = contents(whole)
    made = {path: path.stat().st_mtime_ns for part in ("data", "evals") for path in (whole / part).rglob("*")}
    made |= {path: path.stat().st_mtime_ns for path in whole.glob("arms/*/*.safetensors")}
    server.requests.clear()
    workshop.finish("whole")
    result = CliRunner().invoke(app, [*workshop.command("whole"), "--check"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"{name:<20}done" for name in STAGES]
    assert contents(whole) == before
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert server.requests == []


def test_a_run_keeps_the_format_that_auto_was_on_its_machine(workshop: Workshop, whole: Path) -> None:
    folder, fast = workshop.folder / "auto", machine_dtype("auto")
    shutil.copytree(whole, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["config"]["dtype"] = fast  # of a run that has just begun, with nothing left to do
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with workshop.changed(dtype="auto"):
        result = CliRunner().invoke(app, workshop.command("auto"))
    assert result.exit_code == 0, result.output
    assert yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["dtype"] == fast


def test_a_run_ends_with_the_command_that_talks_to_its_best_model(workshop: Workshop, whole: Path) -> None:
    told = workshop.log("whole").read_text(encoding="utf-8").splitlines()
    assert "talk to bc (no model has an H-avg):" in told, "a model this small gives no answers"
    assert f"ascl chat --model {whole / 'arms' / 'bc-0'} --rules {workshop.rules} --top-k 3" in told


def test_an_arm_a_seed_and_a_variant_are_added_and_nothing_is_done_again(workshop: Workshop, whole: Path) -> None:
    """The configuration may leave arms out that are there: they stay as they are, figures of an older version too."""
    shutil.copytree(whole, workshop.folder / "more")
    older = workshop.folder / "more" / "evals" / "bc-0" / "metrics.json"
    metrics = json.loads(older.read_text(encoding="utf-8"))
    del metrics["summary"]["separation"]
    older.write_text(json.dumps(metrics), encoding="utf-8")
    before = contents(workshop.folder / "more")
    arms = {"bc": workshop.settings["arms"]["bc"], "dr": {"from": "bc", "method": "rl", "algorithm": "dr_grpo"}}
    evaluate = workshop.settings["evaluate"] | {"variants": ["pure", "short"]}
    with workshop.changed(arms=arms, seeds=[0, 1], evaluate=evaluate):
        more = workshop.finish("more")
    new = ["eval short-0", "dr-0", "eval dr-0", "data bc-1", "bc-1", "eval bc-1", "dr-1", "eval dr-1"]
    manifest = json.loads((more / "manifest.json").read_text(encoding="utf-8"))
    assert list(manifest["stages"]) == [*STAGES, *new]
    there = contents(more)
    kept = [name for name in before if name.startswith(("data/", "evals/", "arms/")) and name[-9:] != "README.md"]
    assert {name: there[name] for name in kept} == {name: before[name] for name in kept}
    found = {arm.name: arm for arm in results(more).arms}
    assert {name: arm.seeds for name, arm in found.items()} == {"pure": [0], "short": [0], "bc": [0, 1], "dr": [0, 1]}
    assert {one.seeds for one in results(more).differences if (one.first, one.second) == ("bc", "dr")} == {2}
    assert found["bc"].figures["consult_harmful"].n == 2, "seeds, not prompts"


def kill_points(seed: int) -> list[tuple[str, Callable[[Path], bool]]]:
    """When to kill: in evaluations and in the teacher's sampling at drawn places, and between trainer checkpoints."""
    draw = random.Random(seed).randint

    def reached(pattern: str, least: int) -> tuple[str, Callable[[Path], bool]]:
        return f"{pattern} has {least} lines", lambda run: sum(map(lines, run.glob(pattern))) >= least

    def saved(unit: str, step: int) -> tuple[str, Callable[[Path], bool]]:
        mark = Path("arms") / f"{unit}.trainer" / f"checkpoint-{step}" / "complete"
        return f"{unit} has saved step {step}", lambda run: (run / mark).exists()

    return [
        reached("evals/pure-0/trajectories/*", draw(1, 6)),
        reached("data/bc-0/stages/teacher.jsonl", draw(1, 10)),
        saved("bc-0", draw(1, 4)),
        reached("evals/bc-0/trajectories/*", draw(1, 6)),
        saved("grpo-0", 1),
        reached("arms/ifpo-0.trainer/rollouts.jsonl", draw(1, 4)),
    ]


def test_a_run_killed_again_and_again_ends_like_one_left_alone(workshop: Workshop, whole: Path) -> None:
    run = workshop.folder / "killed"
    for name, is_time in kill_points(seed=7):
        process = workshop.start("killed")
        while process.is_alive() and not is_time(run):
            process.join(0.002)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"the run was over before {name}"
    workshop.finish("killed")
    assert outcome(run) == outcome(whole)
    assert {name for name in contents(run) if ".tmp" not in name} == set(contents(whole))


def test_arms_side_by_side_come_to_the_same(workshop: Workshop, whole: Path) -> None:
    """In processes of their own, whose hash seeds are others."""
    run = workshop.finish("side", "--processes", "2")
    assert outcome(run) == outcome(whole)
    assert set(contents(run)) == set(contents(whole))


def test_other_settings_rules_or_prompts_in_the_same_folder_are_refused(workshop: Workshop, whole: Path) -> None:
    before = contents(whole)
    arms = workshop.settings["arms"]
    other_tau = arms | {"ifpo": arms["ifpo"] | {"algorithm": {"type": "ifpo", "tau": 1.0}}}
    changes: dict[str, dict[str, Any]] = {
        "evaluate.limit (2, now 1)": {"evaluate": workshop.settings["evaluate"] | {"limit": 1}},
        "sft.epochs (2.0, now 1.0)": {"sft": workshop.settings["sft"] | {"epochs": 1}},
        "lora (None, now {'r': 2, 'alpha': 32, 'dropout': 0.0})": {"lora": {"r": 2}},
        "arms.ifpo.algorithm.tau (0.5, now 1.0)": {"arms": other_tau},
        "arms.grpo.from (bc, now None)": {"arms": arms | {"grpo": {"method": "rl", "algorithm": "grpo", "limit": 4}}},
    }
    for said_, change in changes.items():
        with workshop.changed(**change):
            line = workshop.refused("whole")
        assert line == f"ascl: {whole}: holds a run with another {said_}; name another --out or pass --fresh"
    rule_file = next(workshop.rules.glob("privacy.yaml"))
    for path, old, new, said_ in (
        (rule_file, "address", "adress", "rule book"),
        (workshop.prompts, " the ", " this ", "prompts"),
    ):
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        try:
            line = workshop.refused("whole")
        finally:
            path.write_text(text, encoding="utf-8")
        assert line.startswith(f"ascl: {whole}: holds a run with another {said_} (")
        assert line.endswith("; name another --out or pass --fresh")
    assert contents(whole) == before


def test_a_teacher_whose_every_answer_is_rejected_is_one_line(workshop: Workshop, server: Teacher) -> None:
    server.script = lambda messages: said("I won't help with that.", "I refuse all.")
    try:
        with workshop.changed(evaluate={"variants": []}):
            line = workshop.refused("rejected")
    finally:
        server.script = script
    rejected = workshop.folder / "rejected" / "data" / "bc-0" / "rejected.jsonl"
    assert line == f"ascl: bc: no trajectory passed the recipe's checks (see {rejected})"
    assert lines(rejected) >= 10
    assert json.loads((workshop.folder / "rejected" / "manifest.json").read_text())["stages"] == {}


def test_a_run_in_the_split_form(workshop: Workshop) -> None:
    """Two samples of each consultation, and their prompts are known to RL as cloned."""
    arms = {name: workshop.settings["arms"][name] for name in ("bc", "ifpo")}
    evaluate = workshop.settings["evaluate"] | {"variants": [], "limit": 1}
    sft = workshop.settings["sft"] | {"form": "split", "epochs": 1}
    with workshop.changed(dialect="qwen_agent", arms=arms, evaluate=evaluate, sft=sft):
        run = workshop.finish("split")
    rows = rows_of(run / "data" / "bc-0" / "rows.jsonl")
    assert all(row["last_turn_only"] and row["messages"][-1]["role"] == "assistant" for row in rows)
    turns = {row["id"]: row["mode"] for row in rows}
    consulting = {row["prompt_id"] for row in rows if row["mode"] == "consult"}
    assert consulting
    assert all(f"{identity}#2" in turns for identity in consulting)
    rolled = {record.prompt.id for record in rollouts(run, "ifpo-0")}
    assert rolled
    assert not rolled & {row["prompt_id"] for row in rows}
    assert (run / "report.html").exists()
