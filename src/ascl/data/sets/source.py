"""A set of prompts: where it lies, under which licence, and how its rows become prompts and replies.

A set of your own needs no fork: a `Source` in a module that Python can import, named as `package.module:NAME` wherever
a set is (with `@REVISION` and `:NUMBER` after it as after any other): `prompts`, `--from`, `--suite`, `--against`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ascl.data.prompt import Kind

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One set. `row` turns a row and its number into the fields of a prompt; None leaves the row out.

    The fields are `id` (unique in the set and stable), `prompt` (one user text) or `messages`, `kind`, and where there
    are any `category`, `answer` (of reasoning prompts), `options` and `split` (see `Prompt`). A KeyError, TypeError or
    ValueError means that the row is none of this set. kinds: those that `row` may give.

    hub, configuration, split, options: what `datasets.load_dataset` is asked for. revision: the pinned commit of the
    hub repository; None where no commit could be verified.
    local: the file (JSONL) below ASCL_BENCH_DIR that stands in for the hub, if any may; `local_row` reads its rows
    where their columns are not the hub's. local_sample: what part of the set that file is known to hold, where it is
    not the whole.
    reply: the reference reply of a row, for training sets.
    """

    hub: str
    configuration: str | None = None
    split: str
    revision: str | None = None
    gated: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    licence: str
    kinds: tuple[Kind, ...]
    row: Callable[[Row, int], Row | None]
    reply: Callable[[Row], str] | None = None
    local: str = ""
    local_row: Callable[[Row, int], Row | None] | None = None
    local_sample: str = ""
    note: str = ""
    homepage: str = ""

    @property
    def page(self) -> str:
        """The page of the set: its hub page unless it has no repository there."""
        return self.homepage or f"https://huggingface.co/datasets/{self.hub}"


def prompt_fields(identity: str, text: str, kind: Kind, category: str | None = None) -> Row:
    """The fields of a prompt without a checkable answer."""
    return {"id": identity, "prompt": text, "kind": kind, "category": category}
