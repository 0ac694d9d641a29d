"""Folders of another version, damaged or edited by hand: from every command that reads them it is one line, exit 2.

`ASCL_EVERY_CASE=1` tries 1,700 damages instead of a sample.
"""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from commands import Desk, desk, done, finished_run
from mutations import damage
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.errors import InputError
from ascl.evals.evaluate import reward_judge
from ascl.files import write_json, write_text
from ascl.train.checkpoints import last_checkpoint, same_run

SHARE = 1.0 if os.environ.get("ASCL_EVERY_CASE") else 0.06


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, embedded: Path) -> Iterator[Desk]:
    """A finished data set, evaluation and run."""
    folder = tmp_path_factory.mktemp("desk")
    with desk(folder) as found:
        done(*found.build("data"))
        done(*found.evaluate("eval"))
        finished_run(folder / "run", "embedded")
        yield found


# Each area: its folder, how many damages are tried of all, and the commands that read it ({} is the folder).
AREAS = {
    "data": (600, ["build", "decontaminate"]),
    "eval": (700, ["eval", "rejudge", "trace", "compare", "inspect"]),
    "run": (400, ["run", "run --check", "report", "score"]),
}


def command(at: Desk, name: str, area: str) -> list[str]:
    place = str(at.folder / area)
    settings = str(at.folder / "run.yaml")
    return {
        "build": at.build(area),
        "decontaminate": ["data", "decontaminate", place, "--against", "starter", "--out", f"{place}.clean"],
        "eval": at.evaluate(area),
        "rejudge": ["eval", "rejudge", place, "--judge", "offline"],
        "trace": ["eval", "trace", place],
        "compare": ["report", place, "--out", f"{place}.html"],
        "inspect": ["eval", "inspect", place],
        "run": ["run", settings, "--out", place],
        "run --check": ["run", settings, "--out", place, "--check"],
        "report": ["report", place],
        "score": ["score", str(at.folder / area / "arms" / "ifpo-0" / "rollouts.jsonl"), "--config", settings],
    }[name]


@pytest.mark.parametrize(("area", "name"), [(area, name) for area, (_, names) in AREAS.items() for name in names])
def test_what_is_damaged_is_one_line(at: Desk, area: str, name: str) -> None:
    count, names = AREAS[area]
    dice, bad = random.Random(f"{area} {name}"), []
    whole = at.folder / area
    given = command(at, name, "tried")
    files = sorted(p for p in whole.rglob("*") if p.suffix in (".json", ".jsonl", ".yaml") and p.stat().st_size)
    for _ in range(int(count * SHARE / len(names)) + 1):
        shutil.rmtree(at.folder / "tried", ignore_errors=True)
        shutil.copytree(whole, at.folder / "tried")
        path = dice.choice(files)
        what, content = damage(path, dice)
        damaged = at.folder / "tried" / path.relative_to(whole)
        damaged.unlink() if content is None else damaged.write_bytes(content)
        result = CliRunner().invoke(app, given)
        line = (result.stderr.splitlines() or [""])[-1]
        ended = result.exit_code == 0 or (result.exit_code == 2 and line.startswith("ascl: "))
        if not ended or not isinstance(result.exception, SystemExit | None):
            bad.append(f"{path.relative_to(whole)} {what}: {result.exit_code}, {result.exception!r}")
    assert bad == [], "\n".join(bad)


FACTS = {"model": "m", "settings": {"epochs": 1.0, "seed": 0}, "judge": "offline", "rows": "0123456789abcdef"}


def begun(work: Path) -> None:
    """What a training leaves that was killed after its second step."""
    write_json(work / "run.json", FACTS)
    write_text(work / "checkpoint-2" / "complete", "")
    (work / "checkpoint-old").mkdir()  # a copy that somebody made


@pytest.mark.parametrize("file", ["run.json", "training.json"])
def test_what_a_training_depended_on_is_one_line_where_it_is_damaged(file: str, tmp_path: Path) -> None:
    dice = random.Random(file)
    for _ in range(40):
        begun(tmp_path)
        path = tmp_path / file
        write_json(path, FACTS)
        what, content = damage(path, dice)
        path.unlink() if content is None else path.write_bytes(content)
        with suppress(InputError):
            assert reward_judge(tmp_path) in (None, "offline", "a" * 20, ""), what
        with suppress(InputError):
            same_run(tmp_path, FACTS)
            assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2"), what
        shutil.rmtree(tmp_path)
