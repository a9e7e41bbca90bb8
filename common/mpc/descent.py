"""One training step on shared or owned weights, and the loop over steps. PROTOCOL.md section 6.

Weights stand in two blocks, the grid's columns and the bank's. With `shared` weights each party holds one additive share of
both blocks; with `owned` weights (the published method's literal flow) each holds its own block in clear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.mpc.correlation import Correlations
from common.mpc.fixedpoint import (
    MOMENTUM_SCALE,
    RESIDUAL_SCALE,
    UPDATE_SHIFT,
    WEIGHT_SCALE,
    LinkScales,
    Words,
    encode,
    top32,
)
from common.mpc.link import Link
from common.mpc.product import Matrices, backward, forward
from common.mpc.session import Kind, Session
from common.mpc.share import Share
from common.mpc.truncate import truncate
from common.party import Party

_LOOKAHEAD = WEIGHT_SCALE + MOMENTUM_SCALE
_TO_UPDATE = np.uint64(WEIGHT_SCALE + UPDATE_SHIFT - _LOOKAHEAD)
ONE = 1 << MOMENTUM_SCALE


@dataclass(frozen=True)
class Step:
    """Step `number` of a job: rows low to high, step size, and the momentum that follows it as a numerator over 256."""

    number: int
    low: int
    high: int
    size: float
    momentum: int

    @property
    def rows(self) -> int:
        return self.high - self.low

    @property
    def scales(self) -> LinkScales:
        return LinkScales.choose(self.size, self.rows)


def nesterov(rows: int, iterations: int, size: float = 2.0) -> list[Step]:
    """Full-batch accelerated descent. size: 4 / (1 + rho) at rho = 1, a bound for whitened columns (PROTOCOL.md section 6)."""
    return [Step(t, 0, rows, size, round(ONE * t / (t + 3))) for t in range(iterations)]


def sgd(rows: int, batch: int, epochs: int, size: float) -> list[Step]:
    """Mini-batches over rows that alignment has already put in random order; rows left over join an epoch's last batch.

    So no batch is shorter than min(batch, rows): with owned weights, a batch of a few rows would open their labels.
    """
    lows = list(range(0, max(1, rows - batch + 1), batch))
    bounds = list(zip(lows, [*lows[1:], rows], strict=True))
    return [Step(t, low, high, size, 0) for t, (low, high) in enumerate(bounds * epochs)]


@dataclass(repr=False)
class Blocks:
    """A pair of vectors of ring words: `own` for this party's columns, `other` for the other's."""

    own: Words
    other: Words

    @classmethod
    def zero(cls, own: int, other: int) -> Blocks:
        return cls(np.zeros(own, np.uint64), np.zeros(other, np.uint64))

    def joined(self, party: Party) -> Words:
        """Both blocks in the order the two parties agree on: grid, bank."""
        return np.concatenate([self.own, self.other] if party is Party.GRID else [self.other, self.own])

    def split(self, party: Party, words: Words) -> Blocks:
        """The inverse of `joined` for blocks of these sizes."""
        first = len(self.own if party is Party.GRID else self.other)
        head, tail = words[:first], words[first:]
        return Blocks(head, tail) if party is Party.GRID else Blocks(tail, head)


@dataclass(frozen=True, repr=False)
class Descent:
    """What both parties need to run the steps: their matrices, the link, the label (at the bank, else None)."""

    session: Session
    correlations: Correlations
    matrices: Matrices
    link: Link
    label: Words | None  # 0 or 1 as a ring word, (n,)

    async def shared(self, steps: list[Step]) -> tuple[Share, Share]:
        """Trains on shared weights from zero: this party's shares of its own and of the other's final weights, WEIGHT_SCALE.

        Four rounds a step: 8 m_other bytes, 4 n, 8 n and 8 (m_own + m_other) from each party.
        """
        own, other = self.matrices.own.shape[1], self.matrices.masked.shape[1]
        weights, ahead = Blocks.zero(own, other), Blocks.zero(own, other)
        for step in steps:
            update = await self._shared_step(step, ahead)
            part = await self.correlations.truncation(step.number, own + other)
            moved = Blocks((ahead.own << _TO_UPDATE) - update.own, (ahead.other << _TO_UPDATE) - update.other).joined(
                self.session.party
            )
            now = weights.split(self.session.party, await truncate(self.session, part, moved, UPDATE_SHIFT))
            forth, back = np.uint64(ONE + step.momentum), np.uint64(step.momentum)
            ahead = Blocks(now.own * forth - weights.own * back, now.other * forth - weights.other * back)
            weights = now
            self._progress(step, len(steps))
        return Share(weights.own, WEIGHT_SCALE), Share(weights.other, WEIGHT_SCALE)

    async def _shared_step(self, step: Step, ahead: Blocks) -> Blocks:
        """Shares of step / n times X^T r plus the ridge's pull, at UPDATE_SCALE, off by what the dealer knows.

        1. hide the share of the other's weights, exchange; every product of this step's weights is then local
        2. u, and the ridge rows, from own matrix times (own share + received) plus masked matrix times mask
        3. residual by the link
        4. hide the residual's share, exchange; X^T r from own matrix times (own share + received) plus masked times mask
        """
        session, m, rows = self.session, self.matrices, slice(step.low, step.high)
        mask = self.correlations.weight_mask(step.number, len(ahead.other))
        received = await session.exchange(Kind.MASKED_WEIGHTS, ahead.other - mask, shape=ahead.own.shape)
        point = ahead.own + received
        u = await session.compute(lambda: forward(m.own[rows], point) + forward(m.masked[rows], mask), m.own.size)
        residual = await self._residual(step, u)
        hide = self.correlations.residual_mask(step.number, step.rows)
        whole = residual + await session.exchange(Kind.MASKED_RESIDUAL, residual - hide)
        pulled = await session.compute(lambda: (backward(m.own[rows], whole), backward(m.masked[rows], hide)), m.own.size)
        return Blocks(pulled[0] + forward(m.own_ridge, point), pulled[1] + forward(m.masked_ridge, mask))

    async def _residual(self, step: Step, u: Words) -> Words:
        """A share of (sigma(u) - y) step / n at RESIDUAL_SCALE from a share of u at U_SCALE: a round, 4 bytes a row."""
        link, scales = self.link, step.scales
        masked = top32(u, link.bits) - self.correlations.angle_mask(step.number, step.rows)
        c = masked + await self.session.exchange(Kind.MASKED_U, masked)
        shares = await self.correlations.link_shares(step.number, link, step.rows)

        def combine() -> Words:
            total: Words = np.zeros(step.rows, np.uint64)
            for share, factor in zip(shares, link.factors(c, scales), strict=True):
                total += share * factor
            if self.label is not None:
                total += link.public(c, scales)
                total -= self.label[step.low : step.high] * encode(link.step_over_n(scales), RESIDUAL_SCALE)
            return total

        return await self.session.compute(combine, step.rows * link.tables)

    async def owned(self, steps: list[Step]) -> Words:
        """Trains with each party's weights in clear at their owner: this party's own, at WEIGHT_SCALE.

        The published method's step 6: u-values are masked, each gradient is opened to its owner and to nobody else.
        Three rounds a step: 4 n bytes, 8 n and 8 m_other from each party.
        """
        own, other = self.matrices.own.shape[1], self.matrices.masked.shape[1]
        weights: Words = np.zeros(own, np.uint64)
        for step in steps:
            gradient = await self._owned_gradient(step, weights, other)
            moved = (weights << np.uint64(UPDATE_SHIFT)) - gradient + np.uint64(1 << (UPDATE_SHIFT - 1))
            weights = (moved.view(np.int64) >> UPDATE_SHIFT).view(np.uint64)
            self._progress(step, len(steps))
        return weights

    async def _owned_gradient(self, step: Step, weights: Words, other: int) -> Words:
        session, m, rows = self.session, self.matrices, slice(step.low, step.high)
        point = weights << np.uint64(MOMENTUM_SCALE)
        u = await session.compute(lambda: forward(m.own[rows], point), m.own.size)
        residual = await self._residual(step, u)
        hide = self.correlations.residual_mask(step.number, step.rows)
        whole = residual + await session.exchange(Kind.MASKED_RESIDUAL, residual - hide)
        mine, theirs = await self.correlations.gradient_mask(step.number, len(weights), other)
        pulled = await session.compute(lambda: (backward(m.own[rows], whole), backward(m.masked[rows], hide)), m.own.size)
        rest = await session.exchange(Kind.GRADIENT_SHARE, pulled[1] + theirs, shape=weights.shape)
        return pulled[0] + mine + rest + forward(m.own_ridge, point)

    def _progress(self, step: Step, total: int) -> None:
        self.session.reporter.progress(step.number + 1, total)
