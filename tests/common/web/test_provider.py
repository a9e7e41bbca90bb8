"""Keys of an identity provider: rotated, several, without names, of a provider that is down or hangs."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from common.process.settings import OidcConfig
from common.web.provider import KeysUnknown, ProviderKeys
from tests.common.web.served import served

KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]


def shown(k: int, kid: str | None, use: str | None = "sig") -> dict[str, Any]:
    """Key `k` as a provider publishes it."""
    told = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEYS[k].public_key()))
    return told | ({"kid": kid} if kid else {}) | ({"use": use} if use else {})


class Provider:
    """What a provider answers: `keys`, once `open`; nothing of use while `down`. asked: how often it was."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [shown(0, "a")]
        self.open, self.down, self.asked = threading.Event(), False, 0
        self.open.set()
        self.config: OidcConfig


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    for limit in ("_TIMEOUT", "_WAIT"):  # but for one test none is about them, and a machine may be busy
        monkeypatch.setattr(f"common.web.provider.{limit}", 600.0)
    state = Provider()

    def answer(_: str) -> tuple[int, bytes]:
        state.asked += 1
        state.open.wait()
        return 503 if state.down else 200, json.dumps({"keys": state.keys}).encode()

    with served(tmp_path, answer) as (address, ca):
        state.config = OidcConfig(issuer="i", audience="a", scope="s", jwks=f"{address}/keys", trust=ca)
        yield state
        state.open.set()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def is_key(found: jwt.PyJWK, k: int) -> bool:
    return bool(found.key.public_numbers() == KEYS[k].public_key().public_numbers())


async def test_a_new_key_is_fetched_and_an_old_one_goes(provider: Provider) -> None:
    clock = Clock()
    keys = ProviderKeys(provider.config, clock)
    assert is_key(await keys.find("a"), 0)
    provider.keys = [shown(1, "b")]
    with pytest.raises(KeysUnknown, match="after some seconds"):  # asked a moment ago
        await keys.find("b")
    clock.now += 11
    assert is_key(await keys.find("b"), 1)
    with pytest.raises(KeysUnknown, match="no such key"):
        await keys.find("a")
    assert provider.asked == 2


async def test_tokens_that_name_unknown_keys_ask_the_provider_once_in_ten_seconds(provider: Provider) -> None:
    clock = Clock()
    keys = ProviderKeys(provider.config, clock)
    for k in range(50):
        clock.now += 0.1
        with pytest.raises(KeysUnknown):
            await keys.find(f"x{k}")
    assert provider.asked == 1


async def test_a_token_without_kid_is_of_the_only_key(provider: Provider) -> None:
    provider.keys = [shown(0, None)]
    assert is_key(await ProviderKeys(provider.config).find(None), 0)
    provider.keys = [shown(0, "a"), shown(1, "b", use="enc")]  # one signs, one encrypts
    assert is_key(await ProviderKeys(provider.config).find(None), 0)
    with pytest.raises(KeysUnknown, match="no such key"):
        await ProviderKeys(provider.config).find("b")
    provider.keys = [shown(0, "a"), shown(1, "b", use=None)]
    with pytest.raises(KeysUnknown, match="names no key"):
        await ProviderKeys(provider.config).find(None)


async def test_kinds_of_keys_that_nobody_knows_are_left_out(provider: Provider) -> None:
    provider.keys = [{"kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AAAA"}, shown(2, "c")]
    keys = ProviderKeys(provider.config)
    assert is_key(await keys.find("c"), 2)
    with pytest.raises(KeysUnknown, match="no such key"):
        await keys.find("pq")


async def test_while_the_provider_is_down_its_keys_are_good_for_ten_minutes_more(provider: Provider) -> None:
    clock = Clock()
    keys = ProviderKeys(provider.config, clock)
    await keys.find("a")
    provider.down = True
    for _ in range(29):  # five minutes and ten, by half minutes
        clock.now += 30
        assert is_key(await keys.find("a"), 0)
        await settled(keys)
    clock.now += 31
    with pytest.raises(KeysUnknown, match="cannot be reached"):
        await keys.find("a")
    provider.down = False
    clock.now += 11
    assert is_key(await keys.find("a"), 0)


async def settled(keys: ProviderKeys) -> None:
    """The look that goes on beside the caller is over."""
    if keys._look is not None:
        await keys._look


async def test_a_provider_that_hangs_holds_no_thread_of_the_daemon(provider: Provider) -> None:
    provider.open.clear()
    keys = ProviderKeys(provider.config)
    waiting = [asyncio.create_task(keys.find("a")) for _ in range(100)]
    for _ in range(100):  # more than the loop has threads
        assert await asyncio.to_thread(lambda: 7) == 7
    assert not any(task.done() for task in waiting)
    waiting[0].cancel()  # a caller that goes away
    provider.open.set()
    found = await asyncio.gather(*waiting[1:])
    assert all(is_key(key, 0) for key in found)
    assert provider.asked == 1


async def test_nobody_waits_for_ever_for_a_provider_whose_answer_does_not_end(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.web.provider._WAIT", 5.0)
    provider.open.clear()
    clock = Clock()
    keys = ProviderKeys(provider.config, clock)
    keys._begin_look()
    clock.now += 6.0
    with pytest.raises(KeysUnknown, match="have not come in time"):
        await keys.find("a")
    provider.open.set()
    await settled(keys)
    assert is_key(await keys.find("a"), 0)
    assert provider.asked == 1
