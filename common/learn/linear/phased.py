"""What a step of the Fourier link pulls where nobody deals: angles of shares of u, the link by phasors. PROTOCOL.md section 21.

A share of u, in turns of the link's period, is an angle that its party knows; the link's value at the sum of two angles comes
as shares of the coefficients of polynomials, N / 2 rows in each. On the way back these multiply rows that were transformed
likewise, under the masks of `undealt`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.learn.linear.descent import Blocks, Step
from common.learn.linear.undealt import PULL_BITS, ROW_BITS, TURNED_BITS, Undealt, rounded, share_masked
from common.mpc.fixedpoint import UNDEALT_SCALE, X_SCALE, Reals, Words
from common.mpc.lattice.embedding import BLOCK, NARROWED, blocks_of, encoded, folded, turned
from common.mpc.lattice.phasors import CUT_BYTES, HeldPhasors, LinkPublic, OwnPhasors, Waves
from common.mpc.lattice.ring import DEGREE, Integers
from common.mpc.lattice.ring96 import WORDS, Long
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.link import Fourier
from common.mpc.product import Rows, backward, forward, in_memory
from common.mpc.session import Kind, Session
from common.mpc.short import lengthen, sent_as, shorten
from common.party import Party

SPAN_BLOCKS = 32  # that go through the link together, under one key of either party; even, so that each span begins alike
FOLDED_SCALE = UNDEALT_SCALE - X_SCALE + NARROWED
"""Of a residual's coefficients, in words: times columns that are divided by 2^NARROWED they are at the update's scale."""


@dataclass(frozen=True)
class Span:
    """Blocks first to last of a step over `rows` rows."""

    first: int
    last: int
    rows: int

    def blocks(self, owner: Party) -> slice:
        """Whose phasors a party sends: every other one."""
        return slice(self.first + owner.index, self.last, 2)

    def count(self, owner: Party) -> int:
        return len(range(self.last)[self.blocks(owner)])

    def filled(self, owner: Party) -> int:
        """Rows in these blocks, if they stood one behind the other: all are full but perhaps the step's last one."""
        places = range(self.last)[self.blocks(owner)]
        return sum(min(BLOCK, self.rows - BLOCK * place) for place in places)


def spans_of(rows: int) -> list[Span]:
    """The blocks of so many rows in pieces of SPAN_BLOCKS."""
    blocks = blocks_of(rows)
    return [Span(first, min(blocks, first + SPAN_BLOCKS), rows) for first in range(0, blocks, SPAN_BLOCKS)]


