"""A rule book signed by those who may publish it (Ed25519), so that a gateway takes no other.

The signature lies beside the book, in SOURCE.sig. It covers every rule in its order and a serial number that rises with
each signing: an older book that was once signed is refused after a newer one.
"""

import base64
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ascl.errors import InputError
from ascl.files import write_json
from ascl.inputs import read_json, read_text
from ascl.rules.rule import Rule
from ascl.saved import checked

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LONGEST_KEY = 10_000  # bytes


class Signature(BaseModel):
    """What SOURCE.sig holds. digest: sha256 of the rules, for people; the signature covers the rules themselves."""

    model_config = ConfigDict(extra="forbid")

    serial: int = Field(ge=1)
    digest: str
    signature: str


def signature_file(source: str | Path) -> Path:
    """Where the signature of a rule book lies."""
    path = Path(source)
    return path.with_name(f"{path.name}.sig")


def make_signing_key(private: Path) -> Path:
    """Write a new private key (readable by its owner alone) and, beside it, the public one (.pub); returns the latter.

    Raises InputError where there is a file already.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = private.with_name(f"{private.name}.pub")
    if private.exists() or public.exists():
        raise InputError(f"{private if private.exists() else public}: there is a key already")
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
    public.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    return public


def sign(source: str | Path, rules: Sequence[Rule], private: Path) -> Signature:
    """Sign the rules of a book and write the signature beside it. Raises InputError where the key is none."""
    path = signature_file(source)
    before = _read(path).serial if path.exists() else 0
    serial = max(before + 1, int(time.time()))
    signed = signing_key(private).sign(_said(rules, serial))
    made = Signature(serial=serial, digest=_digest(rules), signature=base64.b64encode(signed).decode())
    write_json(path, made.model_dump())
    return made


def check_signature(source: str | Path, rules: Sequence[Rule], public: Path, least: int = 0) -> Signature:
    """The signature of a book that was signed with the key's private half.

    least: the smallest serial that is taken. Raises InputError where there is no signature, it is another's, the book
    was changed after it was signed, or an older signing was put back.
    """
    from cryptography.exceptions import InvalidSignature

    path = signature_file(source)
    if not path.exists():
        raise InputError(f"{source}: it is not signed ({path} is not there; ascl rules sign)")
    found = _read(path)
    try:
        trusted_key(public).verify(base64.b64decode(found.signature, validate=True), _said(rules, found.serial))
    except (InvalidSignature, ValueError) as error:
        raise InputError(f"{path}: it is no signature of these rules by the holder of {public}") from error
    if found.serial < least:
        raise InputError(f"{path}: serial {found.serial} is older than {least}, which was in force before")
    return found


def _said(rules: Sequence[Rule], serial: int) -> bytes:
    said = [[rule.id, rule.category, rule.title, rule.text, rule.exempt] for rule in rules]
    return json.dumps(["ascl rule book", serial, said], ensure_ascii=False).encode()


def _digest(rules: Sequence[Rule]) -> str:
    return hashlib.sha256(_said(rules, 0)).hexdigest()[:16]


def _read(path: Path) -> Signature:
    return checked(Signature, read_json(path), str(path))


def signing_key(path: Path) -> "Ed25519PrivateKey":
    """The private key in a file. Raises InputError where it is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(read_text(path, LONGEST_KEY).encode(), None)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: it is no private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: it is no Ed25519 key")
    return key


def trusted_key(path: Path) -> "Ed25519PublicKey":
    """The public key in a file. Raises InputError where it is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(read_text(path, LONGEST_KEY).encode())
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: it is no public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path}: it is no Ed25519 key")
    return key
