"""The default training over many worlds, through the protocol itself with all peers in one process: how far from the optimum.

One factor drives the columns of both sides to a chosen canonical correlation; the label lies on what the sides share, on what
they differ in, or on both. Excess is of the penalised log-loss on training rows over its minimum.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from common.learn.linear.gain import secret_gain
from common.learn.linear.steps import make_work, step_size
from common.learn.linear.train import Shares, TrainingInputs, train
from common.learn.whiten import gram, whitener
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import RESIDUAL_SCALE, WEIGHT_SCALE, X_LIMIT, X_SCALE, check_range, decode, encode
from common.mpc.session import Session
from common.party import Party
from common.plan.linear import Model
from common.stats.logistic import Design, newton
from common.stats.measures import auc
from tests.peers import Trio, coordinate
from tests.reference import sigmoid

Reals = npt.NDArray[np.float64]

RIDGE_SCALE = RESIDUAL_SCALE + X_SCALE - WEIGHT_SCALE - 8
LABELS = {"shared": (1.0, 0.0), "differing": (0.0, 1.0), "both": (0.75, 0.75)}
CORRELATIONS, RATES, SIZES = (0.0, 0.5, 0.9, 0.95, 0.99), (0.5, 0.2, 0.05, 0.01), ((3_000, 12), (20_000, 40), (100_000, 40))
RARE, RARE_ROWS, RARE_SIZES = 4, (50, 400), ((20_000, 12), (200_000, 12), (1_000_000, 12))
LESS_RARE = 1_000, 1_000  # of 1,000,000
_LEAST_OVERDUE = 100  # as plans ask for


@dataclass(frozen=True)
class World:
    """rows x columns, half at each side; label: one of LABELS; heavy: noise of 3 degrees of freedom, clipped at 8.

    rare: so many more columns at each side, each an indicator that `held` of the rows have, least and most, which moves
    log-odds by 1.5.
    """

    rows: int
    columns: int
    correlation: float
    label: str
    rate: float
    heavy: bool
    rare: int = 0
    held: tuple[int, int] = RARE_ROWS

    def draw(self, seed: int) -> tuple[Reals, Reals, Reals]:
        """The grid's columns, the bank's with a last one of ones, and the label."""
        rng, half = np.random.default_rng(seed), self.columns // 2
        size = (self.rows, self.columns)
        noise = np.clip(rng.standard_t(3, size), -8, 8) / 1.6 if self.heavy else rng.standard_normal(size)
        share = self.correlation / (self.correlation + half * (1 - self.correlation))
        x = np.sqrt(share) * rng.standard_normal((self.rows, 1)) + np.sqrt(1 - share) * noise
        means = x[:, :half].mean(axis=1), x[:, half:].mean(axis=1)
        alike, apart = (part / part.std() for part in (means[0] + means[1], means[0] - means[1]))
        u = 1.2 * (LABELS[self.label][0] * alike + LABELS[self.label][1] * apart)
        u = u + 0.3 * x @ rng.standard_normal(self.columns) / np.sqrt(self.columns)
        grid, bank = x[:, :half], x[:, half:]
        if self.rare:
            few, effects = self._indicators(rng), 1.5 * rng.choice([-1.0, 1.0], 2 * self.rare)
            u, scaled = u + few @ effects, (few - few.mean(axis=0)) / few.std(axis=0)
            grid, bank = np.column_stack([grid, scaled[:, : self.rare]]), np.column_stack([bank, scaled[:, self.rare :]])
        y = (rng.random(self.rows) < sigmoid(u + shift(u, self.rate))).astype(np.float64)
        return grid, np.column_stack([bank, np.ones(self.rows)]), y

    def _indicators(self, rng: np.random.Generator) -> Reals:
        found = np.zeros((self.rows, 2 * self.rare))
        for column in range(2 * self.rare):
            found[rng.choice(self.rows, int(rng.integers(*self.held, endpoint=True)), replace=False), column] = 1.0
        return found


def shift(u: Reals, rate: float) -> float:
    """What is added to u so that the mean probability is `rate`."""
    low, high = -40.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if sigmoid(u + middle).mean() > rate else (middle, high)
    return low


def worlds() -> Iterator[World]:
    """All that have enough overdue rows; heavy tails in every second. After these, those of rare indicators."""
    found = itertools.product(SIZES, CORRELATIONS, LABELS, RATES)
    for place, ((rows, columns), correlation, label, rate) in enumerate(found):
        if rows * rate >= _LEAST_OVERDUE:
            yield World(rows, columns, correlation, label, rate, place % 2 == 1)
    for (rows, columns), rate in itertools.product(RARE_SIZES, (0.2, 0.02)):
        yield World(rows, columns, 0.9, "both", rate, False, RARE)
    for rate in (0.2, 0.02):
        yield World(*RARE_SIZES[-1], 0.9, "both", rate, False, RARE, LESS_RARE)


def measure(world: World, model: Model, seed: int = 1, held: int = 0) -> dict[str, Any]:
    """How far a training of this plan ends from the optimum of one world.

    held: of so many further rows of that world, the AUC lost on these; and that lost by the optimum of the training rows drawn
    anew with replacement, which is what chance makes of it.
    """
    *drawn, labels = replace(world, rows=world.rows + held).draw(seed)
    drawn[1][:, :-1] -= drawn[1][: world.rows, :-1].mean(axis=0)  # as preparation does: the column of ones then stays one
    label, parts = labels[: world.rows], [part[: world.rows] for part in drawn]
    whitened, ridges, further = dict[Party, Reals](), dict[Party, Reals](), list[Reals]()
    for party, part, every in zip(Party, parts, drawn, strict=True):
        penalised = np.ones(part.shape[1], np.bool_)
        penalised[-1] = party is Party.GRID
        whiten = whitener(gram([part], part.shape[1])[0], penalised, model.ridge)
        whitened[party] = check_range(part @ whiten, X_LIMIT)[0]
        further.append(every[world.rows :] @ whiten)
        ridges[party] = model.ridge * whiten.T @ np.diag(penalised.astype(np.float64)) @ whiten
        if party is Party.BANK:
            start = np.zeros(part.shape[1])
            start[-1] = np.log(label.mean() / (1 - label.mean()))
            start = np.linalg.solve(whiten, start)
    began = time.perf_counter()
    weights, settled = asyncio.run(_trained(model, whitened, ridges, start, label))
    seconds = time.perf_counter() - began
    pooled, penalty = np.column_stack(list(whitened.values())), _diagonal(ridges)
    best = newton(Design.of(pooled), label, penalty).beta
    u, optimal = pooled @ weights, pooled @ best
    excess = _objective(u, label, weights, penalty) - _objective(optimal, label, best, penalty)
    lost = auc(label, optimal) - auc(label, u)
    found = {**vars(world), "excess": excess, "auc_lost": lost, "warned": not settled, "seconds": seconds}
    if held:
        at = np.random.default_rng(seed).integers(0, world.rows, world.rows)
        anew = newton(Design.of(pooled[at]), label[at], penalty).beta
        beyond, outcome = np.column_stack(further), labels[world.rows :]
        most, *fewer = (auc(outcome, beyond @ beta) for beta in (best, weights, anew))
        found |= {"held_lost": most - fewer[0], "held_lost_anew": most - fewer[1]}
    return found


def _diagonal(ridges: dict[Party, Reals]) -> Reals:
    grid, bank = ridges[Party.GRID], ridges[Party.BANK]
    return np.block([[grid, np.zeros((len(grid), len(bank)))], [np.zeros((len(bank), len(grid))), bank]])


def _objective(u: Reals, y: Reals, weights: Reals, penalty: Reals) -> float:
    return float(np.mean(np.logaddexp(0.0, u) - y * u) + weights @ penalty @ weights / 2)


async def _trained(
    model: Model, x: dict[Party, Reals], ridges: dict[Party, Reals], start: Reals, label: Reals
) -> tuple[Reals, bool]:
    """The weights, opened for this measurement alone, (m_grid + m_bank,), and whether the bank found that they had arrived."""
    step = step_size(model)

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[Shares, bool]:
        party, bank = session.party, session.party is Party.BANK
        own = np.asfortranarray(encode(x[party], X_SCALE).view(np.int64).astype(np.int32))
        pull = np.asfortranarray(encode(step * ridges[party], RIDGE_SCALE))
        gain = secret_gain(own, label, ridges[party], step) if bank else 0.0
        first = start if bank else np.zeros(own.shape[1])
        other = x[party.other].shape[1]
        inputs = TrainingInputs(model, own, pull, other, first, label if bank else None, gain=gain)
        found = await train(session, correlations, inputs)
        assert isinstance(found, Shares)
        return found, session.settled

    (grid, _), (bank, settled) = (await coordinate(Trio(), side, lambda demand: make_work(model, demand))).values()
    words = grid.own + bank.other, bank.own + grid.other
    return np.concatenate([decode(part, WEIGHT_SCALE) for part in words]), settled


def bench_worlds(
    model: Model, every: int = 1, overdue: float | None = None, rows: int | None = None, held: int = 0
) -> dict[str, Any]:
    """Each of the worlds, or every so many-th; the worst, how many are within 1e-4 and 0.0005 of AUC, how many warned of.

    overdue, rows: only worlds of that rate, of so many rows. held: as of `measure`.
    """
    asked = (one for one in worlds() if overdue in (None, one.rate) and rows in (None, one.rows))
    found = [measure(world, model, held=held) for world in itertools.islice(asked, 0, None, every)]
    near = sum(one["excess"] <= 1e-4 and one["auc_lost"] <= 0.0005 for one in found)
    return {
        "worlds": len(found),
        "near": near,
        "warned": sum(one["warned"] for one in found),
        "worst_excess": max(one["excess"] for one in found),
        "worst_auc_lost": max(one["auc_lost"] for one in found),
        "each": found,
    }
