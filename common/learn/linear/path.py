"""The path of shared weights over the steps of a training: what turns each step's update into weights. PROTOCOL.md section 6.

Weights stand in two blocks, the grid's columns and the bank's. With `shared` weights each party holds one additive share of
both blocks; with `owned` weights (the published method's literal flow) each holds its own block in clear.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np

from common.errors import LocalProtocolError
from common.learn.linear.course import Course
from common.learn.linear.joint import Operand, begin_number, gradient_number, times_cut
from common.learn.span import Span
from common.mpc.correlations.asked import Correlations, TruncationPart
from common.mpc.fixedpoint import (
    GRADIENT_SCALE,
    MOMENTUM_SCALE,
    MOVED_SCALE,
    UPDATE_SCALE,
    WEIGHT_SCALE,
    LinkScales,
    Words,
)
from common.mpc.link import Link
from common.mpc.prg import Purpose
from common.mpc.session import Kind, Session
from common.mpc.share import Share
from common.mpc.short import LEAST, WIDE, WIDTHS
from common.mpc.truncate import open_sum, placed
from common.party import Party

_LOOKAHEAD = REST_SCALE = WEIGHT_SCALE + MOMENTUM_SCALE
MOVED_SHIFT = MOVED_SCALE - WEIGHT_SCALE  # so few that of weights enough bits are left for u of every period: see `placed`
ONE = 1 << MOMENTUM_SCALE
LONGER, LONGER_BITS = 1.25, 2  # of a longer step, and the bits that its numerator takes
SPAN_ROWS = 1 << 16  # rows that go through a step together
_APART = 8  # from so small a part of these on, rows go in two spans: the line then works while a side waits
_SPAN_BITS = 24


def gradient_shift(update_scale: int) -> int:
    """What a truncation takes off an update at this scale before it is multiplied."""
    return update_scale - GRADIENT_SCALE


@dataclass(frozen=True)
class Step:
    """Step `number` of a job: rows low to high, step size, and the momentum that follows it as a numerator over 256.

    measures: the parts of its rows, each from and to, whose addends to the gradient of all rows are kept.
    longer: by a quarter than its size, by which shares of what it moves are multiplied.
    corrected: by what the gradient of all rows was more than that of its own, where both were measured: see `Correction`.
    """

    number: int
    low: int
    high: int
    size: float
    momentum: int
    whole: int | None = None  # rows that it averages over, of which its own are a part; None: its own
    data_rows: int | None = None  # of these those of data, the rest being zeros; None: all
    measures: tuple[tuple[int, int], ...] = ()
    corrected: bool = False
    longer: bool = False

    @property
    def stretch(self) -> tuple[np.uint64, int]:
        """By how much M's product with the gradient is multiplied, and by how many bits that makes it finer."""
        return (np.uint64(LONGER * (1 << LONGER_BITS)), LONGER_BITS) if self.longer else (np.uint64(1), 0)

    @property
    def rows(self) -> int:
        return self.high - self.low

    @property
    def bounds(self) -> tuple[tuple[int, int], ...]:
        """The rows that are pulled together: its parts, or all of them."""
        return self.measures or ((self.low, self.high),)

    @property
    def addends(self) -> int:
        """How many vectors it pulls: one, or of a step that measures one of each part, and the ridge's as the last."""
        return len(self.measures) + 1

    @property
    def parts(self) -> tuple[int, ...]:
        """These as the first axis of what it pulls, of a step that measures."""
        return (self.addends,) if self.measures else ()

    def spans(self) -> list[Span]:
        """Its rows in pieces of about SPAN_ROWS, alike in size; in two where they are fewer, but not very few, and one part."""
        found = list[Span]()
        for part, (first, last) in enumerate(self.bounds):
            rows = last - first
            pieces = max(2 if rows >= SPAN_ROWS // _APART and not self.measures else 1, round(rows / SPAN_ROWS))
            size = max(1, -(-rows // pieces))  # a step may be over none of the rows of a bank that has few
            for low in range(first, last, size):
                found.append(Span(self.number << _SPAN_BITS | len(found), low, min(last, low + size), part))
        return found

    def scales(self, link: Link) -> LinkScales:
        """The split is that of all rows, for which tables were dealt; the step averages over those of data, or of all banks."""
        whole = self.rows if self.whole is None else self.whole
        return _scales(self.size, whole, whole if self.data_rows is None else self.data_rows, link.least_bits)


@lru_cache(maxsize=1024)
def _scales(size: float, whole: int, rows: int, least: int | None) -> LinkScales:
    """Kept, as steps of mini-batches are many thousands, alike in this, and each is asked several times."""
    return LinkScales.choose(size, max(whole, rows), least).over(size, rows)


def matrix_width(steps: Sequence[Step], link: Link) -> int:
    """Bytes of a word of masked matrices: as few as what hides the residuals of all steps allows."""
    cut = min(step.scales(link).cut for step in steps)
    return next((width for width in (LEAST, *WIDTHS) if 8 * width >= 64 - cut), WIDE)


class Correction:
    """What corrected steps move by: shares of it at a party, and what these lack at the dealer, as it is linear.

    Of parts alike in size addends to the average over all rows are measured: their sum, less so many times the part's own.
    """

    def __init__(self) -> None:
        self._measured: dict[tuple[int, int], Words] = {}

    def of(self, step: Step, update: Words) -> Words:
        """What a step with this update moves by, (m,): of one that measures, (addends, m), their sum."""
        if step.measures:
            self._measured.update(zip(step.measures, update[:-1], strict=True))
            every: Words = np.sum(update, axis=0, dtype=np.uint64)
            return every
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

    def __iadd__(self, more: Blocks) -> Self:
        self.own, self.other = self.own + more.own, self.other + more.other
        return self

    def joined(self, party: Party) -> Words:
        """Both blocks in the order the two parties agree on: grid, bank."""
        return np.concatenate([self.own, self.other] if party is Party.GRID else [self.other, self.own])

    def split(self, party: Party, words: Words) -> Blocks:
        """The inverse of `joined` for blocks of these sizes."""
        first = len(self.own if party is Party.GRID else self.other)
        head, tail = words[:first], words[first:]
        return Blocks(head, tail) if party is Party.GRID else Blocks(tail, head)


Pull = Callable[[Step, Words], Awaitable[Words]]
"""Of a step and a share of the look-ahead, (m,): a share of the update, off by what the dealer knows: (m,), or (addends, m)."""


Joined = Callable[[Step, Words], Awaitable[Operand]]
"""Of the step that is next and a share of its look-ahead, (m,), at which it may begin: what multiplies each gradient."""

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


@dataclass(frozen=True, repr=False)
class Path:
    """The path of shared weights over the steps, the grid's columns first, given what each step pulls at them.

    A weight that moves is shared so that its public part is with the party in whose block it stands: see `truncate.placed`.
    grid: how many are the grid's. joint: the matrix that multiplies each gradient, none by default. update_scale: of what is
    pulled.
    """

    session: Session
    correlations: Correlations
    grid: int
    joint: Operand | None = None
    update_scale: int = UPDATE_SCALE

    def _places(self, party: Party) -> slice:
        return slice(self.grid) if party is Party.GRID else slice(self.grid, None)

    async def hidden(self, weights: Words, ahead: Words | None) -> tuple[Words, Words]:
        """Other shares of weights and look-ahead, of which each party expands those of the other's block: a dealer knows them.

        ahead: None for that of weights that rest. One round of 16 bytes a column of the other's.
        """
        ahead = weights << np.uint64(MOMENTUM_SCALE) if ahead is None else ahead
        own, other = self._places(self.session.party), self._places(self.session.party.other)
        mine = np.concatenate([weights[other], ahead[other]])
        mask = self.correlations.weight_mask(begin_number(), len(mine))
        shape = (2 * len(weights) - len(mine),)
        heard = await self.session.exchange(Kind.MASKED_WEIGHTS, mine - mask, shape=shape)
        out = weights.copy(), ahead.copy()
        for words, theirs, expanded in zip(out, np.split(heard, 2), np.split(mask, 2), strict=True):
            words[own] += theirs
            words[other] = expanded
        return out

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
            moved = await self._moved(step, ahead, correction.of(step, await pull(step, ahead)))
            now = moved.weights
            # z = w + mu (w - w_before), times 256 so that mu = momentum / 256 is whole: linear, so each share does it alone.
            ahead = now * np.uint64(ONE + step.momentum) - weights * np.uint64(step.momentum)
            weights = now
            self.session.reporter.progress(step.number + 1, len(steps))
            if keep is not None and not corrects:
                await keep(step, weights, ahead)
        return moved

    async def arrive(
        self,
        steps: list[Step],
        start: Blocks,
        pull: Pull,
        course: Course,
        cells: Cells,
        *,
        known: bool = False,
        joined: Joined | None = None,
    ) -> Arrived:
        """The same of two parties, from where the course begins; it is told each step, which goes through so many cells.

        known: whether a dealer is to know shares of the other's block. Before there are any, they are zero. joined: makes
        `joint` first.
        """
        party, ahead = self.session.party, None
        weights = start.joined(party)
        if course.first:
            weights, ahead = (Blocks(*course.of(name)).joined(party) for name in ("weights", "ahead"))
            if known:
                weights, ahead = await self.hidden(weights, ahead)

        async def keep(step: Step, weights: Words, point: Words) -> None:
            now, z = start.split(party, weights), start.split(party, point)
            kept = {"own_weights": now.own, "other_weights": now.other, "own_ahead": z.own, "other_ahead": z.other}
            await course.after(step.number, cells(step), **kept)

        path = self
        if joined is not None:
            ahead = weights << np.uint64(MOMENTUM_SCALE) if ahead is None else ahead
            path = replace(self, joint=await joined(steps[course.first], ahead))
        moved = await path.run(steps, weights, pull, begin=course.first, ahead=ahead, keep=keep)
        last = start.split(party, moved.weights)
        return Arrived(Share(last.own, WEIGHT_SCALE), Share(last.other, WEIGHT_SCALE), moved)

    async def _moved(self, step: Step, z: Words, update: Words) -> Moved:
        """Weights after the step: z less the update, or less M times it."""
        correlations, resting = self.correlations, []
        if self.joint is None:
            # The look-ahead is at scale 28 and the update at 56 or 52: z is lifted to meet it.
            moved, shift = (z << np.uint64(self.update_scale - _LOOKAHEAD)) - update, self.update_scale - WEIGHT_SCALE
        else:
            # The update comes down from 56 to 16, and M at scale 18 lifts it to 34, as z is.
            number, cut = gradient_number(step.number), gradient_shift(self.update_scale)
            part = await correlations.truncation(number, len(update))
            c = await open_sum(self.session, part, update)
            tops = await correlations.halves(Kind.DEALT_CUT, Purpose.CUT, number, len(update), len(update))
            short, turned = times_cut(self.session.party, self.joint, part, tops, c, cut)
            resting.append(short << np.uint64(REST_SCALE - GRADIENT_SCALE))
            times, finer = step.stretch
            moved, shift = (z << np.uint64(MOVED_SCALE - _LOOKAHEAD + finer)) - times * turned, MOVED_SHIFT + finer
        part = await correlations.truncation(step.number, len(z))
        c = await open_sum(self.session, part, moved)
        weights = placed(part, c, shift, self._places(self.session.party))
        resting.append((weights << np.uint64(MOMENTUM_SCALE)) - z)
        return Moved(weights, np.concatenate(resting), c, part, shift)
