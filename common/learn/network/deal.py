"""What the dealer deals for a network: each training step, and each scoring, run on the masks alone. PROTOCOL.md section 15."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from common.errors import PeerProtocolError, PlanError
from common.learn.network.activations import DEAL, NAMES, sign_words, tables
from common.learn.network.descent import cut_number, shifts
from common.learn.network.scales import FINAL, WEIGHT, Scales
from common.learn.network.steps import LOSS, Step, count_steps, epoch_steps, first_compared, fit_rows, make_spans, make_steps
from common.mpc.compare.masks import dealt_words
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.correlations.dealt import MaskRows, dealt_tables, matrix_mask
from common.mpc.dealer import Dealt, Parts, Prgs, angles, both, deal_link, deal_truncation, mask_parts
from common.mpc.fixedpoint import Words, top32
from common.mpc.prg import Purpose
from common.mpc.product import backward_units, forward_units
from common.mpc.session import Kind, Round
from common.party import Party
from common.plan.network import Network
from common.plan.predeal import PredealPlan
from common.plan.request import Request
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan

MOST_SCORINGS, MOST_ROWS, MOST_COLUMNS, MOST_UNITS = 256, 1 << 31, 100_000, 128
_FIRST, _BLOCK_BITS = 1 << 48, 24  # above every number of a training, as for the linear model
Matrices = Mapping[Party, Words | MaskRows]  # what hides each party's, (n, m)
CELLS = 1 << 19  # rows times units that are scored together


@dataclass(frozen=True)
class NetworkDemand:
    """Asks the dealer for all that a training of a network consumes from step `first` on; the plan says the rest."""

    rows: int
    grid_columns: int
    bank_columns: int
    first: int = 0


def fits_a_network(rows: int, columns: tuple[int, int], units: int, activation: int) -> bool:
    """Whether a network of these sizes is scored by; columns: the grid's and the bank's."""
    sizes = 0 < rows <= MOST_ROWS and all(0 < count <= MOST_COLUMNS for count in columns)
    return sizes and 0 < units <= MOST_UNITS and 0 <= activation < len(NAMES)


@dataclass(frozen=True)
class NetworkScoreDemand:
    """Asks the dealer for the scoring of `rows` rows by a network of so many units, in steps of 2^-bits log-odds.

    activation: its place in `activations.NAMES`.
    """

    number: int
    rows: int
    grid_columns: int
    bank_columns: int
    units: int
    bits: int
    activation: int = 0

    @property
    def fits(self) -> bool:
        """Whether the numbers are ones that are scored with."""
        known = fits_a_network(self.rows, (self.grid_columns, self.bank_columns), self.units, self.activation)
        return known and 0 <= self.number < MOST_SCORINGS and 0 <= self.bits <= 20

    @property
    def key(self) -> int:
        """The number under which the first mask of this scoring is expanded; those of its blocks follow."""
        return _FIRST | self.number << _BLOCK_BITS

    @property
    def block_rows(self) -> int:
        """Rows that are masked and scored together."""
        return min(MATRIX_BLOCK, CELLS // self.units)

    @property
    def shift(self) -> int:
        """By how many bits u is cut to steps of 2^-bits."""
        return self.scales.output - self.bits

    @property
    def name(self) -> str:
        """The activation's."""
        return NAMES[self.activation]

    @property
    def scales(self) -> Scales:
        """How units are looked up when rows are scored."""
        return Scales.of_scores(self.name)

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """The key and the rows of each block."""
        for block, low in enumerate(range(0, self.rows, self.block_rows)):
            yield self.key | block, slice(low, min(self.rows, low + self.block_rows))

    def arrays(self, party: Party) -> Iterator[tuple[Round, tuple[int, ...]]]:
        """Label and shape of each array that a party is dealt for it."""
        for key, rows in self.blocks():
            count = rows.stop - rows.start
            yield from unit_arrays(self.name, party, key, count * self.units, trained=False)
            yield Round(Kind.DEALT_TRUNCATION, key), (count,)


