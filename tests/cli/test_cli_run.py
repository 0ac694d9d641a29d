"""`ascl run`, `chat`, `mcp`: bad input is one line and exit code 2, and nothing is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest

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


# mcp and chat


def test_the_server_says_what_it_can_not_do(complaint: Complaint) -> None:
    assert complaint("mcp", "--transport", "smoke") == "--transport smoke: use stdio or http"
    assert complaint("mcp", "--rules", "none").startswith("none: no such rule book")
    assert complaint("mcp", "--embedding-model", "./nowhere").startswith("embedding model ./nowhere: ")
    line = complaint("mcp", "--transport", "http", "--host", "no.such.host.invalid")
    assert line.startswith("no.such.host.invalid, port 8765: can't listen there (")


def test_chat_with_no_model(complaint: Complaint) -> None:
    assert complaint("chat", "--model", "./nowhere") == "model ./nowhere: no such folder"


def test_chat_answers_until_an_empty_line(ascl: Ascl, tiny_model: Path) -> None:
    code, printed = ascl("chat", "--model", str(tiny_model), "--max-tokens", "4", typed="Hello\nAgain\n\nUnread\n")
    assert code == 0
    assert printed.count("you ") == 3
