"""What the dealer deals for a network of several banks: what each line pulls, and the turns of the weights for all.

PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from common.errors import PeerProtocolError
from common.learn.layout import LineDemand
from common.learn.network.deal import deal_pull, deal_turn, mask_matrices
from common.learn.network.layout import NetworkLayout
from common.mpc.dealer import both
from common.mpc.prg import Purpose
from common.mpc.several.dealer import AtGrid, Masks, Tagged, deal_sum, on_line, to_all
from common.mpc.several.hub import training_sum
from common.plan.network import Network

START, FIRST_STEP = 0, 1  # places of a training's sums


def deal_network(masks: Masks, asked: Sequence[LineDemand], section: Network, memory: int) -> Iterator[Tagged]:
    """All that the training consumes. Raises PeerProtocolError for lines that do not fit. memory: of all lines together."""
    layout, lines = NetworkLayout.of(asked), range(len(asked))
    steps, first = [layout.steps(section, demand.rows) for demand in asked], asked[0].first
    if not 0 <= first < len(steps[0]):
        raise PeerProtocolError("the parties ask for a training from a step that it has not", got=first)
    columns = layout.grid, layout.own
    matrices = [mask_matrices(masks.lines[k], asked[k].rows, columns, memory // len(asked)) for k in lines]
    if not first:
        yield deal_sum(masks, training_sum(START), layout.banks)
    for place, step in enumerate(steps[0][first:], first):
        output = both(masks.hub, Purpose.OUTPUT_WEIGHTS, place, section.hidden)
        lacks = np.zeros(layout.count(section.hidden), np.uint64)
        for k in lines:
            lacking = yield from on_line(k, deal_pull(masks.lines[k], steps[k][place], section, matrices[k], output))
            lacks[: len(lacking)] += lacking
        yield deal_sum(masks, training_sum(FIRST_STEP + place), len(lacks))
        turn = deal_turn(masks.hub, step, lacks, output, layout.banks, AtGrid())
        yield from (to_all(len(asked), dealt) for dealt in turn)
