"""A gateway over a script, and a key whose tenant consents that its conversations are kept."""

from typing import Any

import httpx2
from gateways import Served

from ascl.serve.keys import make_key
from ascl.serve.run import KEYS


def a_key(served: Served, tenant: str = "team", **policy: Any) -> str:
    """A key that works at once."""
    made = make_key(served.folder / KEYS, tenant, **{"contents": True, **policy})
    served.gateway.keys.load()
    return made


def ask(served: Served, key: str, text: str = "My secret 4711?", **fields: Any) -> str:
    """Ask with a key; the request's id."""
    body = {"model": "model", "messages": [{"role": "user", "content": text}], **fields}
    headers = {"authorization": f"Bearer {key}"}
    reply = httpx2.post(f"{served.url}/v1/chat/completions", json=body, headers=headers, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.headers["x-request-id"]
