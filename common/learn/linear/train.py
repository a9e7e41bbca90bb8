"""Training on both parties' columns without either seeing the other's. PROTOCOL.md sections 3 to 6."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np

from common.disk.scratch import Scratch
from common.learn.diary import Diary, Forgetful
from common.learn.linear.course import Course
from common.learn.linear.deal import TrainingDemand
from common.learn.linear.descent import Descent
from common.learn.linear.hessian import Table, nearer, share_quadratic
from common.learn.linear.joint import Operand, Sample, joint_matrix, joint_of
from common.learn.linear.lane import LEARNER, Runs, about
from common.learn.linear.made import MadeAhead
from common.learn.linear.path import REST_SCALE, Arrived, Blocks, Moved, Step, matrix_width
from common.learn.linear.products import Dealt
from common.learn.linear.quadratic import Inputs
from common.learn.linear.reveal import reveal_weights, tell_weights
from common.learn.linear.steps import is_quadratic, lanes_of, make_steps, rest_limit
from common.learn.linear.unaided import CommittedShares, train_unaided
from common.learn.linear.undealt import Undealt, share_undealt
from common.mpc.abreast import Runner, Spread, spread_of
from common.mpc.arrived import check_arrived, combinations
from common.mpc.beside import ending
from common.mpc.correlations.asked import Correlations, Places
from common.mpc.fixedpoint import JOINT_SCALE, WEIGHT_SCALE, X_SCALE, Reals, Words, decode, encode
from common.mpc.link import Labels, Link
from common.mpc.lockstep import Exchanges
from common.mpc.product import Rows, share_matrices
from common.mpc.session import Session
from common.mpc.tags import Tagged
from common.mpc.truncate import tagged
from common.party import Party
from common.plan.linear import Model

_FIT_PASSES = 8  # over the bank's columns, by its own fit


@dataclass(frozen=True, repr=False)
class Shares:
    """Shares of the final whitened weights at WEIGHT_SCALE: of the own block, (m_own,), and of the other's, (m_other,).

    tagged: the latter with their tags, and what tells whether the other party's of the own block are what they were.
    """

    own: Words
    tagged: Tagged

    @property
    def other(self) -> Words:
        return self.tagged.words


@dataclass(frozen=True, repr=False)
class TrainingInputs:
    """One party's part of a training.

    own: whitened training rows, int32 (n, m_own) at X_SCALE. own_ridge: the ridge on them, (m_own, m_own) at RIDGE_SCALE.
    start: where own weights begin, (m_own,). label: (n,) of 0.0 and 1.0; None at the grid, which has none.
    data_rows: how many rows come first that are data, if the others are zeros; None: all. ones: whether the bank's last
    column is of ones; else it is one of the zeros that fill a stock.
    gain: what the steps are multiplied by, in secret; the bank says it, and the grid 0. fitted: what tells it by a fit of its
    own, `gain.secret_gain`, which goes on beside the first messages; None: as `gain` says. made: a stock, where nobody deals.
    """

    model: Model
    own: Rows
    own_ridge: Words
    other_columns: int
    start: Reals
    label: Reals | None
    data_rows: int | None = None
    ones: bool = True
    gain: float = 0.0
    fitted: Callable[[], float] | None = None
    made: MadeAhead | None = None

    def secret_gain(self) -> Words:
        """This party's share of the gain, a word at JOINT_SCALE; takes as long as the fit."""
        return encode(self.gain if self.fitted is None else self.fitted(), JOINT_SCALE)

    def last_column(self) -> Words:
        """The bank's last column, (n,) at X_SCALE, as both parties know it."""
        column: Words = np.zeros(self.own.shape[0], np.uint64)
        if self.ones:
            column[: self.data_rows] = 1 << X_SCALE
        return column

    def demand(self, party: Party) -> TrainingDemand:
        """What the dealer is asked for, the same at both parties."""
        rows, columns = self.own.shape
        grid, bank = (columns, self.other_columns) if party is Party.GRID else (self.other_columns, columns)
        return TrainingDemand(rows, grid, bank)


async def train(
    session: Session,
    correlations: Correlations,
    inputs: TrainingInputs,
    scratch: Scratch | None = None,
    diary: Diary | None = None,
) -> Reals | Shares | CommittedShares:
    """This party's own weights on whitened columns, (m_own,), rounded as the plan says; nothing else is opened.

    Of a plan that keeps the model closed, this party's shares of all weights, and nothing is opened. What does not fit in
    memory goes to `scratch`. The training goes on where the diary begins, with fresh masks for what is left of it.
    """
    model, room = inputs.model, scratch or Scratch()

    def place(shape: tuple[int, int]) -> Rows:
        return cast(Rows, room.empty(shape, np.uint64, rows=True))

    rows, columns = inputs.own.shape
    steps, link = make_steps(model, rows, columns + inputs.other_columns, inputs.data_rows), model.make_link()
    course = Course(diary or Forgetful(), len(steps), inputs.own.shape[1], inputs.other_columns)
    if model.undealt:
        parts = Inputs(inputs.own, inputs.own_ridge, inputs.other_columns, inputs.label, steps[0].size)
        return await train_unaided(session, model, parts, inputs.start, course, place, inputs.made)
    if (last := course.through) is not None:
        return await _told(session, model, *last, course.held[0] if model.closed else None)
    spread = spread_of(correlations)
    lanes = lanes_of(model, steps, spread.most) if spread is not None else 0
    await correlations.order(replace(inputs.demand(session.party), first=course.first, lanes=lanes))
    # The bank's fit needs no message, and none before the joint matrix needs it.
    gained = session.begin(inputs.secret_gain, 0 if inputs.fitted is None else _FIT_PASSES * rows * columns)
    with ending([gained]):
        if spread is None or not lanes:
            return await _descended(session, correlations, inputs, steps, link, course, place, gained)
        apart = partial(_opened, spread, inputs, lanes)
        return await _descended(session, correlations, inputs, steps, link, course, place, gained, apart)


