"""YAML and CSV with more entries than their size pays for are refused before they are parsed; long books are read."""

from pathlib import Path

import pytest

from ascl.errors import InputError
from ascl.rules.load import load_rules


@pytest.mark.parametrize("unit", ["- - a\n", "a:\n", "[a],", "{a: b},", "? a\n"])
def test_yaml_of_entries_alone(tmp_path: Path, unit: str) -> None:
    (tmp_path / "r.yaml").write_text("category: a\nrules:\n" + unit * (1_000_000 // len(unit)))
    with pytest.raises(InputError, match=r"r\.yaml: .* are too many for [\d,]+ kB of YAML; split it"):
        load_rules(tmp_path / "r.yaml")


@pytest.mark.parametrize("unit", ["\n", ",,\n"])
def test_a_csv_of_blank_rows_alone(tmp_path: Path, unit: str) -> None:
    (tmp_path / "r.csv").write_text("id,category,text\n" + unit * (1_000_000 // len(unit)))
    with pytest.raises(InputError, match=r"r\.csv: .* are too many for [\d,]+ kB of CSV; split it"):
        load_rules(tmp_path / "r.csv")


def test_ten_thousand_short_rules_are_read(tmp_path: Path) -> None:
    numbers = range(10_000)
    rules = "".join(f"- id: a.r{i}\n  text: Tea {i}.\n" for i in numbers)
    (tmp_path / "r.yaml").write_text(f"category: a\nrules:\n{rules}")
    (tmp_path / "r.csv").write_text("id,category,text\n" + "".join(f"a.r{i},a,Tea {i}.\n" for i in numbers))
    for name in ("r.yaml", "r.csv"):
        assert len(load_rules(tmp_path / name)) == 10_000
