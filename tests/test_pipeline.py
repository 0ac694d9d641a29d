"""Whole runs with a tiny random model and a scripted teacher: through to the report, again, killed, and refused."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import forked
import pytest
import yaml
from teacher_server import Teacher, called, said, teacher, user_text
from typer.testing import CliRunner

from ascl.chat.clients.dtype import machine_dtype
from ascl.cli.main import app
from ascl.judges.record import Record
from ascl.prompts.prompt import Kind
from ascl.prompts.sources import STARTER, load_prompts

DEFAULT_RULES = STARTER.parent.parent / "rules" / "default"
KINDS = {prompt.text: prompt.kind for prompt in load_prompts(["starter"])}
EVALUATED = ["pure", "ascl_zs", "bc", "grpo", "ifpo"]
STAGES = ["prompts", "eval pure", "eval ascl_zs", "data", "bc", "eval bc", "grpo", "eval grpo", "ifpo", "eval ifpo"]


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
        rows = [(STARTER / f"{kind.value}.jsonl").read_text(encoding="utf-8") for kind in Kind]
        self.prompts.write_text("".join(rows), encoding="utf-8")
        shutil.copytree(DEFAULT_RULES, self.rules)
        self.settings: dict[str, Any] = {
            "model": str(model),
            "dtype": "float32",
            "prompts": [f"file:{self.prompts}"],
            "test_limit": 3,
            "train_limit": 8,
            "rules": {"source": str(self.rules)},
            "variants": ["pure", "ascl"],
            "sampling": {"max_tokens": 8},
            "eval_batch": 2,
            "teacher": {"model": "scripted", "base_url": base_url, "concurrency": 1},
            "sft": {"epochs": 2, "batch_size": 2, "micro_batch_size": 2, "save_steps": 1, "learning_rate": 1e-3},
            "rl": {
                "settings": {
                    "group_size": 2,
                    "prompts_per_step": 1,
                    "micro_batch_size": 2,
                    "max_steps": 3,
                    "save_steps": 1,
                    "max_tokens": 8,
                    "learning_rate": 1e-3,
                }
            },
        }
        self.write({})

    def write(self, changes: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(self.settings | changes), encoding="utf-8")

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
        lines = [line for line in result.stderr.splitlines() if line.startswith("ascl: ")]
        assert result.stderr.splitlines()[-1:] == lines
        assert "Traceback" not in result.output
        return lines[0]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, server: Teacher) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"), tiny_model, server.base_url)


@pytest.fixture(scope="module")
def whole(workshop: Workshop) -> Path:
    """A run that nothing disturbed, made with --fresh where another one had been, by a Python of its own.

    So its hash seed is another one than that of the runs it is compared with.
    """
    folder = workshop.folder / "whole"
    folder.mkdir()
    (folder / "config.yaml").write_text("seed: 9\n", encoding="utf-8")
    command = [sys.executable, "-m", "ascl.cli.main", *workshop.command("whole", "--fresh")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("ASCL_BENCH_DIR", None)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def records(path: Path) -> list[Record]:
    return [Record.model_validate_json(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_fresh_puts_the_old_run_aside(workshop: Workshop, whole: Path) -> None:
    assert contents(workshop.folder / "whole.old1") == {"config.yaml": b"seed: 9\n"}
    assert yaml.safe_load((whole / "config.yaml").read_text(encoding="utf-8"))["seed"] == 0


def test_a_run_leaves_everything_it_promises(whole: Path) -> None:
    manifest = json.loads((whole / "manifest.json").read_text(encoding="utf-8"))
    assert list(manifest["stages"]) == STAGES
    assert manifest["rule_book"]["rules"] >= 100
    tested = [prompt for kind in Kind for prompt in load_prompts(["starter"]) if prompt.kind is kind]
    for name in EVALUATED:
        found = records(whole / "data" / "eval" / f"{name}.jsonl")
        assert sorted(record.prompt.kind for record in found) == sorted(kind for kind in Kind for _ in range(3))
        assert [record.prompt.id for record in found] == sorted(record.prompt.id for record in found)
        assert len({record.prompt.id for record in found}) == 12
        assert {record.variant for record in found} == {name}
        assert {record.prompt.split for record in found} == {"test"}
        assert {record.prompt.text for record in found} <= {prompt.text for prompt in tested}
    for arm in ("grpo", "ifpo"):
        rolled = records(whole / "data" / "rollouts" / f"{arm}.jsonl")
        assert [record.step for record in rolled] == [1, 1, 2, 2, 3, 3]
        assert {record.prompt.kind for record in rolled} <= {Kind.HARMFUL, Kind.SENSITIVE}
    assert not list((whole / "checkpoints").glob("*.trainer"))
    assert not [path for path in whole.rglob("*") if path.name.endswith(".tmp")]


def test_cloned_prompts_are_left_out_of_rl_and_no_test_prompt_is_trained_on(whole: Path) -> None:
    rows = [json.loads(line) for line in (whole / "data" / "sft.jsonl").read_text(encoding="utf-8").splitlines()]
    cloned = {row["id"] for row in rows}
    assert {(row["kind"], row["mode"]) for row in rows} >= {
        ("harmful", "consult"),
        ("sensitive", "consult"),
        ("sensitive", "direct"),
        ("plain", "direct"),
    }
    rolled = {r.prompt.id for arm in ("grpo", "ifpo") for r in records(whole / "data" / "rollouts" / f"{arm}.jsonl")}
    tested = {r.prompt.id for r in records(whole / "data" / "eval" / "pure.jsonl")}
    assert not cloned & rolled
    assert not tested & (cloned | rolled)


def test_metrics_and_report(whole: Path) -> None:
    metrics = json.loads((whole / "metrics.json").read_text(encoding="utf-8"))
    assert list(metrics["variants"]) == EVALUATED
    consults = metrics["variants"]["pure"]["consult_harmful"]
    assert (consults["value"], consults["low"], consults["n"]) == (0.0, 0.0, 3)
    assert consults["high"] == pytest.approx(0.5615, abs=1e-4)
    assert metrics["variants"]["pure"]["safety"].keys() >= {"no_answer", "unjudged", "unparsed"}
    assert all(" % of the answers are un" in warning for warning in metrics["warnings"])
    for arm in ("grpo", "ifpo"):
        assert [point["step"] for point in metrics["training"][arm]] == [1, 2, 3]
    rows = lines(whole / "data" / "sft.jsonl")
    assert [point["step"] for point in metrics["sft"]] == list(range(1, 2 * -(-rows // 2) + 1))
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert all(name in page for name in ("IFPO", "GRPO"))


def test_a_second_run_does_nothing_again(workshop: Workshop, whole: Path, server: Teacher) -> None:
    before = contents(whole)
    made = {path: path.stat().st_mtime_ns for part in ("data", "checkpoints") for path in (whole / part).rglob("*")}
    server.requests.clear()
    workshop.finish("whole")
    assert contents(whole) == before
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert server.requests == []


def test_a_run_keeps_the_format_that_auto_was_on_its_machine(workshop: Workshop, whole: Path) -> None:
    folder = workshop.folder / "auto"
    shutil.copytree(whole, folder)
    (folder / "config.yaml").unlink()  # of a run that has just begun, with nothing left to do
    workshop.write({"dtype": "auto"})
    for _ in range(2):
        result = CliRunner().invoke(app, workshop.command("auto"))
        assert result.exit_code == 0, result.output
        kept = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        assert kept["dtype"] == machine_dtype("auto")
    workshop.write({})


def test_a_run_ends_with_the_command_that_talks_to_its_best_model(workshop: Workshop, whole: Path) -> None:
    told = (workshop.folder / "whole.log").read_text(encoding="utf-8").splitlines()
    assert "talk to bc (no model has an H-avg):" in told, "a model this small gives no answers"
    assert f"ascl chat --model {whole / 'checkpoints' / 'bc'} --rules {workshop.rules} --top-k 3" in told


def test_a_check_of_a_finished_run_asks_and_writes_nothing(workshop: Workshop, whole: Path, server: Teacher) -> None:
    before = contents(whole)
    server.requests.clear()
    result = CliRunner().invoke(app, ["run", str(workshop.config), "--out", str(whole), "--check"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"{name:<16}done" for name in STAGES]
    assert contents(whole) == before
    assert server.requests == []


def kill_points(seed: int) -> list[tuple[str, Callable[[Path], bool]]]:
    """When to kill: in evaluations and in the teacher's sampling at drawn places, and between trainer checkpoints."""
    draw = random.Random(seed).randint

    def reached(name: str, least: int) -> tuple[str, Callable[[Path], bool]]:
        return f"{name} has {least} lines", lambda run: lines(run / "data" / name) >= least

    def saved(arm: str, step: int) -> tuple[str, Callable[[Path], bool]]:
        mark = Path("checkpoints") / f"{arm}.trainer" / f"checkpoint-{step}" / "complete"
        return f"{arm} has saved step {step}", lambda run: (run / mark).exists()

    return [
        reached("eval/pure.jsonl", draw(1, 10)),
        reached("eval/ascl_zs.jsonl", draw(1, 10)),
        reached("stages/teacher.jsonl", draw(1, 10)),
        saved("bc", draw(1, 4)),
        reached("eval/bc.jsonl", draw(1, 10)),
        saved("grpo", draw(1, 2)),
        reached("eval/grpo.jsonl", draw(1, 10)),
        reached("rollouts/ifpo.jsonl", draw(1, 4)),
    ]


