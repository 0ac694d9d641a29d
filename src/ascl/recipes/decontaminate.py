"""Remove from a training set what is also asked in evaluation: the same text, a shared 8-gram, or a near duplicate.

Compared are texts of users: every user message of a training row with the last user message of every evaluation prompt.
Replies, system texts and tool results are not compared: an evaluation asks none of them, and a system text that all
rows share would match all or none.

- n-gram overlap follows GPT-3 (arXiv 2005.14165, appendix C), and the evaluation harnesses after it, which look for
  shared runs of 13 words, case and punctuation aside. Prompts are short (the median of STAR-1 is 16 words), so n is 8,
  the least that GPT-3 allows. A text of fewer words matches an equal text only.
- A near duplicate is a text whose set of character 5-grams has a Jaccard similarity of at least the threshold: Broder's
  resemblance (1997). MinHash and SimHash estimate such similarities; for prompts the exact value is cheap. Candidates
  come from the prefix filter of Chaudhuri et al. (2006) and Bayardo et al. (2007): of two sets that are similar enough,
  the rarest members of each must meet. So only those are looked up, and nothing is missed.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import ceil
from pathlib import Path
from typing import Any, TypeVar

from ascl.data.examples import Example
from ascl.data.load import load_prompts
from ascl.data.prompt import Prompt
from ascl.data.row import Row
from ascl.errors import InputError
from ascl.files import is_replaced, write_json, write_jsonl
from ascl.inputs import read_jsonl
from ascl.progress import Report, progress_bar, silent

NGRAM = 8
THRESHOLD = 0.6  # see docs/decontaminate.md for the pairs around it
_SHINGLE = 5
_WORD = re.compile(r"[^\W_]+")
_ROUNDING = 1e-9  # similarities are fractions of small numbers: no two differ by less

T = TypeVar("T", bound="dict[str, Any] | Example | Prompt | Row")


class Reason(StrEnum):
    """Why a row is dropped, the surest first."""

    SAME = "same text"
    NGRAM = "n-gram"
    NEAR = "near duplicate"


@dataclass(frozen=True)
class Dropped:
    """A row that was dropped, and the evaluation prompt it matches best. sets: all evaluation sets it matches.

    similarity: the Jaccard similarity of the two texts, for every reason.
    """

    id: str
    reason: Reason
    similarity: float
    matched_id: str
    matched_set: str
    text: str
    matched_text: str
    sets: dict[str, Reason]


def normalise(text: str) -> str:
    """The words of a text: NFKC, case folded, no punctuation, one space between. A text without words stays itself."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold())) or text.strip()


def ngrams(normalised: str, n: int) -> set[str]:
    """The runs of n words."""
    words = normalised.split()
    return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}


def shingles(normalised: str) -> set[str]:
    """The character 5-grams, with a space at both ends of the text. A shorter text is one shingle."""
    padded = f" {normalised} "
    return {padded[i : i + _SHINGLE] for i in range(max(len(padded) - _SHINGLE + 1, 1))}


def user_texts(row: "dict[str, Any] | Example | Prompt | Row") -> list[str]:
    """What users say in a row: its user messages, or its `prompt`, `question` or `instruction`. Raises InputError."""
    if isinstance(row, Example):
        row = row.prompt
    if isinstance(row, Prompt | Row):
        return [message.content for message in row.messages if message.role == "user"]
    said = next((row[key] for key in ("messages", "prompt", "question", "instruction") if key in row), None)
    if isinstance(said, list):
        texts = [
            message.get("content") for message in said if isinstance(message, dict) and message.get("role") == "user"
        ]
    else:
        texts = [said]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InputError("no user's text: `messages` with a user's, `prompt`, `question` or `instruction` is expected")
    return [str(text) for text in texts]


