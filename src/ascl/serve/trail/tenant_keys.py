"""A key for each tenant, which seals the contents of its conversations (AES-256-GCM, NIST SP 800-38D).

The keys lie in one file beside the trail that its owner alone may read, never in the database: what a destroyed key
sealed can't be read again. A sealed content is 12 random bytes (the nonce), the ciphertext and its tag, bound to the
tenant and to the number of the record that it belongs to. With random nonces a key is good for 2^32 contents.
"""

import json
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ascl.errors import InputError
from ascl.files import write_json
from ascl.inputs import read_json
from ascl.saved import checked

TENANT_KEYS = "tenant-keys.json"  # the name of the file
NONCE = 12  # bytes
_Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class TenantKeys:
    """The keys in a file, read again when another process has changed it.

    Whoever makes or destroys keys holds the trail's lock for writing meanwhile, so that no change is lost and nothing
    is sealed with a key that was destroyed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._mark = path, ""
        self._keys: dict[str, str] = {}
        self._load()

    def seal(self, tenant: str, seq: int, content: bytes) -> bytes:
        """Encrypt the content of record `seq`. A tenant without a key gets one. Raises InputError or OSError."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._load()
        if tenant not in self._keys:
            self._write(self._keys | {tenant: os.urandom(32).hex()})
        nonce = os.urandom(NONCE)
        return nonce + AESGCM(bytes.fromhex(self._keys[tenant])).encrypt(nonce, content, _bound(tenant, seq))

    def unseal(self, tenant: str, seq: int, sealed: bytes) -> bytes | None:
        """The content of record `seq`; None where the tenant has no key. Raises InputError where it is another's."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._load()
        if tenant not in self._keys:
            return None
        key = AESGCM(bytes.fromhex(self._keys[tenant]))
        try:
            return key.decrypt(sealed[:NONCE], sealed[NONCE:], _bound(tenant, seq))
        except (InvalidTag, ValueError) as error:
            raise InputError(
                f"record {seq}: the key of its tenant does not open its content; it was changed (`ascl audit verify`),"
                " or its erasure was broken off (erase again)"
            ) from error

    def destroy(self, tenant: str | None) -> None:
        """Destroy the key of a tenant (None: all keys); the bytes of the old file are overwritten."""
        self._load()
        if self._keys:
            self._write({of: key for of, key in self._keys.items() if tenant not in (None, of)})

    def _load(self) -> None:
        stat = self.path.stat() if self.path.exists() else None
        mark = "" if stat is None else f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
        if mark != self._mark:
            found = read_json(self.path) if stat is not None and stat.st_size else {}
            self._keys, self._mark = checked(dict[str, _Key], found, str(self.path)), mark

    def _write(self, keys: dict[str, str]) -> None:
        self.path.touch(mode=0o600)
        with self.path.open("r+b") as old:
            write_json(self.path, keys)  # a new file in its place
            old.write(bytes(os.fstat(old.fileno()).st_size))
            old.flush()
            os.fsync(old.fileno())
        self._load()


def _bound(tenant: str, seq: int) -> bytes:
    return json.dumps([tenant, seq]).encode()
