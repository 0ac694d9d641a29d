"""A receipt for one answer: which version of the rules it was given under and which rules were read, signed (Ed25519).

It is made from the audit trail, for whoever holds the request's id (header `x-request-id`), and checked with the public
key alone. It says what the trail says; it holds no text.
"""

import base64
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ascl.errors import InputError
from ascl.rules.signature import signing_key, trusted_key
from ascl.serve.trail.audit import export


class Receipt(BaseModel):
    """request: its id. rules: the version. read: for each choice, the ids of the rules that came back, in their order.
    begun, finished: seconds since 1970. signature: over all the other fields.
    """

    model_config = ConfigDict(extra="forbid")

    request: str
    model: str
    rules: str
    read: list[list[str]]
    begun: float
    finished: float
    signature: str = ""


def make_receipt(trail: Path, request: str, private: Path) -> Receipt:
    """The receipt of a request. Raises InputError where the trail has no finished record of it."""
    found = {record["kind"]: record for record in export(trail) if record["id"] == request}
    if "begun" not in found or "finished" not in found:
        raise InputError(f"{trail}: there is no finished record of request {request}")
    begun, finished = found["begun"], found["finished"]
    receipt = Receipt(
        request=request,
        model=begun["model"],
        rules=begun["rules"],
        read=[[id for one in choice["consultations"] for id, *_ in one["rules"]] for choice in finished["choices"]],
        begun=begun["at"],
        finished=finished["at"],
    )
    signature = signing_key(private).sign(_said(receipt))
    return receipt.model_copy(update={"signature": base64.b64encode(signature).decode()})


def check_receipt(receipt: Receipt, public: Path) -> None:
    """Raise InputError where the holder of the key did not sign the receipt, or it was changed since."""
    from cryptography.exceptions import InvalidSignature

    try:
        trusted_key(public).verify(base64.b64decode(receipt.signature, validate=True), _said(receipt))
    except (InvalidSignature, ValueError) as error:
        raise InputError(f"the receipt is not as the holder of {public} signed it") from error


def _said(receipt: Receipt) -> bytes:
    fields: dict[str, Any] = receipt.model_dump(exclude={"signature"})
    return json.dumps(["ascl receipt", fields], ensure_ascii=False, sort_keys=True).encode()
