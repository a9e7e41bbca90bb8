"""Training the linear model on the rows of several banks: every line runs its steps, and the weights turn for all at once.

The grid holds one share of all weights, each bank the same other one. PROTOCOL.md section 16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from common.disk.scratch import Scratch
from common.learn.diary import Diary, Forgetful
from common.learn.linear.course import Course
from common.learn.linear.deal_several import ACROSS, FIRST_STEP, START
from common.learn.linear.descent import Descent
from common.learn.linear.joint import Operand, correlation, joint_of
from common.learn.linear.layout import Layout
from common.learn.linear.path import REST_SCALE, Blocks, Moved, Path, Step, matrix_width
from common.learn.linear.products import Dealt
from common.learn.linear.steps import rest_limit
from common.learn.linear.train import tagged_last
from common.mpc.arrived import check_arrived, combinations
from common.mpc.beside import side_by_side
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import JOINT_SCALE, WEIGHT_SCALE, Reals, Words, encode
from common.mpc.product import Matrices, Rows, share_matrices
from common.mpc.session import Session
from common.mpc.several.hub import Hub, training_sum
from common.mpc.tags import Tagged
from common.party import Party
from common.plan.linear import Model


@dataclass(frozen=True, repr=False)
class Line:
    """One bank's rows as one of the two that work on them holds them; number: the bank's place in the plan.

    own: whitened training rows, int32 (n, m_own) at X_SCALE. own_ridge: (m_own, m_own) at RIDGE_SCALE. label: at the bank.
    """

    number: int
    session: Session
    correlations: Correlations
    own: Rows
    own_ridge: Words
    label: Reals | None = None


@dataclass(frozen=True, repr=False)
class Ended:
    """This end's share of all weights, (m,) at WEIGHT_SCALE, the grid's first; lines: of each line's other block, with tags."""

    weights: Words
    lines: Sequence[Tagged]


async def train_several(
    hub: Hub,
    lines: Sequence[Line],
    layout: Layout,
    model: Model,
    start: Reals,
    gain: float,
    scratch: Scratch | None = None,
    diary: Diary | None = None,
) -> Ended:
    """Trains, and leaves this end's share of all weights.

    lines: at a bank its own; at the grid those of all banks, in order. start: what this end brings to where the weights
    begin, (m,); of all ends it is the sum. gain: of `gain.secret_gain`, the same at each bank, and at the grid 0.
    The training goes on where the diary begins, the same at all ends, with fresh masks for what is left of it.
    """
    party, room = hub.session.party, scratch or Scratch()
    steps = {line.number: layout.steps(model, line.own.shape[0]) for line in lines}
    every, nothing = layout.course(model), np.zeros(0, np.uint64)
    course = Course(diary or Forgetful(), len(every), layout.columns, 0)  # all weights as own ones: this end's share of each
    if (last := course.through) is not None:
        return Ended(last[0], course.held)
    begun = await side_by_side(_begin(line, layout, model, room, course.first) for line in lines)
    descents, matrices = [descent for descent, _ in begun], [held for _, held in begun]
    if course.first:
        weights, ahead = course.of("weights")[0], course.of("ahead")[0]
    else:
        weights, ahead = await hub.shared(training_sum(START), encode(start, WEIGHT_SCALE)), None
    joint = await _joint(hub, lines, matrices, layout, gain) if model.joint else None

    async def keep(step: Step, weights: Words, ahead: Words) -> None:
        kept = {"own_weights": weights, "other_weights": nothing, "own_ahead": ahead, "other_ahead": nothing}
        await course.after(step.number, step.rows * layout.columns, **kept)

    async def swept(line: Line, descent: Descent, number: int, ahead: Words) -> Words:
        places = layout.places(line.number)
        blocks = Blocks.zero(*descent.products.columns).split(party, ahead[places])
        return await descent.pulled(steps[line.number][number], blocks)

    async def pull(step: Step, ahead: Words) -> Words:
        sweeps = [swept(line, descent, step.number, ahead) for line, descent in zip(lines, descents, strict=True)]
        total = np.zeros((*step.parts, layout.columns), np.uint64)
        for line, found in zip(lines, await side_by_side(sweeps), strict=True):
            total[..., layout.places(line.number)] += found
        return (await hub.shared(training_sum(FIRST_STEP + step.number), total.ravel())).reshape(total.shape)

    path = Path(hub.spoken, hub.correlations, layout.grid, joint)
    if model.joint:
        weights, ahead = await path.hidden(weights, ahead)
    found = await path.run(every, weights, pull, begin=course.first, ahead=ahead, keep=keep)
    rest = rest_limit(model, every, len(found.weights))
    sums = combinations(found.resting, found.opened.tobytes())
    lines[0].session.settled = await check_arrived(hub.spoken, sums, REST_SCALE, rest)
    held = [await _tagged(line, layout, every[-1].number, found) for line in lines]
    await course.finish(found.weights, nothing, *held)
    return Ended(found.weights, held)


async def _begin(line: Line, layout: Layout, model: Model, room: Scratch, first: int) -> tuple[Descent, Matrices]:
    await line.correlations.order(layout.demand(line.own.shape[0], first))
    other = layout.common + 1 if line.session.party is Party.GRID else layout.grid
    label = None if line.label is None else line.label.astype(np.uint8)
    link = model.make_link()
    width = matrix_width(layout.steps(model, line.own.shape[0]), link)

    def place(shape: tuple[int, int]) -> Rows:
        return cast(Rows, room.empty(shape, np.uint64))

    matrices = await share_matrices(line.session, line.correlations, line.own, line.own_ridge, other, place, width)
    products = Dealt(line.session, line.correlations, matrices, link, known=model.joint)
    return Descent(line.session, line.correlations, products, link, label), matrices


async def _joint(hub: Hub, lines: Sequence[Line], matrices: Sequence[Matrices], layout: Layout, gain: float) -> Operand:
    """The matrix that takes the correlation of the grid's columns and all banks' out of each gradient."""
    total, sample = np.zeros((layout.grid, layout.bank), np.uint64), layout.sample(matrices[0].width)
    for line, held in zip(lines, matrices, strict=True):
        work = partial(correlation, line.session.party, line.correlations, held, sample)
        total[layout.across(line.number)] += await line.session.compute(work, math.prod(line.own.shape))
    shared = await hub.shared(training_sum(ACROSS), (total * sample.factor(layout.taken)).ravel())
    scale = sample.scale(layout.taken, layout.taken)
    gained = encode(gain, JOINT_SCALE)
    return await joint_of(hub.spoken, hub.correlations, shared.reshape(total.shape), sample.shift, scale, gained)


async def _tagged(line: Line, layout: Layout, number: int, last: Moved) -> Tagged:
    """One line's shares with tags, which are between its two parties as with one bank."""
    grid, bank = slice(layout.grid), layout.grid + layout.bank_places(line.number)
    return await tagged_last(line.correlations, line.session.party, number, last, grid, bank)
