"""What the dealer deals for a training of a network that may end early: epoch by epoch. PROTOCOL.md section 22."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from common.errors import PeerProtocolError
from common.learn.network.activations import DEAL
from common.learn.network.deal import Matrices, block_masks, deal_step, mask_matrices, section_of
from common.learn.network.scales import Scales
from common.learn.network.steps import LOSS, epoch_steps, first_compared, fit_rows, make_spans, make_steps
from common.mpc.compare.dealer import deal_signs
from common.mpc.dealer import Dealt, Prgs, angles, both, deal_link
from common.mpc.fixedpoint import Words, top32
from common.mpc.prg import Purpose
from common.mpc.product import forward_units
from common.mpc.session import Kind, Round
from common.party import Party
from common.plan.network import Network
from common.plan.request import Request


@dataclass(frozen=True)
class EpochDemand:
    """Asks the dealer for epoch `number`, from 0 on, of a training that may end early: its steps, and what its loss takes."""

    number: int
    rows: int
    grid_columns: int
    bank_columns: int


def deal_epoch(prg: Prgs, demand: EpochDemand, plan: Request, memory: int) -> Iterator[Dealt]:
    """All that this epoch consumes. Raises PlanError for a plan that trains no network, PeerProtocolError for no such epoch."""
    section = section_of(plan)
    if section.early_stop is None or not 0 <= demand.number < section.epochs:
        raise PeerProtocolError("the parties ask the dealer for an epoch that there is not", got=demand.number)
    if fit_rows(section, demand.rows) < 1:
        raise PeerProtocolError(
            "the parties ask the dealer for an epoch over no rows", expected="at least two training rows", got=demand.rows
        )
    matrix = mask_matrices(prg, demand.rows, (demand.grid_columns, demand.bank_columns), memory)
    count, number = epoch_steps(section, demand.rows), LOSS | demand.number
    low = demand.number * count
    for step in islice(make_steps(section, demand.rows), low, low + count):
        yield from deal_step(prg, step, section, matrix)
    if demand.number < (first := first_compared(section, demand.rows)):
        return
    held = slice(fit_rows(section, demand.rows), demand.rows)
    scales = Scales.of_loss(held.stop - held.start, section.activation)
    yield from deal_loss(prg, number, held, section, matrix, both(prg, Purpose.OUTPUT_WEIGHTS, number, section.hidden), scales)
    if demand.number > first:
        yield deal_gain(prg, number, scales.loss_bits)


def deal_loss(
    prg: Prgs, number: int, rows: slice, section: Network, matrix: Matrices, output: Words, scales: Scales
) -> Iterator[Dealt]:
    """What the loss of these rows consumes: the sum of the squares of what hides residuals; of each span units and the link.

    output: what hides the output weights, (units,).
    """
    units = section.hidden
    weights = block_masks(prg, number, {p: matrix[p].shape[1] for p in Party}, units)
    spans = make_spans(number, rows.start, rows.stop, units)
    total = np.uint64(0) - prg[Party.BANK].words(Purpose.CUT, number, 1)
    for span in spans:
        hide = both(prg, Purpose.RESIDUAL, span.number, span.rows)
        total += (hide * hide).sum(keepdims=True)
    yield [(Party.GRID, Round(Kind.DEALT_CUT, number), total)]
    for span in spans:
        parts = [forward_units(matrix[p][span.slice], weights[p]) for p in Party]
        later = yield from DEAL[section.activation](prg, span.number, parts[0] + parts[1], output, None, scales)
        a = angles(prg, span.number, top32(later.u, section.link.spans(scales.output)))
        yield deal_link(prg, section.link, span.number, a, scales.table)


def deal_gain(prg: Prgs, number: int, bits: int) -> Dealt:
    """What it takes to compare a loss with the least before; bits: of the loss."""
    lack = np.uint64(0) - both(prg, Purpose.UNIT_SUMS, number, 1)
    return deal_signs(prg, number, top32(lack, bits))[0]
