"""One training step on shared or owned weights, and the loop over steps. PROTOCOL.md section 6.

Weights stand in two blocks, the grid's columns and the bank's. With `shared` weights each party holds one additive share of
both blocks; with `owned` weights (the published method's literal flow) each holds its own block in clear.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from common.errors import LocalProtocolError
from common.learn.linear.course import NOWHERE, Course
from common.learn.linear.joint import Operand, gradient_number, opened, product
from common.mpc.beside import ending, one_ahead
from common.mpc.circle import Turns
from common.mpc.correlations.asked import Correlations, TruncationPart
from common.mpc.fixedpoint import FACTOR_SCALE, MOMENTUM_SCALE, UPDATE_SCALE, UPDATE_SHIFT, WEIGHT_SCALE, LinkScales, Words
from common.mpc.link import Labels, Link, residual
from common.mpc.session import Kind, Session
from common.mpc.share import Share
from common.mpc.short import WIDE, WIDTHS
from common.mpc.truncate import open_sum, shifted, truncate
from common.party import Party

_LOOKAHEAD = REST_SCALE = WEIGHT_SCALE + MOMENTUM_SCALE
JOINT_SHIFT = _LOOKAHEAD + FACTOR_SCALE - WEIGHT_SCALE
ONE = 1 << MOMENTUM_SCALE
SPAN_ROWS = 1 << 16  # rows that go through a step together
_APART = 8  # from so small a part of these on, rows go in two spans: the line then works while a side waits
_SPAN_BITS = 24


def gradient_shift(update_scale: int) -> int:
    """What a truncation takes off an update at this scale before it is multiplied."""
    return update_scale - _LOOKAHEAD


@dataclass(frozen=True)
class Span:
    """Rows low to high of one step, and the number that keys their randomness."""

    number: int
    low: int
    high: int

    @property
    def rows(self) -> int:
        return self.high - self.low

    @property
    def slice(self) -> slice:
        return slice(self.low, self.high)


@dataclass(frozen=True)
class Step:
    """Step `number` of a job: rows low to high, step size, and the momentum that follows it as a numerator over 256.

    measures: its addend to the gradient of all rows is kept, and it moves nothing. corrected: by what the gradient of all rows
    was more than that of its own, where both were measured: see `Correction`.
    """

    number: int
    low: int
    high: int
    size: float
    momentum: int
    whole: int | None = None  # rows that it averages over, of which its own are a part; None: its own
    data_rows: int | None = None  # of these those of data, the rest being zeros; None: all
    measures: bool = False
    corrected: bool = False

    @property
    def rows(self) -> int:
        return self.high - self.low

    def spans(self) -> list[Span]:
        """Its rows in pieces of about SPAN_ROWS, alike in size; in two where they are fewer, but not very few."""
        pieces = max(2 if self.rows >= SPAN_ROWS // _APART else 1, round(self.rows / SPAN_ROWS))
        size = max(1, -(-self.rows // pieces))  # a step may be over none of the rows of a bank that has few
        lows = range(self.low, self.high, size)
        return [Span(self.number << _SPAN_BITS | i, low, min(self.high, low + size)) for i, low in enumerate(lows)]

    def scales(self, link: Link) -> LinkScales:
        """The split is that of all rows, for which tables were dealt; the step averages over those of data, or of all banks."""
        whole = self.rows if self.whole is None else self.whole
        rows = whole if self.data_rows is None else self.data_rows
        return LinkScales.choose(self.size, max(whole, rows), link.least_bits).over(self.size, rows)


def matrix_width(steps: Sequence[Step], link: Link) -> int:
    """Bytes of a word of masked matrices: as few as u modulo the link's period and the residuals of all steps allow."""
    spare = min(step.scales(link).spare for step in steps)
    return next((width for width in WIDTHS if 8 * width >= max(link.bits, 64 - spare)), WIDE)


class Correction:
    """What corrected steps move by: shares of it at a party, and what these lack at the dealer, as it is linear.

    Of parts alike in size addends to the average over all rows are measured: their sum, or so many times the part's own.
    """

    def __init__(self) -> None:
        self._measured: dict[tuple[int, int], Words] = {}

    def of(self, step: Step, update: Words) -> Words | None:
        """What a step with this update moves by, (m,); None of one that measures."""
        if step.measures:
            self._measured[step.low, step.high] = update
            return None
        if not step.corrected:
            return update
        if (own := self._measured.get((step.low, step.high))) is None:
            raise LocalProtocolError("a step is corrected by what nothing has measured", got=step.number)
        whole: Words = np.sum(list(self._measured.values()), axis=0, dtype=np.uint64)
        return update + whole - np.uint64(len(self._measured)) * own


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


Pull = Callable[[Step, Words], Awaitable[Words]]
"""Of a step and a share of the look-ahead, (m,): a share of the update, (m,), off by what the dealer knows."""


