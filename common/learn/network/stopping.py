"""Ending a training of a network once training rows that were held back gain no more. PROTOCOL.md section 22.

After an epoch both hold shares of the sum of the squared residuals of these rows, the mean of which is the Brier score. Whether
it is less than the least so far is opened, one bit; the weights that are left are those of the best epoch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import numpy as np

from common.learn.network.activations import forward
from common.learn.network.course import Course
from common.learn.network.descent import NetworkDescent, Path, Point, Pull, State
from common.learn.network.scales import Scales
from common.learn.network.steps import LOSS, epoch_steps, first_compared, make_spans
from common.learn.network.units import Seat
from common.learn.network.weights import Weights
from common.mpc.compare.masks import BITS, CompareMasks
from common.mpc.compare.signs import hidden_signs
from common.mpc.fixedpoint import Words, top32
from common.mpc.prg import Purpose
from common.mpc.session import Kind
from common.party import Party
from common.plan.network import Network

_TWICE = np.uint64(2)


@dataclass(frozen=True, repr=False)
class Best:
    """Shares of the best epoch's weights and of its loss, (1,), and how many epochs came after it."""

    weights: Weights
    loss: Words
    waited: int


Look = Callable[[int, Weights], Awaitable[Words]]
"""Of a number and an epoch's weights: this party's share of the loss of the rows held back, (1,)."""


@dataclass(frozen=True, repr=False)
class Stopping:
    """The epochs of a training of `rows` rows, of which some are held back, between the two that hold shares of all weights.

    look: their loss, at `scales`. columns: of this party's block of the weights and of the other's, those of zeros too.
    order: asks the dealer for an epoch, from 0 on.
    """

    section: Network
    seat: Seat
    path: Path
    rows: int
    columns: tuple[int, int]
    scales: Scales
    pull: Pull
    look: Look
    order: Callable[[int], Awaitable[None]]

    async def run(self, state: State) -> tuple[State, Weights, int]:
        """Trains from where the course begins, whose epoch is ordered already: the state, the weights to keep, and steps taken.

        An epoch's loss takes one round, and two beside those of units for each span of the rows held back; whether it gained
        four.
        """
        course, count = self.path.course, epoch_steps(self.section, self.rows)
        first = first_compared(self.section, self.rows)
        begun, best, taken = course.first // count, self._best(course), 0
        for epoch in range(begun, self.section.epochs):
            if epoch > begun:
                await self.order(epoch)
            taken = (epoch + 1) * count
            state = await self.path.run(slice(epoch * count, taken), state, self.pull)
            if epoch >= first:
                best = await self._looked_at(epoch, state.now, best)
                if best.waited == self.section.early_stop:
                    break
            kept = {"now": state.now, "before": state.before} | ({} if best is None else {"best": best.weights})
            waited = {} if best is None else {"loss": best.loss, "waited": np.array([best.waited], np.uint64)}
            await course.after_epoch(self.path.steps[taken - 1], count, {"moved": state.moved, **waited}, **kept)
        return state, state.now if best is None else best.weights, taken

    def _best(self, course: Course) -> Best | None:
        """The best epoch before where the course begins; None where it begins before the first that is looked at."""
        loss, waited = course.array("loss"), course.array("waited")
        if loss is None or waited is None or (weights := course.of("best")) is None:
            return None
        return Best(weights.widened(*self.columns), loss, int(waited[0]))

    async def _looked_at(self, epoch: int, weights: Weights, best: Best | None) -> Best:
        number = LOSS | epoch
        loss = await self.look(number, weights)
        if best is None or await gains(self.seat, number, self.scales.loss_bits, best.loss, loss):
            return Best(weights, loss, 0)
        return replace(best, waited=best.waited + 1)


async def held_loss(
    descent: NetworkDescent, activation: str, number: int, rows: slice, ahead: Weights, point: Point, scales: Scales, over: int
) -> Words:
    """A share of the sum of (2^mean / n)^2 (sigma(u) - y)^2 over these rows, (1,), at twice a residual's scale; over: n.

    Of a residual less its mask, open as in a step, the square of the mask is missing, which the dealer adds up and deals.
    """
    session, correlations, seat = descent.session, descent.correlations, descent.seat
    if session.party is Party.GRID:
        total = await seat.source.fetch(Kind.DEALT_CUT, number, (1,))
    else:
        total = correlations.mask(Purpose.CUT, number, 1)
    for span in make_spans(number, rows.start, rows.stop, len(ahead.output)):
        sums = await descent.sums(span, point)
        u, _ = await forward(activation, seat, span.number, sums, point.output, scales, trained=False)
        share = await descent.residual(span, u, ahead, scales, over)
        cover = correlations.residual_mask(span.number, span.rows)
        mine = share - cover
        s = mine + await session.exchange(Kind.MASKED_RESIDUAL, mine)
        total = total + _TWICE * (s * cover).sum(keepdims=True)
        if session.party is Party.GRID:
            total = total + (s * s).sum(keepdims=True)
    return total


async def gains(seat: Seat, number: int, bits: int, least: Words, loss: Words) -> bool:
    """Whether the loss is below the least so far, (1,) each: opened to both. Four rounds, of 16 bytes.

    One that is below it by less than 2^-16 of what `bits` bits span may be taken not to be.
    """
    session, hide = seat.session, seat.correlations.mask(Purpose.UNIT_SUMS, number, 1)
    mine = least - loss + hide
    c = mine + await session.exchange(Kind.MASKED_COMPARED, mine)
    hidden = await hidden_signs(session, seat.source, number, top32(c, bits))
    pad = CompareMasks(seat.source.prg, number, 1).pads() >> np.uint8(BITS)
    above = hidden ^ pad ^ await session.exchange(Kind.EARLY_STOP, pad)
    return not above[0]
