"""What the dealer deals for the linear model: each training step, and each scoring, run on the masks alone. Sections 3 to 6."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.learn.linear.hessian import (
    AWAY,
    CUT_HESSIAN,
    GRADIENT_LIFT,
    HESSIAN_SCALE,
    LIFT,
    PULL_SCALE,
    openings,
    sums,
)
from common.learn.linear.joint import (
    Sample,
    begin_number,
    cross,
    gradient_number,
    point_number,
    products_of,
    setup_number,
    shaped,
    taken_beside,
)
from common.learn.linear.path import MOVED_SHIFT, ONE, REST_SCALE, Correction, Step, gradient_shift, matrix_width
from common.learn.span import Span
from common.mpc.abreast import in_turns, run_of
from common.mpc.chained import Chained, deal_cut, deal_multiplied, hides
from common.mpc.circle import Points
from common.mpc.correlations.asked import MATRIX_BLOCK, Places
from common.mpc.correlations.dealt import PIECE_ROWS, MaskRows, matrix_mask, ridge_mask
from common.mpc.crossed import WIDTH, deal_crossed
from common.mpc.dealer import Dealt, OfRun, Parts, Prgs, both, deal_link, deal_tags, deal_truncation, mask_parts, points
from common.mpc.fixedpoint import UNDEALT_SCALE, UPDATE_SCALE, WEIGHT_SCALE, Words
from common.mpc.link import Link
from common.mpc.prg import Purpose
from common.mpc.product import backward, forward
from common.mpc.ring128 import Doubles, add
from common.mpc.session import Kind, Round
from common.mpc.threads import in_order, within
from common.mpc.truncate import known
from common.party import Party

KEPT_BYTES = 1 << 30
KEPT_MASKS = 1 << 24  # bytes up to which a cache may hold masks: expanding them again takes less than larger memory
MOST_ROWS, MOST_COLUMNS = 1 << 31, 100_000


Lacks = Callable[[Step], Generator[Dealt, None, Words]]  # what a step is dealt, and then what its update lacks


@dataclass(frozen=True)
class TrainingDemand:
    """Asks the dealer for all that a training consumes from step `first` on; the plan says the rest.

    lanes: over how many streams, each for a run of rows, the link's tables are dealt; 0: over the one of all else.
    """

    rows: int
    grid_columns: int
    bank_columns: int
    first: int = 0
    lanes: int = 0


@dataclass(frozen=True)
class Work:
    """All that the dealing of a job depends on; it is public.

    revealed_bits: the grid of the final weights, None for owned weights. closed: whether they stay shared, to the last bit.
    joint: whether each gradient is multiplied by the matrix of `joint.joint_matrix`. first: the step with which it begins.
    undealt: whether the parties mask matrices themselves, so that their shares lack nothing; see `undealt`.
    quadratic: whether steps multiply a shared matrix, for which rows are needed once; see `hessian`. ones: whether both know
    the bank's last column, which nothing hides; see `product.share_rows`. lanes: as of `TrainingDemand`.
    """

    steps: list[Step]
    link: Link
    rows: int
    columns: dict[Party, int]
    revealed_bits: int | None
    closed: bool = False
    joint: bool = False
    first: int = 0
    undealt: bool = False
    quadratic: bool = False
    ones: bool = False
    lanes: int = 0

    def hidden(self, party: Party) -> int:
        """How many of a party's columns are masked: the first ones."""
        return self.columns[party] - (self.ones and party is Party.BANK)


