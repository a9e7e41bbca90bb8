"""Small joint training problems, their secure solution in one process, and their plaintext twin."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.learn.linear.deal import Work
from common.learn.linear.descent import Descent
from common.learn.linear.joint import Operand
from common.learn.linear.joint import joint_matrix as joint_matrix_of
from common.learn.linear.path import REST_SCALE, Step, matrix_width
from common.learn.linear.products import Dealt
from common.learn.linear.reveal import reveal_weights
from common.mpc.arrived import Rest, check_arrived, combinations
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import (
    JOINT_SCALE,
    MOMENTUM_SCALE,
    UPDATE_SCALE,
    WEIGHT_SCALE,
    X_SCALE,
    Reals,
    Words,
    decode,
    encode,
)
from common.mpc.link import Link
from common.mpc.lockstep import Exchanges
from common.mpc.product import Matrices, share_matrices
from common.mpc.session import Session
from common.mpc.share import Share
from common.party import Party
from tests.peers import Trio, deal_work
from tests.reference import descend, joint_matrix, sigmoid

REST = Rest(1e3, 1e3)  # problems whose training is cut short, too
RIDGE_SCALE = UPDATE_SCALE - WEIGHT_SCALE - MOMENTUM_SCALE


@dataclass(frozen=True)
class Problem:
    """Whitened columns and the ridge in their coordinates at each party; the label, 0.0 or 1.0, at the bank."""

    x: dict[Party, Reals]
    ridge: dict[Party, Reals]
    y: Reals

    @property
    def rows(self) -> int:
        return len(self.y)

    @property
    def columns(self) -> dict[Party, int]:
        return {party: x.shape[1] for party, x in self.x.items()}

    def twin(self, steps: list[Step], link: Link, gain: float | None = None) -> Reals:
        """The plaintext descent, (m_grid + m_bank,); gain: of the joint matrix, None without it."""
        grid, bank = self.ridge[Party.GRID], self.ridge[Party.BANK]
        ridge = np.zeros((len(grid) + len(bank),) * 2)
        ridge[: len(grid), : len(grid)], ridge[len(grid) :, len(grid) :] = grid, bank
        joint = None if gain is None else joint_matrix(self.x[Party.GRID], self.x[Party.BANK], gain)
        return descend(np.column_stack([self.x[p] for p in Party]), self.y, ridge, steps, link, joint=joint)

    def work(self, steps: list[Step], link: Link, bits: int | None, joint: bool = False) -> Work:
        return Work(steps, link, self.rows, self.columns, bits, joint=joint)


def make_problem(rows: int, grid: int, bank: int, ridge: float = 1e-3, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, grid + bank))
    x -= x.mean(axis=0)  # as prepared columns are, so that the column of ones stays one when it is whitened
    x[:, -1] = 1.0
    beta = rng.standard_normal(grid + bank) / 2
    y = (rng.random(rows) < sigmoid(x @ beta - 0.5)).astype(np.float64)
    whitened, pull = {}, {}
    for party, part, penalty in (
        (Party.GRID, x[:, :grid], np.ones(grid)),
        (Party.BANK, x[:, grid:], np.r_[np.ones(bank - 1), 0.0]),
    ):
        factor = np.linalg.cholesky(part.T @ part / rows + 4 * ridge * np.diag(penalty) + 1e-9 * np.eye(len(penalty)))
        whiten = np.linalg.inv(factor).T
        whitened[party], pull[party] = part @ whiten, ridge * whiten.T @ np.diag(penalty) @ whiten
    return Problem(whitened, pull, y)


async def begin(
    session: Session, correlations: DealtCorrelations, problem: Problem, link: Link, step_size: float, known: bool = False
) -> Descent:
    """Encodes and shares this party's matrices. known: of `Dealt`."""
    own = np.asfortranarray(encode(problem.x[session.party], X_SCALE))
    pull = np.asfortranarray(encode(step_size * problem.ridge[session.party], RIDGE_SCALE))
    width = matrix_width([Step(0, 0, problem.rows, step_size, 0)], link)
    matrices = await share_matrices(session, correlations, own, pull, problem.columns[session.party.other], width=width)
    label = problem.y.astype(np.uint8) if session.party is Party.BANK else None
    return Descent(session, correlations, Dealt(session, correlations, matrices, link, known), link, label)


def matrices_of(descent: Descent) -> Matrices:
    """What `begin` shared."""
    assert isinstance(descent.products, Dealt)
    return descent.products.matrices


@dataclass(frozen=True)
class Trained:
    """Weights (m_grid + m_bank,), and the final shares at each party, own block then the other's, before opening."""

    weights: Reals
    shares: dict[Party, tuple[Share, Share]]


async def train(
    trio: Trio,
    problem: Problem,
    steps: list[Step],
    link: Link,
    bits: int | None = WEIGHT_SCALE,
    start: dict[Party, Reals] | None = None,
    gain: float | None = None,
) -> Trained:
    """A whole training; `bits` None for owned weights; `start` each party's own first weights; `gain` as in `Problem.twin`."""
    shares: dict[Party, tuple[Share, Share]] = {}

    async def side(session: Session, correlations: DealtCorrelations) -> Reals:
        descent = await begin(session, correlations, problem, link, steps[0].size, gain is not None)
        first = None if start is None else encode(start[session.party], WEIGHT_SCALE)
        if bits is None:
            return decode(await descent.owned(steps, first), WEIGHT_SCALE)

        async def joint(rounds: Exchanges) -> Operand:
            mine, data_rows = (gain or 0.0 if session.party is Party.BANK else 0.0), steps[0].data_rows or problem.rows
            return await joint_matrix_of(rounds, correlations, matrices_of(descent), data_rows, encode(mine, JOINT_SCALE))

        found = await descent.shared(steps, first, None if gain is None else joint)
        shares[session.party] = found.own, found.other
        sums = combinations(found.last.resting, found.last.opened.tobytes())
        await check_arrived(session, sums, REST_SCALE, REST)
        return await reveal_weights(session, correlations, len(steps), *shares[session.party], bits)

    async def deal(dealer: Dealer) -> None:
        await deal_work(dealer, problem.work(steps, link, bits, gain is not None))

    weights = await trio.run(side, deal)
    return Trained(np.concatenate([weights[p] for p in Party]), shares)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """For hypothesis, whose tests are not coroutines."""
    return asyncio.run(coroutine)


def halves(words: Words, rng: np.random.Generator) -> dict[Party, Words]:
    """Two words a word that sum to it."""
    first = rng.integers(0, 2**64, words.shape, dtype=np.uint64)
    return {Party.GRID: first, Party.BANK: words - first}


def few_overdue() -> tuple[Problem, Reals, Reals]:
    """6,000 rows of 6 and 5 columns, 3 % overdue, and as many that are not trained on: columns (n, m), labels (n,)."""
    problem, rng = make_problem(12_000, 6, 5), np.random.default_rng(3)
    x = np.column_stack([problem.x[p] for p in Party])
    u = x @ (rng.standard_normal(x.shape[1]) / 2)
    y = (rng.random(len(u)) < sigmoid(u - np.quantile(u, 0.9) - 2.6)).astype(np.float64)
    assert 0.025 < y.mean() < 0.035
    half = len(y) // 2
    first = Problem({p: part[:half] for p, part in problem.x.items()}, problem.ridge, y[:half])
    return first, x[half:], y[half:]
