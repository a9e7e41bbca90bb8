"""Training the linear model by banks alone: Newton's steps from sums over the rows of all, which every bank is told.

Each bank's intercept is at any moment the best one for the weights that all have, and stays with it; so what is summed is the
log-loss as a function of those weights alone, whose optimum is that of all weights together. PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.errors import LocalProtocolError
from common.mpc.fixedpoint import Reals, decode, encode
from common.mpc.session import Kind
from common.mpc.several.hub import BankHub, GridHub, to_banks
from common.stats.logistic import Design, newton

MOST_SUMS = 8  # four or five are usual
SUM_BITS = 14  # a bank's part of a mean is told in steps of 2^-SUM_BITS
_GRAIN = 24  # weights are multiples of 2^-_GRAIN: the same at all banks, whatever the last bits of their processors say
_NEAR = 1e-6  # of log-loss that a step still gains, below which it is the last one
_LARGEST = 1.0  # log-loss that is told; without any column it is 0.69 at most, and a step never ends above
_HALVINGS = 8  # of one step, before it counts as none


@dataclass(frozen=True, repr=False)
class Own:
    """One bank's training rows: the columns of all banks, whitened, with a last one of ones, (n, b + 1); their labels, (n,).

    share: these rows' share of those of all banks.
    """

    design: Design
    label: Reals
    share: float


@dataclass(frozen=True, repr=False)
class Optimum:
    """Where the steps ended: the weights of the whitened columns, (b,), the same at each bank, and this bank's intercept.

    loss: mean log-loss over all banks' rows, as it was told before the last step; sums: how many there were. reached: whether
    the last step gained as good as nothing.
    """

    weights: Reals
    intercept: float
    loss: float
    sums: int
    reached: bool


@dataclass(frozen=True, repr=False)
class Profile:
    """The mean log-loss (a share of it, at a bank) with each intercept at its best: value, gradient (b,), curvature (b, b)."""

    loss: float
    gradient: Reals
    curvature: Reals

    @classmethod
    def of(cls, own: Own, weights: Reals) -> tuple[Profile, float]:
        """This bank's part of it, and its intercept."""
        design, columns = own.design, own.design.columns - 1
        offset = design.times(np.append(weights, 0.0))
        ones = Design(design.rows, 1, lambda low, high: np.ones((high - low, 1)))
        found = newton(ones, own.label, np.zeros((1, 1)), offset)
        gradient, curvature, _ = design.curvature(found.u, own.label)
        along, slope = curvature[:columns, columns], curvature[columns, columns]
        bent = curvature[:columns, :columns] - np.outer(along, along) / slope
        loss = float(np.mean(np.logaddexp(0.0, found.u) - own.label * found.u))
        part = cls(min(loss, _LARGEST) * own.share, gradient[:columns] * own.share, bent * own.share)
        return part, float(found.beta[0])

    def words(self) -> Reals:
        """The numbers of it, (told(b),)."""
        return np.concatenate([[self.loss], self.gradient, self.curvature[np.triu_indices(len(self.gradient))]])

    @classmethod
    def told(cls, numbers: Reals, columns: int) -> Profile:
        """The inverse of `words`."""
        curvature = np.zeros((columns, columns))
        curvature[np.triu_indices(columns)] = numbers[1 + columns :]
        return cls(float(numbers[0]), numbers[1 : 1 + columns], curvature + np.triu(curvature, 1).T)


def told(columns: int) -> int:
    """How many numbers one sum has."""
    return 1 + columns + columns * (columns + 1) // 2


async def descend(
    hub: BankHub, own: Own, banks: int, penalty: Reals, heard: Callable[[int], None] = lambda sums: None
) -> Optimum:
    """The weights that minimise the mean log-loss over all banks' rows + w^T penalty w / 2, in MOST_SUMS at most, at a bank.

    penalty: (b, b). heard: called with the number of sums, after each. Two messages and 8 told(b) bytes each way a sum.
    """
    columns = own.design.columns - 1
    path = _Path(penalty, banks)
    for number in range(1, MOST_SUMS + 1):
        weights = path.weights
        part, _ = await hub.session.compute(lambda w=weights: Profile.of(own, w), own.design.rows * columns)  # type: ignore[misc]
        mine = part.words()
        if not np.isfinite(mine).all():
            raise LocalProtocolError("a step's sums are not finite")
        numbers = decode(await to_banks(hub, encode(mine, SUM_BITS), Kind.POOLED_STEP), SUM_BITS)
        over = path.take(Profile.told(numbers, columns)) or number == MOST_SUMS
        heard(number)
        await hub.session.send(Kind.SHAPE, np.array([over], np.uint64))
        if over:
            break
    _, intercept = await hub.session.compute(lambda: Profile.of(own, path.weights), own.design.rows * columns)
    return Optimum(path.weights, intercept, path.loss, number, path.reached)


async def add_up(hub: GridHub, columns: int, heard: Callable[[int], None] = lambda sums: None) -> int:
    """The hub's part: how many sums there were, of which it learns nothing."""
    for number in range(1, MOST_SUMS + 1):
        await to_banks(hub, np.zeros(told(columns), np.uint64), Kind.POOLED_STEP)
        heard(number)
        if (await hub.session.receive(Kind.SHAPE, np.uint64, (1,)))[0]:
            break
    return number


class _Path:
    """Damped Newton: a step that has raised the objective, beyond what rounding does, is halved."""

    def __init__(self, penalty: Reals, banks: int) -> None:
        self.weights, self.loss, self.reached = np.zeros(len(penalty)), np.inf, False
        self._penalty, self._banks, self._halved = penalty, banks, 0
        self._from, self._least = self.weights, np.inf  # the best point yet, and the objective there

    def take(self, profile: Profile) -> bool:
        """Goes on from what was told of the present point; whether that was the last step."""
        self.loss = profile.loss
        value = profile.loss + float(self.weights @ self._penalty @ self.weights) / 2
        if value > self._least + self._banks * 2.0**-SUM_BITS and self._halved < _HALVINGS:
            self._halved += 1
            self.weights = _grained((self._from + self.weights) / 2)
            return False
        gradient, curvature = profile.gradient + self._penalty @ self.weights, profile.curvature + self._penalty
        curvature = curvature + self._floor(curvature) * np.eye(len(curvature))
        step = np.linalg.solve(curvature, gradient)
        noise = self._banks / 24.0 * 4.0**-SUM_BITS * float(np.trace(np.linalg.inv(curvature)))
        self.reached = float(gradient @ step) / 2 <= _NEAR + 2 * noise
        self._from, self._least, self._halved = self.weights, value, 0
        self.weights = _grained(self.weights - step)
        return self.reached

    def _floor(self, curvature: Reals) -> float:
        """What keeps rounding from making a flat direction one of no curvature, or less."""
        rounded = 2.0**-SUM_BITS * np.sqrt(len(curvature))
        return float(max(0.0, rounded - np.linalg.eigvalsh(curvature)[0]))


def _grained(weights: Reals) -> Reals:
    found: Reals = np.round(weights * 2.0**_GRAIN) / 2.0**_GRAIN
    return found