class Masks:
    """The matrices' masks and the computation on masks, for one job.

    memory: bytes of matrix masks it may keep, of which it keeps KEPT_MASKS at most; larger ones are expanded at each step.
    workers: spans worked on at a time, or as many as `threads.within` has room for. Neither changes what is dealt.
    """

    def __init__(self, prg: Prgs, work: Work, memory: int = KEPT_BYTES, workers: int = 1) -> None:
        self._prg, self._work = prg, work
        columns = sum(work.columns.values())
        if work.quadratic:
            self._workers = within(workers, WIDTH * MATRIX_BLOCK * (columns + 1))
            return
        span = max((span.rows for step in work.steps for span in step.spans()), default=0)
        self._workers = within(workers, span * 16 * work.link.tables + 8 * PIECE_ROWS * columns)
        if work.undealt:
            return
        mask = matrix_mask if 8 * work.rows * columns <= min(memory, KEPT_MASKS) else MaskRows
        self._matrix = {party: mask(prg[party], work.rows, work.hidden(party)) for party in Party}
        self._ridge = {party: ridge_mask(prg[party], work.columns[party]) for party in Party}

    @property
    def _update_scale(self) -> int:
        return UNDEALT_SCALE if self._work.undealt else PULL_SCALE if self._work.quadratic else UPDATE_SCALE

    def deal(self) -> Iterator[Dealt]:
        """Everything the job consumes, in the order in which the parties ask for it."""
        work, bits = self._work, self._work.revealed_bits
        steering = Steering(self._prg, work.columns, self._update_scale)
        lacks_of: Lacks = self.sweep
        steps = work.steps[work.first :]
        if work.quadratic:
            halves = {p: self._prg[p].half_words for p in Party}
            lacks_of = yield from steering.quadratic(deal_crossed(halves, work.rows, sums(work.columns), self._workers))
        elif work.joint and work.undealt:
            grid, bank = (work.columns[p] for p in Party)
            yield from steering.joint_matrix(np.zeros((grid, bank), np.uint64), Sample(work.rows, grid, bank).shift)
        elif work.joint:
            lacks_of = lambda step: self.sweep(step, steering.ahead)  # noqa: E731
            first = steps.pop(0)
            yield from steering.moved(first, (yield from self._first(first, steering)))
        for step in steps:
            if bits is None:
                yield from self._owned_step(step)
            else:
                yield from steering.moved(step, (yield from lacks_of(step)))
        if work.quadratic:
            yield steering.left(len(work.steps))
        if work.closed:
            grid = work.columns[Party.GRID]
            yield deal_tags(self._prg, work.steps[-1].number, steering.held(slice(grid), slice(grid, None)))
        if bits is not None and bits < WEIGHT_SCALE:
            yield deal_truncation(
                self._prg, len(work.steps), np.zeros(sum(work.columns.values()), np.uint64), WEIGHT_SCALE - bits
            )

    def _first(self, step: Step, steering: Steering) -> Generator[Dealt, None, Words]:
        """The joint matrix, and beside it the tables of the first step; what its update then lacks."""
        work, steering.known = self._work, True
        grid, bank = (work.columns[p] for p in Party)
        sample = Sample(work.rows, grid, bank, matrix_width(work.steps, work.link))
        if work.first:
            steering.begin()
        matrix = steering.joint_matrix(self.across(sample) * sample.factor(sample.taken(work.rows)), sample.shift)
        return (yield from taken_beside(matrix, self.sweep(step, steering.ahead)))

    def sweep(self, step: Step, ahead: Mapping[Party, Words] | None = None) -> Generator[Dealt, None, Words]:
        """The tables of one step; returns what its update then lacks, the grid's columns first: (m,), or (addends, m).

        ahead: by whose columns they are, the shares of the look-ahead that the other has; None where it hides them.
        """
        if self._work.undealt:
            yield from in_order((partial(self._link, step, span) for span in step.spans()), self._workers)
            return np.zeros((*step.parts, sum(self._work.columns.values())), np.uint64)
        # The mask of the grid's weights is the bank's, since the bank hides its share of them; and the reverse.
        updates = [{p: np.zeros(self._work.columns[p], np.uint64) for p in Party} for _ in range(step.addends)]
        weights = {p: self._prg[p.other].words(Purpose.WEIGHTS, step.number, self._work.columns[p]) for p in Party}
        updates[-1] = {p: forward(self._ridge[p], weights[p]) for p in Party}
        yield from self._spans(step, updates, weights if ahead is None else ahead)
        found = np.stack([np.concatenate([update[p] for p in Party]) for update in updates])
        return found if step.measures else found[0]

    def across(self, sample: Sample) -> Words:
        """What both parties' shares of X_G^T X_B lack, (m_G, m_B): the product of both masks over the sample's rows."""
        total = np.zeros([self._work.columns[p] for p in Party], np.uint64)
        whole = [_pieces(self._matrix[p], slice(0, self._work.rows)) for p in Party]
        for (rows, grid), (_, bank) in zip(*whole, strict=True):
            taken = slice(-rows.start % sample.stride, None, sample.stride)
            total[:, : self._work.hidden(Party.BANK)] += cross(grid[taken], bank[taken])
        return total

    def _owned_step(self, step: Step) -> Iterator[Dealt]:
        offsets = {p: np.zeros(self._work.columns[p], np.uint64) for p in Party}
        yield from self._spans(step, [offsets])
        own = {p: self._prg[p].words(Purpose.GRADIENT, step.number, len(offsets[p])) for p in Party}
        yield [(p.other, Round(Kind.DEALT_GRADIENT, step.number), offsets[p] - own[p]) for p in Party]

    def _spans(
        self, step: Step, lacks: Sequence[dict[Party, Words]], weights: Mapping[Party, Words] | None = None
    ) -> Iterator[Dealt]:
        """The tables of a step's spans; adds to `lacks` what X^T r of each part lacks. weights: the shares that are known."""
        spans, lanes = step.spans(), self._work.lanes
        places = in_turns(len(spans), lanes) if lanes else range(len(spans))
        work = (partial(self._span, step, spans[place], weights) for place in places)
        for place, (dealt, more) in zip(places, in_order(work, self._workers), strict=True):
            for party in Party:
                lacks[spans[place].part][party] += more[party]
            yield OfRun(dealt, run_of(place, len(spans), lanes) + 1) if lanes else dealt

    def _span(self, step: Step, span: Span, weights: Mapping[Party, Words] | None) -> tuple[Dealt, dict[Party, Words]]:
        link, lacks = self._work.link, np.zeros(span.rows, np.uint64)
        cut, ahead = np.uint64(step.scales(link).cut), {p: link.point(w) for p, w in (weights or {}).items()}
        pulled = {p: np.zeros(self._work.columns[p], np.uint64) for p in Party}
        for p in Party:
            hide, hidden = self._prg[p.other].words(Purpose.RESIDUAL, span.number, span.rows) << cut, self._work.hidden(p)
            for rows, mask in _pieces(self._matrix[p], span.slice):
                pulled[p][:hidden] += backward(mask, hide[rows])
                if ahead:
                    lacks[rows] += forward(mask, ahead[p][:hidden])
        return self._link(step, span, link.turned(lacks)), pulled

    def _link(self, step: Step, span: Span, offset: Points | None = None) -> Dealt:
        """offset: what the parties' sums of u lack, (rows,); by default nothing."""
        link, scales = self._work.link, step.scales(self._work.link)
        lacks = np.zeros(span.rows, np.uint16) if offset is None else offset
        return deal_link(self._prg, link, span.number, points(self._prg, span.number, lacks), scales.table, scales.width)


