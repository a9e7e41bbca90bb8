"""The products of a descent under masks that a dealer knows. PROTOCOL.md sections 3 and 6."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.learn.linear.descent import Blocks, Span, Step
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import MOMENTUM_SCALE, UPDATE_SCALE, Words
from common.mpc.link import Link
from common.mpc.product import Matrices, backward, forward
from common.mpc.session import Kind, Session
from common.mpc.short import Sent, lengthen, sent_as, shorten

_BESIDE = 2  # spans that are pulled back while later ones go on
_PASSES = 8  # over a span's words, when its residual is hidden


@dataclass(frozen=True, repr=False)
class Dealt:
    """Matrices under masks of which the dealer knows what each product lacks."""

    session: Session
    correlations: Correlations
    matrices: Matrices
    link: Link

    @property
    def columns(self) -> tuple[int, int]:
        return self.matrices.own.shape[1], self.matrices.masked.shape[1]

    @property
    def update_scale(self) -> int:
        return UPDATE_SCALE

    async def begin(self, step: Step, ahead: Blocks) -> DealtSweep:
        """Hides the share of the other's weights, and exchanges it: every product of this step's weights is then local."""
        mask, m = self.correlations.weight_mask(step.number, len(ahead.other)), self.matrices
        received = await self.session.exchange(Kind.MASKED_WEIGHTS, ahead.other - mask, shape=ahead.own.shape)
        point = ahead.own + received  # z less the other's mask, which the dealer knows: off by U v, no more

        # u of a slice of rows: this party's own product in clear, and the masked matrix times what hid the other's weights.
        def u_of(rows: slice) -> Words:
            return forward(m.own[rows], point) + forward(m.masked[rows], mask)

        return DealtSweep(self, step, u_of, Blocks(forward(m.own_ridge, point), forward(m.masked_ridge, mask)))

    def owned(self, step: Step, weights: Words) -> DealtSweep:
        point, m = weights << np.uint64(MOMENTUM_SCALE), self.matrices
        ridge = Blocks(forward(m.own_ridge, point), np.zeros(m.masked.shape[1], np.uint64))
        return DealtSweep(self, step, lambda rows: forward(m.own[rows], point), ridge)


class DealtSweep:
    """One step's products of matrices whose masks the dealer knows."""

    def __init__(self, products: Dealt, step: Step, u_of: Callable[[slice], Words], ridge: Blocks) -> None:
        """ridge: its pull, to which what the rows pull is added."""
        self.u, self._products, self._total, self._scales = u_of, products, ridge, step.scales(products.link)
        self._hidden = deque[tuple[Words, Words]]()
        self.begun = deque[asyncio.Future[tuple[Words, Words]]]()

    async def give(self, span: Span, residual: Words) -> None:
        """What hides it has its low `spare` bits zero too: they are not sent."""
        session, correlations, scales = self._products.session, self._products.correlations, self._scales
        spare = np.uint64(scales.spare)

        def mask() -> tuple[Words, Sent]:
            hide = correlations.residual_mask(span.number, span.rows) << spare
            return hide, shorten(residual - hide >> spare, scales.width)

        hide, masked = await session.compute(mask, _PASSES * span.rows)
        await session.post(Kind.MASKED_RESIDUAL, masked)
        self._hidden.append((residual, hide))

    async def take(self, span: Span) -> None:
        """X^T r from own matrix times (own share + received), plus masked times mask: begun here, and awaited later."""
        session, m, (residual, hide) = self._products.session, self._products.matrices, self._hidden.popleft()
        scales, shape = self._scales, residual.shape
        sent = await session.collect(Kind.MASKED_RESIDUAL, *sent_as(shape, scales.width))

        def pull() -> tuple[Words, Words]:
            whole = residual + (lengthen(sent, scales.width, shape) << np.uint64(scales.spare))
            return backward(m.own[span.slice], whole), backward(m.masked[span.slice], hide)

        self.begun.append(session.begin(pull, span.rows * m.own.shape[1]))
        if len(self.begun) > _BESIDE:
            await self._add()

    async def _add(self) -> None:
        own, other = await self.begun.popleft()
        self._total = Blocks(self._total.own + own, self._total.other + other)

    async def pulled(self) -> Blocks:
        while self.begun:
            await self._add()
        return self._total
