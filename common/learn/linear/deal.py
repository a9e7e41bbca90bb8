"""What the dealer deals for training the linear model: each step run on the masks alone. PROTOCOL.md sections 3 to 6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.learn.linear.descent import CACHE_ROWS, Span, Step
from common.mpc.correlations import MaskRows, dealt_tables, matrix_mask, ridge_mask
from common.mpc.dealer import Dealt, Prgs, deal_truncation
from common.mpc.fixedpoint import UPDATE_SHIFT, WEIGHT_SCALE, Words, encode, top32
from common.mpc.link import Link
from common.mpc.prg import Purpose
from common.mpc.product import backward, forward
from common.mpc.session import Kind, Round
from common.party import Party

KEPT_BYTES = 1 << 30


@dataclass(frozen=True)
class TrainingDemand:
    """Asks the dealer for all that a training consumes; the plan says the rest."""

    rows: int
    grid_columns: int
    bank_columns: int


@dataclass(frozen=True)
class Work:
    """What a job's dealing depends on: all public. revealed_bits: the grid of the final weights, None for owned weights."""

    steps: list[Step]
    link: Link
    rows: int
    columns: dict[Party, int]
    revealed_bits: int | None


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
