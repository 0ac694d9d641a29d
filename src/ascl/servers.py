"""Where servers are, and whether the hub is there at all."""

import os
import threading
from functools import cache
from pathlib import Path

from ascl.errors import InputError

OPENAI = "https://api.openai.com/v1"
CONNECT_TIMEOUT = 3.0  # seconds; a server that takes longer to accept a connection is not there
WAIT = 10.0  # seconds between looks for a server that was there before


def server_address(named: str | None = None) -> str:
    """The address of an OpenAI-compatible server: the one named, else `OPENAI_BASE_URL`, else OpenAI's own.

    An empty text names nothing.
    """
    return named or os.environ.get("OPENAI_BASE_URL") or OPENAI


def need_hub(what: str, cached: bool, mend: str = "name a local folder") -> None:
    """Make sure that the hub (`HF_ENDPOINT`) can be asked for `what`, which is in the cache or not.

    Where it can't be reached, its client is told to work offline, from the cache: else it would ask again and again, a
    line each. Raises InputError where the cache does not hold it either.
    """
    reason = hub_trouble()
    if reason is None:
        return
    from huggingface_hub import constants

    if not cached:
        raise InputError(f"{what}: the hub at {constants.ENDPOINT} can't be reached ({reason}); {mend}")
    constants.HF_HUB_OFFLINE = True


@cache
def hub_trouble() -> str | None:
    """Why the hub can't be reached, or None: it answers within CONNECT_TIMEOUT, or its client is offline anyway.

    It is asked once.
    """
    from huggingface_hub import constants, get_session

    if constants.is_offline_mode():
        return None
    outcome: list[str | None] = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=CONNECT_TIMEOUT)
            outcome.append(None)
        except Exception as error:  # of the network, of a proxy, of the address itself: all mean the same
            outcome.append(" ".join(str(error).split())[:200] or type(error).__name__)

    asking = threading.Thread(target=ask, daemon=True)  # looking up a name can't be given a time limit
    asking.start()
    asking.join(CONNECT_TIMEOUT)
    return outcome[0] if outcome else f"no answer within {CONNECT_TIMEOUT:g} s"


def model_cached(name: str, revision: str | None = None) -> bool:
    """Whether the hub's cache holds a model (or an adapter)."""
    from huggingface_hub import try_to_load_from_cache

    files = ("config.json", "adapter_config.json")
    try:
        return any(isinstance(try_to_load_from_cache(name, file, revision=revision), str) for file in files)
    except ValueError:  # no name a hub could have
        return False


def data_set_cached(name: str) -> bool:
    """Whether the cache of `datasets` holds a set of the hub."""
    from huggingface_hub import constants

    folder = Path(os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets")
    return (folder / name.replace("/", "___").lower()).exists() or (folder / name.replace("/", "___")).exists()