def test_a_run_killed_again_and_again_ends_like_one_left_alone(workshop: Workshop, whole: Path) -> None:
    run = workshop.folder / "killed"
    for name, is_time in kill_points(seed=7):
        process = workshop.start("killed")
        while process.is_alive() and not is_time(run):
            time.sleep(0.002)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"the run was over before {name}"
    workshop.finish("killed")
    found, expected = contents(run), contents(whole)
    same = [name for name in expected if name.startswith("data/") or name.endswith("model.safetensors")]
    assert len(same) >= 14
    assert [name for name in same if found.get(name) != expected[name]] == []
    assert json.loads(found["metrics.json"]) == json.loads(expected["metrics.json"])
    assert {name for name in found if ".tmp" not in name} == set(expected)


CHANGES: dict[str, dict[str, Any]] = {
    "seed": {"seed": 1},
    "a limit": {"test_limit": 2},
    "variants": {"variants": ["pure"]},
    "a training setting": {"sft": {"epochs": 1}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_settings_in_the_same_folder_are_refused(workshop: Workshop, whole: Path, change: str) -> None:
    before = contents(whole)
    workshop.write(CHANGES[change])
    try:
        line = workshop.refused("whole")
    finally:
        workshop.write({})
    assert line.startswith(f"ascl: {whole}: holds a run with other settings")
    assert "--fresh" in line
    assert contents(whole) == before


def test_another_rule_book_or_prompt_set_in_the_same_folder_is_refused(workshop: Workshop, whole: Path) -> None:
    before = contents(whole)
    rule_file = next(workshop.rules.glob("privacy.yaml"))
    for path, old, new, said_ in (
        (rule_file, "address", "adress", "rule book"),
        (workshop.prompts, "neighbor", "neighbors", "prompts"),
    ):
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        try:
            line = workshop.refused("whole")
        finally:
            path.write_text(text, encoding="utf-8")
        assert line.startswith(f"ascl: {whole}: its {said_} has changed since; pass --fresh")
    assert contents(whole) == before


def test_a_teacher_whose_every_answer_is_rejected_is_one_line(workshop: Workshop, server: Teacher) -> None:
    workshop.write({"variants": []})
    server.script = lambda messages: said("I won't help with that.", "I refuse all.")
    try:
        line = workshop.refused("rejected")
    finally:
        server.script = script
        workshop.write({})
    assert line.startswith("ascl: data: no trajectory passed the recipe's checks (see data/rejected.jsonl)")
    assert lines(workshop.folder / "rejected" / "data" / "rejected.jsonl") >= 10
    assert "data" not in json.loads((workshop.folder / "rejected" / "manifest.json").read_text())["stages"]


def test_a_run_in_the_split_form(workshop: Workshop) -> None:
    """Two samples of each consultation, and their prompts are known to RL as cloned."""
    rl = workshop.settings["rl"] | {"arms": ["ifpo"]}
    sft = workshop.settings["sft"] | {"form": "split", "epochs": 1}
    changes = {"dialect": "qwen_agent", "variants": [], "test_limit": 1, "rl": rl, "sft": sft}
    workshop.write(changes)
    try:
        run = workshop.finish("split")
    finally:
        workshop.write({})
    rows = [json.loads(line) for line in (run / "data" / "sft.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(row["last_turn_only"] and row["messages"][-1]["role"] == "assistant" for row in rows)
    turns = {row["id"]: row["mode"] for row in rows}
    consulting = {row["prompt_id"] for row in rows if row["mode"] == "consult"}
    assert consulting
    assert all(f"{identity}#2" in turns for identity in consulting)
    rolled = {record.prompt.id for record in records(run / "data" / "rollouts" / "ifpo.jsonl")}
    assert rolled
    assert not rolled & {row["prompt_id"] for row in rows}
    assert (run / "report.html").exists()
