"""Damage for files of ours: what a hand, another version or a torn disk can make of JSON and JSONL."""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

VALUES = [None, True, -1, 1.5, 1e308, float("inf"), float("nan"), 10**19, "", "a" * 20, [], {}, [[]], ["future"]]
WHOLE = {
    "is empty": b"",
    "is null": b"null\n",
    "is a list": b"[]\n",
    "is an object": b"{}\n",
    "is a number": b"1\n",
    "is a text": b'"text"\n',
    "is not UTF-8": b'{"a": "\xff"}\n',
    "is not JSON": b"{\n",
    "is nested deep": b"[" * 100_000 + b"\n",
    "is nested deep in an object": b'{"a": ' * 900 + b"1" + b"}" * 900 + b"\n",
    "holds a number of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}\n",
    "holds half a surrogate pair": b'{"a": "\\ud800"}\n',
}


def damage(path: Path, dice: random.Random) -> tuple[str, bytes | None]:
    """One way, drawn, in which a file can be damaged: in words, and its new content (None: it is gone)."""
    raw = path.read_bytes()
    kind = dice.random()
    if kind < 0.02:
        return "is gone", None
    if kind < 0.15 or not raw.strip():
        what = dice.choice(list(WHOLE))
        return what, WHOLE[what]
    if kind < 0.2:
        at = dice.randrange(len(raw))
        return f"ends at byte {at}", raw[:at]
    lines = raw.splitlines(True) if path.suffix == ".jsonl" else [raw]
    number = dice.randrange(len(lines))
    if kind < 0.25:
        what = dice.choice(list(WHOLE))
        return f"line {number + 1} {what}", b"".join([*lines[:number], WHOLE[what], *lines[number + 1 :]])
    value = yaml.safe_load(raw) if path.suffix == ".yaml" else json.loads(lines[number])
    what, changed = _changed(value, dice)
    lines[number] = json.dumps(changed, ensure_ascii=False).encode() + b"\n"
    return f"line {number + 1}: {what}", b"".join(lines)


def _changed(value: Any, dice: random.Random) -> tuple[str, Any]:
    """The value with one of its places set to another, taken away, or with a field more."""
    value = deepcopy(value)
    place = dice.choice(list(_places(value)))
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    name, what = ".".join(map(str, place)), dice.choice(["set", "set", "del", "add"])
    if what == "del":
        del inner[place[-1]]
        return f"del {name}", value
    new = dice.choice(VALUES)
    if what == "add" and isinstance(inner[place[-1]], dict):
        inner[place[-1]]["future"] = new
        return f"add {name}.future = {new!r}", value
    inner[place[-1]] = new
    return f"set {name} = {new!r}", value


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from _places(inner, (*at, key))
