"""Where servers are, and whether the hub is there at all."""

import os
import re
import threading
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from ascl.errors import InputError

OPENAI = "https://api.openai.com/v1"
CONNECT_TIMEOUT = 3.0  # seconds; a server that takes longer to accept a connection is not there
_LONGEST_ADDRESS = 2000  # characters
WAIT = 10.0  # seconds between looks for a server that was there before


def server_address(named: str | None = None) -> str:
    """The address of an OpenAI-compatible server: the one named, else `OPENAI_BASE_URL`, else OpenAI's own.

    An empty text names nothing. Raises InputError where no server could have that address.
    """
    return checked_address(named or os.environ.get("OPENAI_BASE_URL") or OPENAI)


def optional_address(named: str | None) -> str | None:
    """The address that a setting names, if it names one. Raises InputError where no server could have it."""
    return checked_address(named) if named else named


def checked_address(url: str) -> str:
    """The address of a server as it stands. Raises InputError where no server could have it."""
    if fault := _fault(url):
        shown = url if "@" not in url else "an address with @"  # there may be a password in it
        raise InputError(
            f"{shown[:200].encode(errors='backslashreplace').decode()} is no address of a server ({fault}); write http://HOST:PORT/v1"
        )
    return url


def _fault(url: str) -> str | None:
    """What is wrong with the address of a server; the clients raise whatever they like, and only when they connect."""
    if len(url) > _LONGEST_ADDRESS:
        return f"it has more than {_LONGEST_ADDRESS} characters"
    if not url.isprintable() or any(c.isspace() or c in "\\?#" for c in url):
        return "it holds blanks, control characters, a backslash, ? or #"
    try:
        parts = urlsplit(url)
        port = parts.port
        if parts.scheme not in ("http", "https"):
            return "it does not begin with http:// or https://"
        if "@" in parts.netloc:
            return "it holds a user name or a password; the key is given in OPENAI_API_KEY"
        if port == 0:
            return "there is no port 0"
        import httpx2  # what the clients read it with

        host = httpx2.URL(url).raw_host.decode()
    except Exception as error:  # a port out of range, an IP address that is none, no international name
        return str(error)
    if ":" in host:  # IPv6, which has been looked at
        return None
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(re.fullmatch(r"[\w-]{1,63}", label, re.ASCII) for label in labels):
        return "it names no host"
    return None


def check_listening(host: str, port: int) -> None:
    """Raise InputError where a server could not listen; the server itself would log a page and exit with 3."""
    import socket

    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{host}, port {port}: can't listen there ({reason})") from error


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
