"""What is known of a source beside its rows: licence, hub revision, local file and its hash; for listings and cards."""

import hashlib
import re
from pathlib import Path
from typing import Any

from ascl.data.load import SOURCES, STARTER_NAME, Name, local_file, parse_file, parse_name
from ascl.servers import hub_trouble


def resolved_revision(name: str) -> str | None:
    """The hub commit that a public set is read at, or None: it is read from a local file, or the hub can't be asked.

    A pinned commit is its own answer; a branch or no pin at all is resolved by the hub now.
    """
    wanted = parse_name(name, SOURCES, "starter, file:PATH")
    if local_file(wanted):
        return None
    revision = wanted.revision or wanted.source.revision
    if revision and re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    if hub_trouble():
        return None
    try:
        from huggingface_hub import HfApi

        return HfApi().dataset_info(wanted.source.hub, revision=revision).sha
    except Exception:  # offline, no access, no such revision: a listing or a card must not fail for it
        return None


def describe(name: str) -> dict[str, Any]:
    """What a data set card says of a source, by the name `load_prompts` and `load_examples` take."""
    if STARTER_NAME.fullmatch(name):
        return {"name": name, "licence": "Apache-2.0", "note": "shipped with ascl"}
    if file := parse_file(name):
        return {"name": name, "licence": "not stated", "local_file": str(file[0]), "sha256": file_hash(file[0])}
    wanted = parse_name(name, SOURCES, "starter, file:PATH")
    source, local = wanted.source, local_file(wanted)
    return {
        "name": name,
        "licence": source.licence,
        "hub": source.hub,
        "configuration": source.configuration,
        "split": source.split,
        "revision": resolved_revision(name),
        "local_file": source.local if local else None,
        "sha256": file_hash(local) if local else None,
        "gated": source.gated,
        "homepage": source.page,
        "note": "; ".join(filter(None, [source.local_sample if local else "", source.note])),
    }


def listing() -> list[dict[str, str]]:
    """A row for every public set, for `ascl data sources`: texts by column, '' where there is nothing to say."""
    rows = []
    for key, source in SOURCES.items():
        local = local_file(Name(key, None, None))
        rows.append(
            {
                "name": key,
                "kinds": ", ".join(source.kinds),
                "replies": "yes" if source.reply else "",
                "licence": source.licence,
                "hub": source.hub,
                "gated": "gated" if source.gated else "",
                "local": (source.local_sample or "yes") if local else "",
            }
        )
    return rows


def file_hash(path: Path) -> str | None:
    """The sha256 of a file, or None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
