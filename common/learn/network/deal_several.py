"""What the dealer deals for a network of several banks: what each line pulls, and the turns of the weights for all.

PROTOCOL.md sections 16 and 22.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from common.errors import PeerProtocolError
from common.learn.layout import LineDemand, LineEpochDemand
from common.learn.network.deal import Matrices, deal_pull, deal_turn, mask_matrices, section_of
from common.learn.network.deal_stopping import deal_gain, deal_loss
from common.learn.network.layout import NetworkLayout
from common.learn.network.scales import Scales
from common.learn.network.steps import LOSS, epoch_steps, first_compared
from common.mpc.dealer import both
from common.mpc.prg import Purpose
from common.mpc.several.dealer import AtGrid, Masks, Tagged, deal_sum, on_line, to_all
from common.mpc.several.hub import training_sum
from common.plan.network import Network
from common.plan.request import Request

START, FIRST_STEP = 0, 1  # places of a training's sums


def deal_network(masks: Masks, asked: Sequence[LineDemand], section: Network, memory: int) -> Iterator[Tagged]:
    """All that the training consumes. Raises PeerProtocolError for lines that do not fit. memory: of all lines together."""
    if section.early_stop is not None:
        raise PeerProtocolError("a training that may end early is dealt by epochs", got=asked[0])
    layout, first, rows = NetworkLayout.of(asked), asked[0].first, [demand.rows for demand in asked]
    if not 0 <= first < len(layout.steps(section, rows[0])):
        raise PeerProtocolError("the parties ask for a training from a step that it has not", got=first)
    yield from _deal_steps(masks, rows, section, layout, _matrices(masks, rows, layout, memory), slice(first, None))


def deal_epoch_of_all(masks: Masks, asked: Sequence[LineEpochDemand], plan: Request, memory: int) -> Iterator[Tagged]:
    """All that one epoch consumes of a training that may end early. Raises PlanError and PeerProtocolError as `deal_epoch`."""
    section, number = section_of(plan), asked[0].number
    if section.early_stop is None or not 0 <= number < section.epochs:
        raise PeerProtocolError("the parties ask the dealer for an epoch that there is not", got=number)
    layout, rows = NetworkLayout.of(asked), [demand.rows for demand in asked]
    matrices, count = _matrices(masks, rows, layout, memory), epoch_steps(section, layout.total)
    yield from _deal_steps(masks, rows, section, layout, matrices, slice(number * count, (number + 1) * count))
    if number < (first := first_compared(section, layout.total)):
        return
    key, scales = LOSS | number, Scales.of_loss(layout.averaged, section.activation)
    output = both(masks.hub, Purpose.OUTPUT_WEIGHTS, key, section.hidden)
    for k, own in enumerate(rows):
        held = layout.held(section, own)
        for dealt in deal_loss(masks.lines[k], key, held, section, matrices[k], output, scales):
            yield [(k, *one) for one in dealt]
    yield deal_sum(masks, training_sum(FIRST_STEP + key), 1)
    if number > first:
        yield to_all(len(asked), deal_gain(masks.hub, key, scales.loss_bits))


def _matrices(masks: Masks, rows: Sequence[int], layout: NetworkLayout, memory: int) -> list[Matrices]:
    """What hides both sides' rows on each line."""
    columns, each = (layout.grid, layout.own), memory // len(rows)
    return [mask_matrices(line, own, columns, each) for line, own in zip(masks.lines, rows, strict=True)]


def _deal_steps(
    masks: Masks, rows: Sequence[int], section: Network, layout: NetworkLayout, matrices: Sequence[Matrices], part: slice
) -> Iterator[Tagged]:
    """What these of the steps consume, and before the first one the start. rows: of each bank."""
    steps = [layout.steps(section, own) for own in rows]
    if not part.start:
        yield deal_sum(masks, training_sum(START), layout.banks)
    for place, step in list(enumerate(steps[0]))[part]:
        output = both(masks.hub, Purpose.OUTPUT_WEIGHTS, place, section.hidden)
        lacks = np.zeros(layout.count(section.hidden), np.uint64)
        for k, each in enumerate(steps):
            lacking = yield from on_line(k, deal_pull(masks.lines[k], each[place], section, matrices[k], output))
            lacks[: len(lacking)] += lacking
        yield deal_sum(masks, training_sum(FIRST_STEP + place), len(lacks))
        turn = deal_turn(masks.hub, step, lacks, output, layout.banks, AtGrid())
        yield from (to_all(len(rows), dealt) for dealt in turn)
