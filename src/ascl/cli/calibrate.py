"""`ascl eval calibrate FILE`: how far a judge agrees with human labels."""

from pathlib import Path

from ascl.judges.calibrate import calibrate, format_calibration, load_calibration
from ascl.judges.open_judge import open_judge
from ascl.judges.settings import JudgeSettings
from ascl.rules.book import RuleBook


def calibrate_file(labels: Path, settings: JudgeSettings, cache: Path) -> str:
    """The tables of a judge against the human labels of a file; replies of judging models are kept at `cache`.

    safeguard judges by the default rule book. Raises InputError where the file is at fault, the judge can't be used as
    it is named, or nothing it said could be read.
    """
    rows = load_calibration(labels)
    return format_calibration(calibrate(rows, open_judge(settings, RuleBook.load("default"), cache)))
