"""How much longer the bank lets steps be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.learn.linear.gain import LONGEST, secret_gain
from common.learn.linear.steps import make_work
from common.learn.linear.train import TrainingInputs, train
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import X_SCALE, Reals, Words, encode
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.linear import Model
from tests.common.mpc.problems import RIDGE_SCALE, make_problem
from tests.peers import Trio, coordinate
from tests.reference import sigmoid

ROWS = 20_000
PENALTY = 1e-4 * np.eye(4)


def drawn(rate: float, seed: int = 1) -> tuple[Words, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.standard_normal((ROWS, 3)), np.ones(ROWS)])
    y = (rng.random(ROWS) < sigmoid(0.5 * x[:, 0] + np.log(rate / (1 - rate)))).astype(np.float64)
    return np.asfortranarray(encode(x, X_SCALE).view(np.int64).astype(np.int32)), y


@pytest.mark.parametrize(("rate", "low", "high"), [(0.5, 1.0, 1.0), (0.2, 1.0, 1.0), (0.05, 1.5, 2.7), (0.02, 3.0, 6.5)])
def test_the_fewer_are_overdue_the_longer_are_steps(rate: float, low: float, high: float) -> None:
    assert low <= secret_gain(*drawn(rate), PENALTY, 4.0) <= high


def test_a_ridge_curves_the_loss_as_well() -> None:
    """A ridge of 1 with few overdue let steps diverge, silently: it is as much of the curvature as the data are."""
    own, label = drawn(0.02)
    gains = [secret_gain(own, label, size * np.eye(4), 4.0) for size in (1e-4, 0.03, 0.25)]
    assert gains[0] > 3.0 and 1.0 < gains[1] < 2.5 and gains[2] == 1.0


def test_it_stays_within_what_the_ring_has_room_for() -> None:
    own, label = drawn(0.002)
    assert secret_gain(own, label, PENALTY, 4.0) == LONGEST / 4.0
    assert secret_gain(own, label, PENALTY, 16.0) == LONGEST / 16.0
    assert secret_gain(own, label, PENALTY, 40.0) == 1.0


def test_labels_of_one_class_or_separated_ones_do_no_harm() -> None:
    own, _ = drawn(0.2)
    assert secret_gain(own, np.zeros(ROWS), PENALTY, 4.0) == 1.0
    apart = (own[:, 0] > 0).astype(np.float64)
    assert 1.0 <= secret_gain(own, apart, np.zeros((4, 4)), 4.0) <= 8.0


def test_of_many_rows_every_so_many_th_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    own, label = drawn(0.05)
    monkeypatch.setattr("common.learn.linear.gain._ROWS", 6000)
    monkeypatch.setattr("common.learn.linear.gain._CACHE", 1000)
    thinned = secret_gain(own, label, PENALTY, 4.0)
    monkeypatch.undo()
    assert thinned == pytest.approx(secret_gain(np.asfortranarray(own[::3]), label[::3], PENALTY, 4.0))


async def trained(trio: Trio, gain: float, fitted: Callable[[], float] | None = None) -> Reals:
    """All whitened weights. fitted: as the bank's inputs have it."""
    model, problem = Model(reveal="owners"), make_problem(40_000, 3, 4)

    async def side(session: Session, correlations: DealtCorrelations) -> Any:
        party, bank = session.party, session.party is Party.BANK
        own = np.asfortranarray(encode(problem.x[party], X_SCALE).view(np.int64).astype(np.int32))
        pull = np.asfortranarray(encode(4.0 * problem.ridge[party], RIDGE_SCALE))
        mine = own, pull, problem.columns[party.other], np.zeros(own.shape[1]), problem.y if bank else None
        return await train(
            session, correlations, TrainingInputs(model, *mine, gain=gain * bank, fitted=fitted if bank else None)
        )

    found = await coordinate(trio, side, lambda demand: make_work(model, demand))
    return np.concatenate([found[party] for party in Party])


async def test_the_fit_that_tells_it_goes_on_beside_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it ends once the other party has the bank's matrix, which would never be if that waited for it."""
    there, collect = threading.Event(), Session.collect

    async def collected(self: Session, kind: Kind, *about: Any) -> Any:
        found = await collect(self, kind, *about)
        if kind is Kind.MASKED_MATRIX and self.party is Party.GRID:
            there.set()
        return found

    def fitted() -> float:
        assert there.wait(60.0)
        return 1.5

    monkeypatch.setattr(Session, "collect", collected)
    found = await asyncio.wait_for(trained(Trio(seed=3), 1.0, fitted), 120.0)
    np.testing.assert_array_equal(found, await trained(Trio(seed=3), 1.5))
