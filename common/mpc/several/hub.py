"""Sums over the banks that nobody holds: the grid adds up what each bank has masked, and the dealer takes the masks back.

After that all banks hold one share of the sum, and the grid the other one: two parties, whatever the number of banks.
PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from common.errors import LocalProtocolError
from common.mpc.correlations.asked import Correlations
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.correlations.source import Source
from common.mpc.fixedpoint import Reals, Words, decode, encode
from common.mpc.prg import Purpose
from common.mpc.session import Kind, Session
from common.mpc.several.heard import HASH_BYTES, KEY_WORDS, HeardLine, SpokenLine, Transcript, check_alike
from common.mpc.several.lines import Lines, SpokenLines
from common.mpc.truncate import truncate
from common.party import Party

MOMENT_SCALE = 40  # of sums that are opened to the banks; each is a mean over all rows, below 2^22
MOST_MOMENT = 2.0**22
_TRAINING = 1 << 40  # sums from this number on are those of a training
_ROUNDED = 1 << 42  # truncations from this number on are those of sums; a training's and a scoring's have others


@dataclass(frozen=True)
class SumDemand:
    """Asks the dealer for one sum over the banks of `words` words, truncated by `shift` bits if that is not 0."""

    number: int
    words: int
    shift: int


def training_sum(place: int) -> int:
    """The number of a sum within a training."""
    return _TRAINING | place


def rounded_sum(number: int) -> int:
    """The number of the truncation of a sum."""
    return _ROUNDED | number


class LineCorrelations(DealtCorrelations):
    """The correlations of one bank and the grid, with what hides the bank's part of a sum."""

    def sum_mask(self, number: int, count: int) -> Words:
        return self._prg.words(Purpose.SUM, number, count)


class HubCorrelations(DealtCorrelations):
    """The correlations of the grid and of all banks as one party, whose seed is the same at each bank."""

    async def sum_out(self, number: int, count: int) -> Words:
        """At a bank its share of a sum, negated; at the grid what takes the masks back and leaves the other one."""
        if self._party is Party.BANK:
            return self._prg.words(Purpose.SUM_OUT, number, count)
        return await self._dealt(Kind.DEALT_SUM, number, (count,))

    async def _pair(self, number: int, count: int) -> tuple[Words, Words]:
        """A bank expands both of its shares; the grid is dealt both of its own."""
        if self._party is Party.BANK:
            body, top = (self._prg.words(part, number, count) for part in (Purpose.TRUNCATION_BODY, Purpose.TRUNCATION_TOP))
            return body, top
        dealt = await self._dealt(Kind.DEALT_TRUNCATION, number, (2 * count,))
        return dealt[:count], dealt[count:]

    async def halves(self, kind: Kind, purpose: Purpose, number: int, arrays: int, size: int) -> list[Words]:
        """Likewise: the bank's shares of all arrays are expanded, the grid's dealt."""
        if self._party is Party.BANK:
            return list(self._prg.words(purpose, number, arrays * size).reshape(arrays, size))
        return list(await self._dealt(kind, number, (arrays, size)))

    def ordered(self) -> Source:
        """What is asked for by label, of what the lines have ordered together."""
        return Source(self._party, self._prg, self._dealt)

    def secret(self, purpose: Purpose, count: int) -> Words:
        """What all banks know and the grid does not, at a bank."""
        if self._party is Party.GRID:
            raise LocalProtocolError("the grid has no secret of the banks")
        return self._prg.words(purpose, 0, count)


class Hub(Protocol):
    """Either end of the sums over banks. Both ends call the same things in the same order."""

    @property
    def session(self) -> Session:
        """The rounds of the grid with all banks at once, of which each speaks for itself and all hear the same."""

    @property
    def spoken(self) -> Session:
        """The rounds of the grid with all banks as one party, for which the first bank speaks."""

    @property
    def correlations(self) -> HubCorrelations: ...

    async def shared(self, number: int, own: Words) -> Words:
        """This end's share of the sum of all banks' `own` and the grid's, (n,): the same at each bank. 8 n bytes from each."""

    async def order(self, words: int, shift: int = 0) -> int:
        """Asks the dealer for the next sum; its number."""

    async def compare(self) -> None:
        """All banks have heard the same until now, and would say the same. 32 bytes from each, and those of all to each.

        Raises PeerProtocolError at a bank where another has not.
        """


