"""The whole lab, tiny: clones, arms, figures, claims and page come to be, and a second run does nothing again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from earlier_layout import check_same, kept, told
from tiny_lab import SIZES, tiny
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.data.rows import read_rows
from ascl.errors import InputError
from ascl.evals.arms import RunResults
from ascl.lab.lab import WORLDS, lab_config, run_lab
from ascl.lab.lab_world import LabSizes, LabWorld, cloning_rows
from ascl.lab.world import draw_world
from ascl.run.config import RunConfig

EARLIER = kept(Path(__file__).with_name("rollouts_of_the_earlier_layout.jsonl"))
ARMS = list(lab_config().arms)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab") / "lab"


@pytest.fixture(scope="module")
def results(folder: Path) -> Iterator[RunResults]:
    """Every arm with one seed, in float32 and one thread: so are the rollouts it is compared with."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield run_lab(tiny(), folder, 1, SIZES)
    torch.set_num_threads(threads)


def test_every_arm_runs(results: RunResults, folder: Path) -> None:
    assert [arm.name for arm in results.arms] == ARMS
    assert {len(arm.curve) for arm in results.arms if arm.rollouts} == {2}
    assert {arm.start for arm in results.arms} == {None, "bc", "surrogate_bc"}
    assert {claim.verdict for claim in results.claims} == {"unclear"}  # one seed settles nothing
    assert "A price on consulting" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_rollouts_are_those_of_the_earlier_layout(results: RunResults, folder: Path) -> None:
    check_same({arm: told(folder / "arms" / f"{arm}-0" / "rollouts.jsonl") for arm in EARLIER}, EARLIER)


def test_nothing_is_done_twice(results: RunResults, folder: Path) -> None:
    def written() -> dict[Path, int]:
        files = [path for part in ("arms", "evals") for path in (folder / part).rglob("*.*")]
        return {path: path.stat().st_mtime_ns for path in files if path.name != "README.md"}

    before = written()
    assert run_lab(tiny("ifpo"), folder, 1, SIZES).headline.count("ifpo") == 1
    assert written() == before


def test_a_lab_of_other_sizes_or_settings_is_refused(results: RunResults, folder: Path) -> None:
    with pytest.raises(InputError, match=r"holds a run with another lab.requests \(24, now 30\)"):
        run_lab(tiny("grpo"), folder, 1, LabSizes(**(vars(SIZES) | {"requests": 30})))
    config = tiny("grpo")
    longer = config.model_copy(update={"rl": config.rl.model_copy(update={"max_steps": 3})})
    with pytest.raises(InputError, match=r"holds a run with another rl.max_steps \(2, now 3\)"):
        run_lab(longer, folder, 1, SIZES)
    with pytest.raises(InputError, match=r"holds a run with another arms.bc.data.parameters.harmful"):
        run_lab(tiny("grpo", world="high_start"), folder, 1, SIZES)


def test_a_part_of_the_lab_brings_what_its_arms_begin_with_and_what_is_unknown_is_one_line() -> None:
    config = lab_config(["surrogate", "ifpo"], [4, 5], 7)
    assert list(config.arms) == ["bc", "surrogate_bc", "ifpo", "surrogate"]
    assert (config.seeds, config.rl.max_steps) == ([4, 5], 7)
    for wrong, said in (
        (["--arms", "grpo,best"], "--arms best: unknown"),
        (["--world", "mars"], "--world mars: unknown"),
    ):
        found = CliRunner().invoke(app, ["lab", *wrong])
        assert found.exit_code == 2
        assert said in found.output
        assert "Traceback" not in found.output


@pytest.mark.parametrize("world", WORLDS)
def test_a_run_in_another_world_shows_its_clones_what_that_world_says(world: str, tmp_path: Path) -> None:
    config = tiny(world=world)
    rows = read_rows(LabWorld(config, tmp_path, SIZES).make_rows("bc", config.arms["bc"], 0, tmp_path))
    drawn = draw_world("bc", SIZES.requests, SIZES.plain, SIZES.sums, 0)
    assert [row.dump() for row in rows] == [row.dump() for row in cloning_rows(drawn, WORLDS[world], False, 0)]
    assert RunConfig.model_validate(config.model_dump(by_alias=True)) == config  # as config.yaml keeps it
