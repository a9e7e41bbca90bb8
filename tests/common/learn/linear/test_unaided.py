"""The linear model trained with nobody who deals: beside a dealer's, its bytes, what is said of it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from common.errors import PeerProtocolError, PlanError, PolicyError, WattScoreError
from common.learn.linear.cost import unaided
from common.learn.linear.path import Blocks
from common.learn.linear.quadratic import Inputs, crossings, share_quadratic
from common.learn.linear.steps import make_steps
from common.learn.linear.train import train
from common.mpc.arrived import Rest
from common.mpc.correlations.dealt import DealtCorrelations, NoDealer
from common.mpc.fixedpoint import RIDGE_SCALE, UNDEALT_SCALE, WEIGHT_SCALE, X_SCALE, Reals, Words, decode, encode
from common.mpc.lattice.carries import Carries, share_carries
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.prg import Prg
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.linear import HALF_ROWS, Model
from common.plan.policy import Policy
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.stats.measures import evaluate
from tests.common.learn.linear.test_undealt import Broken, Kept, inputs_of
from tests.common.learn.linear.test_undealt import trained as dealt
from tests.common.mpc.lattice.test_shares import distance
from tests.common.mpc.problems import Problem, halves, make_problem
from tests.common.mpc.test_cost import measured
from tests.common.stages.test_changed_words import Change, install
from tests.extent import extent
from tests.peers import Trio
from tests.reference import sigmoid

NONE: dict[str, Any] = {"dealer": "none", "link": "taylor", "reveal": "owners"}


async def trained(
    problem: Problem, model: Model, diaries: dict[Party, Kept] | None = None, trio: Trio | None = None
) -> tuple[Reals, Trio]:
    """As with a dealer, and there is none: whatever is asked of one is refused."""
    trio, diaries = trio or Trio(), diaries or {party: Kept() for party in Party}

    async def side(party: Party) -> Reals:
        correlations = DealtCorrelations(party, Prg.fresh_seed(), NoDealer())
        found = await train(trio.session[party], correlations, inputs_of(problem, party, model), None, diaries[party])
        assert isinstance(found, np.ndarray)
        return found

    return np.concatenate(await asyncio.gather(*map(side, Party))), trio


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem(5000, 3, 4)


@pytest.mark.parametrize("columns", [(3, 4), (4, 2)], ids=["the grid masks its rows", "the bank does"])
async def test_weights_are_those_of_a_dealer(columns: tuple[int, int]) -> None:
    problem = make_problem(5000, *columns)
    whole, _ = await dealt(problem, Model(link="taylor", iterations=30, reveal="owners", weight_bits=14))
    found, _ = await trained(problem, Model(**NONE, weight_bits=14))
    assert np.abs(found - whole).max() < 2.0**-9


async def test_sides_that_say_almost_the_same_are_told_apart() -> None:
    """A correlation of 0.97 between them, for which gradients are freed of it where there is a dealer: here steps do it."""
    problem, rng = make_problem(6000, 3, 4), np.random.default_rng(5)
    x = {p: part.copy() for p, part in problem.x.items()}
    x[Party.GRID][:, 0] = 0.97 * x[Party.BANK][:, 0] + 0.24 * x[Party.GRID][:, 0]
    u = 2.0 * x[Party.GRID][:, 0] - x[Party.BANK][:, 0] + 0.5 * x[Party.GRID][:, 1]
    near = Problem(x, problem.ridge, (rng.random(len(u)) < sigmoid(u)).astype(np.float64))
    found, _ = await trained(near, Model(**NONE, weight_bits=14))
    both = np.column_stack([x[p] for p in Party])
    ridge = block_diag(problem.ridge)
    best = np.linalg.solve(both.T @ both / 4 / len(u) + ridge, both.T @ (near.y - 0.5) / len(u))
    loss = lambda w: float(w @ (both.T @ both / 4 / len(u) + ridge) @ w / 2 - w @ both.T @ (near.y - 0.5) / len(u))  # noqa: E731
    assert loss(found) - loss(best) < 1e-4 and np.abs(both @ (found - best)).std() < 0.02


def block_diag(parts: dict[Party, Reals]) -> Reals:
    grid, bank = (parts[p] for p in Party)
    return np.block([[grid, np.zeros((len(grid), len(bank)))], [np.zeros((len(bank), len(grid))), bank]])


async def test_what_a_step_pulls_is_right() -> None:
    """At random shares, anywhere in their range, of look-aheads up to 4."""
    problem, rng = make_problem(4200, 3, 4), np.random.default_rng(2)
    model, count = Model(**NONE), sum(make_problem(4200, 3, 4).columns.values())
    points = rng.uniform(-4, 4, (5, count))
    shares = [halves(encode(point, 28), rng) for point in points]

    trio = Trio()

    async def side(party: Party) -> list[Words]:
        mine, session = inputs_of(problem, party, model), trio.session[party]
        nonces = {p: bytes([p.index]) * 32 for p in Party}
        sampler, public = Sampler(Prg.fresh_seed()), {p: Public(nonces, p) for p in Party}
        parts = Inputs(mine.own, mine.own_ridge, mine.other_columns, mine.label, 2.5)
        carries = await share_carries(session, sampler, public[Party.GRID], crossings(parts.columns(party)))
        products = await share_quadratic(session, sampler, public, carries, parts, bytes(64))
        zero, found = Blocks.zero(mine.own.shape[1], mine.other_columns), []
        for share in shares:
            found.append((await products.pull(make_steps(model, 4200, 1)[0], zero.split(party, share[party]))).joined(party))
        return found

    grid, bank = await asyncio.gather(*map(side, Party))
    both = np.column_stack([inputs_of(problem, p, model).own * 2.0**-X_SCALE for p in Party])
    ridge = block_diag({p: decode(inputs_of(problem, p, model).own_ridge, RIDGE_SCALE) for p in Party})
    for point, one, two in zip(points, grid, bank, strict=True):
        exact = 2.5 * both.T @ (both @ point / 4 - (problem.y - 0.5)) / problem.rows + ridge @ point
        assert np.abs(decode(one + two, UNDEALT_SCALE) - exact).max() < 4 * 2.0**-11


async def test_with_three_per_cent_overdue_it_ranks_as_a_dealers_does() -> None:
    """Weights in their usual steps, on rows that were not trained on."""
    problem, rng = make_problem(12_000, 6, 5), np.random.default_rng(3)
    x = np.column_stack([problem.x[p] for p in Party])
    u = x @ (rng.standard_normal(x.shape[1]) / 2)
    y = (rng.random(len(u)) < sigmoid(u - np.quantile(u, 0.9) - 2.6)).astype(np.float64)
    half = len(y) // 2
    first = Problem({p: part[:half] for p, part in problem.x.items()}, problem.ridge, y[:half])
    whole, _ = await dealt(first, Model(link="taylor", iterations=30, reveal="owners", weight_bits=12))
    none, _ = await trained(first, Model(**NONE, weight_bits=12))
    by_whole, by_none = (evaluate(y[half:], x[half:] @ weights) for weights in (whole, none))
    assert abs(by_whole.auc - by_none.auc) <= 0.0005 and abs(by_whole.logloss - by_none.logloss) <= 0.0002


@pytest.mark.parametrize("link", ["taylor", "fourier"])
async def test_a_last_shift_that_is_wrong_by_what_no_movement_shows_is_found_out(
    problem: Problem, link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By 2^18, modulo which movements are known: no step follows, and of a closed model nobody is told a weight."""
    right, model, shifts = Carries.shift, Model(dealer="none", link=link), list[int]()

    async def shift(self: Carries, words: Words, by: int | Words) -> Words:
        found = await right(self, words, by)
        if self._session.party is Party.GRID and len(words) == sum(problem.columns.values()):
            shifts.append(len(words))
        if len(shifts) == model.iterations and self._session.party is Party.GRID:
            found[0] += np.uint64(1 << 18 + WEIGHT_SCALE)
        return found

    monkeypatch.setattr(Carries, "shift", shift)
    with pytest.raises(PeerProtocolError, match="did not arrive"):
        await trained(problem, model)


