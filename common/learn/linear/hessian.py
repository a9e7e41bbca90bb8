"""Descent of the quadratic loss that `taylor` has, on shares of its Hessian, with a dealer. PROTOCOL.md section 6.

With u / 4 + 1/2 for the link the gradient at z is H z - g, H = X^T X / 4n + ridge, g = X^T (y - 1/2) / n: rows are needed once.
X_G^T (X_B, y) is shared by `crossed`; the rest of H is each party's own. With M of `joint` a step of size s takes s M (H z - g)
off z: A = s M H is made once, and a step is one product of a shared matrix and a shared vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from common.learn.linear.course import Course
from common.learn.linear.joint import (
    SETUP_ROUNDS,
    Operand,
    gradient_number,
    joint_by,
    opened,
    opened_beside,
    point_number,
    product,
    setup_dealt,
    setup_number,
    setup_openings,
)
from common.learn.linear.path import REST_SCALE, Arrived, Blocks, Path, Step
from common.mpc.beside import ending
from common.mpc.chained import cut
from common.mpc.correlations.asked import MATRIX_BLOCK, Correlations
from common.mpc.crossed import BITS, Whole, share_crossed
from common.mpc.fixedpoint import (
    FACTOR_SCALE,
    JOINT_SCALE,
    MOMENTUM_SCALE,
    RIDGE_SCALE,
    WEIGHT_SCALE,
    X_SCALE,
    Reals,
    Words,
    encode,
)
from common.mpc.prg import Prg, Purpose
from common.mpc.product import Rows
from common.mpc.session import Session
from common.mpc.truncate import open_sum, shifted, truncate
from common.party import Party

MOST_ROWS = 1 << 24  # for which a step / 4n still has bits enough
HESSIAN_SCALE = RIDGE_SCALE  # of step H and step g
PULL_SCALE = WEIGHT_SCALE + MOMENTUM_SCALE + FACTOR_SCALE
CUT_HESSIAN = JOINT_SCALE + HESSIAN_SCALE - FACTOR_SCALE  # off M times step H
GRADIENT_LIFT = np.uint64(PULL_SCALE - JOINT_SCALE - HESSIAN_SCALE)  # of M times step g
LIFT = 64 - BITS
AWAY = 30  # bits that scaled sums have more than they are to have
ROUNDS = SETUP_ROUNDS + 5  # besides those of steps and of blocks of rows
_SUM_BITS = 36  # of squares of a column; half as much again is left for the label's
_LABEL = 4 << X_SCALE  # a label's difference of 1, as a column: the Hessian has X^T X / 4
_FURTHEST = 2.0  # |log-odds| of an intercept at the optimum of the expansion: 4 (rate - 1/2)
_CACHE_ROWS = 1 << 13


def sums(columns: dict[Party, int]) -> dict[Party, int]:
    """How many columns of each are multiplied: the label is among the bank's."""
    return {Party.GRID: columns[Party.GRID], Party.BANK: columns[Party.BANK] + 1}


def openings(grid: int, bank: int) -> list[int]:
    """Words of each message before the first step: sums, these scaled, both twice; C, the gain, H, g; those of M; A twice."""
    every = grid + bank
    first = 2 * grid * (bank + 1), 2 * grid * (2 * bank + 1), 2 * grid * bank + 2 + every * every + every
    return [*first, *setup_openings(grid, bank)[2:], every * every, every * every]


def openings_dealt(grid: int, bank: int) -> list[int]:
    """How many words each party is dealt for each of them."""
    first = 2 * grid * (bank + 1), 4 * grid * (2 * bank + 1), 0
    return [*first, *setup_dealt(grid, bank)[2:], (grid + bank) ** 2, 0]


def left_out(rows: int) -> int:
    """Low bits of a column's numbers that are left out at random where it meets the other's, so that sums have room."""
    return max(0, math.ceil(((rows - 1).bit_length() - _SUM_BITS) / 2) + X_SCALE)


