"""Settings of the judge: what is asked for must make sense."""

import sys

import pytest
from pydantic import ValidationError

from ascl.errors import first_problem
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.open_judge import open_judge
from ascl.judges.settings import JudgeSettings
from ascl.rules.book import RuleBook


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"kind": "qwen3guard"}, "kind qwen3guard needs a `model`"),
        ({"kind": "guard", "model": "m"}, "kind: guard: use one of offline, qwen3guard, "),
        ({"kind": "mine.judges:Strict", "model": "m"}, "model: not for a judge of your own; put what it takes into"),
        ({"options": {"a": 1}}, "options: they are for a judge of your own"),
        ({"model": "m"}, "the offline judge has no model"),
        ({"base_url": "http://x"}, "the offline judge has no model"),
        ({"kind": "wildguard", "model": "m", "concurrency": 0}, "concurrency: "),
        ({"kind": "wildguard", "model": "m", "timeout": 0}, "timeout: "),
        ({"kind": "wildguard", "model": "m", "strictness": 1}, "strictness: there is no such setting"),
        ({"hallucination": {}}, "hallucination.model: "),
    ],
)
def test_what_is_wrong_is_said(given: dict, problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        JudgeSettings.model_validate(given)
    assert problem in first_problem(error.value)


def test_the_default_is_the_offline_judge(book: RuleBook, tmp_path) -> None:
    assert isinstance(open_judge(JudgeSettings(), book, tmp_path / "r.jsonl"), OfflineJudge)
    assert list(tmp_path.iterdir()) == []


def test_opening_a_judge_loads_no_model(book: RuleBook, tmp_path) -> None:
    import subprocess

    code = (
        "import sys\nfrom pathlib import Path\nfrom ascl.judges.open_judge import open_judge\n"
        "from ascl.judges.settings import JudgeSettings\nfrom ascl.rules.book import RuleBook\n"
        "open_judge(JudgeSettings(kind='wildguard', model='m'), RuleBook.load('default'), Path('r.jsonl'))\n"
        "open_judge(JudgeSettings(kind='safeguard', model='m', base_url='http://x'), RuleBook.load('default'), "
        "Path('r.jsonl'))\n"
        "print([name for name in ('torch', 'transformers', 'openai') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
