"""The products of a descent under masks that a dealer knows. PROTOCOL.md sections 3 and 6."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.learn.linear.path import Blocks, Step
from common.learn.span import Span
from common.mpc.circle import Points
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
    """Matrices under masks of which the dealer knows what each product lacks.

    known: whether it knows each party's share of the other's look-ahead as well, as far as u needs it; else shares are hidden.
    """

    session: Session
    correlations: Correlations
    matrices: Matrices
    link: Link
    known: bool = False

    @property
    def columns(self) -> tuple[int, int]:
        return self.matrices.own.shape[1], self.matrices.masked.shape[1]

    @property
    def update_scale(self) -> int:
        return UPDATE_SCALE

    async def begin(self, step: Step, ahead: Blocks) -> DealtSweep:
        """Hides the share of the other's weights, and exchanges it: every product of this step's weights is then local.

        Where the dealer knows that share, u is so without it; it is sent along with u, for the ridge, which needs all its bits.
        """
        mask = self.correlations.weight_mask(step.number, len(ahead.other))
        await self.session.post(Kind.MASKED_WEIGHTS, ahead.other - mask)
        hidden = Hidden(ahead.own, mask)
        if self.known:
            return self.at(step, ahead, hidden)
        point = await self.received(hidden)
        return self.at(step, Blocks(point, mask), ridge=self.ridge_at(point, mask))

    def at(self, step: Step, at: Blocks, hidden: Hidden | None = None, ridge: Blocks | None = None) -> DealtSweep:
        """The sweep at what u is made of: what own columns are multiplied by, and the masked ones of the other. No message."""
        return DealtSweep(self, step, self._turns_of(at.own, at.other), at, hidden, ridge=ridge)

    async def received(self, hidden: Hidden) -> Words:
        """z of own columns less the other's mask, which the dealer knows: off by U v, no more."""
        own = hidden.own
        return own + await self.session.collect(Kind.MASKED_WEIGHTS, own.dtype, own.shape)

    def ridge_at(self, point: Words, mask: Words) -> Blocks:
        return Blocks(forward(self.matrices.own_ridge, point), forward(self.matrices.masked_ridge, mask))

    def _turns_of(self, own: Words, known: Words | None = None) -> Callable[[slice], Points]:
        """u of a slice of rows: own columns in clear, and the masked matrix times what the dealer knows, if any."""
        m, link, point = self.matrices, self.link, self.link.point(own)
        if known is None:
            return lambda rows: link.turned(forward(m.own[rows], point))
        other = link.point(known)
        return lambda rows: link.turned(forward(m.own[rows], point) + forward(m.masked[rows], other))

    def owned(self, step: Step, weights: Words) -> DealtSweep:
        point, m = weights << np.uint64(MOMENTUM_SCALE), self.matrices
        ridge = Blocks(forward(m.own_ridge, point), np.zeros(m.masked.shape[1], np.uint64))
        return DealtSweep(self, step, self._turns_of(point), Blocks(point, ridge.other), ridge=ridge)


@dataclass(frozen=True, repr=False)
class Hidden:
    """A look-ahead of which the other's block is on its way under `mask`; own: this party's share of its own block."""

    own: Words
    mask: Words


class DealtSweep:
    """One step's products of matrices whose masks the dealer knows."""

    def __init__(
        self,
        products: Dealt,
        step: Step,
        turns: Callable[[slice], Points],
        at: Blocks,
        hidden: Hidden | None = None,
        *,
        ridge: Blocks | None = None,
    ) -> None:
        """at: what u is made of. ridge: its pull, to which what the rows pull is added; hidden: by what it is told of that.

        The latter may arrive later.
        """
        self.at = at
        self.turns, self._products, self._waits, self._scales = turns, products, hidden, step.scales(products.link)
        self._total = [Blocks.zero(*products.columns) for _ in range(step.addends)]
        self._total[-1] += Blocks.zero(*products.columns) if ridge is None else ridge
        self._hidden = deque[tuple[Words, Words]]()
        self.begun, self._parts = deque[asyncio.Future[tuple[Words, Words]]](), deque[int]()

    async def settle(self) -> None:
        if self._waits is not None:
            point = await self._products.received(self._waits)
            self._total[-1] += self._products.ridge_at(point, self._waits.mask)

    async def give(self, span: Span, residual: Words) -> None:
        """What hides it has its low `cut` bits zero: they are not sent, and where it has some itself it is rounded."""
        session, correlations, scales = self._products.session, self._products.correlations, self._scales
        cut, half = np.uint64(scales.cut), np.uint64(1 << scales.cut >> 1 if scales.cut > scales.spare else 0)

        def mask() -> tuple[Words, Sent]:
            hide = correlations.residual_mask(span.number, span.rows) << cut
            return hide, shorten(residual + half - hide >> cut, scales.sent_width)

        hide, masked = await session.compute(mask, _PASSES * span.rows)
        await session.post(Kind.MASKED_RESIDUAL, masked)
        self._hidden.append((residual, hide))

    async def take(self, span: Span) -> None:
        """X^T r from own matrix times (own share + received), plus masked times mask: begun here, and awaited later."""
        session, m, (residual, hide) = self._products.session, self._products.matrices, self._hidden.popleft()
        scales, shape = self._scales, residual.shape
        sent = await session.collect(Kind.MASKED_RESIDUAL, *sent_as(shape, scales.sent_width))

        def pull() -> tuple[Words, Words]:
            whole = residual + (lengthen(sent, scales.sent_width, shape) << np.uint64(scales.cut))
            return backward(m.own[span.slice], whole), backward(m.masked[span.slice], hide)

        self._parts.append(span.part)
        self.begun.append(session.begin(pull, span.rows * m.own.shape[1]))
        if len(self.begun) > _BESIDE:
            await self._add()

    async def _add(self) -> None:
        found = await self.begun.popleft()
        self._total[self._parts.popleft()] += Blocks(*found)

    async def pulled(self) -> list[Blocks]:
        while self.begun:
            await self._add()
        return self._total