def nearer(start: Reals) -> Reals:
    """Where weights begin, no further from zero than the optimum of the expansion."""
    found: Reals = start * min(1.0, _FURTHEST / max(float(np.linalg.norm(start)), _FURTHEST))
    return found


@dataclass(frozen=True, repr=False)
class Table:
    """One party's rows (n, m_own) at X_SCALE, its ridge times the step at RIDGE_SCALE, and the labels (n,), at the bank.

    size: of a step. data_rows: how many of the rows are not zeros that fill a stock.
    """

    own: Rows
    own_ridge: Words
    other_columns: int
    label: Reals | None
    size: float
    data_rows: int

    def columns(self, party: Party) -> dict[Party, int]:
        return {party: self.own.shape[1], party.other: self.other_columns}

    def block(self, low: int) -> Whole:
        """Rows from `low` on, MATRIX_BLOCK at most, (m, n'), with the label less 1/2 as the last column."""
        part = self.own[low : min(self.own.shape[0], low + MATRIX_BLOCK)].T
        if self.label is None:
            return part
        centred = np.rint((self.label[low : low + part.shape[1]] - 0.5) * _LABEL).astype(np.int32)
        return np.vstack([part, centred])

    def moments(self) -> Reals:
        """Own mean products times step / 4, (m, m), of the label too."""
        columns = self.own.shape[1] + (self.label is not None)
        total = np.zeros((columns, columns))
        for low in range(0, self.own.shape[0], MATRIX_BLOCK):
            block = self.block(low)
            for first in range(0, block.shape[1], _CACHE_ROWS):
                part = block[:, first : first + _CACHE_ROWS].astype(np.float64)
                total += part @ part.T
        return total * (self.size / 4 / self.data_rows * 2.0 ** (-2 * X_SCALE))

    def shortened(self) -> Callable[[int], Whole]:
        """`block` without the low bits that are left out, up or down at random in proportion.

        The nearest would be off alike in all rows of a column that has few values.
        """
        drop, prg = left_out(self.own.shape[0]), Prg(Prg.fresh_seed())

        def numbers(low: int) -> Whole:
            block = self.block(low)
            if not drop:
                return block
            drawn = prg.bytes(Purpose.LATTICE_DITHER, low, block.size).reshape(block.shape)
            return block + (drawn & np.uint8((1 << drop) - 1)) >> drop

        return numbers

    def scaled(self, across: Words, party: Party) -> tuple[Words, Words]:
        """Shares of C, (m_G, m_B) at FACTOR_SCALE, and of step / 4n X_G^T (X_B, 4 y - 2) at HESSIAN_SCALE, both times 2^AWAY.

        across: this party's share of the sums, one of the two.
        """
        kept = 2 * (X_SCALE - left_out(self.own.shape[0]))
        whole, part = (
            np.uint64(round(size * 2.0 ** (scale + AWAY - kept) / self.data_rows))
            for size, scale in ((1.0, FACTOR_SCALE), (self.size / 4, HESSIAN_SCALE))
        )
        return across[:, : self.columns(party)[Party.BANK]] * whole, across * part


