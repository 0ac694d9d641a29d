"""How far a training set lies from a model's own distribution (DGR, arXiv 2602.02136; ThinkSafe, arXiv 2601.23143).

Token NLL of the replies under the frozen target, -1/N sum log p(token | prompt, tokens before), with the set's own
replies as fixed text: for the thought, the answer and both. A set the model could have written itself has a low NLL;
the "shift" of a set is its excess over the model's own replies. Intervals are percentile bootstraps over rows (a row's
tokens are not independent), 2000 resamples, fixed seed. Units: nats a token; perplexity = exp(NLL).

DGR itself measures the shift by the similarity of outputs: here that of a set's replies and the model's own to the same
prompts, by words (`similarity`) and by an embedding. Deviation: the paper's measure of similarity is not public.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from ascl.chat.render import Renderer
from ascl.data.row import Row
from ascl.recipes.segments import reply_segments
from ascl.stats import bootstrap_ratio

SEGMENTS = ("thought", "answer", "reply")


class Shift(BaseModel):
    """The NLL of one segment of a set: mean over tokens, its 95 % interval over rows, tokens and rows after it."""

    model_config = ConfigDict(extra="forbid")

    nll: float
    low: float
    high: float
    tokens: int
    rows: int

    @property
    def perplexity(self) -> float:
        """exp(NLL)."""
        return math.exp(self.nll)


Sums = dict[str, tuple[float, int]]  # segment -> (summed NLL in nats, tokens)


def score_rows(
    model: Any,
    renderer: Renderer,
    rows: Sequence[Row],
    batch: int = 4,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Sums]:
    """The summed NLL and the token count of each row's segments under the model, in the order of `rows`.

    A row's thought and answer are those of its model turns, tags and end-of-turn token counted with the segment they
    close.
    """
    import torch

    encoded = [reply_segments(row, renderer) for row in rows]
    # Longest first: what runs out of memory does so at once, and freed memory fits the next batch.
    order = sorted(range(len(rows)), key=lambda i: -len(encoded[i][0]))
    sums: list[Sums] = [{} for _ in rows]
    model.eval()
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        width = max(len(encoded[i][0]) for i in chosen)
        ids = torch.zeros(len(chosen), width, dtype=torch.long)
        mask = torch.zeros(len(chosen), width, dtype=torch.long)
        for at, i in enumerate(chosen):
            ids[at, : len(encoded[i][0])] = torch.tensor(encoded[i][0])
            mask[at, : len(encoded[i][0])] = 1
        with torch.no_grad():
            logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
        for at, i in enumerate(chosen):
            ids_of, segment_of = encoded[i]
            target = torch.tensor(ids_of[1:], device=logits.device)
            log_probabilities = torch.log_softmax(logits[at, : len(ids_of) - 1].float(), dim=-1)
            nll = -log_probabilities.gather(-1, target[:, None])[:, 0].double()
            sums[i] = _by_segment(nll.tolist(), segment_of[1:])
        progress(min(first + batch, len(order)))
    return sums


def _by_segment(nll: Sequence[float], segment_of: Sequence[str]) -> Sums:
    found = {name: [x for x, segment in zip(nll, segment_of, strict=True) if segment == name] for name in SEGMENTS[:2]}
    found["reply"] = found["thought"] + found["answer"]
    return {name: (sum(values), len(values)) for name, values in found.items()}


def summarise(sums: Sequence[Sums]) -> dict[str, Shift]:
    """The NLL of each segment over a set. Segments no row has are left out."""
    result = {}
    for name in SEGMENTS:
        pairs = [row[name] for row in sums if row[name][1]]
        if not pairs:
            continue
        nll = bootstrap_ratio(pairs)
        assert nll.value is not None and nll.low is not None and nll.high is not None
        tokens = sum(n for _, n in pairs)
        result[name] = Shift(nll=nll.value, low=nll.low, high=nll.high, tokens=tokens, rows=len(pairs))
    return result


_WORD = re.compile(r"\w+")


def similarity(one: str, other: str) -> float:
    """The cosine of the word counts c, d of two texts, sum_w c_w d_w / (|c| |d|): 1 for the same words, 0 for none.

    Case and order are ignored; two texts without words are alike.
    """
    c, d = (Counter(_WORD.findall(text.lower())) for text in (one, other))
    if not c or not d:
        return float(not c and not d)
    product = sum(count * d[word] for word, count in c.items())
    return product / math.sqrt(sum(n * n for n in c.values()) * sum(n * n for n in d.values()))


def forward_kl(reference: Any, tuned: Any, renderer: Renderer, rows: Sequence[Row]) -> list[tuple[float, int]]:
    """Summed KL(reference || tuned) over the whole vocabulary, and the token count, on each row's model tokens.

    KL_t = sum_v p_ref(v | before t) (log p_ref(v | before t) - log p_tuned(v | before t)), in nats. The rows hold the
    reference's own replies to held-out prompts, so the mean is an estimate of the forward KL of its distribution.
    """
    import torch

    encoded = [reply_segments(row, renderer) for row in rows]
    found = []
    reference.eval()
    tuned.eval()
    for ids, segment_of in encoded:
        positions = [t for t in range(len(ids) - 1) if segment_of[t + 1] != "prompt"]
        with torch.no_grad():
            both = [
                torch.log_softmax(m(input_ids=torch.tensor([ids], device=m.device)).logits[0, positions].float(), -1)
                for m in (reference, tuned)
            ]
        kl = (both[0].exp() * (both[0] - both[1])).sum(-1).double()
        found.append((float(kl.sum()), len(positions)))
    return found
