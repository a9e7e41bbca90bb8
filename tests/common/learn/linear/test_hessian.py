"""The descent on a shared Hessian: the optimum, scales at their edges, bytes and rounds, what is said."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import WattScoreError
from common.learn.learner import Size
from common.learn.linear import hessian
from common.learn.linear.cost import descent
from common.learn.linear.course import KEEP_CELLS, STEP_CELLS
from common.learn.linear.deal import TrainingDemand
from common.learn.linear.hessian import MOST_ROWS, Table, left_out, nearer, openings, openings_dealt
from common.learn.linear.learner import Linear
from common.learn.linear.path import Step
from common.learn.linear.steps import is_quadratic, make_steps, make_work
from common.mpc import crossed
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.cost import Cost
from common.mpc.fixedpoint import X_SCALE, Reals
from common.mpc.prg import Prg, Purpose
from common.mpc.seeds import DEALT_BYTES
from common.mpc.session import OPENS, Array, Kind
from common.party import Party
from common.plan.linear import Model
from tests.common.learn.linear.test_arrived import SPOILT, run
from tests.common.learn.linear.test_undealt import Broken, Kept, inputs_of, trained
from tests.common.mpc.problems import Problem, make_problem
from tests.common.mpc.test_cost import measured
from tests.common.mpc.test_privacy import suspicious
from tests.common.stages.test_changed_words import Change, Place
from tests.extent import extent
from tests.reference import sigmoid

MODEL = Model(link="taylor", reveal="owners", weight_bits=16)
CLOSE = 2.0**-13  # of a whitened weight, its opening's rounding and that of columns included


def optimum(problem: Problem, model: Model = MODEL) -> Reals:
    """Of the expansion, over columns as they are rounded."""
    x = np.column_stack([inputs_of(problem, p, model).own * 2.0**-X_SCALE for p in Party])
    grid = problem.columns[Party.GRID]
    ridge = np.zeros((x.shape[1],) * 2)
    ridge[:grid, :grid], ridge[grid:, grid:] = (problem.ridge[p] for p in Party)
    found: Reals = np.linalg.solve(x.T @ x / 4 / len(x) + ridge, x.T @ (problem.y - 0.5) / len(x))
    return found


@pytest.mark.parametrize(("rows", "columns"), [(300, (1, 1)), (5000, (3, 4)), (5000, (6, 2)), (70_000, (3, 4))], ids=str)
async def test_it_arrives_at_the_optimum(rows: int, columns: tuple[int, int]) -> None:
    """The last with a low bit of each number left out at random."""
    problem = make_problem(rows, *columns)
    assert left_out(rows) == (rows > 1 << 16)
    found, _ = await trained(problem, MODEL)
    assert np.abs(found - optimum(problem)).max() < CLOSE


@pytest.mark.parametrize("ridge", [0.0, 0.1, 10.0])
@pytest.mark.parametrize("step", [1.0, None, 5.0])
async def test_whatever_the_ridge_and_the_step(ridge: float, step: float | None) -> None:
    problem, model = make_problem(2000, 3, 2, ridge), MODEL.model_copy(update={"step": step, "iterations": 60})
    found, _ = await trained(problem, model)
    assert np.abs(found - optimum(problem, model)).max() < CLOSE
    moved = np.abs(optimum(problem) - optimum(make_problem(2000, 3, 2, 0.0))).max()
    assert (moved > 0.01) == (ridge > 0)


async def test_sides_that_say_almost_the_same_are_told_apart() -> None:
    """A correlation of 0.99 between them, the label on what they differ in."""
    problem, rng = make_problem(6000, 3, 4), np.random.default_rng(5)
    x = {p: part.copy() for p, part in problem.x.items()}
    x[Party.GRID][:, 0] = 0.99 * x[Party.BANK][:, 0] + math.sqrt(1 - 0.99**2) * x[Party.GRID][:, 0]
    u = 6.0 * (x[Party.GRID][:, 0] - x[Party.BANK][:, 0]) + 0.5 * x[Party.GRID][:, 1]
    near = Problem(x, problem.ridge, (rng.random(len(u)) < sigmoid(u)).astype(np.float64))
    found, _ = await trained(near, MODEL)
    both = np.column_stack([x[p] for p in Party])
    assert np.abs(both @ (found - optimum(near))).max() < 0.01 and np.abs(found).max() > 3.0


@pytest.mark.parametrize("rows", [1 << 16, (1 << 16) + 1])
async def test_sums_at_their_bound(rows: int) -> None:
    """Both sides hold one column, which is the label but for its sign: no sum is larger. How they share its weight is open."""
    signs = np.where(np.random.default_rng(rows).random((rows, 1)) < 0.5, 1.0, -1.0)
    problem = Problem(dict.fromkeys(Party, signs), dict.fromkeys(Party, np.zeros((1, 1))), (1 - signs[:, 0]) / 2)
    found, _ = await trained(problem, MODEL)
    assert abs(found.sum() + 2.0) < CLOSE


@given(st.integers(1, MOST_ROWS))
def test_sums_have_room_and_no_more_bits_are_left_out_than_they_need(rows: int) -> None:
    def fits(drop: int) -> bool:
        """Below 2^38, as a word lifted by 24 bits is truncated: of columns of mean square 1, the label's being 4."""
        return 2 * rows * 2 ** (2 * (X_SCALE - drop)) <= 1 << 37

    drop = left_out(rows)
    assert fits(drop) and 0 <= drop <= 4 and (drop == 0 or not fits(drop - 1))
    kept = 2 * (X_SCALE - drop)
    for size in (0.5, 4.0, 16.0):
        table = Table(np.zeros((rows, 0), np.int32), np.zeros((0, 0), np.uint64), 1, None, size, rows)
        one = np.ones((1, 2), np.uint64)
        correlated, part = (int(found[0, 0]) for found in table.scaled(one, Party.BANK.other))
        assert rows * 2**kept * correlated < 1 << 62 and 2 * rows * 2**kept * part < 1 << 62
        for factor, real in ((correlated, 2.0 ** (54 - kept) / rows), (part, size / 4 * 2.0 ** (58 - kept) / rows)):
            assert abs(factor / real - 1) < 2.0**-17