async def test_what_is_told_once_is_told_again_and_what_was_not_begins_anew(problem: Problem) -> None:
    model = Model(**NONE)
    diaries = {party: Kept(breaks=1) for party in Party}
    with pytest.raises(Broken):  # where the last step is through and nothing is told yet
        await trained(problem, model, diaries)
    kept = {party: diaries[party].begin for party in Party}
    assert all(one is not None and one.done == one.steps == model.iterations for one in kept.values())
    again, trio = await trained(problem, model, {party: Kept(kept[party]) for party in Party})
    assert {label.kind for p in Party for label, _ in trio.peer[p].log} == {Kind.GRID_WEIGHT_SHARE, Kind.BANK_WEIGHT_SHARE}
    once_more, _ = await trained(problem, model, {party: Kept(kept[party]) for party in Party})
    assert np.array_equal(again, once_more)
    assert np.array_equal(again * 2**model.weight_bits, np.rint(again * 2**model.weight_bits))
    other, _ = await trained(problem, model)
    assert np.abs(other - again).max() <= 2.0 ** (1 - model.weight_bits)


SPOILT = 0.25  # of a whitened weight
BEFORE = [("grid", 1, "lattice_matrix"), ("bank", 0, "lattice_columns"), ("grid", 0, "lattice_carries")]


