"""`ascl serve init`, `--config` and `--check`, as an operator types them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.rules.load import load_rules
from ascl.rules.signature import make_signing_key, sign
from ascl.serve.admin.session import Sessions, read_password
from ascl.serve.config import ServeConfig, commented
from ascl.serve.keys import Keys, make_key
from ascl.serve.trail.audit import AUDIT, AuditStore, Entry, export


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["serve", *arguments], env={"COLUMNS": "400"})
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """A server that has the model `model` and nothing else."""

    async def models(_: Request) -> JSONResponse:
        return JSONResponse({"data": [{"id": "model"}]})

    with running(Starlette(routes=[Route("/v1/models", models)])) as url:
        yield f"{url}/v1"


@pytest.fixture
def config(tmp_path: Path, upstream: str) -> Path:
    """What `init` wrote, with ports that nobody has."""
    folder = tmp_path / "gateway"
    assert run("init", str(folder), "--model", "model", "--upstream", upstream)[0] == 0
    file = folder / "serve.yaml"
    file.write_text(file.read_text().replace("admin_port: 8081", "admin_port: 0"))
    return file


def test_init_writes_a_configuration_a_key_and_a_password_once(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    code, said = run("init", str(folder), "--model", "m", "--upstream", "http://h:1/v1", "--tenant", "team")
    assert code == 0
    key, password = (line.rpartition(": ")[2] for line in said.splitlines()[1:3])
    assert Keys(folder / "keys.jsonl").find(f"Bearer {key}").tenant == "team"
    Sessions(read_password(folder / "admin.json")).sign_in(password)
    assert sorted(path.name for path in folder.iterdir()) == ["admin.json", "keys.jsonl", "serve.yaml"]
    for path in folder.iterdir():
        assert str(path) in said
        assert key not in path.read_text() and password not in path.read_text()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, said = run("init", str(folder), "--model", "other")
    assert code == 0 and said.count("is there already and stays as it is") == 3
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_written_file_says_every_option_and_is_read_again(config: Path) -> None:
    said = yaml.safe_load(config.read_text())
    assert said["folder"] == str(config.parent), "it is found from every working directory"
    serve = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    options = {option.name: option for option in serve.params}
    assert set(ServeConfig.model_fields) == set(options) - {"config", "check", "help"}
    for name, field in ServeConfig.model_fields.items():
        assert str(field.default) == str(options[name].default), name


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        ServeConfig,
        model=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\x7f\u0085$")),
        folder=st.just(Path("a: b #")),
        port=st.integers(1, 65535),
        trust=st.none() | st.just(Path("x.pub")),
    )
)
def test_what_is_written_is_what_is_read(config: ServeConfig) -> None:
    assert ServeConfig.model_validate(yaml.safe_load(commented(config))) == config


def test_check_says_a_line_of_each_part_and_writes_nothing(config: Path) -> None:
    before = sorted(path.name for path in config.parent.iterdir())
    code, said = run("--config", str(config), "--check")
    assert code == 0, said
    assert [line.split()[0] for line in said.splitlines()] == ["config", "upstream", "book", "store"]
    assert "keys: 1" in said and "126 rules" in said and "records: 0" in said
    assert sorted(path.name for path in config.parent.iterdir()) == before
    code, said = run("--config", str(config), "--check", "--top-k", "500")
    assert (code, "--top-k" in said) == (2, True)
    code, said = run("--config", str(config), "--check", "--model", "other")
    assert (code, said.count("\n")) == (2, 2), "the command line wins: config is fine, upstream is not"
    assert "ascl: model other at http" in said


def test_a_check_looks_for_the_guard(config: Path, upstream: str) -> None:
    code, said = run("--config", str(config), "--check", "--guard", f"qwen3guard:model@{upstream}")
    assert (code, "guard     qwen3guard model\n" in said, "(guard: off)" in said) == (0, True, True), said
    code, said = run("--config", str(config), "--check", "--guard", "qwen3guard:model@http://127.0.0.1:9/v1")
    assert (code, said.count("\n")) == (2, 3)
    code, said = run("--config", str(config), "--check", "--guard", f"strongreject:model@{upstream}")
    assert (code, "name another judge" in said) == (2, True)
    make_key(config.parent / "keys.jsonl", "guarded", guard="on")
    code, said = run("--config", str(config), "--check")
    assert (code, said.count("\n"), "a key has a guard" in said) == (2, 1, True)


def test_a_check_leaves_the_records_of_a_running_gateway_alone(config: Path) -> None:
    store = AuditStore(config.parent)
    try:
        asyncio.run(store.write(Entry("r1", "begun", "t", {})))
        code, said = run("--config", str(config), "--check")
        assert code == 0 and "records: 1" in said
        assert [one["kind"] for one in export(config.parent / AUDIT)] == ["begun"]
    finally:
        store.close()


def test_a_check_of_a_signed_book_does_not_keep_the_older_one_out(config: Path, tmp_path: Path) -> None:
    key, rules = tmp_path / "policy.pem", tmp_path / "rules.yaml"
    trust = make_signing_key(key)
    rules.write_text("category: a\ntitle: A\nrules:\n- {id: a.tea, text: Serving cold tea to a guest.}\n")
    sign(str(rules), load_rules(rules), key)
    serials = config.parent / "serials.json"
    serials.write_text('{"default": 1}')
    code, said = run("--config", str(config), "--check", "--rules", str(rules), "--trust", str(trust))
    assert code == 0, said
    assert serials.read_text() == '{"default": 1}'
    serials.write_text('{"default": 99999999999999}')
    code, said = run("--config", str(config), "--check", "--rules", str(rules), "--trust", str(trust))
    assert code == 2 and "older" in said


def broken(config: Path, what: str, tmp_path: Path) -> None:
    text = config.read_text()
    match what:
        case "config":
            config.write_text(text.replace("top_k: 3", "top_k: many"))
        case "unknown":
            config.write_text(text + "\nrule: default\n")
        case "environment":
            config.write_text(text.replace('name: ""', "name: ${ASCL_IS_NOT_SET}"))
        case "keys":
            (config.parent / "keys.jsonl").write_text("{}\n")
        case "upstream":
            config.write_text(text.replace("upstream: ", "upstream: http://127.0.0.1:9/v1 # "))
        case "book":
            (tmp_path / "rules.yaml").write_text("rules: [")
            config.write_text(text.replace('rules: "default"', f"rules: {tmp_path / 'rules.yaml'}"))
        case "store":
            (config.parent / AUDIT).write_text("no database " * 100)


@pytest.mark.parametrize(
    ("what", "lines", "words"),
    [
        ("config", 0, "serve.yaml: top_k: "),
        ("unknown", 0, "serve.yaml: rule: there is no such setting"),
        ("environment", 0, "the environment variable ASCL_IS_NOT_SET is not set"),
        ("keys", 0, "keys.jsonl, line 1: "),
        ("upstream", 1, "model model at http://127.0.0.1:9/v1"),
        ("book", 2, "rules.yaml"),
        ("store", 3, "audit.sqlite: it is no audit trail that can be written"),
    ],
)
def test_the_first_part_that_is_bad_ends_the_check(
    config: Path, tmp_path: Path, what: str, lines: int, words: str
) -> None:
    broken(config, what, tmp_path)
    result = CliRunner().invoke(app, ["serve", "--config", str(config), "--check"], env={"COLUMNS": "400"})
    assert result.exit_code == 2
    assert result.stdout.count("\n") == lines
    assert result.stderr.startswith("ascl: ") and result.stderr.count("\n") == 1
    assert words in result.stderr