def test_low_bits_are_left_out_without_bias_and_whole_multiples_stay() -> None:
    rows = 1 << 17
    own = np.repeat([[5, -3, 8, -64]], rows, axis=0).astype(np.int32)
    table = Table(np.asfortranarray(own), np.zeros((4, 4), np.uint64), 1, np.tile([0.0, 1.0], rows // 2), 4.0, rows)
    unit = 1 << left_out(rows)
    assert unit == 2
    block = table.shortened()(0) * unit
    assert np.abs(block.mean(axis=1) - [5, -3, 8, -64, 0]).max() < 6 * unit / 2 / math.sqrt(block.shape[1])
    assert np.abs(block - table.block(0)).max() < unit and (block[2:] == table.block(0)[2:]).all()
    assert (block[:2] != table.shortened()(0)[:2] * unit).any()  # drawn anew


def test_beyond_the_rows_that_it_has_room_for_steps_go_over_rows() -> None:
    assert is_quadratic(MODEL, MOST_ROWS) and not is_quadratic(MODEL, MOST_ROWS + 1)
    assert [step.high for step in make_steps(MODEL, MOST_ROWS, 40)] == [MOST_ROWS] * 12
    assert len(make_steps(MODEL, MOST_ROWS + 1, 40)) == 11
    for other in ({"link": "fourier"}, {"optimiser": "sgd"}, {"dealer": "half"}, {"dealer": "none"}):
        assert not is_quadratic(Model.model_validate(MODEL.model_dump() | other), 1000)


@pytest.mark.parametrize("start", [0.0, 1.5, -30.0])
def test_it_begins_no_further_out_than_it_can_end(start: float) -> None:
    assert nearer(np.array([0.0, start])).tolist() == [0.0, max(start, -2.0)]


@pytest.mark.parametrize("columns", [(3, 4), (6, 2), (1, 1)], ids=str)
@pytest.mark.parametrize("reveal", ["none", "owners"])
async def test_bytes_and_rounds_are_those_of_the_formula(columns: tuple[int, int], reveal: str) -> None:
    problem, model = make_problem(700, *columns), MODEL.model_copy(update={"weight_bits": 8})
    _, trio = await trained(problem, model)
    work = make_work(model, TrainingDemand(700, *columns))
    for party in Party:
        assert measured(trio, party) == descent(party, work) + Cost(dealt=DEALT_BYTES)
    told = 3  # the truncation and both openings
    assert trio.session[Party.BANK].traffic.rounds - told == Linear().rounds(model, Size(700, 3, 3))
    assert len(openings(*columns)) == len(openings_dealt(*columns)) == hessian.ROUNDS - 2
    assert Linear().cost(Party.GRID, model, Size(700, *columns)) == descent(Party.GRID, work)


async def test_a_training_that_broke_off_goes_on_to_the_same_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem(3000, 3, 4)
    monkeypatch.setattr("common.learn.linear.course.KEEP_CELLS", 4 * (STEP_CELLS + 49))
    diaries = {party: Kept(breaks=4) for party in Party}
    with pytest.raises(Broken):
        await trained(problem, MODEL, diaries)
    kept = {party: diaries[party].begin for party in Party}
    assert all(one is not None and one.done == 4 for one in kept.values())
    found, trio = await trained(problem, MODEL, {party: Kept(kept[party]) for party in Party})
    assert np.abs(found - optimum(problem)).max() < CLOSE
    points = [label for label, _ in trio.peer[Party.GRID].log if label.kind is Kind.MASKED_OPERAND]
    assert len(points) == len(openings(3, 4)) - 3 + 12 - 4 + 1  # three are truncations
    assert KEEP_CELLS // STEP_CELLS > 12  # by default no step is worth an entry: the sums, which are not kept, are most of it


async def test_no_key_stream_is_used_twice(
    streams: dict[Prg, list[tuple[bytes, Purpose, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossed, "MATRIX_BLOCK", 50)
    monkeypatch.setattr(hessian, "MATRIX_BLOCK", 50)
    await trained(make_problem(149, 3, 2), MODEL)
    assert len(streams) == 4
    for used in streams.values():
        assert Counter(used).most_common(1)[0][1] == 1
    for seed in {used[0][0] for used in streams.values()}:
        party, dealer = (set(used) for used in streams.values() if used[0][0] == seed)
        assert party == dealer


PLACES: list[Place] = [
    ("grid", "train", "masked_matrix"),
    ("bank", "train", "masked_matrix"),
    ("grid", "train", "masked_update"),
    ("bank", "train", "masked_update"),
    ("bank", "train", "masked_operand"),
    ("dealer", "train", "dealt_truncation"),
    ("grid", "train", "masked_operand"),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]} {place[2]}")
async def test_a_high_bit_that_changes_spoils_no_training_in_silence(place: Place) -> None:
    """In any message of its kind: also one of those before the first step, which no later step would make good."""
    seen, rng, found = Change(), np.random.default_rng(PLACES.index(place)), 0
    right, _, _ = await run(seen, model=MODEL)
    for attempt in range(24 if place[2] != "masked_matrix" else 8):
        # but for the last, of which weights are opened: section 17 says what is not found out there
        most = seen.seen[place] - {"masked_update": 1, "dealt_truncation": 2}.get(place[2], 0)
        number = int(rng.integers(most)) if attempt % 2 else min(attempt // 2, most - 1)
        change = Change(place, number, float(rng.random()), float(rng.uniform(0.4, 0.98)))
        try:
            weights, settled, _ = await run(change, model=MODEL, seed=attempt)
        except WattScoreError:
            found += 1
            continue
        assert change.done
        assert not settled or np.abs(weights - right).max() < SPOILT, (number, change.word, change.bit)
        found += not settled
    assert found


PROBLEM = make_problem(5, 2, 2, ridge=0.1)
JOBS = extent(80, 250)


async def said(problem: Problem) -> dict[tuple[str, str, int], Array]:
    """Every word of some jobs that opens nothing, by where it is sent and stands; the same in each run of the tests."""
    words: dict[tuple[str, str], list[Array]] = defaultdict(list)
    for seed in range(JOBS):
        _, trio = await trained(problem, MODEL.model_copy(update={"iterations": 2}), seed=seed)
        logs = [(p.value, trio.peer[p].log) for p in Party] + [(f"to {p.value}", trio.to_party[p].log[1:]) for p in Party]
        for who, log in logs:
            for label, values in log:
                if label.kind not in OPENS:
                    words[who, str(label)].append(values.ravel())
    return {(*key, i): column for key, all_of in words.items() for i, column in enumerate(np.stack(all_of).T)}


@pytest.mark.untraced
async def test_all_that_is_said_and_dealt_is_coins() -> None:
    assert suspicious(await said(PROBLEM)) == set()


@pytest.mark.untraced
async def test_a_missing_mask_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the operands, the dealer's being as they were: so nothing arrives, which is not looked at here."""

    async def arrived(*_: object) -> bool:
        return True

    monkeypatch.setattr("common.learn.linear.train.check_arrived", arrived)
    monkeypatch.setattr(DealtCorrelations, "operand_mask", lambda self, number, count: np.zeros(count, np.uint64))
    assert {label.split("/")[0] for _, label in suspicious(await said(PROBLEM))} == {"masked_operand"}


def test_a_step_is_over_all_rows() -> None:
    assert make_steps(MODEL, 200_000, 40)[0] == Step(0, 0, 200_000, 4.0, 0)
