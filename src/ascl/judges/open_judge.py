"""From settings to a judge. Nothing is loaded or asked yet."""

from collections.abc import Callable
from pathlib import Path

from ascl.errors import InputError
from ascl.extension import imported, is_import_path
from ascl.judges.asking import hallucination
from ascl.judges.asking.book_judge import by_rules
from ascl.judges.asking.model_judge import ModelJudge
from ascl.judges.asking.reader import AskedModel, Reader
from ascl.judges.asking.reply_cache import ReplyCache
from ascl.judges.asking.strongreject import STRONGREJECT
from ascl.judges.guards.guard import Guard
from ascl.judges.guards.llama_guard import LLAMA_GUARD
from ascl.judges.guards.qwen3guard import QWEN3GUARD
from ascl.judges.guards.safeguard import by_policy
from ascl.judges.guards.wildguard import WILDGUARD
from ascl.judges.judge import Case, Judge
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.settings import JudgeSettings
from ascl.models.fingerprint import fingerprint
from ascl.rules.book import RuleBook

ATTEMPTS = 2  # requests for one text before the server is asked whether it is there at all


def open_judge(settings: JudgeSettings, book: RuleBook, cache_path: Path) -> Judge:
    """The judge of the settings; replies of models are kept at `cache_path`.

    book: what `safeguard` and `book` judge by, with the edits of a prompt's own.
    """
    if is_import_path(settings.kind):
        return _own(settings)
    guard, by = guard_of(settings, book)
    if guard is None and settings.hallucination is None:
        return OfflineJudge()
    cache = ReplyCache(cache_path)
    named, reading, claims = "offline", None, None
    if guard is not None:
        model = settings.model or ""
        rules = f" by rules {guard.decides[:8]}" if guard.decides else ""
        weights = _weights(model, settings.base_url)
        named = f"{guard.name} {_with(model, weights)}{rules}" + ("" if settings.strict else " (loose)")
        reading = Reader(
            name=f"{guard.name} {model}",
            revision=settings.revision or weights,
            model=asked_model(settings, model, settings.base_url, settings.revision, guard.template),
            cache=cache,
            messages=guard.ask,
            parse=guard.parse,
            max_tokens=guard.max_tokens,
        )
    if settings.hallucination is not None:
        asked = settings.hallucination
        weights = _weights(asked.model, asked.base_url)
        named += f", claims by {_with(asked.model, weights)}"
        claims = Reader(
            name=f"claims {asked.model}",
            revision=asked.revision or weights,
            model=asked_model(settings, asked.model, asked.base_url, asked.revision, None),
            cache=cache,
            messages=hallucination.messages,
            parse=hallucination.parse,
            max_tokens=hallucination.MAX_TOKENS,
        )
    return ModelJudge(named, reading, claims, settings.strict, by)


def _own(settings: JudgeSettings) -> Judge:
    """A judge of the user's. Raises InputError where it can't be made, or is none."""
    found = imported(settings.kind)
    try:
        judge: Judge = found(**settings.options)
    except Exception as error:  # whatever the user's class does
        raise InputError(f"judge {settings.kind}: can't be made ({type(error).__name__}: {error})") from error
    named = isinstance(getattr(judge, "name", None), str)
    if not named or not callable(getattr(judge, "judge_many", None)):
        raise InputError(
            f"judge {settings.kind}: lacks `name` or `judge_many` (ascl/judges/judge.py says what it holds)"
        )
    return judge


def _weights(model: str, base_url: str | None) -> str | None:
    """Which weights a judge's folder holds: its verdicts are not those of other weights in the same folder."""
    return None if base_url else fingerprint(model)


def _with(model: str, weights: str | None) -> str:
    return f"{model} ({weights[:8]})" if weights else model


def guard_of(settings: JudgeSettings, book: RuleBook) -> tuple[Guard | None, Callable[[Case], Guard | None] | None]:
    """The guard, if the kind is one, and the guard of each case where it hangs on the prompt's own book."""
    match settings.kind:
        case "qwen3guard":
            return QWEN3GUARD, None
        case "wildguard":
            return WILDGUARD, None
        case "llama_guard":
            return LLAMA_GUARD, None
        case "safeguard":
            return by_policy(book)
        case "strongreject":
            return STRONGREJECT, None
        case "book":
            return by_rules(book)
        case _:
            return None, None


def asked_model(
    settings: JudgeSettings, model: str, base_url: str | None, revision: str | None, template: str | None
) -> AskedModel:
    """A judging model: behind a server where `base_url` names one, else in this process. Nothing is loaded yet."""
    if not base_url:
        from ascl.judges.asking.local import LocalModel

        return LocalModel(model, revision, template, settings.concurrency)
    from ascl.judges.asking.served import ServedModel
    from ascl.models.openai_server import OpenAIClient

    client = OpenAIClient(model, base_url, settings.concurrency, settings.timeout, attempts=ATTEMPTS)
    return ServedModel(model, client)
