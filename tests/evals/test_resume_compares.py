"""What an evaluation that goes on compares: everything that a prompt shows, and what answers."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Desk, desk, done, refused
from teacher_server import called, said

RULES = "id,category,title,text\ntea.cold,tea,FIRST TITLE,Serving cold tea to a guest is not done.\n"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        (tmp_path / "rules.csv").write_text(RULES)
        yield found


def cut(folder: Path) -> None:
    """Leave two answers of three, as a stop does."""
    path = folder / "trajectories" / "xstest.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(True)[:2]))


def test_answers_under_two_rule_books_are_never_mixed(at: Desk) -> None:
    rules = at.folder / "rules.csv"
    command = at.evaluate("e", "--rules", str(rules), "--judge", "offline")
    done(*command)
    cut(at.folder / "e" / "long")
    changes = {"FIRST": "SECOND", ",tea,": ",drinks,", "Serving cold": "Pouring cold", "tea.cold": "tea.c"}
    for old, new in changes.items():
        rules.write_text(RULES.replace(old, new))
        assert "holds answers with another rule_book.hash (" in refused(*command), new
    rules.write_text(RULES)
    done(*command)


def test_the_order_of_titles_is_seen_where_it_is_shown(at: Desk) -> None:
    rules, more = at.folder / "rules.csv", "coffee.hot,coffee,ANOTHER,Serving hot coffee to a guest is not done.\n"
    command = at.evaluate("e", "--rules", str(rules), "--judge", "offline")
    rules.write_text(RULES + more)
    done(*command)
    head, first = RULES.splitlines(True)
    rules.write_text(head + more + first)
    assert "e/long: holds answers with another shown.system text (" in refused(*command)


@pytest.mark.parametrize(
    ("option", "shown", "changed"),
    [
        ("--no-exemptions", "Allowed: serving iced tea.", "rule_book.exemptions ("),
        ("--no-topics", "Topics of the rules: Tea.", "shown.system text ("),
    ],
)
def test_what_a_run_may_leave_out_of_its_prompts_an_evaluation_may(
    at: Desk, option: str, shown: str, changed: str
) -> None:
    rules = at.folder / "rules.csv"
    rules.write_text("id,category,title,text,exempt\ntea.cold,tea,Tea,Hiding a weapon in tea.,serving iced tea.\n")
    asked = ["--rules", str(rules), "--judge", "offline", "--variant", "ascl"]
    at.server.script = lambda messages: called("weapon tea", "Tea?") if messages[-1]["role"] == "user" else said("No.")

    def answers(out: str, *options: str) -> str:
        done(*at.evaluate(out, *asked, *options))
        return (at.folder / out / "ascl" / "trajectories" / "xstest.jsonl").read_text()

    assert shown in answers("with")
    assert shown not in answers("without", option)
    for out, options in (("with", [option]), ("without", [])):
        cut(at.folder / out / "ascl")
        assert f"holds answers with another {changed}" in refused(*at.evaluate(out, *asked, *options))


def test_the_policy_of_a_judge_is_the_judge(at: Desk) -> None:
    """Verdicts under another title are not reused, and stay beside the new ones."""
    rules = at.folder / "rules.csv"
    done(*at.evaluate("e"))
    at.server.script = lambda messages: {"role": "assistant", "content": "Verdict: safe\nRefusal: none\nRules: none"}
    command = [*at.rejudge("e/long")[:-1], f"safeguard:g@{at.server.base_url}", "--rules", str(rules)]
    done(*command)
    asked = len(at.server.requests)
    done(*command)
    assert len(at.server.requests) == asked
    rules.write_text(RULES.replace("FIRST", "SECOND"))
    done(*command)
    assert len(at.server.requests) > asked
    assert len(list((at.folder / "e" / "long" / "verdicts").glob("safeguard*"))) == 2


def test_other_weights_in_the_same_folder_are_another_model(at: Desk, tiny_model: Path) -> None:
    model = at.folder / "model"
    shutil.copytree(tiny_model, model)
    asked = ["--suite", "xstest", "--limit", "3", "--greedy", "--variant", "pure", "--max-tokens", "4"]
    command = ["eval", *asked, "--model", str(model), "--judge", "offline", "--out", str(at.folder / "e")]
    done(*command)
    cut(at.folder / "e" / "pure")
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert "holds answers with another shown.weights (" in refused(*command)
    (model / "model.safetensors").write_bytes(weights)
    done(*command)
    shutil.rmtree(model)
    done(*command)  # nothing is left to ask


def test_a_folder_of_an_older_version_is_read_but_gets_no_more_answers(at: Desk) -> None:
    command = at.evaluate("e")
    done(*command)
    path = at.folder / "e" / "pure" / "evaluation.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "shown"}))
    assert "another shown.system text (not noted, now " in refused(*command)
    done(*at.rejudge("e/pure"))