@pytest.mark.parametrize("place", BEFORE, ids=lambda place: place[2])
async def test_a_word_that_changes_before_the_steps_has_them_end_nowhere_else_in_silence(place: tuple[str, int, str]) -> None:
    """Rows under masks, what is sent for columns, and bits of a shift: with each of them steps come to rest as ever."""
    problem, model = make_problem(3000, 3, 4), Model(**NONE)
    right, trio = await trained(problem, model)
    assert trio.session[Party.BANK].settled
    who, number, kind = place
    rng, found = np.random.default_rng(BEFORE.index(place)), Counter[str]()
    for _ in range(8):
        change = Change((who, "train", kind), number, float(rng.random()), float(rng.uniform(0.7, 0.98)))
        try:
            weights, trio = await trained(problem, model, trio=install(Trio(), change, lambda _: "train"))
        except WattScoreError as error:
            assert isinstance(error, PeerProtocolError)
            found["refused"] += 1
            continue
        near = np.abs(weights - right).max() < SPOILT
        assert change.done and (near or not trio.session[Party.BANK].settled), (change.word, change.bit)
        found["near"] += 1
    assert found["refused"], found


@pytest.mark.parametrize("columns", [(3, 4), (4, 2), (1, 1), (20, 9)], ids=str)
async def test_sums_of_right_shares_and_the_sums_own_are_alike(
    columns: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as the noise goes that the limit is made of, whatever the rows are."""
    shares: dict[Party, Words] = {}
    limits = list[Rest]()

    async def check(session: Session, sums: Words, scale: int, rest: Rest) -> bool:
        shares[session.party] = sums
        limits.append(rest)
        assert scale == UNDEALT_SCALE
        return True

    monkeypatch.setattr("common.learn.linear.quadratic.check_arrived", check)
    off = list[Reals]()
    for seed in range(extent(1, 4)):
        await trained(make_problem(700, *columns, seed=seed), Model(**NONE))
        off.append(decode(shares[Party.GRID] + shares[Party.BANK], UNDEALT_SCALE))
    assert np.abs(off).max() < limits[0].usual and limits[0].usual < 1 / 16 and limits[0].most < 1


def said(trio: Trio, party: Party) -> list[tuple[Kind, Words]]:
    """Words and bits of all that a party sent under the masks of this section."""
    found = ((label.kind, v) for label, v in trio.peer[party].log)
    return [(kind, np.ascontiguousarray(v)) for kind, v in found if kind.value.startswith("lattice")]


async def test_all_that_is_said_is_coins_and_twice_the_same_table_says_nothing_of_it(problem: Problem) -> None:
    """Each place of each message of two trainings, and of what these differ by."""
    trios = [(await trained(problem, Model(**NONE)))[1] for _ in range(2)]
    for party in Party:
        one, two = (said(trio, party) for trio in trios)
        for (kind, a), (_, b) in zip(one, two, strict=True):
            if a.dtype == np.uint64:
                assert max(distance(a.ravel()), distance((a - b).ravel())) < 6, kind


async def test_secrets_of_zeros_show(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies under them is no share any more either, so the training does not arrive."""

    async def passed(*_: object) -> bool:
        return True  # the check of the sums, which would end it before all is sent

    monkeypatch.setattr("common.learn.linear.quadratic.check_arrived", passed)
    monkeypatch.setattr(Sampler, "ternary", lambda _, *shape: np.zeros(shape, np.int64))
    trio = Trio()
    with pytest.raises(PeerProtocolError, match="message of the other party was wrong"):
        await trained(problem, Model(**NONE), trio=trio)
    for party in Party:
        kinds = {kind for kind, v in said(trio, party) if v.nbytes >= 4096 and distance(v.ravel()) > 50}
        assert {Kind.LATTICE_BITS, Kind.LATTICE_MATRIX} & kinds


@pytest.mark.parametrize("columns", [(3, 4), (4, 3), (11, 9)], ids=str)
async def test_bytes_are_those_of_the_formula(columns: tuple[int, int]) -> None:
    problem, model = make_problem(4200, *columns), Model(**NONE, iterations=10)
    _, trio = await trained(problem, model)
    for party in Party:
        own, other = problem.columns[party], problem.columns[party.other]
        assert measured(trio, party) == unaided(party, model, problem.rows, own, other)


SIDES: dict[str, Any] = {"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "matching": "ecdh"}
BANKS = [{"who": f"wattscore://{name}/bank-party", "dataset": "b"} for name in ("one", "two")]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model": {**NONE, "link": "fourier", "period": 256}}, "a period of 256: at most 128"),
        ({"model": {**NONE, "link": ["taylor"]}}, "Input should be 'fourier' or 'taylor'"),
        ({"model": {**NONE, "optimiser": "sgd"}}, "optimiser = 'sgd'"),
        ({"model": {**NONE, "optimiser": "sgd", "weights": "owned"}}, "optimiser = 'sgd'"),
        ({"model": {**NONE, "step": 4.0}}, "step = 4.0: at most 2.5"),
        ({"model": {**NONE, "ridge": 1.0}}, "ridge = 1.0: at most 0.1"),
        ({"model": {**NONE, "period": 64}}, "period = 64: its link has none"),
        ({"model": NONE, "preparation": {"coding": "woe"}}, "preparation.coding = 'woe'"),
        ({"model": NONE, "matching": "neutral"}, "set matching = 'ecdh'"),
        ({"model": {"kind": "trees", "dealer": "none"}}, "model.trees.dealer"),
        ({"model": {"kind": "network", "dealer": "none"}}, "model.network.dealer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_goes_not_with_it_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        TrainPlan.model_validate({**SIDES, **fields})


def test_several_banks_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=re.escape("model.dealer: with several banks whole")):
        SeveralPlan.model_validate({"grid": SIDES["grid"], "banks": BANKS, "model": NONE})


def test_both_policies_must_allow_it() -> None:
    plan = TrainPlan.model_validate({**SIDES, "model": NONE})
    assert plan.undealt and not TrainPlan.model_validate(SIDES).undealt
    with pytest.raises(PolicyError, match=re.escape("dealer = 'none' (no_dealer = false)")):
        Policy(own_weights=True, half_dealer=True).check(plan)
    Policy(own_weights=True, no_dealer=True).check(plan)


def test_steps_are_short_and_more_of_them_unless_the_plan_says_otherwise() -> None:
    assert len(make_steps(Model(**NONE), 1000, 9)) == 64 and {s.size for s in make_steps(Model(**NONE), 1000, 9)} == {2.5}
    assert len(make_steps(Model(**NONE, iterations=20, step=1.0), 200_000, 9)) == 20
    with pytest.raises(PlanError, match="dealer = 'none'"):
        make_steps(Model(**NONE), HALF_ROWS + 1, 9)
