"""A gateway's trail with consultations of a rule book, as the gateway writes it."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from ascl.rules.book import RuleBook
from ascl.serve.trail.audit import AUDIT, AuditStore, Entry


def write_trail(folder: Path, book: RuleBook, queries: Iterable[str], top_k: int = 2, keep: bool = True) -> Path:
    """Write an answer with one consultation for each query, under version `v1`; the path of the trail."""
    store = AuditStore(folder)

    async def write() -> None:
        for number, query in enumerate(queries):
            rules = [[rule.id, round(similarity, 4)] for rule, similarity in book.search(query, top_k)]
            looked_up = {"query": store.hashed("team", query), "top_k": top_k, "rules": rules}
            choice = {"stop": "answered", "finish_reason": "stop", "consultations": [looked_up]}
            await store.write(Entry(f"r{number}", "begun", "team", {"rules": "v1"}))
            texts = (query,) if keep else ()
            await store.write(Entry(f"r{number}", "finished", "team", {"choices": [choice]}, texts))

    asyncio.run(write())
    store.close()
    return folder / AUDIT
