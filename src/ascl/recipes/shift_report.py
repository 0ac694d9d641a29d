"""`ascl data shift`: training sets beside each other under one frozen model, and what training moved."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from ascl.chat.messages import Message, Trajectory
from ascl.chat.render import Renderer
from ascl.consult.rollout import rollout, start
from ascl.data.load import load_prompts, question
from ascl.data.row import Row
from ascl.data.rows import read_rows
from ascl.errors import InputError
from ascl.models.in_process import InProcessClient
from ascl.models.models import load_model, load_renderer
from ascl.models.sampling import Sampling
from ascl.progress import progress_bar
from ascl.recipes.shift import forward_kl, score_rows, similarity, summarise
from ascl.rules.search import embedder, unit
from ascl.stats import bootstrap_ratio


def measure_shift(
    sets: Sequence[Path],
    model: str,
    tuned: str | None = None,
    prompts: str = "gsm8k:32",
    embedding_model: str | None = None,
    limit: int = 0,
    batch: int = 4,
    own: int = 0,
) -> dict[str, Any]:
    """The figures of `ascl data shift` (see `shift.py` for their definitions).

    `sets`: NLL by segment of each set. `compared`: the mean similarity between the replies of the first set and of each
    other one to the same prompt, and, for `own` prompts of each set (0: none), between its replies and the frozen
    model's own; with a tuned model, the forward KL from the frozen model on its own replies to held-out prompts, and
    the similarity between the replies of the two. With an embedding model each also as the cosine of embeddings.
    """
    rows = {str(path): _rows(path, limit) for path in sets}
    renderer = load_renderer(model)
    frozen = load_model(model)
    figures: dict[str, Any] = {"model": model, "sets": {}, "compared": {}}
    for name, of_set in rows.items():
        with progress_bar("scoring", len(of_set)) as progress:
            summary = summarise(score_rows(frozen, renderer, of_set, batch, progress))
        figures["sets"][name] = {k: v.model_dump() | {"perplexity": v.perplexity} for k, v in summary.items()}
    compared = figures["compared"]
    first, *others = rows
    for other in others:
        replies = [{row.id: _reply(row.messages[-1]) for row in rows[name]} for name in (first, other)]
        shared = sorted(replies[0].keys() & replies[1].keys())
        pairs = [(replies[0][i], replies[1][i]) for i in shared]
        compared |= _similar(f"replies, {first} and {other}", pairs, embedding_model)
    for name, of_set in rows.items():
        chosen = _spread(of_set, own) if own else []
        replies_to = _replies(frozen, renderer, [(row.id, _asked(row)) for row in chosen])
        pairs = [(_reply(row.messages[-1]), _reply(t.messages[-1])) for row, t in zip(chosen, replies_to, strict=True)]
        compared |= _similar(f"replies to the model's own, {name}", pairs, embedding_model)
    if tuned:
        held_out = [(prompt.id, question(prompt)) for prompt in load_prompts([prompts])]
        before = _replies(frozen, renderer, held_out)
        moved = load_model(tuned)
        walked = [Row(id=t.prompt_id, messages=t.messages) for t in before]
        compared[f"forward KL a token, {prompts}"] = _estimate(forward_kl(frozen, moved, renderer, walked))
        after = _replies(moved, renderer, held_out)
        texts = [(_reply(a.messages[-1]), _reply(b.messages[-1])) for a, b in zip(before, after, strict=True)]
        compared |= _similar(f"replies before and after, {prompts}", texts, embedding_model)
    return figures


def _rows(path: Path, limit: int) -> list[Row]:
    rows = read_rows([path])
    for row in rows:
        if row.messages[-1].role != "assistant":
            raise InputError(f"{path}, row {row.id}: `messages` that end with the assistant's are expected")
    if not rows:
        raise InputError(f"{path}: holds no row")
    return _spread(rows, limit) if limit else rows


def _spread(rows: list[Row], count: int) -> list[Row]:
    return [rows[i * len(rows) // count] for i in range(count)] if count < len(rows) else rows


def _asked(row: Row) -> list[Message]:
    """What a row's first model turn replies to."""
    return list(takewhile(lambda message: message.role != "assistant", row.messages))


def _reply(message: Message) -> str:
    return "\n\n".join(filter(None, [message.reasoning_content, message.content]))


def _replies(
    model: Any, renderer: Renderer, asked: list[tuple[str, list[Message]]], batch: int = 32
) -> list[Trajectory]:
    """The model's own greedy replies to prompts, each with its id."""
    if not asked:
        return []
    client = InProcessClient(model, renderer)
    walked = [start(identity, messages) for identity, messages in asked]
    with progress_bar("replies", len(walked)) as progress:
        for first in range(0, len(walked), batch):
            rollout(client, walked[first : first + batch], None, Sampling(max_tokens=512))
            progress(min(first + batch, len(walked)))
    return walked


def _similar(of: str, pairs: Sequence[tuple[str, str]], embedding_model: str | None) -> dict[str, Any]:
    """How alike the two texts of each pair are: by words, and by embeddings where a model is named."""
    if not pairs:
        return {}
    found = {f"similarity of {of}": _estimate([(similarity(one, other), 1) for one, other in pairs])}
    if embedding_model:
        found[f"cosine of {of}"] = _cosine(pairs, embedding_model)
    return found


def _cosine(pairs: Sequence[tuple[str, str]], embedding_model: str) -> dict[str, Any]:
    embed = embedder(embedding_model)
    one, other = (unit(embed([pair[side] for pair in pairs])) for side in (0, 1))
    return _estimate([(float(value), 1) for value in (one * other).sum(axis=1)])


def _estimate(pairs: Sequence[tuple[float, int]]) -> dict[str, Any]:
    return bootstrap_ratio(pairs).model_dump(include={"value", "low", "high", "n"})
