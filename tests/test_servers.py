"""What is done where the hub is not there: one line, or the cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = """
import sys
from huggingface_hub import constants
from ascl.errors import InputError
from ascl.servers import need_hub
try:
    need_hub("model no/such", cached=sys.argv[1] == "cached")
except InputError as error:
    sys.exit(str(error))
print(constants.is_offline_mode())
"""


def check(endpoint: str, cached: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's address is read when its client is imported."""
    given = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    given |= {"HF_ENDPOINT": endpoint} | environment
    return subprocess.run([sys.executable, "-c", CHECK, cached], capture_output=True, text=True, env=given)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://no-such-host.invalid", "no address"])
def test_a_hub_that_is_not_there_is_one_line(endpoint: str) -> None:
    done = check(endpoint, "missing")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"model no/such: the hub at {endpoint} can't be reached (")


def test_what_is_in_the_cache_needs_no_hub(tmp_path: Path) -> None:
    done = check("http://127.0.0.1:9", "cached")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_a_user_who_works_offline_is_not_asked_for_a_hub() -> None:
    assert check("http://127.0.0.1:9", "missing", HF_HUB_OFFLINE="1").returncode == 0
