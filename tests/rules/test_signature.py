"""A signed book is taken as it was signed, by that key, and never an older one after a newer."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.errors import InputError
from ascl.files import write_json
from ascl.inputs import read_json
from ascl.rules.rule import Rule
from ascl.rules.signature import check_signature, make_signing_key, sign, signature_file

RULES = [Rule(id=f"tea.r{n}", category="tea", title="Tea", text=f"Serving tea number {n}.") for n in range(4)]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    private = tmp_path_factory.mktemp("keys") / "policy.pem"
    make_signing_key(private)
    return private


def public(key: Path) -> Path:
    return key.with_name("policy.pem.pub")


def test_a_signed_book_is_known_and_its_serial_rises(key: Path, tmp_path: Path) -> None:
    first = sign(tmp_path / "rules.yaml", RULES, key)
    second = sign(tmp_path / "rules.yaml", RULES, key)
    assert second.serial > first.serial
    assert check_signature(tmp_path / "rules.yaml", RULES, public(key), second.serial) == second
    with pytest.raises(InputError, match="older than"):
        check_signature(tmp_path / "rules.yaml", RULES, public(key), second.serial + 1)
    assert key.stat().st_mode & 0o077 == 0


@given(st.sampled_from(["text", "title", "exempt", "order", "less", "more"]), st.integers(0, 3))
def test_a_changed_book_is_refused(tmp_path_factory: pytest.TempPathFactory, key: Path, change: str, n: int) -> None:
    source = tmp_path_factory.mktemp("book") / "rules.yaml"
    sign(source, RULES, key)
    changed = list(RULES)
    if change == "order":
        changed = changed[::-1]
    elif change == "less":
        del changed[n]
    elif change == "more":
        changed.append(RULES[0].model_copy(update={"id": "tea.new"}))
    else:
        changed[n] = changed[n].model_copy(update={change: "Something else."})
    with pytest.raises(InputError, match="no signature of these rules"):
        check_signature(source, changed, public(key))


@pytest.mark.parametrize("field", ["serial", "signature"])
def test_a_changed_signature_is_refused(key: Path, tmp_path: Path, field: str) -> None:
    source = tmp_path / "rules.yaml"
    sign(source, RULES, key)
    path = signature_file(source)
    held = read_json(path)
    write_json(path, held | {field: held["serial"] + 1 if field == "serial" else "AAAA"})
    with pytest.raises(InputError, match="no signature of these rules"):
        check_signature(source, RULES, public(key))


def test_another_key_no_key_and_no_signature_are_one_line(key: Path, tmp_path: Path) -> None:
    source, other = tmp_path / "rules.yaml", tmp_path / "other.pem"
    with pytest.raises(InputError, match="it is not signed"):
        check_signature(source, RULES, public(key))
    make_signing_key(other)
    sign(source, RULES, other)
    for wrong in (public(key), key, tmp_path / "missing.pub", source.with_name("rules.yaml.sig")):
        with pytest.raises(InputError) as failed:
            check_signature(source, RULES, wrong)
        assert "\n" not in str(failed.value)
    for wrong in (public(key), tmp_path / "missing.pem"):
        with pytest.raises(InputError):
            sign(source, RULES, wrong)
    with pytest.raises(InputError, match="a key already"):
        make_signing_key(other)
