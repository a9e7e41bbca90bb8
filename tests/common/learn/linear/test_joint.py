"""The joint matrix against its plaintext twin, and descents that it shortens."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PolicyError
from common.learn.linear import joint, path
from common.learn.linear.deal import Masks, TrainingDemand
from common.learn.linear.hessian import openings
from common.learn.linear.joint import (
    DOUBLINGS,
    MOST_OPENED,
    SETUP_ROUNDS,
    Operand,
    Sample,
    cross,
    gradient_number,
    joint_matrix,
    setup_dealt,
    setup_number,
    setup_openings,
    times_cut,
)
from common.learn.linear.path import MOVED_SHIFT, SPAN_ROWS, Step
from common.learn.linear.schedule import nesterov
from common.learn.linear.steps import MAX_STEPS, STEP, make_work
from common.mpc.correlations import dealt
from common.mpc.correlations.asked import TruncationPart
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import JOINT_SCALE, Reals, Words, decode, encode
from common.mpc.link import Fourier, Link, Taylor
from common.mpc.session import Kind, Session
from common.mpc.truncate import masked
from common.party import Party
from common.plan.linear import Model
from common.wire import codec, peer
from common.wire.peer import Counter, FrameChannel
from tests import reference
from tests.common.mpc.problems import Problem, begin, matrices_of, train
from tests.common.wire.streams import duplex
from tests.patience import patience
from tests.peers import ALL, Trio

ROWS = 2000
CLOSE = 1e-3


def driven(correlation: float, rate: float, rows: int = ROWS, width: int = 4) -> Problem:
    """Columns of both sides driven by one factor, and a label on what the sides differ in."""
    rng = np.random.default_rng(7)
    share = correlation / (correlation + width * (1 - correlation))
    factor, noise = rng.standard_normal((rows, 1)), rng.standard_normal((rows, 2 * width))
    x = np.sqrt(share) * factor + np.sqrt(1 - share) * noise
    apart = x[:, :width].mean(axis=1) - x[:, width:].mean(axis=1)
    y = (rng.random(rows) < reference.sigmoid(1.2 * apart / apart.std() + np.log(rate / (1 - rate)))).astype(np.float64)
    parts = {Party.GRID: x[:, :width], Party.BANK: np.column_stack([x[:, width:], np.ones(rows)])}
    whitened = {p: part @ np.linalg.inv(np.linalg.cholesky(part.T @ part / rows)).T for p, part in parts.items()}
    return Problem(whitened, {p: np.zeros((part.shape[1],) * 2) for p, part in parts.items()}, y)


async def opened_matrix(problem: Problem, gain: float) -> tuple[Reals, Trio]:
    """M of both parties' shares put together, and who sent what."""
    trio = Trio(seed=3)

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[Reals, Reals]:
        begun = await begin(session, correlations, problem, Taylor(), STEP)
        session.traffic.rounds = 0
        session.traffic.sent.clear()
        mine = encode(gain if session.party is Party.BANK else 0.0, JOINT_SCALE)
        found = await joint_matrix(session, correlations, matrices_of(begun), problem.rows, mine)
        return found.opened, found.mask

    async def deal(dealer: Dealer) -> None:
        work = problem.work(nesterov(problem.rows, 1, 2.5), Taylor(), 20, joint=True)
        items = Masks(dealer._prg, work).deal()
        await dealer.deal((item for item in items if item[0][1].kind is Kind.DEALT_TRUNCATION), 0)  # not the step beside it

    (opened, grid), (same, bank) = (await trio.run(side, deal)).values()
    assert (opened == same).all()
    return decode(opened + grid + bank, JOINT_SCALE), trio


@pytest.mark.parametrize("gain", [1.0, 1.7, 8.0])
@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.99])
async def test_the_matrix_is_the_twins(correlation: float, gain: float) -> None:
    problem = driven(correlation, 0.2)
    found, _ = await opened_matrix(problem, gain)
    twin = reference.joint_matrix(problem.x[Party.GRID], problem.x[Party.BANK], gain)
    assert np.abs(found - twin).max() < 2e-3 * np.abs(twin).max()
    assert np.linalg.eigvalsh((twin + twin.T) / 2)[0] > 0


