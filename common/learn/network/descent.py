"""One training step of a network on shares, and the loop over steps. PROTOCOL.md section 15.

No weight is opened, to nobody: each party holds a share of every one, from the first step to the last score.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from common.learn.network.activations import forward
from common.learn.network.course import Course
from common.learn.network.scales import AHEAD, FINAL, KEPT, LIFTED, MOMENTUM, PULLED, WEIGHT, Scales
from common.learn.network.steps import Step, lift
from common.learn.network.units import Output, Seat
from common.learn.network.weights import Weights
from common.learn.span import Span
from common.mpc.arrived import combinations
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import X_SCALE, Words, top32
from common.mpc.link import Labels, Link, residual
from common.mpc.prg import Purpose
from common.mpc.product import Rows, backward_units, forward_units
from common.mpc.session import Kind, Session
from common.mpc.truncate import masked, open_sum, opened, shifted
from common.party import Party

_CUT = 1 << 41  # above every step's number, below every scoring's


def cut_number(step: int) -> int:
    """The number of what cuts a step's gradients."""
    return _CUT | step


@dataclass(frozen=True, repr=False)
class Point:
    """The weights at which a step looks, as its products take them, all off by masks that the dealer knows.

    own: own block's weights less the other's mask, (m_own, units). mask: what hides the other's, (m_other, units).
    """

    own: Words
    mask: Words
    output: Output


def ahead_of(weights: Weights) -> Weights:
    """Weights at the scale of those that a step looks ahead with: what is made for these serves rows that are scored."""
    w, unit = weights, np.uint64(MOMENTUM)
    return Weights(w.own << unit, w.other << unit, w.output << unit, w.intercept << unit)


async def share_point(
    session: Session, correlations: Correlations, number: int, weights: Weights, output: Output | None = None
) -> Point:
    """One round: each hides its share of the other's block, and both theirs of the output; 8 units (m_other + 1) bytes.

    output: where it was shared before, with all banks at once; then 8 units fewer.
    """
    (other, units), own = weights.other.shape, weights.own.size
    mask = correlations.weight_mask(number, other * units)
    hide = correlations.mask(Purpose.OUTPUT_WEIGHTS, number, units) if output is None else np.zeros(0, np.uint64)
    rest = weights.output[: len(hide)] - hide
    mine = np.concatenate([weights.other.ravel() - mask, rest])
    theirs = await session.exchange(Kind.MASKED_WEIGHTS, mine, shape=(own + len(rest),))
    found = output or Output(rest + theirs[own:], hide)
    return Point(weights.own + theirs[:own].reshape(weights.own.shape), mask.reshape(other, units), found)


async def share_output(session: Session, correlations: Correlations, number: int, output: Words) -> Output:
    """The output weights alone, as all lines' products take them: one round of 8 units bytes."""
    hide = correlations.mask(Purpose.OUTPUT_WEIGHTS, number, len(output))
    rest = output - hide
    return Output(rest + await session.exchange(Kind.MASKED_WEIGHTS, rest), hide)


@dataclass(frozen=True, repr=False)
class Pulled:
    """A share of what a step pulls each weight by, less what the dealer knows: both blocks, the output, its intercept."""

    own: Words
    other: Words
    output: Words
    intercept: Words

    def __add__(self, more: Pulled) -> Pulled:
        return Pulled(self.own + more.own, self.other + more.other, self.output + more.output, self.intercept + more.intercept)

    def joined(self, party: Party) -> Words:
        """In the order of `Weights.joined`, (L,)."""
        return Weights(self.own, self.other, self.output, self.intercept).joined(party)


def shifts(scales: Scales, block: int, units: int, intercepts: int = 1) -> tuple[Words, Words]:
    """By how many bits each gradient is lifted before it is cut, and by how many it is cut, (L,) each; block: m times units."""
    at = [X_SCALE + scales.pulled + scales.mean, scales.value + scales.mean, scales.residual + scales.mean]
    counts = [block, units, intercepts]
    lift = np.repeat(np.array([max(0, LIFTED - scale) for scale in at], np.uint64), counts)
    cut = np.repeat(np.array([max(LIFTED, scale) - PULLED for scale in at], np.uint64), counts)
    return lift, cut


@dataclass(frozen=True, repr=False)
class State:
    """Shares of the weights after some steps and of those a step before, at WEIGHT, and of how far all steps moved.

    moved: combinations of how far each moved weights from where it looked, (COMBINATIONS,) at AHEAD.
    """

    now: Weights
    before: Weights
    moved: Words


Pull = Callable[[Step, Weights], Awaitable[tuple[Words, Output]]]
"""Of a step and where it looks: this party's share of what pulls the weights, (L,), and the output weights as shared there."""


