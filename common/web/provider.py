"""Public keys of an identity provider: fetched once for all who wait, kept for a while when it does not answer."""

from __future__ import annotations

import asyncio
import http.client
import logging
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jwt

from common.errors import ConfigError
from common.process.settings import OidcConfig
from common.trust.lastgood import KEEP

_log = logging.getLogger(__name__)

_FRESH = 300.0  # seconds for which keys are used without a look at the provider
_AGAIN = 10.0  # seconds between two looks: what nobody has signed may name any key
_TIMEOUT = 5.0  # seconds for each part of an answer
_WAIT = 10.0  # seconds from a look's begin for which callers wait: one that comes drop by drop has no end


class KeysUnknown(Exception):
    """No key is known for a token. Its text says why, and holds nothing of the token."""


class ProviderKeys:
    """The keys of one provider, in one event loop.

    It is asked by one thread of its own, whoever waits: a provider that hangs holds nothing else of a daemon. Keys older than
    five minutes are read anew; while that fails they are good for ten minutes more, as everything that is trusted here.
    """

    def __init__(self, config: OidcConfig, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigError for certificates of the provider that cannot be read."""
        try:
            context = ssl.create_default_context(cafile=config.trust)
        except OSError as error:
            raise ConfigError(f"{config.trust}: no CA certificates can be read ({error})") from None
        self._client = jwt.PyJWKClient(config.jwks, cache_jwk_set=False, timeout=_TIMEOUT, ssl_context=context)
        self._clock, self._thread = clock, ThreadPoolExecutor(1, "provider-keys")
        self._keys: list[jwt.PyJWK] = []
        self._read = self._asked = float("-inf")
        self._failed = ""  # why the last look failed, "" if it did not
        self._look: asyncio.Task[None] | None = None

    async def find(self, kid: object) -> jwt.PyJWK:
        """The key that a token's header names; of a provider with one key, that key if the header names none.

        Raises KeysUnknown.
        """
        age = self._clock() - self._read
        if age > _FRESH + KEEP:
            self._keys = []
        found = self._held(kid)
        if found is None or age > _FRESH:
            look = self._begin_look()
            if found is None and look is not None:
                await asyncio.wait((look,), timeout=max(0.0, self._asked + _WAIT - self._clock()))
                if not look.done():
                    raise KeysUnknown("the keys of the identity provider have not come in time")
                await look
                found = self._held(kid)
        if found is not None:
            return found
        if self._failed:
            raise KeysUnknown(self._failed)
        if kid is None and self._keys:
            raise KeysUnknown("the token names no key (kid), and the identity provider has several")
        raise KeysUnknown("the identity provider has no such key: one that is new is known here after some seconds")

    def _held(self, kid: object) -> jwt.PyJWK | None:
        found = self._keys if kid is None else [key for key in self._keys if key.key_id == kid]
        return found[0] if len(found) == 1 or (found and kid is not None) else None

    def _begin_look(self) -> asyncio.Task[None] | None:
        """The look at the provider that is on, or a new one; None where the last was a moment ago."""
        if self._look is None or self._look.done():
            now = self._clock()
            if now - self._asked < _AGAIN:
                return None
            self._asked, self._look = now, asyncio.create_task(self._fetch())
        return self._look

    async def _fetch(self) -> None:
        failed = ""
        try:
            keys = await asyncio.get_running_loop().run_in_executor(self._thread, self._signing)
        except (jwt.PyJWKClientConnectionError, http.client.HTTPException, OSError):
            failed = "the keys of the identity provider cannot be reached"
        except (jwt.PyJWTError, ValueError, RecursionError):  # a page, as of what stands before a provider that is down
            failed = "the keys of the identity provider cannot be read"
        else:
            self._keys, self._read = keys, self._clock()
        if failed and not self._failed:
            _log.warning("%s; those that were read before are used for %.0f minutes", failed, KEEP / 60)
        self._failed = failed

    def _signing(self) -> list[jwt.PyJWK]:
        return [key for key in self._client.get_jwk_set().keys if key.public_key_use in ("sig", None)]