@dataclass(frozen=True, repr=False)
class Quadratic:
    """A as an operand, (m, m) at FACTOR_SCALE, and a share of step M g, (m,) at PULL_SCALE; made by `share_quadratic`.

    hessian, exact: step H and step g, at HESSIAN_SCALE. twice: shares at REST_SCALE of what two makings of the sums differ by.
    """

    session: Session
    correlations: Correlations
    matrix: Operand
    gradient: Words
    hessian: Operand
    exact: Words
    twice: Words

    async def pull(self, step: Step, ahead: Words) -> Words:
        """A share of A z - step M g at the look-ahead z, off by what the dealer knows. One round of 8 m bytes."""
        (z,) = await opened(self.session, self.correlations, point_number(step.number), ahead)
        found: Words = product(self.session.party, self.matrix, z) - self.gradient
        return found

    async def descend(self, steps: list[Step], start: Blocks, course: Course) -> tuple[Arrived, bytes]:
        """Two rounds a step, and two at the end; with what both parties opened last, as a coin of what is checked then.

        start: this party's first share of the weights, (m_own,) and (m_other,), at WEIGHT_SCALE.
        """
        grid = len(start.own if self.session.party is Party.GRID else start.other)
        path, cells = Path(self.session, self.correlations, grid, update_scale=PULL_SCALE), len(self.gradient) ** 2
        found = await path.arrive(steps, start, self.pull, course, lambda _: cells)
        short, c = await self._left(len(steps), found.last.weights)
        last = replace(found.last, resting=np.concatenate([found.last.resting, short, self.twice]))
        return replace(found, last=last), last.opened.tobytes() + c.tobytes()

    async def _left(self, number: int, weights: Words) -> tuple[Words, Words]:
        """A share of step (H w - g) at REST_SCALE, by H itself, and what was opened for it.

        A and M g could be wrong and the steps yet come to rest; and so could the sums, but for `twice`.
        """
        session, correlations = self.session, self.correlations
        (w,) = await opened(session, correlations, point_number(number), weights)
        found = product(session.party, self.hessian, w) - (self.exact << np.uint64(WEIGHT_SCALE))
        part = await correlations.truncation(gradient_number(number), len(found))
        c = await open_sum(session, part, found)
        return shifted(session.party, part, c, HESSIAN_SCALE + WEIGHT_SCALE - REST_SCALE), c


async def share_quadratic(session: Session, correlations: Correlations, table: Table, gain: Words) -> Quadratic:
    """Each party's shares. gain: this party's share of it, a word at JOINT_SCALE.

    5 bytes a number of its rows, and of the bank's labels, from each; then no message grows with rows.
    """
    party, columns = session.party, table.columns(session.party)
    grid, bank = (columns[p] for p in Party)
    own = session.begin(table.moments, table.own.shape[0] * columns[party])
    with ending([own]):
        across = await share_crossed(session, correlations, table.shortened(), table.own.shape[0], sums(columns))
        # Whole words again, and exact, as what is cut off is zero. Twice, since no later step makes a changed word here good.
        first = await correlations.truncation(setup_number(0), across.size)
        lifted = (await truncate(session, first, across.ravel() << np.uint64(LIFT), LIFT)).reshape(across.shape)
        both = np.concatenate([one.ravel() for once in lifted for one in table.scaled(once, party)])
        scaled = (await cut(session, correlations, setup_number(1), both, AWAY)).reshape(2, -1, 2)
        moments, made = await own, scaled[..., 0]
    correlated, part = scaled[0, : grid * bank].reshape(grid, bank, 2), made[0, grid * bank :].reshape(grid, bank + 1)

    place, count = slice(0, grid) if party is Party.GRID else slice(grid, None), columns[party]
    hessian, gradient = np.zeros((grid + bank, grid + bank), np.uint64), np.zeros(grid + bank, np.uint64)
    hessian[:grid, grid:], gradient[:grid] = part[:, :bank], part[:, bank]
    hessian[grid:, :grid] = part[:, :bank].T
    hessian[place, place] = encode(moments[:count, :count], HESSIAN_SCALE) + table.own_ridge
    if party is Party.BANK:
        gradient[place] = encode(moments[count, :count], HESSIAN_SCALE)

    (c, gained), (h, g) = await opened_beside(session, correlations, setup_number(2), correlated, gain, hessian, gradient)
    m = await joint_by(session, correlations, c, gained, 3)
    last = len(openings(grid, bank)) - 1
    second = await correlations.truncation(setup_number(last - 1), hessian.size)
    multiplied = await truncate(session, second, product(party, m, h).ravel(), CUT_HESSIAN)
    (a,) = await opened(session, correlations, setup_number(last), multiplied.reshape(hessian.shape))
    return Quadratic(session, correlations, a, product(party, m, g) << GRADIENT_LIFT, h, gradient, made[0] - made[1])