def _opened(
    spread: Spread, inputs: TrainingInputs, lanes: int, masked: Rows, labels: Labels | None
) -> AbstractAsyncContextManager[Sequence[Runner]]:
    """The runs of rows of a training, begun. masked: of `Matrices`."""
    arrays: dict[str, Any] = {"own": inputs.own, "masked": masked}
    if labels is not None:
        arrays["label"] = labels
    told = about(inputs.model, inputs.own.shape, inputs.other_columns, inputs.data_rows, lanes)
    return spread.opened(LEARNER, told, arrays, lanes)


async def _descended(
    session: Session,
    correlations: Correlations,
    inputs: TrainingInputs,
    steps: list[Step],
    link: Link,
    course: Course,
    place: Callable[[tuple[int, int]], Rows],
    gained: Awaitable[Words],
    apart: Callable[[Rows, Labels | None], AbstractAsyncContextManager[Sequence[Runner]]] | None = None,
) -> Reals | Shares:
    """The same of a training that is dealt, or half of it. gained: of `TrainingInputs.secret_gain`.

    apart: opens its runs of rows, of the other's masked matrix and the labels; None: spans are swept here.
    """
    model, label = inputs.model, inputs.label
    mine = inputs.own, inputs.own_ridge, inputs.other_columns
    data_rows = inputs.own.shape[0] if inputs.data_rows is None else inputs.data_rows
    if is_quadratic(model, inputs.own.shape[0]):
        table = Table(*mine, label, steps[0].size, data_rows)
        quadratic = await share_quadratic(session, correlations, table, await gained)
        begin = Blocks(encode(nearer(inputs.start), WEIGHT_SCALE), np.zeros(inputs.other_columns, np.uint64))
        found, coin = await quadratic.descend(steps, begin, course)
        return await _ended(session, correlations, inputs, steps, course, found, coin)
    products: Dealt | Undealt
    if model.dealer == "half":
        products = await share_undealt(session, *mine, link, place)
    else:
        width = matrix_width(steps, link)
        matrices = await share_matrices(session, correlations, *mine, place, width, inputs.last_column())
        products = Dealt(session, correlations, matrices, link, known=model.joint)
    labels = None if label is None else label.astype(np.uint8)
    descent, first = Descent(session, correlations, products, link, labels, course), encode(inputs.start, WEIGHT_SCALE)
    if model.weights == "owned":
        return await _told(session, model, await descent.owned(steps, first), np.zeros(0, np.uint64), None)

    async def joint(rounds: Exchanges) -> Operand:
        if isinstance(products, Dealt):
            return await joint_matrix(rounds, correlations, products.matrices, data_rows, await gained)
        demand = inputs.demand(session.party)
        sample = Sample(demand.rows, demand.grid_columns, demand.bank_columns)
        scale = sample.scale(sample.taken(demand.rows), sample.taken(data_rows))
        return await joint_of(rounds, correlations, await products.across(sample), sample.shift, scale, await gained)

    if apart is None:
        found = await descent.shared(steps, first, joint if model.joint else None)
    else:
        assert isinstance(products, Dealt)  # noqa: S101  (see `lanes_of`)
        async with apart(products.matrices.masked, labels) as runners:
            found = await replace(descent, abreast=(runs := Runs(runners))).shared(steps, first, joint if model.joint else None)
            await runs.enter(session)
    return await _ended(session, correlations, inputs, steps, course, found, found.last.opened.tobytes())


async def _ended(
    session: Session,
    correlations: Correlations,
    inputs: TrainingInputs,
    steps: list[Step],
    course: Course,
    found: Arrived,
    coin: bytes,
) -> Reals | Shares:
    """What a party holds in the end, after what is checked then. coin: as `combinations` has it."""
    model = inputs.model
    moved, rest = found.last, rest_limit(model, steps, len(found.last.weights))
    sums = combinations(moved.resting, coin)
    session.settled = await check_arrived(session, sums, REST_SCALE, rest)
    if model.closed:
        columns, number = inputs.demand(session.party).grid_columns, steps[-1].number
        held = await tagged_last(correlations, session.party, number, moved, slice(columns), slice(columns, None))
        await course.finish(found.own.words, found.other.words, held)
        return Shares(found.own.words, held)
    return await reveal_weights(session, correlations, len(steps), found.own, found.other, model.weight_bits, course.finish)


async def tagged_last(correlations: Correlations, party: Party, number: int, last: Moved, grid: Places, bank: Places) -> Tagged:
    """The shares that the last step left, number `number`, with tags. grid, bank: whose weights stand where among all."""
    own, other = (grid, bank) if party is Party.GRID else (bank, grid)
    dealt = await correlations.share_tags(number, last.part, own, other)
    return tagged(dealt, last.opened, last.shift, own, other)


async def _told(session: Session, model: Model, own: Words, other: Words, held: Tagged | None) -> Reals | Shares:
    """What a party holds in the end, of what it has after the last step."""
    if model.weights == "owned":
        unit = 2.0**-model.weight_bits
        weights: Reals = np.rint(decode(own, WEIGHT_SCALE) / unit) * unit
        return weights
    return await tell_weights(session, own, other, model.weight_bits) if held is None else Shares(own, held)
