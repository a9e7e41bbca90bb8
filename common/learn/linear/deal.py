"""What the dealer deals for the linear model: each training step, and each scoring, run on the masks alone. Sections 3 to 6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.errors import PeerProtocolError
from common.learn.linear.descent import CACHE_ROWS, Span, Step
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.correlations.dealt import MaskRows, dealt_tables, matrix_mask, ridge_mask
from common.mpc.dealer import Dealt, Prgs, deal_truncation
from common.mpc.fixedpoint import UPDATE_SHIFT, WEIGHT_SCALE, X_SCALE, Words, encode, top32
from common.mpc.link import Link
from common.mpc.prg import Purpose
from common.mpc.product import backward, forward
from common.mpc.session import Kind, Round
from common.party import Party

KEPT_BYTES = 1 << 30
PRODUCT_SCALE = X_SCALE + WEIGHT_SCALE  # of u when rows are scored
_FIRST, _BLOCK_BITS = 1 << 48, 24  # above every number of a training: no step, block or span comes near
MOST_SCORINGS, MOST_ROWS, MOST_COLUMNS = 256, 1 << 31, 100_000


@dataclass(frozen=True)
class TrainingDemand:
    """Asks the dealer for all that a training consumes; the plan says the rest."""

    rows: int
    grid_columns: int
    bank_columns: int


@dataclass(frozen=True)
class Work:
    """All that the dealing of a job depends on; it is public.

    revealed_bits: the grid of the final weights, None for owned weights. closed: whether they stay shared, to the last bit.
    """

    steps: list[Step]
    link: Link
    rows: int
    columns: dict[Party, int]
    revealed_bits: int | None
    closed: bool = False


class Masks:
    """The matrices' masks and the computation on masks, for one job.

    memory: bytes of matrix masks it may keep; of larger ones each block is expanded anew at each step.
    """

    def __init__(self, prg: Prgs, work: Work, memory: int = KEPT_BYTES) -> None:
        self._prg, self._work = prg, work
        kept = 8 * work.rows * sum(work.columns.values()) <= memory
        mask = matrix_mask if kept else MaskRows
        self._matrix = {party: mask(prg[party], work.rows, work.columns[party]) for party in Party}
        self._ridge = {party: ridge_mask(prg[party], work.columns[party]) for party in Party}

    def deal(self) -> Iterator[Dealt]:
        """Everything the job consumes, in the order in which the parties ask for it."""
        bits = self._work.revealed_bits
        for step in self._work.steps:
            yield from self._owned_step(step) if bits is None else self._shared_step(step)
        if bits is not None and bits < WEIGHT_SCALE:
            zero = np.zeros(sum(self._work.columns.values()), np.uint64)
            yield deal_truncation(self._prg, len(self._work.steps), zero, WEIGHT_SCALE - bits)

    def _shared_step(self, step: Step) -> Iterator[Dealt]:
        # The mask of the grid's weights is the bank's, since the bank hides its share of them; and the reverse.
        weights = {p: self._prg[p.other].words(Purpose.WEIGHTS, step.number, self._work.columns[p]) for p in Party}
        update = {p: forward(self._ridge[p], weights[p]) for p in Party}
        for span in step.spans():
            grid, bank = (forward(self._matrix[p][span.slice], weights[p]) for p in Party)
            yield self._link(step, span, grid + bank)
            self._add_residual_offsets(span, update)
        negated = np.uint64(0) - np.concatenate([update[p] for p in Party])  # a step subtracts the update
        yield deal_truncation(self._prg, step.number, negated, UPDATE_SHIFT)

    def _owned_step(self, step: Step) -> Iterator[Dealt]:
        offsets = {p: np.zeros(self._work.columns[p], np.uint64) for p in Party}
        for span in step.spans():
            yield self._link(step, span, np.zeros(span.rows, np.uint64))
            self._add_residual_offsets(span, offsets)
        own = {p: self._prg[p].words(Purpose.GRADIENT, step.number, len(offsets[p])) for p in Party}
        yield [(p.other, Round(Kind.DEALT_GRADIENT, step.number), offsets[p] - own[p]) for p in Party]

    def _add_residual_offsets(self, span: Span, total: dict[Party, Words]) -> None:
        for party in Party:
            hide = self._prg[party.other].words(Purpose.RESIDUAL, span.number, span.rows)
            total[party] += backward(self._matrix[party][span.slice], hide)

    def _link(self, step: Step, span: Span, offset: Words) -> Dealt:
        """Shares of the tables at a, the angle that completes what the parties open."""
        link, rows = step.link(self._work.link), span.rows
        a = top32(offset, link.bits)
        for party in Party:
            a = a + self._prg[party].half_words(Purpose.ANGLE, span.number, rows)
        dealt = {p: dealt_tables(link, p) for p in Party}
        seeded = {p: self._prg[p].words(Purpose.LINK, span.number, len(dealt[p.other]) * rows).reshape(-1, rows) for p in Party}
        out = {p: np.empty((len(dealt[p]), rows), np.uint64) for p in Party}
        place = {j: (p, i) for p in Party for i, j in enumerate(dealt[p])}
        for low in range(0, rows, CACHE_ROWS):
            part = slice(low, low + CACHE_ROWS)
            for j, values in enumerate(link.table_values(a[part])):
                party, i = place[j]
                np.subtract(encode(values, step.scales.table), seeded[party.other][i, part], out=out[party][i, part])
        return [(p, Round(Kind.DEALT_LINK, span.number), out[p]) for p in Party]


@dataclass(frozen=True)
class ScoreDemand:
    """Asks the dealer for the scoring of `rows` rows, in steps of 2^-bits log-odds; the job's scorings are numbered."""

    number: int
    rows: int
    grid_columns: int
    bank_columns: int
    bits: int

    @property
    def fits(self) -> bool:
        """Whether the numbers are ones that are scored with."""
        columns = self.grid_columns, self.bank_columns
        sizes = 0 < self.rows <= MOST_ROWS and all(0 < count <= MOST_COLUMNS for count in columns)
        return sizes and 0 <= self.number < MOST_SCORINGS and 0 <= self.bits < PRODUCT_SCALE

    @property
    def key(self) -> int:
        """The number under which the first mask of this scoring is expanded; those of its blocks follow."""
        return _FIRST | self.number << _BLOCK_BITS

    def arrays(self) -> Iterator[tuple[Round, tuple[int, ...]]]:
        """Label and shape of each array that either party is dealt for it."""
        return ((Round(Kind.DEALT_TRUNCATION, key), (rows.stop - rows.start,)) for key, rows in self.blocks())

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """The key and the rows of each block."""
        for block, low in enumerate(range(0, self.rows, MATRIX_BLOCK)):
            yield self.key | block, slice(low, min(self.rows, low + MATRIX_BLOCK))


def deal_scores(prg: Prgs, demand: ScoreDemand) -> Iterator[Dealt]:
    """The truncation of each block of rows, which takes back mask times mask. Raises PeerProtocolError for other sizes."""
    if not demand.fits:
        raise PeerProtocolError("the parties ask the dealer for a scoring of no size", got=demand)
    columns = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}
    # The mask of the grid's weights is the bank's, since the bank hides its share of them; and the reverse.
    weights = {p: prg[p.other].words(Purpose.WEIGHTS, demand.key, columns[p]) for p in Party}
    for key, rows in demand.blocks():
        size = rows.stop - rows.start
        matrix = {p: prg[p].words(Purpose.MATRIX, key, columns[p] * size).reshape(columns[p], size).T for p in Party}
        offset = forward(matrix[Party.GRID], weights[Party.GRID]) + forward(matrix[Party.BANK], weights[Party.BANK])
        yield deal_truncation(prg, key, offset, PRODUCT_SCALE - demand.bits)
