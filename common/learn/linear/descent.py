"""One training step on shared or owned weights, and the loop over steps. PROTOCOL.md section 6."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np

from common.learn.linear.course import NOWHERE, Course
from common.learn.linear.joint import SETUP_ROUNDS, Operand
from common.learn.linear.path import Arrived, Blocks, Cells, Path, Step
from common.learn.span import Span
from common.mpc.beside import ending, one_ahead
from common.mpc.circle import Points, whole
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import UPDATE_SHIFT, Words
from common.mpc.link import Labels, Link, residual
from common.mpc.lockstep import Between, Exchanges
from common.mpc.session import Kind, Session
from common.party import Party

_TURNS = SETUP_ROUNDS  # as many as the joint matrix has at most
Joint = Callable[[Exchanges], Awaitable[Operand]]
"""Makes the matrix that multiplies each gradient, by rounds of a session."""


class Sweep(Protocol):
    """The products of one step's weights and residual with both matrices, a span of rows after the other."""

    def turns(self, rows: slice) -> Points:
        """This party's share of u over these rows, in 2^-16 of the link's period, off by what the dealer knows."""

    async def settle(self) -> None:
        """Collects what the other posted when it began its sweep, if that is not needed sooner."""

    async def give(self, span: Span, residual: Words) -> None:
        """Takes this party's share of a span's residual, (rows,) at RESIDUAL_SCALE, and posts what hides it, if anything."""

    async def take(self, span: Span) -> None:
        """Collects what the other posted then."""

    @property
    def begun(self) -> Iterable[asyncio.Future[Any]]:
        """What of this is being computed beside other work."""

    async def pulled(self) -> list[Blocks]:
        """Shares of step / n times X^T r plus the ridge's pull, at the update's scale, off by what the dealer knows.

        Of a step that measures those of each of its parts, and then the ridge's.
        """


@runtime_checkable
class Cut(Sweep, Protocol):
    """A sweep of which runs of rows may be swept elsewhere; `pulled` is then of the rest: the ridge."""

    at: Blocks


class Abreast(Protocol):
    """The runs of rows of a descent, each of which is swept by itself."""

    def begin(self, step: Step, at: Blocks) -> asyncio.Future[list[Blocks]]:
        """What all of them pull, begun. at: what u is made of, this party's columns' part and the other's."""


class Products(Protocol):
    """Both matrices, as each party holds them to multiply them by vectors that are shared."""

    @property
    def columns(self) -> tuple[int, int]:
        """How many are this party's, and how many the other's."""

    @property
    def update_scale(self) -> int:
        """The scale of what is pulled."""

    @property
    def known(self) -> bool:
        """Whether a dealer knows, as far as u needs it, each party's share of the other's part of the look-ahead."""

    async def begin(self, step: Step, ahead: Blocks) -> Sweep:
        """The sweep of this step at this party's share of the look-ahead. One round, or none where that share is known."""

    def owned(self, step: Step, weights: Words) -> Sweep:
        """The sweep of a step at this party's own weights, (m_own,) at WEIGHT_SCALE, of which the other has no share."""


