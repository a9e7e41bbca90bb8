"""What the dealer deals for the linear model of several banks: each line's tables, and the turns of the weights for all.

PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from common.errors import PlanError
from common.learn.layout import LineDemand
from common.learn.linear.deal import Masks, Steering, Work
from common.learn.linear.layout import Layout
from common.learn.linear.path import matrix_width
from common.learn.linear.steps import check_first
from common.mpc.dealer import deal_tags
from common.mpc.several import dealer as several
from common.mpc.several.dealer import AtGrid, Tagged, deal_sum, on_line, to_all
from common.mpc.several.hub import training_sum
from common.party import Party
from common.plan.linear import Model
from common.plan.request import Request
from common.plan.several import SeveralPlan

START, ACROSS, FIRST_STEP = 0, 1, 2  # places of a training's sums


def deal_several(
    masks: several.Masks, asked: Sequence[LineDemand], plan: Request, memory: int, workers: int = 1
) -> Iterator[Tagged]:
    """All that the training consumes. Raises PlanError for another plan, PeerProtocolError for lines that do not fit.

    memory, workers: as `deal.Masks` has them, of all lines together.
    """
    if not isinstance(plan, SeveralPlan) or not isinstance(plan.model, Model):
        raise PlanError("this job does not train a linear model with several banks")
    layout, model, lines = Layout.of(asked), plan.model, range(len(asked))
    steps, first = [layout.steps(model, demand.rows) for demand in asked], asked[0].first
    course, each = layout.course(model), []
    check_first(course, first)
    for line, demand in enumerate(asked):
        columns = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}
        work = Work(steps[line], model.make_link(), demand.rows, columns, None, True, model.joint)
        each.append(Masks(masks.lines[line], work, memory // len(asked), workers))
    steering = Steering(masks.hub, {Party.GRID: layout.grid, Party.BANK: layout.bank}, parts=AtGrid())
    if model.joint:
        steering.known = True
        steering.begin()
    if not first:
        yield deal_sum(masks, training_sum(START), layout.columns)
    if model.joint:
        across = np.zeros((layout.grid, layout.bank), np.uint64)
        sample = layout.sample(matrix_width(steps[0], model.make_link()))
        for line in lines:
            across[layout.across(line)] += each[line].across(sample)
        yield deal_sum(masks, training_sum(ACROSS), across.size)
        matrix = steering.joint_matrix(across * sample.factor(layout.taken), sample.shift)
        yield from (to_all(len(asked), dealt) for dealt in matrix)
    for place, step in enumerate(course[first:], first):
        lacks = np.zeros((*step.parts, layout.columns), np.uint64)
        for line in lines:
            ahead = {Party.GRID: steering.ahead[Party.GRID], Party.BANK: steering.ahead[Party.BANK][layout.bank_places(line)]}
            swept = each[line].sweep(steps[line][place], ahead if model.joint else None)
            lacks[..., layout.places(line)] += yield from on_line(line, swept)
        yield deal_sum(masks, training_sum(FIRST_STEP + place), lacks.size)
        yield from (to_all(len(asked), dealt) for dealt in steering.moved(step, lacks))
    for line in lines:
        parts = steering.held(slice(layout.grid), layout.grid + layout.bank_places(line))
        tags = deal_tags(masks.lines[line], course[-1].number, parts)
        yield [(line, *one) for one in tags]
