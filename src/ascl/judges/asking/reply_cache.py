"""What judges have replied, on disk: a text is judged once, in this run and in the next."""

import hashlib
import json
import time
from pathlib import Path

from ascl.errors import InputError
from ascl.files import append_jsonl, cut_torn_line
from ascl.inputs import iterate_jsonl
from ascl.judges.guards.guard import Messages

SECONDS = 1.0  # between writes


def reply_key(judge: str, revision: str | None, messages: Messages) -> str:
    """The name a reply is kept under: another judge, revision, question or text is another name."""
    asked = json.dumps([judge, revision, messages], ensure_ascii=False)
    return hashlib.sha256(asked.encode(errors="replace")).hexdigest()


class ReplyCache:
    """A JSONL file of readable replies, one whole line each. Raises InputError where the file is damaged.

    Several processes may append to one file; each knows what was there when it began, and what it wrote itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._replies: dict[str, str] = {}
        self._unwritten: list[dict[str, str | None]] = []
        self._written = time.monotonic()
        cut_torn_line(path)
        for number, row in iterate_jsonl(path) if path.exists() else ():
            key, reply = row.get("key"), row.get("reply")
            if not isinstance(key, str) or not isinstance(reply, str):
                raise InputError(f"{path}, line {number}: not a judge's reply (key and reply); delete the line")
            self._replies[key] = reply

    def get(self, key: str) -> str | None:
        """The reply, if there is one."""
        return self._replies.get(key)

    def add(self, key: str, judge: str, revision: str | None, reply: str) -> None:
        """Keep a reply. It is on disk after `flush`, or a second later: a disk takes longer to be sure than a guard."""
        self._unwritten.append({"key": key, "judge": judge, "revision": revision, "reply": reply})
        self._replies[key] = reply
        if time.monotonic() - self._written >= SECONDS:
            self.flush()

    def flush(self) -> None:
        """Have on disk what was added."""
        rows, self._unwritten = self._unwritten, []
        if rows:
            append_jsonl(self.path, rows)
        self._written = time.monotonic()