class Phased:
    """Both matrices under masks, one party's rows as they are multiplied on the way back, and its labels; by `share_phased`."""

    update_scale = UNDEALT_SCALE

    def __init__(
        self, products: Undealt, sampler: Sampler, public: dict[Party, Public], link: Fourier, turned: Rows, label: Reals | None
    ) -> None:
        """turned: (blocks BLOCK, m), words."""
        self._products, self._sampler, self._link, self._turned, self._label = products, sampler, link, turned, label
        self._public = {party: LinkPublic(public[party], link.terms) for party in Party}

    async def pull(self, step: Step, ahead: Blocks) -> Blocks:
        """Shares of step / n times X^T r plus the ridge's pull, at UNDEALT_SCALE, of shares of the look-ahead at scale 28.

        Four rounds: weights, phasors, replies and residual, of spans one behind the other.
        """
        products, rows = self._products, step.high
        turns, ridge = await products.multiplied(ahead, rows)
        point = ahead.own * np.uint64(self._link.times)
        aloft = np.uint64(64 - self._link.bits)

        def angles() -> Words:
            found = np.zeros((blocks_of(rows), BLOCK), np.uint64)
            found.reshape(-1)[:rows] = turns + (forward(products.matrix[:rows], point) << aloft)
            return found

        residual = await self._residual(step, await products.session.compute(angles, rows * products.columns[0]))

        def own() -> Words:
            return backward(self._turned[: len(residual)], residual)

        mine = await products.session.compute(own, residual.size * products.columns[0])
        back = await products.returned(rounded(residual, TURNED_BITS, PULL_BITS)[None])
        return Blocks(ridge.own + mine + back.own, ridge.other + back.other)

    async def _residual(self, step: Step, turns: Words) -> Words:
        """A share of the folded coefficients of step / n times (sigma(u) - y), (blocks BLOCK,) at FOLDED_SCALE."""
        size = step.size / (step.rows if step.data_rows is None else step.data_rows)
        waves = Waves(self._link.coefficients, self._link.odd, size * 2.0 ** (FOLDED_SCALE + 32))
        total = np.zeros((len(turns), DEGREE), np.uint64)
        if self._label is not None:
            known = np.zeros(turns.shape)
            known.reshape(-1)[: step.high] = 0.5 - self._label[: step.high]
            total += encoded(known, size * 2.0**FOLDED_SCALE).view(np.uint64)
        spans, sent, answered = spans_of(step.high), deque[tuple[Span, OwnPhasors]](), deque[tuple[Span, OwnPhasors]]()
        # This order of posts and collects is the protocol: the next span's phasors, then the reply to the last one's.
        for turn in range(len(spans) + 2):
            if turn < len(spans):
                sent.append((spans[turn], await self._ask(spans[turn], waves, turns)))
            if 0 < turn <= len(spans):
                span, own = sent.popleft()
                await self._answer(span, waves, turns, total)
                answered.append((span, own))
            if turn > 1:
                await self._hear(*answered.popleft(), total)
        return folded(total).reshape(-1)

    async def _ask(self, span: Span, waves: Waves, turns: Words) -> OwnPhasors:
        """Posts this party's phasors of a span: 12 N bytes and 6 N a block and wave."""
        session, party = self._products.session, self._products.session.party
        own = OwnPhasors(self._sampler, self._public[party])
        if span.count(party):
            part = turns[span.blocks(party)]
            work = part.size * len(waves.coefficients)
            key = own.key()
            hidden = await session.compute(lambda: shorten(own.hidden(waves, part, span.filled(party)), CUT_BYTES), work)
            await session.post(Kind.LATTICE_PHASORS, key)
            await session.post(Kind.LATTICE_PHASORS, hidden)
        return own

    async def _answer(self, span: Span, waves: Waves, turns: Words, total: Words) -> None:
        """Posts the reply to the other's, 12 N bytes a block, and adds this party's share of their blocks."""
        session, owner = self._products.session, self._products.session.party.other
        if not span.count(owner):
            return
        part = turns[span.blocks(owner)]
        shape = len(part), len(waves.coefficients), DEGREE
        key = await session.collect(Kind.LATTICE_PHASORS, np.uint32, (WORDS, DEGREE))
        hidden = await session.collect(Kind.LATTICE_PHASORS, *sent_as(shape, CUT_BYTES))
        held = HeldPhasors(self._sampler, self._public[owner])

        def work() -> Long:
            words = lengthen(hidden, CUT_BYTES, shape)
            c, share = held.reply(waves, key, words, part, span.filled(owner))
            total[span.blocks(owner)] += share
            return c.reshape(-1, DEGREE)

        await session.post(Kind.LATTICE_REPLY, await session.compute(work, part.size * len(waves.coefficients)))

    async def _hear(self, span: Span, own: OwnPhasors, total: Words) -> None:
        """Adds this party's share of its own blocks."""
        session, party = self._products.session, self._products.session.party
        if count := span.count(party):
            reply = await session.collect(Kind.LATTICE_REPLY, np.uint32, (count * WORDS, DEGREE))
            whole = reply.reshape(count, WORDS, DEGREE)
            total[span.blocks(party)] += await session.compute(lambda: own.share(whole), reply.size)


async def share_phased(
    session: Session,
    sampler: Sampler,
    public: dict[Party, Public],
    own: Rows,
    own_ridge: Words,
    other_columns: int,
    label: Reals | None,
    link: Fourier,
    room: Callable[[tuple[int, int]], Rows] = in_memory,
) -> Phased:
    """Each party's rows under masks, as they are and transformed; label: (n,) of 0.0 and 1.0 at the bank.

    public: the polynomials of both parties' matrices. The bytes of `undealt`, of rows filled up to BLOCK on the way back.
    """
    rows, columns = own.shape
    back, filled = room((blocks_of(rows) * BLOCK, columns)), 0

    def turn(part: Integers) -> Integers:
        nonlocal filled
        found = turned(part)
        back[filled : filled + found.shape[1]] = found.T.view(np.uint64)
        filled += found.shape[1]
        return found

    products = await share_masked(session, sampler, public, own, own_ridge, other_columns, link, room, turn, ROW_BITS)
    return Phased(products, sampler, public, link, back, label)