Cells = Callable[[Step], int]  # of matrices that a step goes through
Keep = Callable[[Step, Words, Words], Awaitable[None]]  # of a step that is through, the weights and the look-ahead after it


@dataclass(frozen=True, repr=False)
class Moved:
    """A step with shared weights: this party's shares of all weights after it, (m,) at WEIGHT_SCALE, the grid's first.

    resting: of how far they moved, and of M's gradient where there is one, at REST_SCALE: near zero once the descent arrives.
    opened: by the truncation that they come from, the same at both; part, shift: of that truncation.
    """

    weights: Words
    resting: Words
    opened: Words
    part: TruncationPart
    shift: int


@dataclass(frozen=True, repr=False)
class Arrived:
    """This party's shares of its own and of the other's final weights, at WEIGHT_SCALE, and the last step to them."""

    own: Share
    other: Share
    last: Moved


class Sweep(Protocol):
    """The products of one step's weights and residual with both matrices, a span of rows after the other."""

    def u(self, rows: slice) -> Words:
        """This party's share of u over these rows, at U_SCALE: modulo the link's period, and off by what the dealer knows."""

    async def give(self, span: Span, residual: Words) -> None:
        """Takes this party's share of a span's residual, (rows,) at RESIDUAL_SCALE, and posts what hides it, if anything."""

    async def take(self, span: Span) -> None:
        """Collects what the other posted then."""

    @property
    def begun(self) -> Iterable[asyncio.Future[Any]]:
        """What of this is being computed beside other work."""

    async def pulled(self) -> Blocks:
        """Shares of step / n times X^T r plus the ridge's pull, at the update's scale, off by what the dealer knows."""


class Products(Protocol):
    """Both matrices, as each party holds them to multiply them by vectors that are shared."""

    @property
    def columns(self) -> tuple[int, int]:
        """How many are this party's, and how many the other's."""

    @property
    def update_scale(self) -> int:
        """The scale of what is pulled."""

    async def begin(self, step: Step, ahead: Blocks) -> Sweep:
        """The sweep of this step at this party's share of the look-ahead. One round."""

    def owned(self, step: Step, weights: Words) -> Sweep:
        """The sweep of a step at this party's own weights, (m_own,) at WEIGHT_SCALE, of which the other has no share."""


@dataclass(frozen=True, repr=False)
class Path:
    """The path of shared weights over the steps, the grid's columns first, given what each step pulls at them.

    joint: the matrix that multiplies each gradient, none by default. update_scale: of what is pulled.
    """

    session: Session
    correlations: Correlations
    joint: Operand | None = None
    update_scale: int = UPDATE_SCALE

    async def run(
        self,
        steps: list[Step],
        weights: Words,
        pull: Pull,
        *,
        begin: int = 0,
        ahead: Words | None = None,
        keep: Keep | None = None,
    ) -> Moved:
        """The last of the steps. weights: this party's first share of them, (m,) at WEIGHT_SCALE.

        begin: the step to begin with, with these weights and look-ahead. keep: told both after each step, but where a corrected
        one follows: what corrects it is off by what a dealer of another attempt would not know.
        """
        ahead = weights << np.uint64(MOMENTUM_SCALE) if ahead is None else ahead
        correction, followed = Correction(), [step.corrected for step in steps[1:]] + [False]
        for step, corrects in list(zip(steps, followed, strict=True))[begin:]:
            update = correction.of(step, await pull(step, ahead))
            if update is None:
                self.session.reporter.progress(step.number + 1, len(steps))
                continue
            moved = await self._moved(step, ahead, update)
            now = moved.weights
            # z = w + mu (w - w_before), times 256 so that mu = momentum / 256 is whole: linear, so each share does it alone.
            ahead = now * np.uint64(ONE + step.momentum) - weights * np.uint64(step.momentum)
            weights = now
            self.session.reporter.progress(step.number + 1, len(steps))
            if keep is not None and not corrects:
                await keep(step, weights, ahead)
        return moved

    async def arrive(self, steps: list[Step], start: Blocks, pull: Pull, course: Course, cells: Cells) -> Arrived:
        """The same of two parties, from where the course begins; it is told each step, which goes through so many cells."""
        party, ahead = self.session.party, None
        if course.first:
            start, ahead = Blocks(*course.of("weights")), Blocks(*course.of("ahead")).joined(party)

        async def keep(step: Step, weights: Words, point: Words) -> None:
            now, z = start.split(party, weights), start.split(party, point)
            kept = {"own_weights": now.own, "other_weights": now.other, "own_ahead": z.own, "other_ahead": z.other}
            await course.after(step.number, cells(step), **kept)

        moved = await self.run(steps, start.joined(party), pull, begin=course.first, ahead=ahead, keep=keep)
        last = start.split(party, moved.weights)
        return Arrived(Share(last.own, WEIGHT_SCALE), Share(last.other, WEIGHT_SCALE), moved)

    async def _moved(self, step: Step, z: Words, update: Words) -> Moved:
        """Weights after the step: z less the update, or less M times it."""
        correlations, resting = self.correlations, []
        if self.joint is None:
            # The look-ahead is at scale 28 and the update at 56 or 52: z is lifted to meet it.
            moved, shift = (z << np.uint64(gradient_shift(self.update_scale))) - update, self.update_scale - WEIGHT_SCALE
        else:
            # The update comes down from 56 to 28 as well, is hidden once more and opened, and M at scale 24 lifts it to 52.
            number = gradient_number(step.number)
            part = await correlations.truncation(number, len(update))
            short = await truncate(self.session, part, update, gradient_shift(self.update_scale))
            resting.append(short)
            (operand,) = await opened(self.session, correlations, number, short)
            lifted = z << np.uint64(FACTOR_SCALE)
            moved, shift = lifted - product(self.session.party, self.joint, operand), JOINT_SHIFT
        part = await correlations.truncation(step.number, len(z))
        c = await open_sum(self.session, part, moved)
        weights = shifted(self.session.party, part, c, shift)
        resting.append((weights << np.uint64(MOMENTUM_SCALE)) - z)
        return Moved(weights, np.concatenate(resting), c, part, shift)


