"""Keys are hashes, limits hold for requests at the same time, tenants do not see one another."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import Serve
from hypothesis import given
from hypothesis import strategies as st
from scripted import answers

from ascl.errors import InputError
from ascl.serve.keys import DAY, PREFIX, Key, Keys, Meter, make_key
from ascl.serve.protocol.errors import ApiError
from ascl.serve.run import KEYS
from ascl.serve.trail.audit import export

KEY = Key(id="a" * 8, sha256="0" * 64, tenant="t")


def test_a_key_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    path = tmp_path / KEYS
    first, second = make_key(path, "one"), make_key(path, "two", form="rag")
    keys = Keys(path)
    assert keys.find(f"Bearer {first}").tenant == "one"
    assert keys.find(f"Bearer {second}").form == "rag"
    assert path.stat().st_mode & 0o077 == 0
    written = path.read_text()
    assert first.rpartition("-")[2] not in written
    for wrong in (None, "", first, f"Basic {first}", f"Bearer {first}x", f"Bearer {PREFIX}", "Bearer \udcff"):
        with pytest.raises(ApiError) as failed:
            keys.find(wrong)
        assert failed.value.status == 401
        assert first not in failed.value.message


@pytest.mark.parametrize("policy", [{"show": "some"}, {"form": "x"}, {"tokens_per_day": -1}])
def test_a_bad_policy_is_one_line(tmp_path: Path, policy: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make_key(tmp_path / KEYS, "t", **policy)
    assert not (tmp_path / KEYS).exists()


def test_without_a_file_anybody_may_ask_and_with_an_empty_one_nobody(tmp_path: Path) -> None:
    assert Keys(tmp_path / KEYS).find(None).tenant == "local"
    (tmp_path / KEYS).write_text("")
    with pytest.raises(ApiError):
        Keys(tmp_path / KEYS).find(None)


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(1, 50), st.integers(0, 50)), max_size=60))
def test_no_minute_has_more_requests_and_no_day_more_tokens(asked: list[tuple[float, int, int]]) -> None:
    key = KEY.model_copy(update={"requests_per_minute": 5, "tokens_per_day": 200})
    meter, taken, used = Meter(), [], 0
    for now, reserved, needed in sorted(asked):
        try:
            meter.reserve(key, reserved, now)
        except ApiError as error:
            assert error.status == 429
            continue
        meter.settle(reserved, min(reserved, needed))
        taken.append(now)
        used += min(reserved, needed)
        assert sum(now - 60 < one <= now for one in taken) <= 5
        assert used <= 200


def test_a_new_day_begins_anew() -> None:
    key, meter = KEY.model_copy(update={"tokens_per_day": 10}), Meter()
    meter.reserve(key, 10, 5.0)
    with pytest.raises(ApiError, match="tokens of the day"):
        meter.reserve(key, 1, 6.0)
    meter.reserve(key, 10, DAY + 1)


def test_requests_at_the_same_time_do_not_pass_a_limit_together(serving: Serve) -> None:
    with serving(answers("Yes.")) as served:
        key = make_key(served.folder / KEYS, "t", requests_per_minute=3)
        served.gateway.keys.load()

        async def together() -> list[int]:
            body = {"model": "model", "messages": [{"role": "user", "content": "Hi"}]}
            headers = {"authorization": f"Bearer {key}"}
            async with httpx2.AsyncClient(timeout=30) as client:
                url = f"{served.url}/v1/chat/completions"
                asked = [client.post(url, json=body, headers=headers) for _ in range(12)]
                return [reply.status_code for reply in await asyncio.gather(*asked)]

        statuses = asyncio.run(together())
        assert sorted(statuses) == [200] * 3 + [429] * 9


def test_records_are_told_apart_by_tenant_and_the_upstream_never_sees_a_key(serving: Serve) -> None:
    with serving(answers("Yes.")) as served:
        made = {tenant: make_key(served.folder / KEYS, tenant) for tenant in ("a", "b")}
        served.gateway.keys.load()
        for key in made.values():
            body = {"model": "model", "messages": [{"role": "user", "content": "Hi"}]}
            headers = {"authorization": f"Bearer {key}", "cookie": "x=1", "x-forwarded-for": "1.2.3.4"}
            assert httpx2.post(f"{served.url}/v1/chat/completions", json=body, headers=headers).status_code == 200
        assert {one["tenant"] for one in export(served.folder / "audit.sqlite", "a")} == {"a"}
        for headers in served.script.headers:
            assert headers["authorization"] == "Bearer upstream-key"
            assert not {"cookie", "x-forwarded-for"} & headers.keys()
        held = b"".join(path.read_bytes() for path in served.folder.iterdir())
        assert not any(key.rpartition("-")[2].encode() in held for key in made.values())
