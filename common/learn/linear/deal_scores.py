"""What the dealer deals for scoring rows by a linear model: the products run on the masks alone. PROTOCOL.md section 6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.errors import PeerProtocolError
from common.learn.linear.deal import MOST_COLUMNS, MOST_ROWS
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.dealer import Dealt, Prgs, deal_tag, deal_truncation
from common.mpc.fixedpoint import WEIGHT_SCALE, X_SCALE
from common.mpc.prg import Purpose
from common.mpc.product import forward
from common.mpc.session import Kind, Round
from common.mpc.tags import LIMBS, MARK_WORDS
from common.mpc.threads import in_order, within
from common.party import Party

PRODUCT_SCALE = X_SCALE + WEIGHT_SCALE  # of u when rows are scored
SCORE_WIDTH = 6  # bytes of a word of masked rows then
SCORE_SPARE = np.uint64(64 - 8 * SCORE_WIDTH)  # what shares of u are moved up by, which takes off what is not sent
SCORE_SCALE = PRODUCT_SCALE + int(SCORE_SPARE)
MOST_SCORINGS = 256
_FIRST, _BLOCK_BITS = 1 << 48, 24  # above every number of a training: no step, block or span comes near


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
        sizes = 0 < self.rows <= MOST_ROWS and all(0 < m <= MOST_COLUMNS for m in (self.grid_columns, self.bank_columns))
        return sizes and 0 <= self.number < MOST_SCORINGS and 0 <= self.bits < PRODUCT_SCALE

    @property
    def key(self) -> int:
        """The number under which the first mask of this scoring is expanded; those of its blocks follow."""
        return _FIRST | self.number << _BLOCK_BITS

    def arrays(self) -> Iterator[tuple[Round, tuple[int, ...]]]:
        """Label and shape of each array that either party is dealt for it."""
        yield Round(Kind.DEALT_TAGS, self.key), (LIMBS + MARK_WORDS,)
        yield from ((Round(Kind.DEALT_TRUNCATION, key), (rows.stop - rows.start,)) for key, rows in self.blocks())

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """The key and the rows of each block."""
        for block, low in enumerate(range(0, self.rows, MATRIX_BLOCK)):
            yield self.key | block, slice(low, min(self.rows, low + MATRIX_BLOCK))


def deal_scores(prg: Prgs, demand: ScoreDemand, workers: int = 1) -> Iterator[Dealt]:
    """The truncation of each block of rows, which takes back mask times mask. Raises PeerProtocolError for other sizes.

    workers: blocks worked on at a time, or as many as `threads.within` has room for.
    """
    if not demand.fits:
        raise PeerProtocolError("the parties ask the dealer for a scoring of no size", got=demand)
    columns = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}
    # The mask of the grid's weights is the bank's, since the bank hides its share of them; and the reverse.
    weights = {p: prg[p.other].words(Purpose.WEIGHTS, demand.key, columns[p]) for p in Party}
    yield deal_tag(prg, demand.key, {p.other: weights[p] for p in Party})

    def deal(key: int, size: int) -> Dealt:
        matrix = {p: prg[p].words(Purpose.MATRIX, key, columns[p] * size).reshape(columns[p], size).T for p in Party}
        offset = forward(matrix[Party.GRID], weights[Party.GRID]) + forward(matrix[Party.BANK], weights[Party.BANK])
        return deal_truncation(prg, key, offset << SCORE_SPARE, SCORE_SCALE - demand.bits)

    several = within(workers, 8 * min(demand.rows, MATRIX_BLOCK) * sum(columns.values()))
    yield from in_order((partial(deal, key, rows.stop - rows.start) for key, rows in demand.blocks()), several)
