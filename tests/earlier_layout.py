"""Rollouts that the code before the present layout sampled, and what of a rollout is compared with them."""

import hashlib
import json
from pathlib import Path
from typing import Any


def kept(fixture: Path) -> dict[str, list[dict[str, Any]]]:
    """The rollouts of a fixture, by arm."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in fixture.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row.pop("arm"), []).append(row)
    return found


def told(log: Path) -> list[dict[str, Any]]:
    """What a log of rollouts says, in the form of the fixtures: texts as hashes, numbers to four digits."""
    return [_told(json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]


def check_same(now: dict[str, list[dict[str, Any]]], before: dict[str, list[dict[str, Any]]]) -> None:
    """What was asked, when and in which group is the same, and so are three quarters of the rollouts of each arm.

    Not all of them: another processor adds floats in another order, and a last digit may change a sampled token.
    """
    for arm, rows in before.items():
        asked = [
            [{key: row[key] for key in ("prompt", "asked", "step", "group")} for row in of] for of in (now[arm], rows)
        ]
        assert asked[0] == asked[1]
        assert sum(one == other for one, other in zip(now[arm], rows, strict=True)) >= 0.75 * len(rows)


def _told(record: dict[str, Any]) -> dict[str, Any]:
    trajectory = record["trajectory"]
    messages, start = trajectory["messages"], trajectory["prompt_length"]
    said = [[m["role"], m.get("content"), m.get("thought"), m.get("tool_calls") or []] for m in messages[start:]]
    numbers = {key: record[key] for key in ("advantage", "decision_advantage", "weight") if record.get(key) is not None}
    if record.get("reward"):
        numbers["reward"] = record["reward"]["total"]
    return {
        "prompt": record["prompt"]["id"],
        "asked": _hash(messages[:start]),
        "said": _hash(said),
        "tokens": trajectory["tokens"],
        "stop": trajectory["stop"],
        "outcome": record["outcome"],
        **{key: record[key] for key in ("step", "group")},
        **{key: round(value, 4) for key, value in numbers.items()},
    }


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
