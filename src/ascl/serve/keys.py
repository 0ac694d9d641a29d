"""Who may ask, and what they get: keys are kept as hashes, limits are taken before the work and settled after it.

Without a key file everybody who reaches the address may ask: that is for one's own machine.
"""

import fcntl
import hashlib
import hmac
import json
import secrets
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ascl.files import append_jsonl, write_jsonl
from ascl.inputs import read_jsonl
from ascl.saved import checked
from ascl.serve.protocol.errors import ApiError

PREFIX = "sk-ascl-"
DAY = 86_400.0
Show = Literal["nothing", "consultations", "thoughts", "all"]


class Key(BaseModel):
    """A key and its policy. sha256: of the secret part; the key itself is shown once, when it is made.

    book: the rule book's name. form: `ascl` (the model looks rules up) or `rag` (they are given to it). show: what the
    client sees of the work. fields: request fields that are forwarded besides those of every key. metrics: whether it
    may read the figures of all requests. guard: whether the guard judges each answer before it is sent; `fail_open`
    sends it too where the guard gives no verdict. contents: the tenant consents that its conversations are kept.
    """

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9]{8}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    tenant: str = Field(min_length=1, max_length=64)
    book: str = "default"
    form: Literal["ascl", "rag"] = "ascl"
    show: Show = "nothing"
    requests_per_minute: int = Field(default=0, ge=0)
    tokens_per_day: int = Field(default=0, ge=0)
    fields: list[str] = []
    metrics: bool = False
    guard: Literal["off", "on", "fail_open"] = "off"
    contents: bool = False

    @property
    def shows_thoughts(self) -> bool:
        """Whether the client sees the model's thoughts."""
        return self.show in ("thoughts", "all")

    @property
    def shows_consultations(self) -> bool:
        """Whether the client sees what was looked up."""
        return self.show in ("consultations", "all")


ANYBODY = Key(id="anybody0", sha256="0" * 64, tenant="local", show="all", metrics=True)


@dataclass
class Meter:
    """What a key used in the last minute and in this day, and what is reserved for requests under way."""

    requests: deque[float] = field(default_factory=deque)
    day: float = 0.0
    tokens: int = 0

    def reserve(self, key: Key, tokens: int, now: float) -> None:
        """Take a request and its tokens. Raises ApiError (429) where the key has no more of them."""
        while self.requests and self.requests[0] <= now - 60:
            self.requests.popleft()
        if key.requests_per_minute and len(self.requests) >= key.requests_per_minute:
            wait = self.requests[0] + 60 - now
            raise ApiError(429, "too many requests with this key", "rate_limit_exceeded", wait=wait)
        if now - self.day >= DAY:
            self.day, self.tokens = now - now % DAY, 0
        if key.tokens_per_day and self.tokens + tokens > key.tokens_per_day:
            raise ApiError(429, "this key has used up its tokens of the day", "insufficient_quota")
        self.requests.append(now)
        self.tokens += tokens

    def settle(self, reserved: int, used: int) -> None:
        """Give back what was reserved and not used."""
        self.tokens = max(0, self.tokens + used - reserved)


class Keys:
    """The keys of a file (JSONL), or none. anybody: the policy of those who need no key."""

    def __init__(self, path: Path, anybody: Key = ANYBODY) -> None:
        self.path, self.anybody, self.mark = path, anybody, ""
        self._keys: dict[str, Key] = {}
        self._meters: dict[str, Meter] = {}
        self.load()

    def load(self) -> None:
        """Read the file again if it has changed. Raises InputError where it can't be read."""
        stat = self.path.stat() if self.path.exists() else None
        mark = "" if stat is None else f"{stat.st_size} {stat.st_mtime_ns}"
        if mark != self.mark:
            rows = read_jsonl(self.path) if stat is not None else ()
            found = [checked(Key, row, f"{self.path}, line {number}") for number, row in rows]
            self._keys, self.mark = {key.id: key for key in found}, mark

    @property
    def open(self) -> bool:
        """Whether anybody may ask."""
        return not self._keys and not self.path.exists()

    @property
    def all(self) -> list[Key]:
        """The keys in the order of the file."""
        return list(self._keys.values())

    @property
    def books(self) -> set[str]:
        """The names of the books that keys ask for."""
        return {key.book for key in self._keys.values()}

    def find(self, authorization: str | None) -> Key:
        """The key of a request's header. Raises ApiError (401)."""
        if self.open:
            return self.anybody
        scheme, _, given = (authorization or "").partition(" ")
        id, _, secret = given.strip().removeprefix(PREFIX).partition("-")
        key = self._keys.get(id)
        digest = hashlib.sha256(secret.encode(errors="replace")).hexdigest()
        if not hmac.compare_digest(digest, key.sha256 if key else "0" * 64) or key is None or scheme != "Bearer":
            raise ApiError(401, "a key of this gateway is needed", "invalid_api_key")
        return key

    def meter(self, key: Key) -> Meter:
        """What the key has used."""
        return self._meters.setdefault(key.id, Meter())


def make_key(path: Path, tenant: str, **policy: Any) -> str:
    """Append a new key to the file and return it; it can't be read again. Raises InputError on a bad policy."""
    id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    row = {"id": id, "sha256": hashlib.sha256(secret.encode()).hexdigest(), "tenant": tenant, **policy}
    key = checked(Key, row, "the key")
    path.parent.mkdir(parents=True, exist_ok=True)
    append_jsonl(path, [json.loads(key.model_dump_json())])
    path.chmod(0o600)
    return f"{PREFIX}{id}-{secret}"


def revoke_key(path: Path, id: str) -> None:
    """Take a key out of the file. Where none is left, the file stays: nobody may ask then."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # no key is appended meanwhile
        write_jsonl(path, [row for _, row in read_jsonl(path) if row.get("id") != id])
