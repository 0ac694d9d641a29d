"""The index of papers names each arXiv id of the source with its files, and nothing that is not there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "ascl"
ARXIV = re.compile(r"\b\d{4}\.\d{5}\b")


def test_the_index_and_the_source_name_the_same_papers() -> None:
    named = {
        (paper, path.relative_to(SOURCE).as_posix())
        for path in SOURCE.rglob("*.py")
        for paper in ARXIV.findall(path.read_text(encoding="utf-8"))
    }
    rows = [
        line.split("|")
        for line in (ROOT / "docs" / "papers.md").read_text(encoding="utf-8").splitlines()
        if ARXIV.match(line.removeprefix("| "))
    ]
    indexed = {(paper.strip(), path) for _, paper, _, files, *_ in rows for path in re.findall(r"`([^`]+)`", files)}
    assert indexed == named
    assert all(len(row) == 6 and row[4].strip() for row in rows), "a row without its deviations"
