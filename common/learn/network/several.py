"""Training a network on the rows of several banks: every line pulls with its rows, and the weights turn for all at once.

The grid holds one share of all weights, each bank the same other one. PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from common.disk.scratch import Scratch
from common.learn.diary import Diary, Forgetful
from common.learn.network.course import Course
from common.learn.network.deal_several import FIRST_STEP, START
from common.learn.network.descent import NetworkDescent, Path, State, ahead_of, share_output, share_point
from common.learn.network.layout import NetworkLayout
from common.learn.network.scales import AHEAD, WEIGHT, Scales
from common.learn.network.steps import Step, epoch_steps, momentum, rest_limit
from common.learn.network.stopping import Stopping, held_loss
from common.learn.network.train import Found
from common.learn.network.units import Output, Seat
from common.learn.network.weights import Weights
from common.mpc.arrived import check_arrived
from common.mpc.beside import side_by_side
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Reals, Words, encode
from common.mpc.product import Rows, share_rows
from common.mpc.session import Session
from common.mpc.several.hub import Hub, training_sum
from common.party import Party
from common.plan.network import Network


@dataclass(frozen=True, repr=False)
class NetworkLine:
    """One bank's rows as one of the two that work on them holds them; number: the bank's place in the plan.

    own: prepared training rows, int32 (n, m_own) at X_SCALE. label: at the bank.
    """

    number: int
    session: Session
    correlations: Correlations
    own: Rows
    label: Reals | None = None


async def train_several(
    hub: Hub,
    lines: Sequence[NetworkLine],
    layout: NetworkLayout,
    section: Network,
    start: Reals,
    scratch: Scratch | None = None,
    diary: Diary | None = None,
) -> Found:
    """This end's share of all weights, of which none is opened, and after how many steps.

    lines: at a bank its own; at the grid those of all banks, in order. start: what this end brings to where the output's
    intercepts begin, (banks,); of all ends it is the sum. The training goes on where the diary begins, the same at all ends,
    with fresh masks for what is left of it.

    A step has the rounds of one bank's, and two more: the output weights are shared with all banks at once, and what all pull
    is summed. So has an epoch's loss, where training may stop early.
    """
    party, room = hub.session.party, scratch or Scratch()
    steps = {line.number: layout.steps(section, line.own.shape[0]) for line in lines}
    every, first = steps[lines[0].number], layout.first(section, party)
    early = section.early_stop is not None
    course = Course(diary or Forgetful(), len(every), party, first, early)
    if (last := course.through) is not None:
        counted = course.array("taken")
        return Found(last, len(every) if counted is None else int(counted[0]))
    descents = await side_by_side(_begin(line, layout, section, room, course.first) for line in lines)
    if not course.first:
        first = replace(first, intercept=await hub.shared(training_sum(START), encode(start, WEIGHT)))
    state = State(course.of("now") or first, course.of("before") or first, course.moved)

    async def pulled(line: NetworkLine, descent: NetworkDescent, number: int, ahead: Weights, output: Output) -> Words:
        mine = layout.line(ahead, line.number)
        point = await share_point(line.session, line.correlations, number, mine, output)
        found = await descent.pull(steps[line.number][number], point, mine)
        return layout.spread(party, line.number, found)

    async def pull(step: Step, ahead: Weights) -> tuple[Words, Output]:
        output = await share_output(hub.spoken, hub.correlations, step.number, ahead.output)
        work = (pulled(line, descent, step.number, ahead, output) for line, descent in zip(lines, descents, strict=True))
        return await _summed(hub, step.number, work), output

    path = Path(hub.spoken, hub.correlations, every, momentum(section), course)
    if early:
        scales = Scales.of_loss(layout.averaged, section.activation)

        async def lost(line: NetworkLine, descent: NetworkDescent, number: int, ahead: Weights, output: Output) -> Words:
            mine, held = layout.line(ahead, line.number), layout.held(section, line.own.shape[0])
            point = await share_point(line.session, line.correlations, number, mine, output)
            return await held_loss(descent, section.activation, number, held, mine, point, scales, layout.averaged)

        async def look(number: int, weights: Weights) -> Words:
            ahead = ahead_of(weights)
            output = await share_output(hub.spoken, hub.correlations, number, ahead.output)
            work = (lost(line, descent, number, ahead, output) for line, descent in zip(lines, descents, strict=True))
            return await _summed(hub, number, work)

        async def order(number: int) -> None:
            for line in lines:
                await line.correlations.order(layout.epoch(line.own.shape[0], number))

        seat = Seat(hub.spoken, hub.correlations, hub.correlations.ordered())
        wide = len(first.own), len(first.other)
        stopping = Stopping(section, seat, path, layout.total, wide, scales, pull, look, order)
        state, found, taken = await stopping.run(state)
    else:
        state, taken = await path.run(slice(course.first, None), state, pull), len(every)
        found = state.now
    rest = rest_limit(every[:taken], layout.grid + layout.own)
    lines[0].session.settled = await check_arrived(hub.spoken, state.moved, AHEAD, rest)
    await course.finish(found, taken)
    return Found(found, taken)


async def _summed(hub: Hub, number: int, work: Iterable[Awaitable[Words]]) -> Words:
    """What all lines of all ends give in this step, shared with all banks at once. work: of each line of this end."""
    total: Words = np.add.reduce(await side_by_side(work))
    return await hub.shared(training_sum(FIRST_STEP + number), total)


async def _begin(line: NetworkLine, layout: NetworkLayout, section: Network, room: Scratch, first: int) -> NetworkDescent:
    """Exchanges one line's masked rows."""
    session, correlations, rows = line.session, line.correlations, line.own.shape[0]
    early, count = section.early_stop is not None, epoch_steps(section, layout.total)
    source = await correlations.source(layout.epoch(rows, first // count) if early else layout.demand(rows, first))
    other = layout.own if session.party is Party.GRID else layout.grid

    def place(shape: tuple[int, int]) -> Rows:
        return cast(Rows, room.empty(shape, np.uint64))

    theirs = await share_rows(session, correlations, line.own, other, place)
    label = None if line.label is None else line.label.astype(np.uint8)
    return NetworkDescent(Seat(session, correlations, source), line.own, theirs, section.link, label)