def _pieces(matrix: Words | MaskRows, rows: slice) -> Iterator[tuple[slice, Words]]:
    """These rows in pieces, each until the next: where among them, and their words."""
    if isinstance(matrix, MaskRows):
        yield from matrix.pieces(rows)
    else:
        yield slice(0, rows.stop - rows.start), matrix[rows]


class Steering:
    """What is dealt to turn updates into weights, once what the parties' shares of them lack is known.

    parts: how the parts of the truncations' masks are shared. known: whether what each party has of the other's block of the
    look-ahead is kept, modulo 2^(64 - MOVED_SHIFT), or of `Step.stretch`'s bits less: in `ahead`, by whose block it is.
    """

    def __init__(
        self, prg: Prgs, columns: Mapping[Party, int], update_scale: int = UPDATE_SCALE, parts: Parts | None = None
    ) -> None:
        self._prg, self._columns, self._update_scale, self._parts = prg, columns, update_scale, parts or Parts()
        self._joint: Words | None = None  # the mask of M
        self._hessian: Words = np.zeros((0, 0), np.uint64)  # that of step H
        self._correction = Correction()
        self._last: Dealt = []
        self.known = False
        self.ahead = {p: np.zeros(columns[p], np.uint64) for p in Party}
        self._weights = dict(self.ahead)

    def begin(self) -> None:
        """What each party expands of the other's block before the first step: see `Path.hidden`."""
        for party, columns in self._columns.items():
            expanded = self._prg[party.other].words(Purpose.WEIGHTS, begin_number(), 2 * columns)
            self._weights[party], self.ahead[party] = expanded[:columns], expanded[columns:]

    def joint_matrix(self, across: Words, shift: int) -> Iterator[Dealt]:
        """What is dealt for `joint.joint_matrix`, each of which takes back products of masks; keeps the mask of M.

        across: what the parties' shares of the products of columns lack, (m_G, m_B), times the sample's factor. shift: of it.
        """
        yield deal_cut(self._prg, self._parts, setup_number(0), across.ravel(), shift)
        self._joint = yield from self.joint_by(*shaped(hides(self._prg, setup_number(1), across.size + 1), *across.shape), 2)

    def quadratic(self, across: Words) -> Generator[Dealt, None, Lacks]:
        """What is dealt for `hessian.share_quadratic`; returns what tells what a step's update then lacks, (m,).

        across: what the parties' shares of sums over rows lack, (m_G, m_B + 1) modulo 2^40.
        """
        grid, bank = (self._columns[p] for p in Party)
        every, places, both = grid + bank, openings(grid, bank), np.stack([across, across])
        yield self._parts.deal(self._prg, setup_number(0), both.ravel() << np.uint64(LIFT), LIFT)
        yield deal_cut(self._prg, self._parts, setup_number(1), np.zeros(places[1], np.uint64), AWAY)
        wide, (h, g) = 2 * (grid * bank + 1), (every * every, every)
        grid_words, bank_words = (self._prg[p].words(Purpose.OPERAND, setup_number(2), wide + h + g) for p in Party)
        c = add(grid_words[:wide].reshape(-1, 2), bank_words[:wide].reshape(-1, 2))
        hessian, gradient = np.split((grid_words + bank_words)[wide:], [h])
        m = yield from self.joint_by(*shaped(c, grid, bank), 3)
        self._hessian = hessian.reshape(every, every)
        last = len(places) - 1
        yield self._parts.deal(self._prg, setup_number(last - 1), (m @ self._hessian).ravel(), CUT_HESSIAN)
        a = operand_mask(self._prg, setup_number(last), h).reshape(every, every)

        def lacks(step: Step) -> Generator[Dealt, None, Words]:
            yield from ()
            found: Words = a @ operand_mask(self._prg, point_number(step.number), every) - ((m @ gradient) << GRADIENT_LIFT)
            return found

        return lacks

    def left(self, number: int) -> Dealt:
        """The truncation of the gradient that is left after so many steps on a shared Hessian."""
        lacks = self._hessian @ operand_mask(self._prg, point_number(number), len(self._hessian))
        shift = HESSIAN_SCALE + WEIGHT_SCALE - REST_SCALE
        return self._parts.deal(self._prg, gradient_number(number), lacks, shift)

    def joint_by(self, c: Doubles, gain: Doubles, place: int) -> Generator[Dealt, None, Words]:
        """What is dealt for `joint.joint_by`, from the masks of C and of the gain; returns the mask of M."""
        rounds = products_of(Chained((c,)), Chained((gain,)))
        wanted = next(rounds)
        while True:
            dealt, masks = deal_multiplied(self._prg, self._parts, setup_number(place), wanted)
            yield dealt
            try:
                wanted = rounds.send(masks)
            except StopIteration as over:
                found: Words = over.value[0]
                return found
            place += 1

    def moved(self, step: Step, lacks: Words) -> Iterator[Dealt]:
        """The truncations that end a step. lacks: what the parties' shares of its update lack: of `sweep`."""
        lacks = self._correction.of(step, lacks)
        if self._joint is not None:
            number = gradient_number(step.number)
            body, top = mask_parts(self._prg, number, lacks, gradient_shift(self._update_scale))
            yield self._parts.share(self._prg, number, body, top)
            yield self._parts.halves(self._prg, Kind.DEALT_CUT, Purpose.CUT, number, [*(self._joint * top).T])
            lacks = -(self._joint @ body) * step.stretch[0]
        # a step subtracts the update
        shift = self._update_scale - WEIGHT_SCALE if self._joint is None else MOVED_SHIFT + step.stretch[1]
        self._last = self._parts.deal(self._prg, step.number, -lacks, shift)
        if self.known:
            self._follow(step)
        yield self._last

    def _follow(self, step: Step) -> None:
        """What each party has of the other's block after this step."""
        grid, before = self._columns[Party.GRID], self._weights
        places = {Party.GRID: slice(grid), Party.BANK: slice(grid, None)}
        held = self._parts.held(self._prg, self._last)
        self._weights = {p: known(*held[p.other], MOVED_SHIFT + step.stretch[1])[places[p]] for p in Party}
        plus, minus = np.uint64(ONE + step.momentum), np.uint64(step.momentum)
        self.ahead = {p: self._weights[p] * plus - before[p] * minus for p in Party}

    def held(self, grid: Places, bank: Places) -> dict[Party, list[Words]]:
        """Bodies and tops of the last truncation that each party has of the other's weights, which stand so among all."""
        held = self._parts.held(self._prg, self._last)
        return {party: [words[at] for words in held[party]] for party, at in ((Party.GRID, bank), (Party.BANK, grid))}


def operand_mask(prg: Prgs, number: int, count: int) -> Words:
    """What hides an operand, (count,): the sum of both parties' masks."""
    return both(prg, Purpose.OPERAND, number, count)
