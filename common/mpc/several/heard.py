"""What a bank hears where all banks hear the same, and what it would say for all of them, as a hash that all compare.

A grid that told one bank another sum than the others is found out by the banks alone: it lacks the key. PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from common.errors import PeerProtocolError
from common.mpc.session import Array, Kind, Session

KEY_WORDS = 8  # of what all banks know and the grid does not
HASH_BYTES = 32
_PERSON = b"wattscore.heard."


class Transcript:
    """The hash of all that a bank has heard and would have said until now. key: what all banks know and the grid does not."""

    def __init__(self, key: bytes) -> None:
        self._key, self._told = key, blake2b(digest_size=HASH_BYTES, person=_PERSON)

    def digest(self) -> bytes:
        """What is kept of it beside what follows from it, 32 bytes."""
        return self._told.digest()

    def go_on(self, kept: bytes) -> None:
        """From what an earlier attempt kept, in place of what this one has heard to find out which."""
        self._told = blake2b(kept, digest_size=HASH_BYTES, person=_PERSON)

    def add(self, way: str, kind: Kind, values: Array) -> None:
        """way: `in` or `out`."""
        head = f"{way} {kind.value} {values.dtype.name} {values.shape}"
        self._told.update(head.encode().ljust(96) + np.ascontiguousarray(values).tobytes())

    def said(self, banks: int) -> npt.NDArray[np.uint8]:
        """What each bank says of it who has heard the same, (banks, HASH_BYTES): each another thing, which the grid cannot turn
        into that of another."""
        told = self.digest()
        each = (blake2b(bytes([k]) + told, key=self._key, digest_size=HASH_BYTES, person=_PERSON) for k in range(banks))
        return np.frombuffer(b"".join(one.digest() for one in each), np.uint8).reshape(banks, HASH_BYTES)


class HeardLine(Session):
    """A bank's line to the grid in rounds in which all banks hear the same, numbered and entered as those of the line are."""

    def __init__(self, line: Session, transcript: Transcript) -> None:
        super().__init__(line.party, line._peer, line.reporter, allowed=line._allowed, whom=line.whom, enter=line._enter)
        self.openings, self.traffic = line.openings, line.traffic
        self._line, self._transcript = line, transcript

    async def post(self, kind: Kind, mine: Array) -> None:
        await self._line.post(kind, mine)

    async def collect(self, kind: Kind, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Array:
        theirs = await self._line.collect(kind, dtype, shape)
        self._transcript.add("in", kind, theirs)
        return theirs

    @asynccontextmanager
    async def together(self, *, throughout: bool = False) -> AsyncIterator[None]:
        async with self._line.together(throughout=throughout):
            yield

    async def _posted(self) -> None:
        await self._line._posted()


class SpokenLine(HeardLine):
    """The same where all banks would say the same, under pads that all have: the first says it, and all keep its hash."""

    def __init__(self, line: Session, transcript: Transcript, *, speaks: bool) -> None:
        super().__init__(line, transcript)
        self._speaks = speaks

    async def post(self, kind: Kind, mine: Array) -> None:
        self._transcript.add("out", kind, mine)
        if self._speaks:
            await self._line.post(kind, mine)


def check_alike(own: npt.NDArray[np.uint8], told: npt.NDArray[np.uint8], place: int, names: Sequence[str]) -> None:
    """Raises PeerProtocolError at a bank where another says of what it has heard what nobody says who has heard the same.

    own: of `said`. told: what all banks said, as the grid tells it, likewise. place: of this bank. names: of all, in order.
    """
    unlike = [name for k, name in enumerate(names) if k != place and not np.array_equal(own[k], told[k])]
    if unlike:
        raise PeerProtocolError(
            f"{', '.join(unlike)} and this bank have not heard the same of the grid, or do not go on from it alike",
            remedy="All banks must run the same version. If they do, the grid tells them unlike sums: do not trust it.",
        )