async def test_it_undoes_the_correlation() -> None:
    problem = driven(0.95, 0.2)
    found, _ = await opened_matrix(problem, 1.0)
    x = np.column_stack([problem.x[p] for p in Party])
    before, after = (np.linalg.eigvals(m).real for m in (x.T @ x / ROWS, found @ x.T @ x / ROWS))
    assert before.min() < 0.06 and before.max() > 1.9
    assert after.min() > 0.95 and after.max() < 1.001


async def test_it_costs_what_is_listed() -> None:
    _, trio = await opened_matrix(driven(0.5, 0.2), 1.0)
    for session in trio.session.values():
        assert session.traffic.rounds == SETUP_ROUNDS
        assert session.traffic.sent == {
            Kind.MASKED_UPDATE: 8 * setup_openings(4, 5)[0],
            Kind.MASKED_OPERAND: 8 * sum(setup_openings(4, 5)[1:]),
        }
        assert not session.opened


@pytest.mark.parametrize("link", [Fourier(), Taylor()], ids=str)
@pytest.mark.parametrize(("correlation", "rate", "gain"), [(0.0, 0.5, 1.0), (0.95, 0.2, 1.0), (0.99, 0.02, 1.0)])
async def test_secure_equals_plaintext(link: Link, correlation: float, rate: float, gain: float) -> None:
    problem, steps = driven(correlation, rate), nesterov(ROWS, 15, STEP)
    trained = await train(Trio(seed=1), problem, steps, link, gain=gain)
    twin = problem.twin(steps, link, gain)
    x = np.column_stack([problem.x[p] for p in Party])
    assert np.abs(x @ (trained.weights - twin)).max() < CLOSE * max(1.0, np.abs(x @ twin).max())
    assert np.abs(twin).max() > 0.3