class GridHub:
    """The grid's end."""

    def __init__(self, sessions: Sequence[Session], lines: Sequence[Correlations], correlations: HubCorrelations) -> None:
        self.banks, self.spoken = Lines(sessions), SpokenLines(sessions)
        self._orders, self.correlations, self._next = lines, correlations, 0

    @property
    def session(self) -> Session:
        return self.banks

    async def shared(self, number: int, own: Words) -> Words:
        parts = await self.banks.each(Kind.MASKED_ADDEND, np.uint64, own.shape)
        total: Words = own - await self.correlations.sum_out(number, len(own))
        for part in parts:
            total += part
        return total

    async def order(self, words: int, shift: int = 0) -> int:
        number, self._next = self._next, self._next + 1
        for line in self._orders:
            await line.order(SumDemand(number, words, shift))
        return number

    async def compare(self) -> None:
        said = await self.banks.each(Kind.HEARD, np.uint8, (HASH_BYTES,))
        await self.banks.send(Kind.HEARD, np.stack(said))


class BankHub:
    """A bank's end. place: of this bank among all, who have these names in errors."""

    def __init__(
        self, line: Session, own: LineCorrelations, correlations: HubCorrelations, place: int, names: Sequence[str]
    ) -> None:
        self.line, self._own, self.correlations, self._next = line, own, correlations, 0
        self._place, self._names = place, tuple(names)
        self.heard = Transcript(correlations.secret(Purpose.HEARD, KEY_WORDS).tobytes())
        self.session, self.spoken = HeardLine(line, self.heard), SpokenLine(line, self.heard, speaks=place == 0)

    async def shared(self, number: int, own: Words) -> Words:
        await self.line.send(Kind.MASKED_ADDEND, own + self._own.sum_mask(number, len(own)))
        return -(await self.correlations.sum_out(number, len(own)))

    async def order(self, words: int, shift: int = 0) -> int:
        number, self._next = self._next, self._next + 1
        await self._own.order(SumDemand(number, words, shift))
        return number

    async def compare(self) -> None:
        said = self.heard.said(len(self._names))
        await self.line.send(Kind.HEARD, said[self._place])
        check_alike(said, await self.line.receive(Kind.HEARD, np.uint8, said.shape), self._place, self._names)


async def to_banks(hub: Hub, own: Words, kind: Kind = Kind.POOLED_SHARE) -> Words:
    """The sum of all banks' `own`, (n,), at each bank; at the grid zeros, which brings these. Two messages of 8 n bytes."""
    share = await hub.shared(await hub.order(len(own)), own)
    return await _opened(hub, share, kind)


async def rounded_to_banks(hub: Hub, own: Words, shift: int) -> Words:
    """The sum shifted down by so many bits while nobody holds it, up or down at random, at each bank; at the grid zeros."""
    number = await hub.order(len(own), shift)
    share = await hub.shared(number, own)
    part = await hub.correlations.truncation(rounded_sum(number), len(own))
    return await _opened(hub, await truncate(hub.spoken, part, share, shift), Kind.POOLED_SHARE)


async def _opened(hub: Hub, share: Words, kind: Kind) -> Words:
    if hub.spoken.party is Party.GRID:
        await hub.spoken.send(kind, share)
        return np.zeros_like(share)
    return share + await hub.spoken.receive(kind, np.uint64, share.shape)


async def means_to_banks(hub: Hub, own: Reals) -> Reals:
    """The sums of all banks' shares of means over all rows, (n,), to 2^-40, at each bank.

    Raises LocalProtocolError for one that the ring does not hold.
    """
    if not (np.abs(own) < MOST_MOMENT / 8).all():
        raise LocalProtocolError("a mean over rows is larger than a sum holds")
    return decode(await to_banks(hub, encode(own, MOMENT_SCALE)), MOMENT_SCALE)
