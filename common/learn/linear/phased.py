"""What a step of the Fourier link pulls where nobody deals: angles of shares of u, the link by phasors. PROTOCOL.md section 21.

A share of u, in turns of the link's period, is an angle that its party knows; the link's value at the sum of two angles comes
as shares of the coefficients of polynomials, N / 2 rows in each. On the way back these multiply rows that were transformed
likewise, under the masks of `undealt`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from common.learn.linear.made import FOLDED_SCALE, MadeAhead, waves_of
from common.learn.linear.path import Blocks, Step
from common.learn.linear.undealt import PULL_BITS, ROW_BITS, TURNED_BITS, Undealt, rounded, share_masked
from common.mpc.fixedpoint import UNDEALT_SCALE, Reals, Words
from common.mpc.lattice.embedding import BLOCK, blocks_of, encoded, folded, turned
from common.mpc.lattice.phasors import (
    PHASOR_BYTES,
    HeldPhasors,
    LinkPublic,
    OwnPhasors,
    Span,
    Waves,
    spans_of,
)
from common.mpc.lattice.ring import DEGREE, Integers
from common.mpc.lattice.ring96 import WORDS, Long, flat, stacked
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.lattice.stored import link_share
from common.mpc.product import Rows, backward, forward, in_memory
from common.mpc.session import Kind, Session
from common.mpc.short import lengthen, sent_as, shorten
from common.party import Party
from common.plan.linear import Model

_HALF_WORD = np.uint64(32)


class Phased:
    """Both matrices under masks, one party's rows as they are multiplied on the way back, and its labels; by `share_phased`."""

    update_scale = UNDEALT_SCALE

    def __init__(
        self,
        products: Undealt,
        sampler: Sampler,
        public: dict[Party, Public],
        model: Model,
        turned: Rows,
        label: Reals | None,
        made: MadeAhead | None = None,
    ) -> None:
        """turned: (blocks BLOCK, m), words. made: a stock that has the phasors."""
        self._products, self._sampler, self._turned, self._label = products, sampler, turned, label
        self._model, self._link, self._made = model, model.fourier(), made
        if made is None:
            self._public = {party: LinkPublic(public[party], self._link.terms) for party in Party}

    async def pull(self, step: Step, ahead: Blocks) -> Blocks:
        """Shares of step / n times X^T r plus the ridge's pull, at UNDEALT_SCALE, of shares of the look-ahead at scale 28.

        Four rounds: weights, phasors, replies and residual, of spans one behind the other; with a stock three.
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
        total = np.zeros((len(turns), DEGREE), np.uint64)
        if self._label is not None:
            known = np.zeros(turns.shape)
            known.reshape(-1)[: step.high] = 0.5 - self._label[: step.high]
            total += encoded(known, step.size / step.high * 2.0**FOLDED_SCALE).view(np.uint64)
        if self._made is None:
            await self._converse(step, turns, total)
        else:
            await self._draw(self._made, step, turns, total)
        return folded(total).reshape(-1)

    async def _draw(self, made: MadeAhead, step: Step, turns: Words, total: Words) -> None:
        """Adds this party's share of the link with phasors that there are: 4 bytes a row each way, in one round."""
        session, rows, places = self._products.session, step.high, made.step()
        waves = made.waves(step.size, rows)
        angles = np.concatenate([made.angles(place) for place in places])[: len(turns)]
        masked = ((turns - angles).reshape(-1)[:rows] >> _HALF_WORD).astype(np.uint32)
        told = np.zeros(turns.shape, np.uint64)
        told.reshape(-1)[:rows] = masked + await session.exchange(Kind.MASKED_U, masked)
        told <<= _HALF_WORD
        for place in places:
            shares, part = await made.shares(place), slice(place.span.first, min(place.span.last, len(turns)))
            if count := len(turns[part]):

                def work(shares: Words = shares, part: slice = part, count: int = count) -> None:
                    total[part] += link_share(waves, shares[:count], told[part], rows - BLOCK * part.start)

                await session.compute(work, shares.size)

    async def _converse(self, step: Step, turns: Words, total: Words) -> None:
        """Adds this party's share of the link with phasors that are made for it now."""
        waves = waves_of(self._model, step.size, step.high)
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

    async def _ask(self, span: Span, waves: Waves, turns: Words) -> OwnPhasors:
        """Posts this party's phasors of a span: 12 N bytes and 5 N a block and wave."""
        session, party = self._products.session, self._products.session.party
        own = OwnPhasors(self._sampler, self._public[party])
        if span.count(party):
            part = turns[span.blocks(party)]
            work = part.size * len(waves.coefficients)
            key = own.key()
            hidden = await session.compute(lambda: shorten(own.hidden(waves, part, span.filled(party)), PHASOR_BYTES), work)
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
        hidden = await session.collect(Kind.LATTICE_PHASORS, *sent_as(shape, PHASOR_BYTES))
        held = HeldPhasors(self._sampler, self._public[owner])

        def work() -> Long:
            words = lengthen(hidden, PHASOR_BYTES, shape)
            c, share = held.reply(waves, key, words, part, span.filled(owner))
            total[span.blocks(owner)] += share
            return flat(c)

        await session.post(Kind.LATTICE_REPLY, await session.compute(work, part.size * len(waves.coefficients)))

    async def _hear(self, span: Span, own: OwnPhasors, total: Words) -> None:
        """Adds this party's share of its own blocks."""
        session, party = self._products.session, self._products.session.party
        if count := span.count(party):
            reply = await session.collect(Kind.LATTICE_REPLY, np.uint32, (count * WORDS, DEGREE))
            total[span.blocks(party)] += await session.compute(lambda: own.share(stacked(reply)), reply.size)


async def share_phased(
    session: Session,
    sampler: Sampler,
    public: dict[Party, Public],
    own: Rows,
    own_ridge: Words,
    other_columns: int,
    label: Reals | None,
    model: Model,
    room: Callable[[tuple[int, int]], Rows] = in_memory,
    made: MadeAhead | None = None,
) -> Phased:
    """Each party's rows under masks, as they are and transformed; label: (n,) of 0.0 and 1.0 at the bank.

    public: the polynomials of both parties' matrices. made: a stock for the link. The bytes of `undealt`, of rows filled up to
    BLOCK on the way back.
    """
    rows, columns = own.shape
    back, filled = room((blocks_of(rows) * BLOCK, columns)), 0

    def turn(part: Integers) -> Integers:
        nonlocal filled
        found = turned(part)
        back[filled : filled + found.shape[1]] = found.T.view(np.uint64)
        filled += found.shape[1]
        return found

    mine = own, own_ridge, other_columns
    products = await share_masked(session, sampler, public, *mine, model.fourier(), room, turn, ROW_BITS)
    return Phased(products, sampler, public, model, back, label, made)