@dataclass(frozen=True)
class Index:
    """Evaluation prompts by what a match is found by: equal texts, n-grams, and the rarest shingles of each.

    rank: every shingle's number, rare ones first; shingles: each prompt's ranks.
    """

    prompts: list[Prompt]
    n: int
    threshold: float
    same: dict[str, list[int]]
    ngrams: dict[str, list[int]]
    rank: dict[str, int]
    shingles: list[list[int]]
    rarest: dict[int, list[int]]


def build_index(prompts: Sequence[Prompt], n: int = NGRAM, threshold: float = THRESHOLD) -> Index:
    """The index of evaluation prompts; raises InputError where n or the threshold makes no sense."""
    if n < 1 or not 0 < threshold <= 1:
        raise InputError(
            f"decontaminate: n is to be 1 or more, threshold above 0 and at most 1; they are {n}, {threshold}"
        )
    texts = [normalise(prompt.text) for prompt in prompts]
    sets = [shingles(text) for text in texts]
    counts = Counter(shingle for members in sets for shingle in members)
    rank = {shingle: i for i, shingle in enumerate(sorted(counts, key=lambda shingle: (counts[shingle], shingle)))}
    index = Index(list(prompts), n, threshold, defaultdict(list), defaultdict(list), rank, [], defaultdict(list))
    for i, (text, members) in enumerate(zip(texts, sets, strict=True)):
        index.same[text].append(i)
        for gram in ngrams(text, n):
            index.ngrams[gram].append(i)
        ranks = sorted(rank[shingle] for shingle in members)
        index.shingles.append(ranks)
        for shingle in ranks[: _prefix(len(ranks), threshold)]:
            index.rarest[shingle].append(i)
    return index


def _prefix(size: int, threshold: float) -> int:
    """How many of a set's rarest members must hold one of any set that is similar enough."""
    return size - ceil(threshold * size - _ROUNDING) + 1


def matches(text: str, index: Index) -> Iterator[tuple[int, Reason, float]]:
    """The evaluation prompts (by number) that a text matches, each once, with the surest reason and the similarity."""
    text = normalise(text)
    members = shingles(text)
    known = sorted(index.rank[shingle] for shingle in members if shingle in index.rank)
    # Shingles that no evaluation prompt has are the rarest of all: they come first and find nothing.
    rarest = known[: max(_prefix(len(members), index.threshold) - (len(members) - len(known)), 0)]
    same = set(index.same.get(text, ()))
    grams = {i for gram in ngrams(text, index.n) for i in index.ngrams.get(gram, ())}
    least, most = index.threshold * len(members) - _ROUNDING, len(members) / index.threshold + _ROUNDING
    candidates = {i for s in rarest for i in index.rarest.get(s, ()) if least <= len(index.shingles[i]) <= most}
    found = set(known)
    for i in sorted(same | grams | candidates):
        shared = len(found.intersection(index.shingles[i]))
        similarity = shared / (len(members) + len(index.shingles[i]) - shared)
        if i in same:
            yield i, Reason.SAME, similarity
        elif i in grams:
            yield i, Reason.NGRAM, similarity
        elif similarity >= index.threshold - _ROUNDING:
            yield i, Reason.NEAR, similarity


def decontaminate(
    rows: Sequence[T],
    prompts: Sequence[Prompt],
    n: int = NGRAM,
    threshold: float = THRESHOLD,
    progress: Report = silent,
) -> tuple[list[T], list[Dropped]]:
    """The rows that share nothing with the evaluation prompts, in their order, and the others with the match.

    n: the length of a shared run of words that is a match. threshold: the similarity from which two texts are near
    duplicates.
    """
    index = build_index(prompts, n, threshold)
    kept, dropped = [], []
    for number, row in enumerate(rows, start=1):
        try:
            texts = user_texts(row)
        except InputError as error:
            raise InputError(f"row {number}: {error}") from error
        match = _best(_identity(row, number), texts, index)
        if match:
            dropped.append(match)
        else:
            kept.append(row)
        progress(number, f"{len(dropped)} dropped")
    return kept, dropped


