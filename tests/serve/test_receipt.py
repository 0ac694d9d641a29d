"""A receipt says what the trail says, and any change of it shows."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.errors import InputError
from ascl.rules.signature import make_signing_key
from ascl.serve.trail.audit import AUDIT, AuditStore, Entry
from ascl.serve.trail.receipt import Receipt, check_receipt, make_receipt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trail with a finished request and one that failed, and a key."""
    store = AuditStore(tmp_path)
    begun = {"model": "m", "rules": "v1"}
    read = [{"query": "q", "rules": [["tea.cold", 0.5], ["tea.warm", 0.2]]}]
    ended = {"choices": [{"consultations": read}, {"consultations": []}]}

    async def fill() -> None:
        for entry in (
            Entry("a", "begun", "t", begun),
            Entry("a", "finished", "t", ended),
            Entry("b", "begun", "t", {}),
        ):
            await store.write(entry)

    asyncio.run(fill())
    store.close()
    make_signing_key(tmp_path / "gateway.pem")
    return tmp_path


def test_a_receipt_names_the_version_and_the_rules(folder: Path) -> None:
    receipt = make_receipt(folder / AUDIT, "a", folder / "gateway.pem")
    assert (receipt.rules, receipt.read) == ("v1", [["tea.cold", "tea.warm"], []])
    check_receipt(receipt, folder / "gateway.pem.pub")


@pytest.mark.parametrize(
    "change",
    [{"rules": "v2"}, {"read": [[]]}, {"request": "c"}, {"finished": 1.0}, {"signature": "AAAA"}, {"model": "x"}],
)
def test_a_changed_receipt_is_refused(folder: Path, change: dict[str, Any]) -> None:
    receipt = make_receipt(folder / AUDIT, "a", folder / "gateway.pem").model_copy(update=change)
    with pytest.raises(InputError, match="not as the holder"):
        check_receipt(receipt, folder / "gateway.pem.pub")


def test_what_did_not_finish_has_none(folder: Path) -> None:
    for request in ("b", "nobody"):
        with pytest.raises(InputError, match="no finished record"):
            make_receipt(folder / AUDIT, request, folder / "gateway.pem")


def test_the_commands(folder: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["audit", *arguments])
        return result.exit_code, result.output

    code, said = run("receipt", "a", "--folder", str(folder), "--key", str(folder / "gateway.pem"))
    assert code == 0
    assert Receipt.model_validate(json.loads(said)).rules == "v1"
    path = folder / "receipt.json"
    path.write_text(said)
    assert run("check-receipt", str(path), "--trust", str(folder / "gateway.pem.pub"))[0] == 0
    path.write_text(said.replace("v1", "v2"))
    assert run("check-receipt", str(path), "--trust", str(folder / "gateway.pem.pub"))[0] == 2
    path.write_text("[]")
    assert run("check-receipt", str(path), "--trust", str(folder / "gateway.pem.pub"))[0] == 2
