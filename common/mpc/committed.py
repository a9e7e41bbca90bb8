"""What each party has of shares that both are committed to, and how it is stored. How they commit: `lattice/committed.py`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring96 import WORDS, Long

MARK_BYTES = 32


@dataclass(frozen=True, repr=False)
class Committed:
    """What one party has of two blocks of m and m' words of which each holds shares, each committed to those of the other's.

    words: its shares of the other's block, (m',), and secret, (N,) ternary, by which it masked them. masked: the other's shares
    of its own block, (m + 1, WORDS, N), as they were sent. nonces: of the public polynomials, both parties'. sent: the mark of
    what it sent itself.
    """

    words: Words
    secret: npt.NDArray[np.int64]
    masked: Long
    nonces: bytes
    sent: bytes

    @property
    def columns(self) -> int:
        """m."""
        return len(self.masked) - 1

    @property
    def marks(self) -> bytes:
        """Of what this party sent, and of what it keeps: the other's are the same two, the other way round."""
        return self.sent + mark_of(self.masked)

    @property
    def halves(self) -> tuple[bytes, bytes]:
        """The nonces of each party, the grid's first."""
        half = len(self.nonces) // 2
        return self.nonces[:half], self.nonces[half:]

    def arrays(self, of: str = "") -> dict[str, Words]:
        """As it is stored, in words; `of` begins each name."""
        secret = (self.secret + 1).astype(np.uint8).tobytes()
        found = {"words": self.words, "masked": self.masked.ravel().view(np.uint64)}
        return {of + name: words for name, words in found.items()} | {
            of + name: np.frombuffer(data, np.uint64)
            for name, data in (("secret", secret), ("nonces", self.nonces), ("sent", self.sent))
        }

    @classmethod
    def stored(cls, arrays: Mapping[str, npt.NDArray[Any]], of: str = "") -> Committed:
        """The inverse of `arrays`. Raises KeyError or ValueError for what that did not make."""
        words, secret, masked, nonces, sent = (arrays[of + name] for name in ("words", "secret", "masked", "nonces", "sent"))
        if any(one.dtype != np.uint64 or one.ndim != 1 for one in (words, secret, masked, nonces, sent)):
            raise ValueError("shares of another type or shape")
        found = secret.view(np.uint8).astype(np.int64) - 1
        if np.abs(found).max(initial=1) > 1 or 8 * len(nonces) != 2 * MARK_BYTES or 8 * len(sent) != MARK_BYTES:
            raise ValueError("a secret, nonces or a mark of another size")
        if not len(masked) or not len(found) or 2 * len(masked) % (WORDS * len(found)):
            raise ValueError("masked shares of another size")
        long = masked.view(np.uint32).reshape(-1, WORDS, len(found))
        return cls(words, found, long, nonces.tobytes(), sent.tobytes())


def mark_of(masked: Long) -> bytes:
    """A hash of masked shares, (m + 1, WORDS, N)."""
    return hashlib.blake2b(masked.tobytes(), digest_size=MARK_BYTES, person=b"wattscore.held.1").digest()
