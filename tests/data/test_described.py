"""What is said of a source: the listing, the description for a card, and the revision that is read."""

import hashlib
from pathlib import Path

import pytest

from ascl.data.described import describe, listing, resolved_revision
from ascl.data.load import SOURCES
from ascl.errors import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of public sets with an (unread) file of GSM8K and of the OR-Bench sample in it."""
    monkeypatch.setenv("ASCL_BENCH_DIR", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("gsm8k", "or_bench_80k"):
        path = tmp_path / SOURCES[name].local
        path.parent.mkdir(parents=True)
        path.write_text("{}\n")
    return tmp_path


def test_the_listing_has_a_row_for_every_set(bench: Path) -> None:
    rows = {row["name"]: row for row in listing()}
    assert list(rows) == list(SOURCES)
    assert rows["safechain"] == {
        "name": "safechain", "kinds": "harmful, sensitive", "replies": "yes", "licence": SOURCES["safechain"].licence,
        "hub": "UWNSL/SafeChain", "gated": "gated", "local": "",
    }  # fmt: skip
    assert (rows["gsm8k"]["local"], rows["gsm8k"]["gated"], rows["gsm8k"]["replies"]) == ("yes", "", "")
    assert rows["or_bench_80k"]["local"] == "sample: 100 of 80,359 rows"


def test_a_local_file_is_described_by_its_hash(bench: Path) -> None:
    about = describe("or_bench_80k:10")
    assert about["sha256"] == hashlib.sha256(b"{}\n").hexdigest()
    assert about["local_file"] == "or_bench/80k_sample_100.jsonl"
    assert about["revision"] is None
    assert about["note"] == "sample: 100 of 80,359 rows"
    assert (about["name"], about["licence"], about["hub"]) == ("or_bench_80k:10", "CC-BY-4.0", "bench-llm/or-bench")


def test_the_hub_is_described_by_its_revision(bench: Path) -> None:
    about = describe("math500")
    assert about["revision"] == SOURCES["math500"].revision
    assert (about["local_file"], about["sha256"]) == (None, None)
    assert about["homepage"] == "https://huggingface.co/datasets/HuggingFaceH4/MATH-500"
    assert describe("strongreject")["gated"] is True


def test_the_revision_that_is_read(bench: Path) -> None:
    assert resolved_revision("gsm8k") is None, "a local file has no revision"
    assert resolved_revision(f"gsm8k@{COMMIT}") == COMMIT, "a named one is the hub's"
    assert resolved_revision(f"star1@{COMMIT}:5") == COMMIT
    assert resolved_revision("star1") is None, "unknown without the hub"
    assert resolved_revision("star1@main") is None


def test_sources_that_are_no_public_sets(bench: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("{}\n")
    about = describe(f"file:{tmp_path / 'mine.jsonl'}:3")
    assert about["sha256"] == hashlib.sha256(b"{}\n").hexdigest()
    assert about["licence"] == "not stated"
    assert describe("starter")["licence"] == describe("starter:6")["licence"] == "Apache-2.0"
    with pytest.raises(InputError, match="unknown source"):
        describe("nonsense")
