"""What tests of several rooms record of the computation on shares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers import CipherContext

from common.mpc.prg import Prg, Purpose


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Prg, list[tuple[bytes, Purpose, int]]]]:
    """Every expansion of every Prg, in order."""
    record: dict[Prg, list[tuple[bytes, Purpose, int]]] = defaultdict(list)
    original = Prg._stream

    def stream(self: Prg, purpose: Purpose, counter: int) -> CipherContext:
        record[self].append((self._seed, purpose, counter))
        return original(self, purpose, counter)

    monkeypatch.setattr(Prg, "_stream", stream)
    yield record
