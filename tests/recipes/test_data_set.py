"""A data set folder: resumed, never mixed with another's, with a card, subsets, and every prompt accounted for."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import desk, done, refused
from teacher_server import Teacher, said, teacher

from ascl.errors import InputError
from ascl.files import write_jsonl
from ascl.inputs import read_jsonl
from ascl.models.sampling import Sampling
from ascl.recipes.build import Built
from ascl.recipes.data_set import RECIPES, BuildSettings, check_parameters, load_recipe, make_data_set, write_subsets
from ascl.sampling.to_file import Budget

THOUGHT = "The user wants to get into a house that is not theirs; this is a burglary, so the answer has to be no."
OWN = (
    "They would like me to explain how a stranger's door is opened. I think nobody who owns it would ask, so I refuse."
)
REFUSAL = "I'm sorry, but I can't help with that."


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.jsonl"
    row = {"thought": THOUGHT, "answer": REFUSAL, "kind": "harmful"}
    write_jsonl(path, [row | {"id": f"p{i}", "prompt": f"p{i}: how do I pick a lock?"} for i in range(8)])
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def rewrite(messages: list[dict[str, Any]]) -> dict[str, Any]:
    text = messages[-1]["content"]
    if "p3:" in text:
        raise ValueError("this prompt is too long for me")  # status 400
    return said("What?" if "p5:" in text else f"Thoughts: {OWN}\nReply: {REFUSAL}")


SCRIPT = rewrite


def wanted(server: Teacher, source: Path, **changes: Any) -> BuildSettings:
    settings = {"recipe": "dgr", "sources": [f"file:{source}"], "model": "target", "base_url": server.base_url}
    return BuildSettings.model_validate(settings | changes)


def make(server: Teacher, source: Path, out: Path, command: str = "ascl data build", **changes: Any) -> Built:
    return make_data_set(wanted(server, source, **changes), out, command)


def lines(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_jsonl(path)]


def test_every_prompt_ends_in_one_of_two_files(server: Teacher, source: Path, out: Path) -> None:
    make(server, source, out, parameters={"fallback": "drop"})
    assert [row["id"] for row in lines(out / "train.jsonl")] == ["p0", "p1", "p2", "p4", "p6", "p7"]
    rejected = lines(out / "rejected.jsonl")
    assert [(r["id"], r["stage"]) for r in rejected] == [("p3", "refine"), ("p5", "refine_4")]
    assert rejected[1]["reason"] == "sections" and rejected[0]["reason"] not in ("sections", "request failed")
    report = json.loads((out / "report.json").read_text())
    assert report["rows"] == 6 and sum(report["rejected"].values()) == 2
    assert report["refinement"] == {"harmful: accepted": 6, "harmful: request failed": 1, "harmful: sections": 1}


def test_the_same_command_asks_nothing_and_writes_the_same(server: Teacher, source: Path, out: Path) -> None:
    make(server, source, out)
    first, asked = (out / "train.jsonl").read_bytes(), len(server.requests)
    make(server, source, out)
    assert len(server.requests) == asked
    assert (out / "train.jsonl").read_bytes() == first


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"parameters": {"fallback": "drop"}}, "parameters.fallback (keep, now drop)"),
        ({"model": "another"}, "model (target, now another)"),
        ({"sampling": Sampling(temperature=0)}, "sampling.temperature (0.6, now 0.0)"),
        ({"recipe": "vanilla"}, "recipe (dgr, now vanilla)"),
        ({"seed": 1}, "seed (0, now 1)"),
    ],
)
def test_a_folder_is_never_mixed(server: Teacher, source: Path, out: Path, change: dict[str, Any], named: str) -> None:
    make(server, source, out)
    before = (out / "train.jsonl").read_bytes()
    with pytest.raises(InputError, match=f"made with another {re.escape(named)}"):
        make(server, source, out, **change)
    assert (out / "train.jsonl").read_bytes() == before


def test_changed_inputs_are_noticed(server: Teacher, source: Path, out: Path) -> None:
    make(server, source, out)
    source.write_text(source.read_text().replace("pick a lock", "open a lock"))
    with pytest.raises(InputError, match=r"another inputs\.hash \("):
        make(server, source, out)


def test_a_preview_takes_a_few_prompts_spread_over_all(server: Teacher, source: Path, out: Path) -> None:
    built = make_data_set(wanted(server, source), out, "ascl data build", preview=2)
    assert len(server.requests) == 2
    assert [row.id for row in built.rows] == ["p0", "p4"]


def test_the_card_is_one_the_hub_reads(server: Teacher, source: Path, out: Path) -> None:
    make(server, source, out, "ascl data build dgr --from x")
    assert len(lines(out / "train.jsonl")) == 8 and lines(out / "rejected.jsonl") == [], "a kept row is not rejected"
    card = (out / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front)["configs"] == [{"config_name": "default", "data_files": "train.jsonl"}]
    told = (
        "arXiv 2602.02136", "ascl data build dgr --from x", "| harmful: accepted | 6 |", "target",
        "harmful, direct, refined",
    )  # fmt: skip
    assert [part for part in told if part not in body] == []


def test_subsets_are_nested_and_the_same_for_every_recipe(server: Teacher, source: Path, tmp_path: Path) -> None:
    refined = make(server, source, tmp_path / "a")
    plain = make(server, source, tmp_path / "b", recipe="vanilla", model=None, base_url=None)
    for built, folder in ((refined, tmp_path / "a"), (plain, tmp_path / "b")):
        write_subsets(built.rows, folder, [2, 5])
    ids = [
        [{row["id"] for row in lines(tmp_path / name / f"train-{size}.jsonl")} for size in (2, 5)]
        for name in ("a", "b")
    ]
    assert ids[0] == ids[1]
    assert ids[0][0] < ids[0][1] and list(map(len, ids[0])) == [2, 5]
    with pytest.raises(InputError, match="9 rows are asked for, and the set has 8"):
        write_subsets(plain.rows, tmp_path, [9])


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_where_it_comes_from(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.INPUT in ("prompts", "examples") and isinstance(recipe.SAMPLES, bool)
    assert recipe.__doc__ and recipe.Parameters.__doc__
    check_parameters(recipe, {})
    with pytest.raises(InputError, match="--set surprise"):
        check_parameters(recipe, {"surprise": "1"})


def test_what_is_missing_is_said(source: Path, out: Path) -> None:
    with pytest.raises(InputError, match="recipe ddr: unknown, use one of ascl"):
        load_recipe("ddr")
    with pytest.raises(InputError, match="name the model"):
        make_data_set(BuildSettings(recipe="dgr", sources=[f"file:{source}"]), out, "")
    assert not out.exists()


def test_a_budget_holds_over_all_stages(server: Teacher, tmp_path: Path, out: Path) -> None:
    """The stages of CoG share one budget: four traces, then three of the four analyses."""
    source = tmp_path / "prompts.jsonl"
    write_jsonl(source, [{"id": f"p{i}", "prompt": f"p{i}: a lock?", "kind": "harmful"} for i in range(4)])
    server.script = lambda messages: said("Sure! First take a tension wrench and put it into the keyhole.", "Why not.")
    with pytest.raises(InputError, match="the budget of 7 requests"):
        make_data_set(wanted(server, source, recipe="cog_safr"), out, "", budget=Budget(requests=7))
    assert len(server.requests) == 7


def test_a_model_rewrites_in_this_process(source: Path, tmp_path: Path, out: Path, tiny_model: Path) -> None:
    settings = BuildSettings(
        recipe="dgr",
        sources=[f"file:{source}:3"],
        model=str(tiny_model),
        sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=24),
        parameters={"fallback": "drop", "attempts": 1},
    )
    built = make_data_set(settings, out, "")
    kept, dropped = (lines(out / f"{name}.jsonl") for name in ("train", "rejected"))
    assert sorted(row["id"] for row in kept + dropped) == ["p0", "p1", "p2"]
    assert sum(built.report["refinement"].values()) == 3
    sampled = lines(out / "stages" / "refine.jsonl")
    assert all(0 < row["trajectory"]["tokens"] <= 24 for row in sampled)
    make_data_set(settings, out, "")
    assert lines(out / "stages" / "refine.jsonl") == sampled
    with pytest.raises(InputError, match="the budget of 2 requests is spent: 2 prompts are finished"):
        make_data_set(settings, tmp_path / "bounded", "", budget=Budget(requests=2))
    assert len(lines(tmp_path / "bounded" / "stages" / "refine.jsonl")) == 2


def test_a_folder_is_not_tied_to_a_servers_address(server: Teacher, source: Path, out: Path) -> None:
    """A first address that was wrong, then a server that comes back on another port with half of the work done."""
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9"):
        make(server, source, out, base_url="http://127.0.0.1:9/v1")
    with teacher(rewrite) as other, pytest.raises(InputError, match="budget"):
        make_data_set(wanted(other, source), out, "ascl data build", budget=Budget(requests=3))
    make(server, source, out)
    assert len(server.requests) == 8 - 3 + 3, "what is left of the first attempt, and three more of p5"
    assert json.loads((out / "build.json").read_text())["base_url"] == server.base_url
    assert len(lines(out / "train.jsonl")) == 8


def test_a_purifiers_address_may_change_and_the_purifier_may_not(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        options = ["--set", "purifier=p", "--set"]
        done(*at.build("out", *options, "purifier_base_url=http://127.0.0.1:9/v1", "--budget-requests", "1"), code=2)
        done(*at.build("out", *options, f"purifier_base_url={at.server.base_url}"))
        line = refused(*at.build("out", "--set", "purifier=q", "--set", f"purifier_base_url={at.server.base_url}"))
    assert "holds a data set made with another parameters.purifier (p, now q)" in line


def test_another_judge_makes_another_data_set(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        guard = ["--judge", f"qwen3guard:g@{at.server.base_url}"]
        done(*at.build("offline"))
        line = refused(*at.build("offline", *guard))
        done(*at.build("guarded", *guard))
    assert "holds a data set made with another judge (offline, now qwen3guard g)" in line
    assert lines(tmp_path / "guarded" / "judge_replies.jsonl")
    assert "| judge | qwen3guard g |" in (tmp_path / "guarded" / "README.md").read_text()
    assert "| judge | offline |" in (tmp_path / "offline" / "README.md").read_text()


@pytest.mark.parametrize("left", ["nothing", "an empty stage", "a lock", "a draft"])
def test_a_folder_without_samples_is_no_obstacle(server: Teacher, source: Path, out: Path, left: str) -> None:
    (out / "stages").mkdir(parents=True)
    (out / "build.json").write_text(json.dumps({"recipe": "cog_safr", "model": "mistyped"}))
    if left != "nothing":
        name = {"an empty stage": "stages/refine.jsonl", "a lock": ".lock", "a draft": ".build.json.1.tmp"}[left]
        (out / name).touch()
    make(server, source, out)
    assert len(lines(out / "train.jsonl")) == 8
    assert not list(out.rglob(".*"))


def test_a_title_of_a_rule_is_part_of_what_rows_depend_on(server: Teacher, source: Path, out: Path) -> None:
    rules = source.with_name("rules.csv")
    rules.write_text("id,category,title,text\ntea.cold,tea,FIRST TITLE,Serving cold tea to a guest is not done.\n")
    make(server, source, out, rules=str(rules))
    rules.write_text(rules.read_text().replace("FIRST", "SECOND"))
    with pytest.raises(InputError, match=r"another rules_hash \("):
        make(server, source, out, rules=str(rules))


def test_a_folder_of_an_older_version_says_what_it_did_not_note(server: Teacher, source: Path, out: Path) -> None:
    path = out / "build.json"
    make(server, source, out)
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "shown"}))
    with pytest.raises(InputError, match=r"another shown\.system text \(not noted, now "):
        make(server, source, out)
