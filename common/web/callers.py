"""Who calls: by the certificate of the connection, by a token of an identity provider, or both."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import jwt

from common.process.settings import OidcConfig
from common.web.provider import KeysUnknown, ProviderKeys

_SIGNED = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")  # never a shared key
_MUST = ["exp", "iss", "aud", "sub"]
_LEEWAY = 60.0  # seconds that clocks may differ


class Unknown(Exception):
    """It is not known who calls, or who calls may not ask. Its text says why, and holds nothing of a token."""

    def __init__(self, text: str, *, may_not: bool = False) -> None:
        super().__init__(text)
        self.may_not = may_not


class Callers:
    """Decides who calls. Raises ConfigError for certificates of the provider that cannot be read."""

    def __init__(self, clients: Iterable[str] | None, oidc: OidcConfig | None) -> None:
        """clients: names of certificates of those who may ask; None: certificates do not say who calls."""
        self._clients = frozenset(clients) if clients is not None else None
        self._tokens = Tokens(oidc) if oidc is not None else None

    async def name(self, certificate: Mapping[str, Any] | None, authorization: str | None) -> str:
        """A name of the caller that no other caller has. Raises Unknown.

        certificate: as `ssl` has it, already checked against the trust; authorization: the header.
        """
        names = []
        if self._clients is not None:
            names.append(self._of_certificate(certificate or {}))
        if self._tokens is not None:
            names.append(await self._tokens.subject(authorization))
        return " ".join(names)

    def _of_certificate(self, certificate: Mapping[str, Any]) -> str:
        assert self._clients is not None  # noqa: S101
        if (end := certificate.get("notAfter")) is not None and _seconds(end) < time.time():
            raise Unknown("the certificate has expired")  # since its connection, or the one that it goes on with, was made
        for name in names_of(certificate):
            if name in self._clients:
                return f"certificate:{name}"
        raise Unknown("no name of this certificate is among the clients of this service", may_not=True)


# A tenth of a millisecond for each request of a connection that stands, if it were read anew.
_seconds = lru_cache(1000)(ssl.cert_time_to_seconds)


def names_of(certificate: Mapping[str, Any]) -> list[str]:
    """The names of a certificate: those for machines, then common names."""
    others = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("URI", "DNS")]
    common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return [*others, *common]


class Tokens:
    """Tokens of one identity provider."""

    def __init__(self, config: OidcConfig) -> None:
        """Raises ConfigError for certificates of the provider that cannot be read."""
        self._config, self._keys = config, ProviderKeys(config)

    async def subject(self, authorization: str | None) -> str:
        """Raises Unknown for a token that is missing, of another, out of its time, or lacks the scope."""
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Unknown("a bearer token is required")
        config = self._config
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in _SIGNED:
                raise Unknown("the token is not signed by a key pair")
            key = await self._keys.find(header.get("kid"))
            claims = jwt.decode(
                token,
                key.key,
                algorithms=_SIGNED,
                audience=config.audience,
                issuer=config.issuer,
                leeway=_LEEWAY,
                options={"require": _MUST},
            )
        except KeysUnknown as error:
            raise Unknown(str(error)) from None
        except jwt.PyJWTError as error:
            raise Unknown(f"the token is not valid: {type(error).__name__}") from None
        except TypeError:  # of PyJWT, where its header names an algorithm that the key is not of
            raise Unknown("the token's algorithm is not that of its key") from None
        if config.scope not in _scopes(claims, config.claim):
            what = "role" if config.claim == "roles" else "scope"
            raise Unknown(f"the token lacks the {what} {config.scope}", may_not=True)
        return f"subject:{claims['sub']}"


def _scopes(claims: Mapping[str, Any], claim: str) -> list[str]:
    found = claims.get("roles") if claim == "roles" else claims.get("scope") or claims.get("scp")
    if isinstance(found, str):
        return found.split()
    return [str(scope) for scope in found] if isinstance(found, list) else []