def section_of(plan: Request) -> Network:
    """The plan's section of a network. Raises PlanError for a plan that trains none."""
    if isinstance(plan, TrainPlan | PredealPlan | SeveralPlan) and isinstance(plan.model, Network):
        return plan.model
    raise PlanError("this job trains no network")


def unit_arrays(
    activation: str, party: Party, number: int, cells: int, *, trained: bool
) -> Iterator[tuple[Round, tuple[int, ...]]]:
    """Label and shape of each array that a party is dealt for so many units times rows."""
    if (words := sign_words(activation, party, cells)) is not None:
        yield Round(Kind.DEALT_DIGITS, number), (words,)
    yield Round(Kind.DEALT_HIDDEN, number), (tables(activation, party, trained=trained), cells)


def training_arrays(party: Party, section: Network, demand: NetworkDemand) -> Iterator[tuple[Round, tuple[int, ...]]]:
    """Label and shape of each array of words that a training is dealt, as it is used; at most, if it may end early."""
    units, count = section.hidden, len(dealt_tables(section.link, party))
    block = (demand.grid_columns + demand.bank_columns) * units
    every = epoch_steps(section, demand.rows)
    for step in islice(make_steps(section, demand.rows), demand.first, None):
        for span in step.spans(units):
            yield from unit_arrays(section.activation, party, span.number, span.rows * units, trained=True)
            yield Round(Kind.DEALT_LINK, span.number), (count, span.rows)
        yield Round(Kind.DEALT_TRUNCATION, cut_number(step.number)), (block + units + 1,)
        yield Round(Kind.DEALT_CUT, cut_number(step.number)), (1, block)
        yield Round(Kind.DEALT_TRUNCATION, step.number), (block + units + 1,)
        if section.early_stop is not None and (step.number + 1) % every == 0:
            yield from _loss_arrays(party, section, demand.rows, step.number // every)


def _loss_arrays(party: Party, section: Network, rows: int, epoch: int) -> Iterator[tuple[Round, tuple[int, ...]]]:
    """The same of what an epoch's loss takes, and of its comparison with the least before."""
    number, units, first = LOSS | epoch, section.hidden, first_compared(section, rows)
    if epoch < first:
        return
    if party is Party.GRID:
        yield Round(Kind.DEALT_CUT, number), (1,)
    for span in make_spans(number, fit_rows(section, rows), rows, units):
        yield from unit_arrays(section.activation, party, span.number, span.rows * units, trained=False)
        yield Round(Kind.DEALT_LINK, span.number), (len(dealt_tables(section.link, party)), span.rows)
    if epoch > first:
        yield Round(Kind.DEALT_DIGITS, number), (dealt_words(1, party),)


def deal_training(prg: Prgs, demand: NetworkDemand, plan: Request, memory: int) -> Iterator[Dealt]:
    """All that the training of `plan` consumes. Raises PlanError for a plan that trains no network."""
    section = section_of(plan)
    if section.early_stop is not None:
        raise PeerProtocolError("a training that may end early is dealt by epochs", got=demand)
    if not 0 <= demand.first < count_steps(section, demand.rows):
        raise PeerProtocolError("the parties ask the dealer for steps that there are not", got=demand.first)
    matrix = mask_matrices(prg, demand.rows, (demand.grid_columns, demand.bank_columns), memory)
    for step in islice(make_steps(section, demand.rows), demand.first, None):
        yield from deal_step(prg, step, section, matrix)


def mask_matrices(prg: Prgs, rows: int, columns: tuple[int, int], memory: int) -> Matrices:
    """What hides the grid's matrix and the bank's, of so many columns each: in so many bytes of memory, or made where read."""
    mask = matrix_mask if 8 * rows * sum(columns) <= memory else MaskRows
    return {party: mask(prg[party], rows, count) for party, count in zip(Party, columns, strict=True)}


def deal_step(prg: Prgs, step: Step, section: Network, matrix: Matrices) -> Iterator[Dealt]:
    """What one step consumes."""
    output = both(prg, Purpose.OUTPUT_WEIGHTS, step.number, section.hidden)
    lacks = yield from deal_pull(prg, step, section, matrix, output)
    yield from deal_turn(prg, step, np.append(lacks, np.uint64(0)), output, 1, Parts())


def deal_pull(prg: Prgs, step: Step, section: Network, matrix: Matrices, output: Words) -> Generator[Dealt, None, Words]:
    """What the rows of one step consume; returns what the parties' sums lack: of both blocks, then the output's weights.

    output: what hides the output weights, (units,).
    """
    units, number = section.hidden, step.number
    columns = {p: matrix[p].shape[1] for p in Party}
    weights = block_masks(prg, number, columns, units)
    lacks = {p: np.zeros((columns[p], units), np.uint64) for p in Party}
    lacking, bits = np.zeros(units, np.uint64), section.link.spans(step.scales.output)
    for span in step.spans(units):
        rows = {p: matrix[p][span.slice] for p in Party}
        offset = forward_units(rows[Party.GRID], weights[Party.GRID]) + forward_units(rows[Party.BANK], weights[Party.BANK])
        hide = both(prg, Purpose.RESIDUAL, span.number, span.rows)
        later = yield from DEAL[section.activation](prg, span.number, offset, output, hide, step.scales)
        a = angles(prg, span.number, top32(later.u, bits))
        yield deal_link(prg, section.link, span.number, a, step.scales.table)
        lacking += later.output
        for p in Party:
            back = prg[p.other].words(Purpose.BACK, span.number, units * span.rows).reshape(units, span.rows)
            lacks[p] += backward_units(rows[p], back)
    return np.concatenate([lacks[Party.GRID].ravel(), lacks[Party.BANK].ravel(), lacking])


def deal_turn(prg: Prgs, step: Step, lacks: Words, output: Words, intercepts: int, parts: Parts) -> Iterator[Dealt]:
    """What turns a step's pull into weights. lacks: what shares of it lack, (L,), `intercepts` of the output's last.

    parts: how the parts of masks are shared.
    """
    units, cut = len(output), cut_number(step.number)
    block = len(lacks) - units - intercepts
    lift, shift = shifts(step.scales, block, units, intercepts)
    held, times = mask_parts(prg, cut, lacks << lift, shift), np.tile(output, block // units)
    yield parts.share(prg, cut, *held)
    yield parts.halves(prg, Kind.DEALT_CUT, Purpose.CUT, cut, [values[:block] * times for values in held])
    yield parts.deal(prg, step.number, np.zeros(len(lacks), np.uint64), FINAL - WEIGHT)


def block_masks(prg: Prgs, number: int, columns: dict[Party, int], units: int) -> dict[Party, Words]:
    """What hides each party's block of weights, (m, units): the other's mask, since that hides its share of them."""
    return {p: prg[p.other].words(Purpose.WEIGHTS, number, columns[p] * units).reshape(columns[p], units) for p in Party}


def deal_scores(prg: Prgs, demand: NetworkScoreDemand) -> Iterator[Dealt]:
    """What each block of rows consumes: the units' tables, the truncation of u. Raises PeerProtocolError for other sizes."""
    if not demand.fits:
        raise PeerProtocolError("the parties ask the dealer for a scoring of no size", got=demand)
    columns, units = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}, demand.units
    weights = block_masks(prg, demand.key, columns, units)
    output = both(prg, Purpose.OUTPUT_WEIGHTS, demand.key, units)
    for key, rows in demand.blocks():
        count = rows.stop - rows.start
        offset = np.zeros((units, count), np.uint64)
        for p in Party:
            hide = prg[p].words(Purpose.MATRIX, key, columns[p] * count).reshape(columns[p], count).T
            offset += forward_units(hide, weights[p])
        later = yield from DEAL[demand.name](prg, key, offset, output, None, demand.scales)
        yield deal_truncation(prg, key, later.u, demand.shift)
