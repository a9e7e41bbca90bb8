"""Who may ask: names of certificates, and tokens of an identity provider whose keys are served over HTTPS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from bank_party.online.config import OnlineConfig
from common.config import validate
from common.errors import ConfigError
from common.web.callers import Callers, Unknown
from tests.common.web.served import served

OWN = {"certificate": "online.pem", "key": "online.key", "listen": "127.0.0.1:0", "grid_dataset": "g", "bank_dataset": "b"}
KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

RSA = rsa.generate_private_key(65537, 2048)

BODIES = {"/page": b"<html>We are back soon</html>", "/bytes": b"\xff\xfe\xfa", "/deep": b"[" * 100_000}


def certificate(*common: str, uri: str = "") -> dict[str, Any]:
    """As `ssl` has one."""
    return {"subject": [[("commonName", name)] for name in common], "subjectAltName": [("URI", uri)] if uri else []}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The settings of an identity provider that runs."""
    public = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())), "kid": "1", "use": "sig", "alg": "ES256"}
    keys = json.dumps({"keys": [public]}).encode()
    with served(tmp_path_factory.mktemp("provider"), lambda path: (200, BODIES.get(path, keys))) as (address, ca):
        yield {"issuer": "https://login.bank", "audience": "wattscore", "jwks": f"{address}/keys", "trust": str(ca)}


def token(key: Any = KEY, algorithm: str = "ES256", **claims: Any) -> str:
    now = time.time()
    body = {
        "iss": "https://login.bank",
        "aud": "wattscore",
        "sub": "desk-7",
        "exp": now + 300,
        "scope": "openid wattscore.score",
    }
    return jwt.encode({**body, **claims}, key, algorithm=algorithm, headers={"kid": "1"})


def callers(**settings: Any) -> Callers:
    config = OnlineConfig.model_validate({**OWN, **settings})
    return Callers(config.clients if config.trust is not None else None, config.oidc)


async def test_a_certificate_is_known_by_each_of_its_names() -> None:
    found = callers(trust="ca.pem", clients=["loan-desk", "spiffe://bank/desk"])
    assert await found.name(certificate("loan-desk"), None) == "certificate:loan-desk"
    assert await found.name(certificate("x", uri="spiffe://bank/desk"), None) == "certificate:spiffe://bank/desk"
    for other in (certificate("LOAN-DESK"), certificate(), None):
        with pytest.raises(Unknown, match="clients"):
            await found.name(other, None)


async def test_a_certificate_that_has_expired_since_its_connection_was_made_is_known_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, shown = (
        callers(trust="ca.pem", clients=["loan-desk"]),
        certificate("loan-desk") | {"notAfter": "Jan  5 09:34:43 2018 GMT"},
    )
    for now, refused in ((1515144883.0, False), (1515144884.0, True)):
        monkeypatch.setattr("common.web.callers.time", SimpleNamespace(time=lambda now=now: now))
        with pytest.raises(Unknown, match="expired") if refused else nullcontext():
            assert await found.name(shown, None) == "certificate:loan-desk"


async def test_a_good_token_names_its_subject(provider: dict[str, Any]) -> None:
    found = callers(oidc=provider)
    assert await found.name(None, f"Bearer {token()}") == "subject:desk-7"
    assert await found.name(None, f"bearer {token(scope=None, scp=['wattscore.score'])}") == "subject:desk-7"


async def test_a_program_of_entra_id_has_a_role_and_no_scope(provider: dict[str, Any]) -> None:
    ours, found = token(scope=None, roles=["wattscore.score"]), callers(oidc=provider | {"claim": "roles"})
    assert await found.name(None, f"Bearer {ours}") == "subject:desk-7"
    for bad in (token(), token(roles=["reader"]), token(roles=None, scp="wattscore.score")):
        with pytest.raises(Unknown, match="lacks the role") as refused:
            await found.name(None, f"Bearer {bad}")
        assert refused.value.may_not
    with pytest.raises(Unknown, match="lacks the scope"):  # unless it is declared
        await callers(oidc=provider).name(None, f"Bearer {ours}")


@pytest.mark.parametrize(
    "bad",
    [
        token(OTHER),
        token(exp=time.time() - 3600),
        token(nbf=time.time() + 3600),
        token(aud="another"),
        token(iss="https://evil"),
        token(sub=None),
        token(scope="openid"),
        token(scope=7),
        token(scope=None),
        token(RSA, "RS256"),  # with the kid of the provider's key, which is of an elliptic curve
        token(RSA, "PS512"),
        token(ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
        token("a secret that both sides would know", "HS256"),
        jwt.encode({"sub": "desk-7", "scope": "wattscore.score"}, None, algorithm="none"),
        "no token",
        "",
    ],
)
async def test_other_tokens_are_refused_without_a_word_of_them(bad: str, provider: dict[str, Any]) -> None:
    found = callers(oidc=provider)
    with pytest.raises(Unknown) as refused:
        await found.name(None, f"Bearer {bad}")
    assert not bad or bad not in str(refused.value)


async def test_where_both_are_set_both_are_required(provider: dict[str, Any]) -> None:
    found = callers(oidc=provider, trust="ca.pem", clients=["loan-desk"])
    assert await found.name(certificate("loan-desk"), f"Bearer {token()}") == "certificate:loan-desk subject:desk-7"
    for shown, said in ((certificate("loan-desk"), None), (certificate("x"), f"Bearer {token()}")):
        with pytest.raises(Unknown):
            await found.name(shown, said)


async def test_keys_that_cannot_be_reached_let_nobody_in(provider: dict[str, Any]) -> None:
    found = callers(oidc={**provider, "jwks": "https://localhost:9/keys"})
    with pytest.raises(Unknown, match="cannot be reached"):
        await found.name(None, f"Bearer {token()}")


@pytest.mark.parametrize("path", BODIES)
async def test_keys_that_are_none_let_nobody_in(path: str, provider: dict[str, Any]) -> None:
    found = callers(oidc={**provider, "jwks": provider["jwks"].replace("/keys", path)})
    with pytest.raises(Unknown, match="keys of the identity provider cannot be read"):
        await found.name(None, f"Bearer {token()}")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "trust or oidc"),
        ({"trust": "ca.pem"}, "clients"),
        ({"oidc": {"issuer": "i", "audience": "a", "jwks": "https://x"}, "clients": ["x"]}, "need trust"),
        ({"oidc": {"issuer": "i", "audience": "a", "jwks": "http://x/keys"}}, "https"),
    ],
)
def test_nothing_serves_who_is_not_known(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        validate(OnlineConfig, {**OWN, **settings}, "bank.toml")
