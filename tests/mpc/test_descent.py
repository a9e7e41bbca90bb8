"""Whole trainings against the plaintext twin, and what one step sends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.mpc.correlation import DealtCorrelations
from common.mpc.cost import owned_step, shared_step
from common.mpc.dealer import Dealer
from common.mpc.descent import ONE, Blocks, Step, nesterov, sgd
from common.mpc.link import Fourier, Link, Taylor
from common.mpc.session import Kind, Session
from common.party import Party
from tests.mpc.problems import begin, make_problem, train
from tests.peers import Trio
from tests.reference import descend

ROWS, GRID, BANK = 1500, 5, 4
CLOSE = 1e-4  # largest difference of a whitened weight from the twin's
PROBLEM = make_problem(ROWS, GRID, BANK)

FULL = nesterov(ROWS, 12)
BATCHES = sgd(ROWS, 400, 3, 1.0)  # 1,500 = 400 + 400 + 700
CASES: dict[str, tuple[list[Step], Link, int | None]] = {
    "fourier": (FULL, Fourier(), 20),
    "taylor": (FULL, Taylor(), 20),
    "wide fourier": (FULL, Fourier(64, 16), 20),
    "narrow taylor": (FULL, Taylor(32), 20),
    "sgd": (BATCHES, Fourier(), 20),
    "sgd taylor": (BATCHES, Taylor(), 20),
    "owned": (BATCHES, Fourier(), None),
    "owned taylor": (BATCHES, Taylor(), None),
    "batches of unequal size": ([Step(0, 0, 1000, 1.0, 100), Step(1, 1000, ROWS, 1.0, 0)], Fourier(), 20),
    "one step": (FULL[:1], Fourier(), 20),
}


@pytest.mark.parametrize("case", CASES)
async def test_secure_equals_plaintext(case: str) -> None:
    steps, link, bits = CASES[case]
    trained = await train(Trio(seed=1), PROBLEM, steps, link, bits)
    assert np.abs(trained.weights - PROBLEM.twin(steps, link)).max() < CLOSE
    assert np.abs(trained.weights).max() > 0.1


@pytest.mark.parametrize("ridge", [0.0, 0.1, 10.0])
@pytest.mark.parametrize("owned", [False, True])
async def test_ridge(ridge: float, owned: bool) -> None:
    problem = make_problem(ROWS, GRID, BANK, ridge)
    steps = BATCHES if owned else FULL
    trained = await train(Trio(seed=2), problem, steps, Fourier(), None if owned else 20)
    assert np.abs(trained.weights - problem.twin(steps, Fourier())).max() < CLOSE
    moved = np.abs(problem.twin(steps, Fourier()) - make_problem(ROWS, GRID, BANK, 0.0).twin(steps, Fourier())).max()
    assert (moved > 0.01) == (ridge > 0)  # so that leaving the ridge out would be seen


async def test_opened_weights_are_the_twins_on_the_grid() -> None:
    trained = await train(Trio(seed=3), PROBLEM, FULL, Fourier(), 8)
    assert np.abs(trained.weights - PROBLEM.twin(FULL, Fourier())).max() < 2.0**-8 + CLOSE
    assert (trained.weights * 2**8 == np.rint(trained.weights * 2**8)).all()


async def test_momentum_is_applied() -> None:
    plain = [Step(s.number, s.low, s.high, s.size, 0) for s in FULL]
    assert np.abs(PROBLEM.twin(plain, Fourier()) - PROBLEM.twin(FULL, Fourier())).max() > 10 * CLOSE
    trained = await train(Trio(seed=4), PROBLEM, plain, Fourier())
    assert np.abs(trained.weights - PROBLEM.twin(plain, Fourier())).max() < CLOSE


async def test_full_batch_reaches_the_optimum() -> None:
    x = np.column_stack([PROBLEM.x[p] for p in Party])
    trained = await train(Trio(seed=5), PROBLEM, nesterov(ROWS, 15), Fourier())
    ridge = np.zeros((GRID + BANK,) * 2)
    ridge[:GRID, :GRID], ridge[GRID:, GRID:] = PROBLEM.ridge[Party.GRID], PROBLEM.ridge[Party.BANK]
    best = descend(x, PROBLEM.y, ridge, nesterov(ROWS, 400))
    assert np.abs(trained.weights - best).max() < 0.05


async def test_rows_outside_a_step_do_not_count() -> None:
    """Training on the first 600 rows of 1,500 is training on those 600."""
    steps = [Step(t, 0, 600, 1.0, 0) for t in range(3)]
    trained = await train(Trio(seed=6), PROBLEM, steps, Taylor())
    assert np.abs(trained.weights - PROBLEM.twin(steps, Taylor())).max() < CLOSE


async def sent_by_a_step(owned: bool) -> Trio:
    trio, step = Trio(), FULL[1:2]

    async def side(session: Session, correlations: DealtCorrelations) -> None:
        descent = await begin(session, correlations, PROBLEM, Fourier(), 2.0)
        session.traffic.rounds = 0
        session.traffic.sent.clear()
        await (descent.owned(step) if owned else descent.shared(step))

    async def deal(dealer: Dealer) -> None:
        await dealer.training(PROBLEM.work(step, Fourier(), None if owned else 20))

    await trio.run(side, deal)
    return trio


@pytest.mark.parametrize("party", Party)
async def test_cost_of_a_shared_step(party: Party) -> None:
    traffic = (await sent_by_a_step(owned=False)).session[party].traffic
    own, other = PROBLEM.columns[party], PROBLEM.columns[party.other]
    assert traffic.rounds == 4
    assert traffic.sent == {
        Kind.MASKED_WEIGHTS: 8 * other,
        Kind.MASKED_U: 4 * ROWS,
        Kind.MASKED_RESIDUAL: 8 * ROWS,
        Kind.MASKED_UPDATE: 8 * (own + other),
    }
    assert sum(traffic.sent.values()) == shared_step(ROWS, own, other)


@pytest.mark.parametrize("party", Party)
async def test_cost_of_an_owned_step(party: Party) -> None:
    traffic = (await sent_by_a_step(owned=True)).session[party].traffic
    own, other = PROBLEM.columns[party], PROBLEM.columns[party.other]
    assert traffic.rounds == 3
    assert traffic.sent == {Kind.MASKED_U: 4 * ROWS, Kind.MASKED_RESIDUAL: 8 * ROWS, Kind.GRADIENT_SHARE: 8 * other}
    assert sum(traffic.sent.values()) == owned_step(ROWS, own, other)


def test_nesterov_steps() -> None:
    steps = nesterov(100, 4)
    assert [(s.number, s.low, s.high, s.size) for s in steps] == [(t, 0, 100, 2.0) for t in range(4)]
    assert [s.momentum for s in steps] == [0, ONE // 4, round(ONE * 0.4), ONE // 2]


@given(st.integers(1, 5000), st.integers(1, 2000), st.integers(1, 4))
def test_batches_cover_each_epoch_and_none_is_short(rows: int, batch: int, epochs: int) -> None:
    """A short last batch opened its labels with owned weights: one row's gradient is that row times its residual."""
    steps = sgd(rows, batch, epochs, 1.0)
    assert [s.number for s in steps] == list(range(len(steps)))
    each = len(steps) // epochs
    for epoch in range(epochs):
        bounds = [(s.low, s.high) for s in steps[epoch * each : (epoch + 1) * each]]
        assert [low for low, _ in bounds] == [0, *(high for _, high in bounds[:-1])] and bounds[-1][1] == rows
    assert min(s.rows for s in steps) >= min(batch, rows)
    assert max(s.rows for s in steps) < max(2 * batch, rows + 1)


def test_blocks_have_one_order_at_both_parties() -> None:
    grid, bank = np.arange(3, dtype=np.uint64), np.arange(10, 12, dtype=np.uint64)
    for party, own, other in ((Party.GRID, grid, bank), (Party.BANK, bank, grid)):
        joined = Blocks(own, other).joined(party)
        assert joined.tolist() == [0, 1, 2, 10, 11]
        back = Blocks.zero(len(own), len(other)).split(party, joined)
        assert (back.own == own).all() and (back.other == other).all()