@dataclass(frozen=True, repr=False)
class Descent:
    """The descent as one party runs it: products of both matrices, the link, the label (at the bank, else None)."""

    session: Session
    correlations: Correlations
    products: Products
    link: Link
    label: Labels | None  # (n,)
    course: Course = NOWHERE

    async def shared(self, steps: list[Step], start: Words | None = None, joint: Operand | None = None) -> Arrived:
        """Trains on shared weights.

        start: this party's first share of its own weights (m_own,), zero by default; the other's share of them is zero.
        joint: the matrix that multiplies each gradient, none by default; it takes two rounds of the six of a step.
        """
        party, blocks = self.session.party, Blocks.zero(*self.products.columns)

        async def pull(step: Step, ahead: Words) -> Words:
            return (await self.swept(step, blocks.split(party, ahead))).joined(party)

        path = Path(self.session, self.correlations, joint, self.products.update_scale)
        first = blocks if start is None else Blocks(start, blocks.other)
        return await path.arrive(steps, first, pull, self.course, lambda step: step.rows * sum(self.products.columns))

    async def swept(self, step: Step, ahead: Blocks) -> Blocks:
        """Shares of step / n times X^T r plus the ridge's pull, at the products' scale, off by what the dealer knows.

        The products take the share of the look-ahead, and u of each row is local; residual by the link; the products take its
        share, and give X^T r.
        """
        return await self._sweep(step, await self.products.begin(step, ahead))

    async def _sweep(self, step: Step, sweep: Sweep) -> Blocks:
        """X^T r over the step's rows and the ridge's pull, own and other block, each off by what the dealer knows.

        Spans of rows go through three stages, each one span behind the one before: the u of a span is masked and sent,
        while the residual of the last is computed and sent, and the one before that is pulled back. Each party sends and
        takes the arrays in the same order, so the network works while this side computes; the u of the span that follows is
        computed meanwhile.
        """
        spans = step.spans()
        opened, hidden = deque[tuple[Span, Turns]](), deque[Span]()
        async with one_ahead(self._masked_u(span, sweep.u) for span in spans) as coming:
            with ending(sweep.begun):
                # This order of posts and collects is the protocol: each party sends u of span k, then the residual of span
                # k - 1, and the other refuses what comes in another order. A change here is one at both parties.
                for turn in range(len(spans) + 2):
                    if turn < len(spans):
                        masked = await coming()
                        await self.session.post(Kind.MASKED_U, masked)
                        opened.append((spans[turn], masked))
                    if 0 < turn <= len(spans):
                        span, masked = opened.popleft()
                        await sweep.give(span, await self._residual(step, span, masked))
                        hidden.append(span)
                    if turn > 1:
                        await sweep.take(hidden.popleft())
                return await sweep.pulled()

    def _masked_u(self, span: Span, u_of: Callable[[slice], Words]) -> asyncio.Future[Turns]:
        """What a span sends of u, begun."""

        def mask() -> Turns:
            return self.link.turns(u_of(span.slice)) - self.correlations.angle_mask(span.number, span.rows)

        return self.session.begin(mask, span.rows * self.products.columns[0])

    async def _residual(self, step: Step, span: Span, masked: Turns) -> Words:
        """A share of (sigma(u) - y) step / n at RESIDUAL_SCALE, its low `spare` bits zero; 4 bytes a row."""
        c = masked + await self.session.collect(Kind.MASKED_U, np.uint32, masked.shape)
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

    async def _owned_gradient(self, step: Step, weights: Words, other: int) -> Words:
        pulled = await self._sweep(step, self.products.owned(step, weights))
        mine, theirs = await self.correlations.gradient_mask(step.number, len(weights), other)
        rest = await self.session.exchange(Kind.GRADIENT_SHARE, pulled.other + theirs, shape=weights.shape)
        return pulled.own + mine + rest