def _best(identity: str, texts: list[str], index: Index) -> Dropped | None:
    found = [(reason, similarity, i, text) for text in texts for i, reason, similarity in matches(text, index)]
    if not found:
        return None
    surest = list(Reason)
    found.sort(key=lambda match: (surest.index(match[0]), -match[1], match[2]))
    reason, similarity, i, text = found[0]
    sets: dict[str, Reason] = {}
    for other, _, j, _ in found:
        sets.setdefault(index.prompts[j].source, other)
    prompt = index.prompts[i]
    return Dropped(identity, reason, round(similarity, 4), prompt.id, prompt.source, text, prompt.text, sets)


def _identity(row: "dict[str, Any] | Example | Prompt | Row", number: int) -> str:
    if isinstance(row, dict):
        return str(row.get("id", f"row {number}"))
    return row.prompt.id if isinstance(row, Example) else row.id


def decontaminate_file(path: Path, names: list[str], out: Path, n: int = NGRAM, threshold: float = THRESHOLD) -> str:
    """Write the rows of a training set that share nothing with the named prompt sets to `out`; a table tells of the
    rest.

    A folder stands for its `train.jsonl`; `out` is one where it is there as one, or where `path` is and `out` has no
    suffix. The report, with every dropped row and its match, lies beside the cleaned file, with `.report.json` after
    its name; beside a device, a FIFO or a descriptor there is none. Raises InputError.
    """
    if out.is_dir() or (path.is_dir() and not out.suffix):
        out = out / "train.jsonl"
    path = path / "train.jsonl" if path.is_dir() else path
    if out.exists() and path.exists() and out.samefile(path):
        raise InputError(f"{out}: the training set itself; name another file to write to")
    numbered = read_jsonl(path)
    for number, row in numbered:
        try:
            user_texts(row)
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    prompts = load_prompts(names)
    with progress_bar("decontaminate", len(numbered)) as progress:
        kept, dropped = decontaminate([row for _, row in numbered], prompts, n, threshold, progress)
    settings = {"ngram": n, "shingle": _SHINGLE, "threshold": threshold}
    report = {"rows": len(numbered), "kept": len(kept), **settings, **summary(dropped, prompts)}
    if is_replaced(out):
        write_json(out.with_name(f"{out.name}.report.json"), report)
    write_jsonl(out, kept)
    return report_table(report)


def summary(dropped: list[Dropped], prompts: Sequence[Prompt]) -> dict[str, Any]:
    """The report of what was dropped: counts by reason, by evaluation set, and every row with its match.

    A row that matches several sets is counted for each of them under `by_set`.
    """
    by_set = {prompt.source: dict.fromkeys(Reason, 0) for prompt in prompts}
    for row in dropped:
        for source, reason in row.sets.items():
            by_set[source][reason] += 1
    reasons = Counter(row.reason for row in dropped)
    return {
        "prompts": dict(Counter(prompt.source for prompt in prompts)),
        "dropped": len(dropped),
        "by_reason": {reason: reasons[reason] for reason in Reason},
        "by_set": by_set,
        "dropped_rows": [asdict(row) for row in dropped],
    }


def report_table(report: dict[str, Any]) -> str:
    """The counts of a report as a table for people."""
    heads = ["evaluation set", "prompts", *Reason]
    lines = [[name, report["prompts"][name], *counts.values()] for name, counts in report["by_set"].items()]
    lines.append(["rows dropped", "", *report["by_reason"].values()])
    wide = max(len(str(line[0])) for line in [heads, *lines])
    text = "\n".join(
        str(line[0]).ljust(wide)
        + "".join(str(cell).rjust(len(head) + 2) for cell, head in zip(line[1:], heads[1:], strict=True))
        for line in [heads, *lines]
    )
    return f"{text}\n{report['rows']} rows, {report['dropped']} dropped, {report['kept']} kept"
