"""A lab's folder that is damaged, edited or of another version: reading it is one line.

`ASCL_EVERY_CASE=1` tries 500 damages instead of 60.
"""

import os
import random
import shutil
from pathlib import Path

from ascl.lab.arms import ARMS, BC, Measured
from ascl.lab.sweep import report
from mutations import damage

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.data.load import load_prompts
from ascl.errors import InputError
from ascl.evals.metrics import measure
from ascl.files import write_json, write_jsonl
<<<<<<< HEAD
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.record import judge_trajectory, record
=======
from ascl.judges.judge import judge_one
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.record import record
from ascl.data.load import load_prompts
>>>>>>> p7-extend
from ascl.saved import read_saved

TRIED = 500 if os.environ.get("ASCL_EVERY_CASE") else 60


def finished(folder: Path) -> None:
    """What two seeds of one arm leave."""
    prompts = load_prompts(["starter"])[::20]
    for seed in range(2):
        for name in (BC, "grpo"):
            records = []
            for prompt in prompts:
                said = [Message(role="user", content=prompt.text), Message(role="assistant", content="I can't help.")]
                walked = Trajectory(prompt_id=prompt.id, messages=said, prompt_length=1, stop=StopReason.ANSWERED)
                records.append(record(name, prompt, walked, judge_one(OfflineJudge(), prompt, walked)))
            found = {
                "name": name,
                "arm": ARMS[name].model_dump(mode="json") if name in ARMS else None,
                "seed": seed,
                "seconds": {"training": 1.0, "all": 2.0},
                "measured": {metric: one.value for metric, one in measure(records, resamples=1).items()},
                "consult_by_look": {"plain": 0.5},
                "curve": [{"step": float(step), "reward": 0.1, "consult_rate_harmful": 0.5} for step in (1, 2)]
                if name in ARMS
                else [],
            }
            write_json(folder / f"seed{seed}" / f"{name}.json", found)
            write_jsonl(folder / f"seed{seed}" / f"{name}.eval.jsonl", [r.model_dump(mode="json") for r in records])


def test_what_is_damaged_in_a_lab_is_one_line(tmp_path: Path) -> None:
    whole, tried, dice, bad = tmp_path / "whole", tmp_path / "tried", random.Random(1), []
    finished(whole)
    files = sorted(path for path in whole.rglob("*") if path.is_file())
    for number in range(TRIED):
        shutil.copytree(whole, tried)
        path = tried / dice.choice(files).relative_to(whole)
        what, content = damage(path, dice) if number else ("is whole", path.read_bytes())
        path.unlink() if content is None else path.write_bytes(content)
        try:
            if path.suffix == ".json":
                read_saved(path, Measured)
            report(tried, [BC, "grpo"], [0, 1])
        except InputError:
            assert number, "the whole folder is read"
        except Exception as error:
            bad.append(f"{path.relative_to(tried)} {what}: {error!r}")
        shutil.rmtree(tried)
    assert bad == [], "\n".join(bad)