@dataclass(frozen=True, repr=False)
class Path:
    """The turns of the weights, between the two that hold shares of all of them; course: where they are entered.

    steps: all that there may be. momentum: of each, in units of 2^-MOMENTUM.
    """

    session: Session
    correlations: Correlations
    steps: list[Step]
    momentum: int
    course: Course

    async def run(self, part: slice, state: State, pull: Pull) -> State:
        """Takes these of the steps. Two rounds a step beside those of `pull`.

        What adds a movement or takes it away is drawn from what its truncation opens, which nobody knows before.
        """
        now, before, moved, party = state.now, state.before, state.moved, self.session.party
        for step in self.steps[part]:
            ahead = now.ahead(before, self.momentum, MOMENTUM)
            before, (now, drawn) = now, await self._turn(step, ahead, *await pull(step, ahead))
            movement = (now.joined(party) << np.uint64(MOMENTUM)) - ahead.joined(party)
            moved = moved + combinations(movement, drawn.tobytes()) * np.uint64(lift(self.steps, step))
            self.session.reporter.progress(step.number + 1, len(self.steps))
            await self.course.after(step, now, before, moved)
        return State(now, before, moved)

    async def _turn(self, step: Step, ahead: Weights, pull: Words, output: Output) -> tuple[Weights, Words]:
        """Shares of the weights after the step: `ahead` less what decay takes and less the step size times the gradient.

        And what their truncation opens.

        The gradient of a unit's weights is w2 times what was pulled back to it, which the cut multiplies: its opening serves as
        the one of a product with w2, the other half of which was opened before. PROTOCOL.md section 15, steps 6 and 7.
        """
        party, intercepts = self.session.party, len(ahead.intercept)
        gradient = await self._cut(step, pull, output, intercepts)
        kept = np.full(len(pull), step.kept, np.uint64)
        kept[-intercepts:] = 1 << KEPT  # intercepts do not decay
        moved = ahead.joined(party) * kept - gradient * np.uint64(step.size)
        part = await self.correlations.truncation(step.number, len(moved))
        c = await open_sum(self.session, part, moved)
        return ahead.split(party, shifted(party, part, c, FINAL - WEIGHT)), c

    async def _cut(self, step: Step, pull: Words, output: Output, intercepts: int) -> Words:
        """Shares of the gradients at PULLED + AHEAD, those of the units' weights times w2: one round of 8 bytes each."""
        session, number, units = self.session, cut_number(step.number), len(output.opened)
        block = len(pull) - units - intercepts
        lift, shift = shifts(step.scales, block, units, intercepts)
        part = await self.correlations.truncation(number, len(pull))
        products = await self.correlations.halves(Kind.DEALT_CUT, Purpose.CUT, number, 2, block)
        mine = masked(session.party, part, pull << lift)
        c = mine + await session.exchange(Kind.MASKED_UPDATE, mine)
        found = shifted(session.party, part, c, shift)
        public, sign = opened(c[:block], shift[:block])
        w, mask = (np.tile(values, block // units) for values in (output.opened, output.mask))
        first = found[:block] * w + public * mask + sign * products[1] - products[0]
        return np.concatenate([first, found[block:] << np.uint64(AHEAD)])


@dataclass(frozen=True, repr=False)
class NetworkDescent:
    """What steps pull, as one party works on its rows: these, the link, the label (at the bank, else None)."""

    seat: Seat
    own: Rows  # (n, m_own)
    theirs: Rows  # the other's less its mask, (n, m_other)
    link: Link
    label: Labels | None  # (n,)

    @property
    def session(self) -> Session:
        return self.seat.session

    @property
    def correlations(self) -> Correlations:
        return self.seat.correlations

    async def whole(self, step: Step, ahead: Weights) -> tuple[Words, Output]:
        """What a step pulls where these rows are all: a round, and for each of its spans three beside those of units."""
        point = await share_point(self.session, self.correlations, step.number, ahead)
        return (await self.pull(step, point, ahead)).joined(self.session.party), point.output

    async def pull(self, step: Step, point: Point, ahead: Weights) -> Pulled:
        """What all rows of a step pull."""
        spans = step.spans(len(ahead.output))
        total = await self._pull(step, spans[0], point, ahead)
        for span in spans[1:]:
            total = total + await self._pull(step, span, point, ahead)
        return total

    async def _pull(self, step: Step, span: Span, point: Point, ahead: Weights) -> Pulled:
        """What one span of rows pulls: the units' rounds, then three, of 4, 8 and 8 units bytes a row."""
        session, correlations, units = self.session, self.correlations, len(ahead.output)
        own, theirs, cells = self.own[span.slice], self.theirs[span.slice], span.rows * units
        work = cells * (own.shape[1] + theirs.shape[1])
        sums = await self.sums(span, point)
        u, held = await forward(step.activation, self.seat, span.number, sums, point.output, step.scales, trained=True)
        share = await self.residual(span, u, ahead, step.scales, step.averaged)
        share[max(0, step.data_rows - span.low) :] = 0  # of rows that are zeros to spare
        cover = correlations.residual_mask(span.number, span.rows)
        mine = share - cover
        s = mine + await session.exchange(Kind.MASKED_RESIDUAL, mine)
        back, output = await session.compute(lambda: held.pulled(s, share, cover), 8 * cells)
        hide = correlations.mask(Purpose.BACK, span.number, cells).reshape(units, span.rows)
        whole = back + await session.exchange(Kind.MASKED_BACK, back - hide)
        blocks = await session.compute(lambda: (backward_units(own, whole), backward_units(theirs, hide)), work)
        return Pulled(*blocks, output, share.sum(keepdims=True))

    async def sums(self, span: Span, point: Point) -> Words:
        """A share of the units' sums of these rows, (units, rows), off by what the dealer knows."""
        own, theirs = self.own[span.slice], self.theirs[span.slice]
        work = span.rows * len(point.output.opened) * (own.shape[1] + theirs.shape[1])
        return await self.session.compute(lambda: forward_units(own, point.own) + forward_units(theirs, point.mask), work)

    async def residual(self, span: Span, u: Words, ahead: Weights, scales: Scales, over: int) -> Words:
        """A share of (sigma(u + intercept) - y) 2^mean / n at the residual's scale, (rows,); over: n. One round."""
        link, correlations = self.link, self.correlations
        u = u + (ahead.intercept << np.uint64(scales.output - AHEAD))
        mine = top32(u, link.spans(scales.output)) - correlations.angle_mask(span.number, span.rows)
        c = mine + await self.session.exchange(Kind.MASKED_U, mine)
        shares = await correlations.link_shares(span.number, link, span.rows)
        label = None if self.label is None else self.label[span.slice]
        split, work = scales.link(over), span.rows * link.tables
        return await self.session.compute(lambda: residual(link, split, c, shares, label), work)
