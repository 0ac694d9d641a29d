"""Who may use the admin page: one password, kept as a scrypt hash, and sessions of eight hours, kept in this process.

A session's id says nothing and stands in a cookie; what it means is known here alone, so that signing out ends it.
"""

import hashlib
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ascl.errors import InputError
from ascl.files import write_json
from ascl.saved import read_saved
from ascl.serve.protocol.errors import ApiError

ADMIN = "admin.json"  # the name of the password's file
LASTS = 8 * 3600.0  # seconds of a session
SHORTEST, LONGEST = 8, 1024  # characters of a password
TRIES, WAIT = 5, 30.0  # wrong passwords in a row, and seconds from the last of them to the next try
MOST = 32  # sessions; one more ends the oldest


class Password(BaseModel):
    """What the file holds, in hexadecimal digits."""

    model_config = ConfigDict(extra="forbid")

    salt: str = Field(pattern="^[0-9a-f]{32}$")
    scrypt: str = Field(pattern="^[0-9a-f]{64}$")


def set_password(path: Path, password: str) -> None:
    """Keep the hash of a password, in a file that its owner alone can read. Raises InputError where it is too short."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(f"the password: {SHORTEST} to {LONGEST} characters are needed")
    salt = secrets.token_bytes(16)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    write_json(path, {"salt": salt.hex(), "scrypt": _hashed(password, salt)})


def read_password(path: Path) -> Password:
    """The hash of the password. Raises InputError where none was set."""
    if not path.exists():
        raise InputError(f"{path}: the admin page has no password (ascl serve password --folder {path.parent})")
    return read_saved(path, Password)


def _hashed(password: str, salt: bytes) -> str:
    """scrypt (RFC 7914) with 32 MiB: about 0.1 s."""
    given = unicodedata.normalize("NFC", password).encode(errors="replace")
    return hashlib.scrypt(given, salt=salt, n=2**15, r=8, p=1, maxmem=2**26, dklen=32).hex()


@dataclass(frozen=True)
class Session:
    """Somebody who signed in. token: what each form of theirs holds. ends: by the clock of the sessions."""

    id: str
    token: str
    ends: float


class Sessions:
    """The sessions there are. clock: gives seconds that never go back."""

    def __init__(self, password: Password, clock: Callable[[], float] = time.monotonic) -> None:
        self._password, self._clock = password, clock
        self._sessions: dict[str, Session] = {}
        self._wrong, self._last = 0, 0.0
        self._checking = threading.Lock()  # so that tries at the same time are counted one after the other

    def sign_in(self, password: str) -> Session:
        """A new session. Raises ApiError: 401 on a wrong password, 429 on one more try after TRIES of them."""
        with self._checking:
            left = self._last + WAIT - self._clock()
            if self._wrong >= TRIES and left > 0:
                raise ApiError(429, f"Too many wrong passwords. Wait {WAIT:g} seconds.", wait=left)
            right = secrets.compare_digest(
                _hashed(password[:LONGEST], bytes.fromhex(self._password.salt)), self._password.scrypt
            )
            if not right:
                self._wrong, self._last = self._wrong + 1, self._clock()
                raise ApiError(401, "This is not the password.")
            self._wrong = 0
            made = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), self._clock() + LASTS)
            while len(self._sessions) >= MOST:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[made.id] = made
            return made

    def find(self, id: str | None) -> Session | None:
        """The session with this id, if it has not ended."""
        session = self._sessions.get(id or "")
        if session is not None and session.ends <= self._clock():
            self.end(session)
            return None
        return session

    def end(self, session: Session) -> None:
        """Sign out."""
        self._sessions.pop(session.id, None)
