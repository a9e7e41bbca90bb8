"""Whole trainings against the plaintext twin, and what one step sends."""

from __future__ import annotations

import asyncio
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.learn.linear import path
from common.learn.linear.cost import owned_step, shared_step
from common.learn.linear.path import ONE, Blocks, Step, matrix_width
from common.learn.linear.schedule import nesterov, sgd
from common.mpc import dealer as dealing
from common.mpc import link as links
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import WEIGHT_SCALE
from common.mpc.link import Fourier, Link, Taylor
from common.mpc.session import Kind, Session
from common.party import Party
from tests.channels import MemoryChannel
from tests.common.mpc.problems import begin, make_problem, train
from tests.patience import patience
from tests.peers import Trio, deal_work
from tests.reference import descend

ROWS, GRID, BANK = 1500, 5, 4
CLOSE = 2.0**-12  # largest difference of a whitened weight from the twin's, words being short
PROBLEM = make_problem(ROWS, GRID, BANK)

FULL = nesterov(ROWS, 12, 2.5)
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
    trained = await train(Trio(seed=5), PROBLEM, nesterov(ROWS, 15, 2.5), Fourier())
    ridge = np.zeros((GRID + BANK,) * 2)
    ridge[:GRID, :GRID], ridge[GRID:, GRID:] = PROBLEM.ridge[Party.GRID], PROBLEM.ridge[Party.BANK]
    best = descend(x, PROBLEM.y, ridge, nesterov(ROWS, 400, 2.5))
    assert np.abs(trained.weights - best).max() < 0.05


@pytest.mark.parametrize("bits", [WEIGHT_SCALE, None], ids=["shared", "owned"])
async def test_own_weights_may_start_anywhere(bits: int | None) -> None:
    """Each party knows where its own block starts, and the other does not."""
    start = {p: np.linspace(-0.5, 1.0, PROBLEM.columns[p]) for p in Party}
    steps = [Step(t, 0, ROWS, 1.0, 0) for t in range(2)]
    x, y = np.column_stack([PROBLEM.x[p] for p in Party]), PROBLEM.y
    ridge = np.zeros((GRID + BANK,) * 2)
    ridge[:GRID, :GRID], ridge[GRID:, GRID:] = PROBLEM.ridge[Party.GRID], PROBLEM.ridge[Party.BANK]
    twin = descend(x, y, ridge, steps, Fourier(), np.concatenate([start[p] for p in Party]))
    trained = await train(Trio(seed=8), PROBLEM, steps, Fourier(), bits, start)
    assert np.abs(trained.weights - twin).max() < CLOSE
    assert np.abs(twin - PROBLEM.twin(steps, Fourier())).max() > 0.1


async def test_rows_outside_a_step_do_not_count() -> None:
    """Training on the first 600 rows of 1,500 is training on those 600."""
    steps = [Step(t, 0, 600, 1.0, 0) for t in range(3)]
    trained = await train(Trio(seed=6), PROBLEM, steps, Taylor())
    assert np.abs(trained.weights - PROBLEM.twin(steps, Taylor())).max() < CLOSE


async def sent_by_a_step(owned: bool) -> Trio:
    trio, step = Trio(), FULL[1:2]

    async def side(session: Session, correlations: DealtCorrelations) -> None:
        begun = await begin(session, correlations, PROBLEM, Fourier(), 2.0)
        session.traffic.rounds = 0
        session.traffic.sent.clear()
        await (begun.owned(step) if owned else begun.shared(step))

    async def deal(to: Dealer) -> None:
        await deal_work(to, PROBLEM.work(step, Fourier(), None if owned else 20))

    await trio.run(side, deal)
    return trio


@pytest.mark.parametrize("party", Party)
async def test_cost_of_a_shared_step(party: Party) -> None:
    traffic = (await sent_by_a_step(owned=False)).session[party].traffic
    own, other = PROBLEM.columns[party], PROBLEM.columns[party.other]
    assert traffic.rounds == 4
    assert traffic.sent == {
        Kind.MASKED_WEIGHTS: 8 * other,
        Kind.MASKED_U: 2 * ROWS,
        Kind.MASKED_RESIDUAL: 5 * ROWS,
        Kind.MASKED_UPDATE: 8 * (own + other),
    }
    assert sum(traffic.sent.values()) == shared_step(FULL[1], Fourier(), own, other)


@pytest.mark.parametrize("party", Party)
async def test_cost_of_an_owned_step(party: Party) -> None:
    traffic = (await sent_by_a_step(owned=True)).session[party].traffic
    own, other = PROBLEM.columns[party], PROBLEM.columns[party.other]
    assert traffic.rounds == 3
    assert traffic.sent == {Kind.MASKED_U: 2 * ROWS, Kind.MASKED_RESIDUAL: 5 * ROWS, Kind.GRADIENT_SHARE: 8 * other}
    assert sum(traffic.sent.values()) == owned_step(FULL[1], Fourier(), own, other)


# Spans


SPANNED = {"shared": (FULL[:4], 20), "owned": (BATCHES, None)}


