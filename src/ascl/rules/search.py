"""Search over rule texts: lexical (BM25) by default, dense when an embedding model is named.

Both give similarities in [0, 1], which the consult tool shows in percent.
"""

import asyncio
import json
import logging
import math
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ascl.errors import InputError
from ascl.inputs import read_json
from ascl.progress import tell
from ascl.rules.words import characters, content_words
from ascl.servers import CONNECT_TIMEOUT, WAIT, model_cached, need_hub, server_address

# One word in common is enough for a query of at most so many content words; `benchmarks/search.py` measures it.
SHORT_QUERY = 3

# The modules of an embedding model that are loaded. Others of the library import what their own settings name.
MODULES = ("Transformer", "Pooling", "Normalize", "Dense", "Dropout", "LayerNorm", "StaticEmbedding")
SECONDS = 600.0  # for one request to an embedding server, attempts and all
BATCH = 256  # texts in one request to an embedding server


class Searcher(Protocol):
    """Scores every text of a fixed list against a query."""

    def similarities(self, query: str) -> np.ndarray:
        """Float array [number of texts], each in [0, 1]."""
        ...

    def hits(self, query: str) -> np.ndarray:
        """Bool array [number of texts]: whether a text is about the query at all."""
        ...


class Bm25Searcher:
    """BM25 in Lucene's form (bm25s) over content words (see `words.py`).

    similarity = score / sum of idf over the query's words: the share of the score a perfect text would get, so that it
    lies in [0, 1] and words no rule knows lower it. A text is a hit where it shares two different words with the query,
    or one with a query of at most `SHORT_QUERY` words: one word of many is chance.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # the library sets DEBUG
        corpus = [list(_indexed(text)) for text in texts]
        self._index = bm25s.BM25(method="lucene")
        self._index.index(corpus, show_progress=False)
        self._texts = [set(found) for found in corpus]
        self._known = Counter(word for found in self._texts for word in found)

    def similarities(self, query: str) -> np.ndarray:
        """See `Searcher`. A query without any known word scores 0 everywhere."""
        asked = content_words(query)
        size = len(self._texts)
        best = sum(math.log(1 + (size - self._known[w] + 0.5) / (self._known[w] + 0.5)) for w in asked)
        known = [word for word in asked if word in self._known]
        if not known:
            return np.zeros(size)
        return np.clip(self._index.get_scores(known) / best, 0.0, 1.0)

    def hits(self, query: str) -> np.ndarray:
        """See `Searcher`."""
        asked = set(content_words(query))
        shared = np.array([len(asked & text) for text in self._texts])
        return shared >= (1 if len(asked) <= SHORT_QUERY else 2)


@lru_cache(maxsize=1 << 12)  # edited books have most rules in common, and one is indexed for every prompt
def _indexed(text: str) -> tuple[str, ...]:
    return (*content_words(text), *characters(text)) or ("",)


class DenseSearcher:
    """Cosine similarity of embeddings; `embed` maps n texts to an array [n, d]. Negative cosines count as 0."""

    def __init__(self, texts: Sequence[str], embed: Callable[[Sequence[str]], np.ndarray]) -> None:
        self._embed = embed
        self._matrix = unit(embed(texts))

    def similarities(self, query: str) -> np.ndarray:
        """See `Searcher`."""
        return np.clip(self._matrix @ unit(self._embed([query]))[0], 0.0, 1.0)

    def hits(self, query: str) -> np.ndarray:
        """See `Searcher`. Every text is: what a cosine means differs from model to model."""
        return np.ones(len(self._matrix), dtype=bool)


def searcher(texts: Sequence[str], embedding_model: str | None = None) -> Searcher:
    """BM25 without an embedding model. `endpoint:NAME` embeds at `OPENAI_BASE_URL`; else NAME is a folder or hub id."""
    if embedding_model is None:
        return Bm25Searcher(texts)
    return DenseSearcher(texts, embedder(embedding_model))


def embedder(embedding_model: str) -> Callable[[Sequence[str]], np.ndarray]:
    """A function from n texts to their embeddings [n, d]; see `searcher` for the names."""
    if embedding_model.startswith("endpoint:"):
        return _endpoint(embedding_model.removeprefix("endpoint:"))
    return _local(embedding_model)


def unit(matrix: np.ndarray) -> np.ndarray:
    """The rows scaled to length one."""
    matrix = np.asarray(matrix, dtype=np.float32)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


def _endpoint(model: str) -> Callable[[Sequence[str]], np.ndarray]:
    import httpx2
    from openai import AsyncOpenAI, OpenAIError

    from ascl.http_client import AsyncClient, run_here

    address, answered = server_address(), False
    where = f"embedding model endpoint:{model} at {address}"
    width = 0  # of the embeddings, once one has come

    async def post(texts: Sequence[str]) -> bytes:
        timeout = httpx2.Timeout(SECONDS, connect=CONNECT_TIMEOUT)
        client = AsyncOpenAI(
            base_url=address,
            api_key=os.environ.get("OPENAI_API_KEY") or "none",
            timeout=timeout,
            max_retries=2 if answered else 0,  # of a server that is not there; one that has answered is asked again
            http_client=AsyncClient(timeout),
        )
        asked = {"model": model, "input": list(texts), "encoding_format": "float"}
        async with client, asyncio.timeout(SECONDS):
            return (await client.post("/embeddings", cast_to=httpx2.Response, body=asked)).content

    def embed_batch(texts: Sequence[str]) -> np.ndarray:
        nonlocal answered, width
        told = False
        while True:
            try:
                reply = run_here(post(texts))
                break
            except TimeoutError as error:
                raise InputError(f"{where}: no answer within {SECONDS:g} s") from error
            except OpenAIError as error:
                if not answered or not isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
                    raise InputError(f"{where}: {error} {error.__cause__ or ''}".strip()) from error
            if not told:
                tell(f"{where} does not answer; waiting, asking every {WAIT:g} s")
                told = True
            time.sleep(WAIT)
        answered = True
        vectors = _vectors(reply, len(texts), where)
        if vectors.shape[1] != (width or vectors.shape[1]):
            raise InputError(f"{where}: its embeddings differ in length")
        width = vectors.shape[1]
        return vectors

    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.concatenate([embed_batch(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])

    return embed


def _vectors(content: bytes, count: int, where: str) -> np.ndarray:
    """The embeddings [count, d] in a reply. Raises InputError where it holds something else."""
    try:
        data = json.loads(content)["data"]
        if sorted(item.get("index", i) for i, item in enumerate(data)) == list(range(len(data))):
            data = sorted(data, key=lambda item: item.get("index", 0))  # a stable sort: without numbers as they came
        vectors = np.array([item["embedding"] for item in data], dtype=np.float32)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        raise InputError(f"{where}: the reply holds no embeddings: {content[:200].decode(errors='replace')}") from None
    if len(data) != count:
        raise InputError(f"{where}: {len(data)} embeddings for {count} texts")
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise InputError(f"{where}: the embeddings are no vectors of numbers")
    return vectors


def _local(model: str) -> Callable[[Sequence[str]], np.ndarray]:
    if os.path.exists(model):
        check_no_code(model, Path(model))
    if find_spec("sentence_transformers") is None:
        raise InputError(f"embedding model {model}: install the extra `dense` (pip install 'ascl[dense]')")
    folder = Path(model) if os.path.exists(model) else _fetched(model)
    from sentence_transformers import SentenceTransformer

    try:
        encoder = SentenceTransformer(str(folder), trust_remote_code=False)
    except Exception as error:  # whatever a broken folder makes the library raise
        raise InputError(f"embedding model {model}: it can't be loaded ({_first_line(error)})") from error
    return lambda texts: encoder.encode(list(texts), show_progress_bar=False)


def _fetched(model: str) -> Path:
    """The folder of an embedding model of the hub."""
    need_hub(f"embedding model {model}", model_cached(model))
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(model, allow_patterns=["*.json", "*.safetensors", "*.bin", "*.txt", "*.model"]))
    except (OSError, ValueError) as error:
        raise InputError(f"embedding model {model}: no such folder or hub id ({_first_line(error)})") from error
    check_no_code(model, folder)
    return folder


def check_no_code(model: str, folder: Path) -> None:
    """Raise InputError where the folder of an embedding model names Python code of its own.

    Some versions of sentence-transformers run the code of a local folder whatever `trust_remote_code` says.
    """
    if not folder.is_dir():
        raise InputError(f"embedding model {model}: a folder is expected")
    for path in sorted(folder.rglob("*.json")):
        if not path.is_file():
            raise InputError(f"embedding model {model}: {path.name} is no regular file")
    for path in folder.rglob("*config*.json"):
        for key, value in _fields(read_json(path)):
            if key == "trust_remote_code":
                raise InputError(f"embedding model {model}: {path.name} asks to run Python code, which is not done")
            if key == "activation_function" and not re.fullmatch(r"\w+|torch\.nn\.modules\.\w+\.\w+", str(value)):
                raise InputError(f"embedding model {model}: {path.name}: {key} is no module of torch.nn.modules")
    modules = read_json(folder / "modules.json") if (folder / "modules.json").exists() else []
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise InputError(f"embedding model {model}: modules.json: a list of objects is expected")
    for kind in (str(module.get("type")) for module in modules):
        if not re.fullmatch(rf"sentence_transformers\.[\w.]+\.({'|'.join(MODULES)})", kind):
            raise InputError(
                f"embedding model {model}: modules.json: {kind} is none of the modules {', '.join(MODULES)}"
            )


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of all objects in a JSON value."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            yield from inner.items()
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