@dataclass(frozen=True, repr=False)
class Descent:
    """The descent as one party runs it: products of both matrices, the link, the label (at the bank, else None)."""

    session: Session
    correlations: Correlations
    products: Products
    link: Link
    label: Labels | None  # (n,)
    course: Course = NOWHERE
    abreast: Abreast | None = None  # by which spans are swept, where not here one after the other

    async def shared(self, steps: list[Step], start: Words | None = None, joint: Joint | None = None) -> Arrived:
        """Trains on shared weights.

        start: this party's first share of its own weights (m_own,), zero by default; the other's share of them is zero.
        joint: makes the matrix that multiplies each gradient, none by default; it takes one round of the four of a step. The
        first step goes on within its rounds, up to where it needs the matrix, if the products need no round to begin.
        """
        party, blocks, products = self.session.party, Blocks.zero(*self.products.columns), self.products
        grid = products.columns[0 if party is Party.GRID else 1]
        begun = list[Between[list[Blocks]]]()

        async def pull(step: Step, ahead: Words) -> Words:
            if begun:
                return self._joined(step, await begun.pop().rest())
            return await self.pulled(step, blocks.split(party, ahead))

        async with AsyncExitStack() as closing:

            async def beside(make: Joint, step: Step, ahead: Words) -> Operand:
                turns = self._turns(step, partial(products.begin, step, blocks.split(party, ahead)))
                begun.append(Between(self.session, await closing.enter_async_context(aclosing(turns))))
                return await make(begun[0])

            joined, matrix = None, None
            if joint is not None and products.known:
                joined = partial(beside, joint)
            elif joint is not None:
                matrix = await joint(self.session)
            path = Path(self.session, self.correlations, grid, matrix, products.update_scale)
            first, every = blocks if start is None else Blocks(start, blocks.other), sum(products.columns)
            cells: Cells = lambda step: step.rows * every  # noqa: E731
            return await path.arrive(steps, first, pull, self.course, cells, known=products.known, joined=joined)

    async def pulled(self, step: Step, ahead: Blocks) -> Words:
        """A share of step / n times X^T r plus the ridge's pull, at the products' scale, off by what the dealer knows.

        (m,), the grid's columns first; of a step that measures (addends, m). The products take the share of the look-ahead,
        and u of each row is local; residual by the link; the products take its share, and give X^T r.
        """
        return self._joined(step, await self._sweep(step, partial(self.products.begin, step, ahead)))

    def _joined(self, step: Step, pulled: list[Blocks]) -> Words:
        found = [one.joined(self.session.party) for one in pulled]
        return np.stack(found) if step.measures else found[0]

    async def _sweep(self, step: Step, begin: Callable[[], Awaitable[Sweep]]) -> list[Blocks]:
        """X^T r over each part of the step's rows and the ridge's pull, both blocks, each off by what the dealer knows."""
        async with aclosing(self._turns(step, begin)) as turns:
            (found,) = [found async for found in turns if found is not None]
        return found

    async def _turns(self, step: Step, begin: Callable[[], Awaitable[Sweep]]) -> AsyncGenerator[list[Blocks] | None]:
        """The same a turn at a time, each of which takes what was sent in the turns before; at the end the result.

        Spans of rows go through three stages, each one span behind the one before: the u of a span is masked and sent,
        while the residual of the last is computed and sent, and the one before that is pulled back. Each party sends and
        takes the arrays in the same order, so the network works while this side computes; the u of the span that follows is
        computed meanwhile.
        """
        apart = self.abreast
        turns = self.through(step, step.spans(), await begin()) if apart is None else self._apart(apart, step, begin)
        async with aclosing(turns):
            async for found in turns:
                yield found

    async def _apart(
        self, abreast: Abreast, step: Step, begin: Callable[[], Awaitable[Sweep]]
    ) -> AsyncGenerator[list[Blocks] | None]:
        """The same where runs of rows are swept elsewhere: here the share of the look-ahead is exchanged, and sums are added.

        It ends in a turn for which nothing else waits, if there are turns enough: those of the joint matrix are soon over.
        """
        sweep = await begin()
        assert isinstance(sweep, Cut)  # noqa: S101  (others are not dealt for)
        swept = abreast.begin(step, sweep.at)
        with ending([swept]):
            yield None
            await sweep.settle()
            for _ in range(_TURNS):
                yield None
            found = await sweep.pulled()
            for total, more in zip(found, await swept, strict=True):
                total += more
            yield found

    async def through(self, step: Step, spans: Sequence[Span], sweep: Sweep) -> AsyncGenerator[list[Blocks] | None]:
        """The turns of some of a step's spans."""
        opened, hidden = deque[tuple[Span, Points]](), deque[Span]()
        async with one_ahead(self._masked_u(span, sweep.turns) for span in spans) as coming:
            with ending(sweep.begun):
                # This order of posts and collects is the protocol: each party sends u of span k, then the residual of span
                # k - 1, and the other refuses what comes in another order. A change here is one at both parties.
                for turn in range(len(spans) + 2):
                    if turn < len(spans):
                        masked = await coming()
                        await self.session.post(Kind.MASKED_U, masked.view(np.uint8))
                        opened.append((spans[turn], masked))
                    if turn == 1:
                        await sweep.settle()
                    if 0 < turn <= len(spans):
                        span, masked = opened.popleft()
                        await sweep.give(span, await self._residual(step, span, masked))
                        hidden.append(span)
                    if turn > 1:
                        await sweep.take(hidden.popleft())
                    if turn <= len(spans):
                        yield None
                yield await sweep.pulled()

    def _masked_u(self, span: Span, turns_of: Callable[[slice], Points]) -> asyncio.Future[Points]:
        """What a span sends of u, begun."""

        def mask() -> Points:
            return turns_of(span.slice) - self.correlations.point_mask(span.number, span.rows)

        return self.session.begin(mask, span.rows * self.products.columns[0])

    async def _residual(self, step: Step, span: Span, masked: Points) -> Words:
        """A share of (sigma(u) - y) step / n at RESIDUAL_SCALE, its low `spare` bits zero; 2 bytes a row."""
        theirs = await self.session.collect(Kind.MASKED_U, np.uint8, (masked.nbytes,))
        c = whole(masked + theirs.view("<u2"))
        link, scales = self.link, step.scales(self.link)
        shares = await self.correlations.link_shares(span.number, link, span.rows, scales.width)
        label = None if self.label is None else self.label[span.slice]
        return await self.session.compute(lambda: residual(link, scales, c, shares, label), span.rows * link.tables)

    async def owned(self, steps: list[Step], start: Words | None = None) -> Words:
        """Trains with each party's weights in clear at their owner: this party's own, at WEIGHT_SCALE.

        The published method's step 6: u-values are masked, each gradient is opened to its owner and to nobody else.
        """
        own, other = self.products.columns
        weights: Words = np.zeros(own, np.uint64) if start is None else start
        if self.course.first:
            weights, _ = self.course.of("weights")
        for step in steps[self.course.first :]:
            gradient = await self._owned_gradient(step, weights, other)
            moved = (weights << np.uint64(UPDATE_SHIFT)) - gradient + np.uint64(1 << (UPDATE_SHIFT - 1))
            weights = (moved.view(np.int64) >> UPDATE_SHIFT).view(np.uint64)
            self.session.reporter.progress(step.number + 1, len(steps))
            kept = {"own_weights": weights, "other_weights": np.zeros(0, np.uint64)}
            await self.course.after(step.number, step.rows * (own + other), **kept)
        await self.course.finish(weights, np.zeros(0, np.uint64))
        return weights

    async def _owned(self, step: Step, weights: Words) -> Sweep:
        return self.products.owned(step, weights)

    async def _owned_gradient(self, step: Step, weights: Words, other: int) -> Words:
        (pulled,) = await self._sweep(step, partial(self._owned, step, weights))
        mine, theirs = await self.correlations.gradient_mask(step.number, len(weights), other)
        rest = await self.session.exchange(Kind.GRADIENT_SHARE, pulled.other + theirs, shape=weights.shape)
        return pulled.own + mine + rest
