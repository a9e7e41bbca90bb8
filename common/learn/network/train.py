"""Training a network on both parties' columns without either seeing the other's. PROTOCOL.md section 15."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from common.disk.scratch import Scratch
from common.learn.diary import Diary, Forgetful
from common.learn.network.course import Course
from common.learn.network.deal import NetworkDemand
from common.learn.network.deal_stopping import EpochDemand
from common.learn.network.descent import NetworkDescent, Path, State, ahead_of, share_point
from common.learn.network.scales import AHEAD, Scales
from common.learn.network.steps import epoch_steps, fit_rows, make_steps, momentum, rest_limit
from common.learn.network.stopping import Stopping, held_loss
from common.learn.network.units import Seat
from common.learn.network.weights import Weights, begin
from common.mpc.arrived import check_arrived
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals, Words
from common.mpc.product import Rows, share_rows
from common.mpc.session import Session
from common.party import Party
from common.plan.network import Network


@dataclass(frozen=True, repr=False)
class TrainingInputs:
    """One party's part of a training.

    own: prepared training rows, int32 (n, m_own) at X_SCALE, perhaps with zeros to spare. data: rows and columns of it that are
    none, and the other's columns that are none. label: (n,) of 0.0 and 1.0; None at the grid, which has none.
    """

    section: Network
    own: Rows
    other_columns: int
    label: Reals | None
    data: tuple[int, int, int]

    def sizes(self, party: Party) -> tuple[int, int, int]:
        """Rows, the grid's columns and the bank's: of what the dealer is asked for, the same at both parties."""
        rows, columns = self.own.shape
        return (rows, columns, self.other_columns) if party is Party.GRID else (rows, self.other_columns, columns)


@dataclass(frozen=True, repr=False)
class Found:
    """This party's shares of all weights, and how many steps it took."""

    weights: Weights
    steps: int


async def train(
    session: Session,
    correlations: Correlations,
    inputs: TrainingInputs,
    scratch: Scratch | None = None,
    diary: Diary | None = None,
) -> Found:
    """Shares of all weights, none of which is opened. What does not fit in memory goes to `scratch`.

    In the end the bank is told a few coarse combinations of how far all steps moved, by which it sees whether a wrong message
    spoilt them. The training goes on where the diary begins, with fresh masks for what is left of it.
    """
    section, room, party = inputs.section, scratch or Scratch(), session.party
    rows, own, other = inputs.data
    steps = list(make_steps(section, inputs.own.shape[0], rows))
    first = begin(section.seed, party, own, other, section.hidden, None if inputs.label is None else inputs.label[:rows])
    early = section.early_stop is not None
    course = Course(diary or Forgetful(), len(steps), party, first, early)
    if (last := course.through) is not None:
        counted = course.array("taken")
        return Found(last, len(steps) if counted is None else int(counted[0]))
    sizes, epoch = inputs.sizes(party), course.first // epoch_steps(section, inputs.own.shape[0])
    demand = EpochDemand(epoch, *sizes) if early else NetworkDemand(*sizes, course.first)
    seat = Seat(session, correlations, await correlations.source(demand))
    theirs = await share_rows(
        session, correlations, inputs.own, inputs.other_columns, lambda shape: cast(Rows, room.empty(shape, np.uint64))
    )
    label = None if inputs.label is None else inputs.label.astype(np.uint8)
    descent = NetworkDescent(seat, inputs.own, theirs, section.link, label)
    path = Path(session, correlations, steps, momentum(section), course)
    now, before = ((course.of(name) or first).widened(inputs.own.shape[1], inputs.other_columns) for name in ("now", "before"))
    state = State(now, before, course.moved)
    if early:
        held = slice(fit_rows(section, rows), rows)
        scales = Scales.of_loss(held.stop - held.start, section.activation)

        async def look(number: int, weights: Weights) -> Words:
            ahead = ahead_of(weights)
            point = await share_point(session, correlations, number, ahead)
            return await held_loss(descent, section.activation, number, held, ahead, point, scales, held.stop - held.start)

        async def order(number: int) -> None:
            await correlations.order(EpochDemand(number, *sizes))

        wide = inputs.own.shape[1], inputs.other_columns
        stopping = Stopping(section, seat, path, rows, wide, scales, descent.whole, look, order)
        state, found, taken = await stopping.run(state)
    else:
        state, taken = await path.run(slice(course.first, None), state, descent.whole), len(steps)
        found = state.now
    session.settled = await check_arrived(session, state.moved, AHEAD, rest_limit(steps[:taken], own + other))
    await course.finish(found, taken)
    return Found(found.narrowed(own, other), taken)