async def test_begun_on_few_rows_it_ends_where_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.learn.linear.schedule.LEVEL_ROWS", ROWS // 4)
    problem, steps, whole = driven(0.95, 0.2), nesterov(ROWS, 12, STEP, 2, longer=True), nesterov(ROWS, 30, STEP)
    assert [step.rows for step in steps] == [ROWS // 4] * 3 + [ROWS] + [ROWS // 4] * 6 + [ROWS]
    trained, twin = await train(Trio(seed=1), problem, steps, Fourier(), gain=1.0), problem.twin(steps, Fourier(), 1.0)
    assert np.abs(trained.weights - twin).max() < CLOSE
    optimum = problem.twin(whole, Fourier(), 1.0)
    assert np.abs(twin - optimum).max() < 0.025
    assert np.abs(problem.twin(steps[:-1], Fourier(), 1.0) - optimum).max() < 0.05  # corrected steps end there by themselves
    part = [Step(s.number, 0, s.rows, s.size, s.momentum) for s in steps if s.rows < ROWS and not s.measures]
    assert np.abs(problem.twin(part, Fourier(), 1.0) - optimum).max() > 0.05


@given(
    st.lists(st.integers(-(2**62) + 1, 2**62 - 1), min_size=2, max_size=5), st.sampled_from([1, 36, 40, 43]), st.integers(0, 99)
)
def test_a_product_of_what_is_cut_is_exact(values: list[int], shift: int, seed: int) -> None:
    """M g to the last bit, once the dealer's part is taken off, of g that is the values shifted, or one above."""
    rng, m = np.random.default_rng(seed), len(values)

    def shared(whole: Words) -> dict[Party, Words]:
        mine = rng.integers(0, 2**64, whole.shape, np.uint64)
        return {Party.GRID: mine, Party.BANK: whole - mine}

    matrix, hides, r = (rng.integers(0, 2**64, shape, np.uint64) for shape in ((m, m), (m, m), m))
    body, top = (r & np.uint64(2**63 - 1)) >> np.uint64(shift), r >> np.uint64(63)
    x, masks, bodies, tops = (shared(whole) for whole in (np.array(values).view(np.uint64), r, body, top))
    parts = {p: TruncationPart(masks[p], bodies[p], tops[p]) for p in Party}
    mask, products = shared(hides), shared((hides * top).T)
    c = sum(masked(p, parts[p], x[p]) for p in Party)
    found = [times_cut(p, Operand(matrix - hides, mask[p]), parts[p], list(products[p]), c, shift) for p in Party]
    g, turned = (found[0][at] + found[1][at] for at in (0, 1))
    assert {int(a) - (b >> shift) for a, b in zip(g.view(np.int64), values, strict=True)} <= {0, 1}
    assert np.array_equal(turned - hides @ body, matrix @ g)


async def test_a_share_that_the_dealer_knows_goes_with_the_first_of_u_and_parts_are_measured_side_by_side() -> None:
    """Four messages one after another a step, and three more than parts where these are measured: u and residual of each.

    Those of the first step but two go within the rounds of the matrix.
    """
    problem, third = driven(0.5, 0.2, rows=300), ((0, 100), (100, 200), (200, 300))
    steps = [Step(0, 0, 100, STEP, 0), Step(1, 0, 300, STEP, 0, measures=third), Step(2, 100, 200, STEP, 0, corrected=True)]
    trio = Trio(seed=1)
    await train(trio, problem, steps, Taylor(), gain=1.0)
    moves = [
        Kind.MASKED_WEIGHTS,
        Kind.MASKED_U,
        Kind.MASKED_RESIDUAL,
        Kind.MASKED_UPDATE,
        Kind.MASKED_UPDATE,
    ]
    u, r = Kind.MASKED_U, Kind.MASKED_RESIDUAL
    for party in Party:
        kinds = [label.kind for label, _ in trio.peer[party].log]
        begin = kinds.index(Kind.MASKED_UPDATE)
        through = begin + SETUP_ROUNDS + 3
        assert kinds[begin : begin + 5] == [Kind.MASKED_UPDATE, *moves[:2], Kind.MASKED_OPERAND, r]
        assert kinds[begin + 5 : through] == [Kind.MASKED_OPERAND] * (SETUP_ROUNDS - 2)
        assert kinds[through : through + 16] == [*moves[3:], *moves[:2], u, r, u, r, r, *moves[3:], *moves]


async def test_a_line_that_takes_little_ahead_takes_an_opening_beside_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three spans and 24 columns of the bank's, in pieces of 512 bytes of which four are on their way."""
    monkeypatch.setattr(path, "SPAN_ROWS", 64)
    for name in ("CHUNK_BYTES", "LEAST_CHUNK"):
        monkeypatch.setattr(codec, name, 512)
    problem, trio = driven(0.5, 0.2, rows=192, width=23), Trio(seed=1)
    beside = 64 * (4 + 8) + 8 * 24  # of a step: a span's u and residual, and shares of weights
    monkeypatch.setattr(peer, "_AHEAD_BYTES", 8 * max(setup_openings(23, 24)) + beside)
    ends = duplex(4)
    channels = [FrameChannel(end, "the other", Counter()) for end in ends]
    for party, channel in zip(Party, channels, strict=True):
        channel.start()
        trio.session[party] = Session(party, channel, allowed=ALL)
    steps = nesterov(problem.rows, 2, STEP)
    assert len(steps[0].spans()) == 3
    try:
        found = await asyncio.wait_for(train(trio, problem, steps, Fourier(), gain=1.0), patience(60))
    finally:
        for channel in channels:
            await channel.stop()
    alike = await train(Trio(seed=1), problem, steps, Fourier(), gain=1.0)
    np.testing.assert_array_equal(found.weights, alike.weights)


def test_columns_of_which_a_line_takes_no_opening_beside_a_step_are_refused() -> None:
    beside = 2 * SPAN_ROWS * (4 + 8) + 8 * (5746 + 4062)  # a span has half as many rows more at most
    assert MOST_OPENED + beside < peer._AHEAD_BYTES
    for grid, bank in ((2873, 2873), (1, 4062), (5746, 2)):
        make_work(Model(), TrainingDemand(50_000, grid, bank))
    for grid, bank in ((5747, 2), (1, 4063), (2874, 2874)):
        text = rf"of {grid} columns of the grid and {bank} of the bank .*at most 264241152 bytes a message, as of 2873 columns"
        with pytest.raises(PolicyError, match=text):
            make_work(Model(), TrainingDemand(50_000, grid, bank))
    make_work(Model(link="taylor"), TrainingDemand(50_000, 5747, 2))  # whose steps come behind


@pytest.mark.parametrize("link", [Taylor(4096), Fourier(4096, 8), Fourier(), Fourier(64, 16, odd=False)], ids=str)
def test_enough_bits_are_left_of_weights_for_u_of_every_period(link: Link) -> None:
    assert link.bits <= 64 - MOVED_SHIFT


@pytest.mark.parametrize("link", [Fourier(4096, 60), Taylor(2048)], ids=str)
async def test_with_the_longest_periods_it_is_the_twin_too(link: Link) -> None:
    problem, steps = driven(0.9, 0.2), nesterov(ROWS, 5, STEP)
    trained = await train(Trio(seed=1), problem, steps, link, gain=1.0)
    assert np.abs(trained.weights - problem.twin(steps, link, 1.0)).max() < 4 * CLOSE


async def test_descent_arrives_where_it_did_not() -> None:
    problem, sigmoid = driven(0.95, 0.2), Fourier()
    x = np.column_stack([problem.x[p] for p in Party])

    def loss(weights: Reals) -> float:
        return float(np.mean(np.logaddexp(0.0, x @ weights) - problem.y * (x @ weights)))

    best = loss(reference.descend(x, problem.y, np.zeros((9, 9)), nesterov(ROWS, 3000, 2.5)))
    trained = await train(Trio(seed=1), problem, nesterov(ROWS, 15, STEP), sigmoid, gain=1.0)
    assert loss(trained.weights) - best < 1e-5
    assert loss(problem.twin(nesterov(ROWS, 15, 2.5), sigmoid)) - best > 1e-3


async def test_a_sample_of_rows_in_blocks_is_that_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third row, over blocks that are no multiple of three, at the parties and the dealer alike."""
    for module in (joint, dealt):
        monkeypatch.setattr(module, "MATRIX_BLOCK", 256)
    monkeypatch.setattr("common.mpc.product.MATRIX_BLOCK", 256)
    monkeypatch.setattr(joint, "SAMPLE_ROWS", ROWS // 3)
    problem = driven(0.9, 0.2)
    found, _ = await opened_matrix(problem, 1.0)
    taken, held = ROWS // 3 + 1, 1 - 0.5 * np.sqrt(9 / (ROWS // 3 + 1))
    thinned = {p: x[::3] for p, x in problem.x.items()}
    assert len(thinned[Party.GRID]) == taken
    twin = reference.joint_matrix(thinned[Party.GRID], thinned[Party.BANK], held=held)
    assert np.abs(found - twin).max() < 2e-3 * np.abs(twin).max()


def test_rows_taken_and_what_their_products_become() -> None:
    assert [Sample(rows, 4, 5).stride for rows in (1, 131_072, 262_143, 262_144, 10**6)] == [1, 1, 1, 2, 7]
    one, fewer = (int(Sample(1000, 4, 5).scale(1000, data)) for data in (1000, 800))
    assert 256 <= one < 384 and fewer == one * 1000 // 800
    for rows in (3, 14_280, 131_072, 262_143, 10**6):
        sample = Sample(rows, 4, 5)
        taken = sample.taken(rows)
        held = 1.0 if sample.stride == 1 else 1.0 - 0.5 * math.sqrt(9 / taken)
        whole = int(sample.factor(taken)) * int(sample.scale(taken, taken)) * taken
        assert 0 <= held - whole / 2**48 < 2**-12 and int(sample.factor(taken)) % 2**16 == 0
    for rows in (3, 300, 14_280, 65_537, 66_000, 111_618, 131_072):  # of words in 5 bytes
        sample = Sample(rows, 4, 5, 5)
        factor, s = int(sample.factor(rows)), int(sample.scale(rows, rows))
        assert 0 <= 1 - factor * s * rows / 2**50 < 2**-8.5 and factor % 2**24 == 0
        assert 2**60 - 2**46 <= factor * rows << 20 <= 2**61  # room for a truncation, and 14 bits after it
    rows = [low + i for _, low, part in Sample(10**6, 4, 5).blocks(10**6) for i in range(*part.indices(1 << 16))]
    assert rows == list(range(0, 10**6, 7))


def test_numbers_meet_no_others() -> None:
    """Steps, what comes before them, their gradients and scorings are keyed by numbers that are all different."""
    assert MAX_STEPS < setup_number(0) < setup_number(len(openings(4, 5))) < gradient_number(0)
    assert gradient_number(MAX_STEPS) < 1 << 48
    assert len(setup_openings(4, 5)) == len(setup_dealt(4, 5)) == SETUP_ROUNDS == DOUBLINGS + 4


def test_cross_wraps() -> None:
    rng = np.random.default_rng(1)
    left, right = (rng.integers(0, 2**64, (9000, k), dtype=np.uint64) for k in (2, 3))
    exact = [[sum(int(a) * int(b) for a, b in zip(x, y, strict=True)) % 2**64 for y in right.T] for x in left.T]
    assert cross(left, right).tolist() == exact