@pytest.fixture
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of some 64 rows, at the parties and the dealer alike, and temporaries of less than a span."""
    monkeypatch.setattr(path, "SPAN_ROWS", 64)
    for module in (links, dealing):
        monkeypatch.setattr(module, "CACHE_ROWS", 23)


def payload(channel: MemoryChannel) -> Counter[Kind]:
    """Bytes sent, by kind."""
    total: Counter[Kind] = Counter()
    for label, values in channel.log:
        total[label.kind] += values.nbytes
    return total


@pytest.mark.parametrize("link", [Fourier(), Taylor()], ids=str)
@pytest.mark.parametrize("case", SPANNED)
async def test_a_step_over_many_spans_is_the_step(small_spans: None, case: str, link: Link) -> None:
    steps, bits = SPANNED[case]
    assert min(len(step.spans()) for step in steps) >= 6
    trained = await train(Trio(seed=8), PROBLEM, steps, link, bits)
    assert np.abs(trained.weights - PROBLEM.twin(steps, link)).max() < CLOSE


@pytest.mark.parametrize("case", SPANNED)
async def test_spans_do_not_change_what_is_sent(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    steps, bits = SPANNED[case]
    whole, spanned = Trio(seed=9), Trio(seed=9)
    await train(whole, PROBLEM, steps, Fourier(), bits)
    monkeypatch.setattr(path, "SPAN_ROWS", 64)
    await train(spanned, PROBLEM, steps, Fourier(), bits)
    for party in Party:
        for many, one in ((spanned.peer[party], whole.peer[party]), (spanned.to_party[party], whole.to_party[party])):
            assert payload(many).keys() == payload(one).keys()
            arrays = Counter(label.kind for label, _ in many.log)
            for kind, size in payload(one).items():  # short words that are dealt are filled up to 8 bytes
                assert 0 <= payload(many)[kind] - size <= (8 * arrays[kind] if kind is Kind.DEALT_LINK else 0)
        assert len(spanned.peer[party].log) > len(whole.peer[party].log)


@pytest.mark.parametrize("case", SPANNED)
async def test_spans_interleave_alike_on_both_sides(small_spans: None, case: str) -> None:
    """The u of a span leaves before the residual of the one before it, so that neither side waits for the line."""
    steps, bits = SPANNED[case]
    trio = Trio(seed=10)
    await train(trio, PROBLEM, steps, Fourier(), bits)
    grid, bank = ([label for label, _ in trio.peer[party].log if label.kind in SWEEP] for party in Party)
    assert grid == bank
    expected = []
    for step in steps:
        between = "U R " * (len(step.spans()) - 1)
        expected += f"W U {between}R M".split() if case == "shared" else f"U {between}R G".split()
    assert [SWEEP[label.kind] for label in grid[: len(expected)]] == expected
    assert {label.kind for label in grid[len(expected) :]} <= {Kind.MASKED_UPDATE}  # of the reveal
    links = [label.number for label, _ in trio.to_party[Party.GRID].log if label.kind is Kind.DEALT_LINK]
    assert links == [span.number for step in steps for span in step.spans()]


SWEEP = {
    Kind.MASKED_WEIGHTS: "W",
    Kind.MASKED_U: "U",
    Kind.MASKED_RESIDUAL: "R",
    Kind.MASKED_UPDATE: "M",
    Kind.GRADIENT_SHARE: "G",
}


@pytest.mark.parametrize("case", SPANNED)
async def test_two_arrays_in_flight_are_enough(small_spans: None, case: str) -> None:
    """However small the line's window, neither side waits for the other for ever."""
    steps, bits = SPANNED[case]
    await asyncio.wait_for(train(Trio(limit=2), PROBLEM, steps, Taylor(), bits), patience(60))


@given(low=st.integers(0, 2**33), rows=st.integers(1, 2**22), number=st.integers(0, 2**20), size=st.integers(1000, 2**17))
def test_spans_cover_a_steps_rows_exactly(low: int, rows: int, number: int, size: int) -> None:
    step = Step(number, low, low + rows, 1.0, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(path, "SPAN_ROWS", size)
        spans, after = step.spans(), Step(number + 1, low, low + rows, 1.0, 0).spans()
    assert [span.low for span in spans] == [low, *(span.high for span in spans[:-1])]
    assert spans[-1].high == step.high
    assert sum(span.rows for span in spans) == rows and min(span.rows for span in spans) > 0
    assert max(span.rows for span in spans) <= 1.5 * size + 1
    assert len(spans) == 1 or min(span.rows for span in spans[:-1]) >= (0.75 * size if rows >= 1.5 * size else size // 16)
    numbers = [span.number for span in (*spans, *after)]
    assert numbers == sorted(set(numbers)) and numbers[-1] < 2**64


def test_a_span_is_as_large_as_the_protocol_says() -> None:
    counts = {1: 1, 8_191: 1, 8_192: 2, 65_536: 2, 163_000: 2, 164_000: 3, 10**6: 15}
    assert {rows: len(Step(0, 0, rows, 2.0, 0).spans()) for rows in counts} == counts


def test_masked_matrices_are_as_short_as_the_longest_step_allows_whatever_the_link() -> None:
    for rows, width in {1000: 5, 1 << 17: 5, (1 << 17) + 1: 6, 10**6: 6, 1 << 25: 6, (1 << 25) + 1: 7}.items():
        for link in (Fourier(), Taylor(), Fourier(64, 16, odd=False), Fourier(4096, 8)):
            steps = nesterov(rows, 3, 4.0, 2)
            assert matrix_width(steps, link) == width
            assert all(step.scales(link).cut >= max(64 - 8 * width, step.scales(link).spare) for step in steps)


def test_nesterov_steps() -> None:
    steps = nesterov(100, 4, 2.5)
    assert [(s.number, s.low, s.high, s.size) for s in steps] == [(t, 0, 100, 2.5) for t in range(4)]
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
