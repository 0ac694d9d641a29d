"""Addresses that no server could have, and what is done where the hub is not there: one line, or the cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from ascl.errors import InputError
from ascl.judges.settings import ClaimsSettings, JudgeSettings
from ascl.run.arms import ArmData
from ascl.servers import server_address
from ascl.train.settings import RlSettings

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


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1", "http://[zz]/v1", "http://", "http:///v1", "http://:80/v1", "http://h:99999/v1", "http://h:-1",
        "http://[v1.x]/", "http://256.1.1.1/v1", "http://01.2.3.4:80/v1",
        "http://h:0/v1", "http://h:x/v1", "http://h:８０/v1", "http://a b/v1", "http://h/a b", " http://h/v1",
        "http://h/v1\n", "http://h\n/v1", "http://h\0/v1", "\x1b[31mX", "http://😀/v1", "http://\u202e/v1",
        "http://⑴/v1", "http://x..y/v1", "http://./v1", f"http://{'a' * 64}/v1", f"http://{'a.' * 130}b/v1",
        "http://h%00/v1", "http://h\\x/v1", "h:80/v1", "localhost:8000/v1", "//h/v1", "ftp://h/v1", "file:///etc",
        "javascript:x", "http://user:secret@h/v1", "http://a@/v1", "http://h/v1?a=b", "http://h/v1#x",
        f"http://h/{'v' * 5000}", "9" * 5000, "\ud800", "http://\udcff/v1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_one_line_wherever_it_stands(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as caught:
        server_address(url)
    said = str(caught.value)
    assert "is no address of a server (" in said
    assert "secret" not in said, "a password is not shown"
    for settings, fields in (
        (JudgeSettings, {"kind": "qwen3guard", "model": "x", "base_url": url}),
        (ClaimsSettings, {"model": "x", "base_url": url}),
        (ArmData, {"model": "x", "base_url": url}),
        (RlSettings, {"vllm_server": url}),
    ):
        with pytest.raises(ValidationError):
            settings.model_validate(fields)
    if "\0" not in url and "\ud800" not in url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        with pytest.raises(InputError, match="is no address of a server"):
            server_address()


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1", "https://api.openai.com/v1", "http://127.0.0.1:80/", "http://[::1]:8000/v1",
        "http://h", "http://my_host.internal./v1", "HTTPS://h/v1", "http://bücher.example/v1",
        "http://h/deployments/a%20b/v1",
    ],
)  # fmt: skip
def test_addresses_of_every_form_are_taken_as_they_stand(url: str) -> None:
    assert server_address(url) == url
