"""The plaintext twin of a network's training: the same start, batches and schedule in float64, with the true sigmoid."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from common.learn.network.steps import epoch_steps, fit_rows, make_steps
from common.learn.network.weights import first_block, first_output
from common.mpc.fixedpoint import Reals
from common.party import Party
from common.plan.network import Network
from common.stats.measures import sigmoid


@dataclass(frozen=True)
class Trained:
    """The weights of the grid's and the bank's columns, (m, units), of the output, (units,), and its intercept."""

    grid: Reals
    bank: Reals
    output: Reals
    intercept: float
    activation: str = "sine"

    def scores(self, grid: Reals, bank: Reals) -> Reals:
        """u of each row, (n,)."""
        value, _ = units(self.activation, grid @ self.grid + bank @ self.bank)
        found: Reals = value @ self.output + self.intercept
        return found


def units(activation: str, a: Reals) -> tuple[Reals, Reals]:
    """What units make of their sums, and the slope there."""
    if activation == "relu":
        return np.maximum(a, 0.0), (a >= 0).astype(np.float64)
    omega = 2 * math.pi / 8
    return np.sin(omega * a), omega * np.cos(omega * a)


def train(section: Network, grid: Reals, bank: Reals, label: Reals) -> Trained:
    """grid, bank: (n, m) of each side, the bank's with a last column of ones. All epochs, whatever `early_stop` says."""
    return stopped(section, grid, bank, label)[-1][0]


def stopped(section: Network, grid: Reals, bank: Reals, label: Reals) -> list[tuple[Trained, float]]:
    """What there is after each epoch, and its mean squared residual over the rows held back, NaN where there are none."""
    found, rows = [], len(label)
    columns = grid.shape[1], bank.shape[1]
    blocks = [first_block(section.seed, p, k, sum(columns), section.hidden) for p, k in zip(Party, columns, strict=True)]
    rate = float(label.mean())
    start = [np.concatenate(blocks), first_output(section.seed, section.hidden), np.array([math.log(rate / (1 - rate))])]
    x, now, before = np.column_stack([grid, bank]), start, start
    for step in make_steps(section, rows):
        part, size = slice(step.low, step.high), step.size / 2.0**10
        z = [w + section.momentum * (w - past) for w, past in zip(now, before, strict=True)]
        h, slope = units(section.activation, x[part] @ z[0])
        r = (sigmoid(h @ z[1] + z[2]) - label[part]) / step.rows
        pulled = x[part].T @ (r[:, None] * slope) * z[1]
        gradient = [pulled, h.T @ r, np.array([r.sum()])]
        kept = [step.kept / 2.0**30, step.kept / 2.0**30, 1.0]
        before, now = now, [k * w - size * g for k, w, g in zip(kept, z, gradient, strict=True)]
        if (step.number + 1) % epoch_steps(section, rows) == 0:
            after = Trained(now[0][: columns[0]], now[0][columns[0] :], now[1], float(now[2][0]), section.activation)
            held = slice(fit_rows(section, rows), rows)
            apart = sigmoid(after.scores(grid[held], bank[held])) - label[held]
            found.append((after, float((apart**2).mean()) if len(apart) else math.nan))
    return found


def of_several(section: Network, grid: Reals, bank: Reals, label: Reals, rows: tuple[int, ...]) -> Reals:
    """All weights after the training of several banks' rows, one bank after the other, each with an output intercept, (L,).

    grid, bank: (n, m) of each side, the banks' with a last column of ones. Of each bank's rows a step is over an equal part.
    """
    return of_several_stopped(section, grid, bank, label, rows)[-1][0]


def of_several_stopped(
    section: Network, grid: Reals, bank: Reals, label: Reals, rows: tuple[int, ...]
) -> list[tuple[Reals, float]]:
    """The same before the first epoch and after each, with the mean squared residual over the rows that all banks hold back."""
    units_, total, lows = section.hidden, len(label), np.cumsum([0, *rows])
    columns = grid.shape[1], bank.shape[1]
    blocks = [first_block(section.seed, p, k, sum(columns), units_) for p, k in zip(Party, columns, strict=True)]
    rates = np.array([label[low:high].mean() for low, high in itertools.pairwise(lows)])
    now = [np.concatenate(blocks), first_output(section.seed, units_), np.log(rates / (1 - rates))]
    x, before, of = np.column_stack([grid, bank]), now, np.repeat(np.arange(len(rows)), rows)
    count, fits = epoch_steps(section, total), [fit_rows(section, n) for n in rows]
    held = np.concatenate([np.arange(low + fit, low + n) for low, fit, n in zip(lows, fits, rows, strict=False)]).astype(int)
    over = (total if section.early_stop is None else total - max(0, total // 8 - len(rows))) // count + len(rows)
    found = [(np.concatenate([values.ravel() for values in now]), math.nan)]
    for step in make_steps(section, total):
        place, size = step.number % count, step.size / 2.0**10
        part = np.concatenate(
            [np.arange(n * place // count, n * (place + 1) // count) + low for n, low in zip(fits, lows, strict=False)]
        )
        z = [w + section.momentum * (w - past) for w, past in zip(now, before, strict=True)]
        h, slope = units(section.activation, x[part] @ z[0])
        r = (sigmoid(h @ z[1] + z[2][of[part]]) - label[part]) / over
        pulled = x[part].T @ (r[:, None] * slope) * z[1]
        gradient = [pulled, h.T @ r, np.bincount(of[part], r, len(rows))]
        kept = [step.kept / 2.0**30, step.kept / 2.0**30, 1.0]
        before, now = now, [k * w - size * g for k, w, g in zip(kept, z, gradient, strict=True)]
        if place == count - 1:
            u = units(section.activation, x[held] @ now[0])[0] @ now[1] + now[2][of[held]]
            loss = float(((sigmoid(u) - label[held]) ** 2).mean()) if len(held) else math.nan
            found.append((np.concatenate([values.ravel() for values in now]), loss))
    return found


def scores_of(section: Network, weights: Reals, grid: Reals, bank: Reals, place: int) -> Reals:
    """u of rows of the bank at this place, (n,), by the weights of `of_several`."""
    hidden = section.hidden
    block, rest = np.split(weights, [(grid.shape[1] + bank.shape[1]) * hidden])
    value, _ = units(section.activation, np.column_stack([grid, bank]) @ block.reshape(-1, hidden))
    found: Reals = value @ rest[:hidden] + rest[hidden + place]
    return found
