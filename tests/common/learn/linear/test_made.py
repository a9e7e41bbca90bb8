"""A stock that two parties make for a training that nobody deals for: what it gives, its bytes, what is seen of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.errors import LocalProtocolError
from common.learn.learner import Size
from common.learn.linear.cost import made_ahead, unaided
from common.learn.linear.learner import Linear
from common.learn.linear.made import MadeAhead, made_arrays, make_ahead, places, waves_of
from common.learn.linear.steps import make_steps, step_size
from common.learn.linear.train import train
from common.mpc.correlations.asked import MATRIX_BLOCK, Demand
from common.mpc.correlations.dealt import DealtCorrelations, NoDealer
from common.mpc.fixedpoint import Reals
from common.mpc.lattice.embedding import BLOCK
from common.mpc.lattice.phasors import SPAN_BLOCKS
from common.mpc.prg import Prg
from common.mpc.session import Array, Kind, Round
from common.party import Party
from common.plan.linear import Model
from common.stats.measures import evaluate
from tests.common.learn.linear.test_phased import chained
from tests.common.learn.linear.test_unaided import trained
from tests.common.learn.linear.test_undealt import inputs_of
from tests.common.learn.linear.test_undealt_views import COINS, uneven
from tests.common.mpc.lattice.test_shares import distance
from tests.common.mpc.problems import Problem, few_overdue, make_problem
from tests.common.mpc.test_cost import measured
from tests.peers import Trio

MODEL: dict[str, Any] = {"dealer": "none", "reveal": "owners", "weight_bits": 14}


class Shelf:
    """A stock in memory, read in its order."""

    def __init__(self, arrays: list[tuple[Round, Array]]) -> None:
        self.arrays = arrays
        self.left = list(arrays)

    async def demand(self, demand: Demand) -> None:
        raise AssertionError("nothing is asked for")

    async def send(self, round: Round, values: Array) -> None:
        raise AssertionError("nothing is sent")

    async def receive(self, round: Round) -> Array:
        label, values = self.left.pop(0)
        assert label == round
        return values


SEEDS = {party: bytes([7 + party.index]) * 32 for party in Party}


async def made(model: Model, size: Size, trio: Trio | None = None) -> dict[Party, Shelf]:
    trio = trio or Trio()

    async def side(party: Party) -> Shelf:
        return Shelf([one async for one in make_ahead(trio.session[party], model, size.rows, size.by_party, SEEDS[party])])

    return dict(zip(Party, await asyncio.gather(*map(side, Party)), strict=True))


async def drawn(problem: Problem, model: Model, size: Size, shelves: dict[Party, Shelf], trio: Trio | None = None) -> Reals:
    trio = trio or Trio()

    async def side(party: Party) -> Reals:
        stock = MadeAhead(SEEDS[party], shelves[party], model, size.rows, size.by_party)
        inputs = replace(inputs_of(problem, party, model), made=stock)
        found = await train(trio.session[party], DealtCorrelations(party, Prg.fresh_seed(), NoDealer()), inputs)
        assert isinstance(found, np.ndarray)
        return found

    return np.concatenate(await asyncio.gather(*map(side, Party)))


def size_of(problem: Problem, times: float = 1.0) -> Size:
    return Size(int(problem.rows * times), *(problem.columns[p] + (times > 1) for p in Party))


@pytest.mark.parametrize("link", ["fourier", "taylor"])
@pytest.mark.parametrize("times", [1.0, 1.25])
async def test_weights_are_those_without_a_stock(link: str, times: float) -> None:
    problem = make_problem(5000, 3, 4)
    model = Model(**MODEL, link=link)  # type: ignore[arg-type]
    size = size_of(problem, times)
    shelves = await made(model, size)
    for party in Party:
        assert [(label, a.shape) for label, a in shelves[party].arrays] == list(made_arrays(model, size.rows, size.by_party))
    found = await drawn(problem, model, size, shelves)
    online, _ = await trained(problem, model)
    assert np.abs(found - online).max() < 2.0**-7.5  # the noise of two
    if link == "fourier":
        exact = problem.twin(make_steps(model, problem.rows, sum(problem.columns.values())), model.fourier())
        assert np.abs(found - exact).max() < 2.0**-7.5


async def test_bytes_are_those_of_the_formulas_and_messages_are_uniform() -> None:
    """Of the stock, and of a training with it on a table and on one of zeros."""
    problem, model = make_problem(5000, 3, 4), Model(**MODEL)
    zeros = Problem({p: np.zeros_like(x) for p, x in problem.x.items()}, problem.ridge, problem.y)
    size, making = size_of(problem), Trio()
    shelves = await made(model, size, making)
    assert uneven(making) == set()
    for party in Party:
        assert measured(making, party) == made_ahead(party, model, size.rows, size.by_party)
    for table in (problem, zeros):
        trio = Trio()
        await drawn(table, model, size, {p: Shelf(shelves[p].arrays) for p in Party}, trio)
        assert uneven(trio) == set()
        for party in Party:
            own, other = problem.columns[party], problem.columns[party.other]
            assert measured(trio, party) == unaided(party, model, problem.rows, own, other, made=True)
        assert Kind.LATTICE_PHASORS not in trio.session[Party.GRID].traffic.sent


async def test_stored_shares_are_coins_at_each_party() -> None:
    """Also the differences of two steps', and of two stocks of the same angles."""
    problem, model = make_problem(5000, 1, 2), Model(**MODEL, iterations=3)
    one, two = [await made(model, size_of(problem)) for _ in range(2)]
    for party in Party:
        first, second = ([a for label, a in by[party].arrays if label.kind is Kind.LATTICE_PHASORS] for by in (one, two))
        words = [*first, first[0] - first[1], first[0] - second[0]]
        assert all(distance(np.ascontiguousarray(word)) < COINS for word in words)


async def test_secrets_of_zeros_show_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.mpc.lattice.sampled.Sampler.ternary", lambda _, *shape: np.zeros(shape, np.int64))
    trio = Trio()
    await made(Model(**MODEL, iterations=3), Size(5000, 1, 2), trio)
    assert {"lattice_phasors", "lattice_bits"} <= {kind for _, kind in uneven(trio)}


async def test_with_three_per_cent_overdue_it_ranks_as_without_a_stock() -> None:
    first, x, y = few_overdue()
    model = Model(dealer="none", reveal="owners", step=5.0, iterations=30, weight_bits=12)
    size = size_of(first, 1.2)
    found = await drawn(first, model, size, await made(model, size))
    online, _ = await trained(first, model)
    with_it, without = (evaluate(y, x @ weights) for weights in (found, online))
    assert abs(with_it.auc - without.auc) <= 0.0005 and abs(with_it.logloss - without.logloss) <= 0.0002


@pytest.mark.parametrize("rows", [1000, BLOCK, SPAN_BLOCKS * BLOCK + 5])
@pytest.mark.parametrize("fields", [{}, {"period": 128}, {"step": 6.0}], ids=str)
def test_what_multiplies_stored_limbs_is_within_the_reach(rows: int, fields: dict[str, Any]) -> None:
    """For as few rows as a stock serves, and for as many as it is for."""
    model = Model(dealer="none", **fields)
    size = step_size(model)
    for count in (-(-rows * 4 // 5), rows):
        waves = waves_of(model, size, count, rows)
        assert waves.limit / 2.5 < waves.slot <= waves.limit
        assert waves.scale == waves_of(model, size, rows, rows).scale


async def test_a_stock_is_read_in_order_and_each_place_once() -> None:
    model, size = Model(**MODEL, iterations=2), Size(SPAN_BLOCKS * BLOCK + 1, 1, 1)
    arrays: list[tuple[Round, Array]] = [
        (label, np.zeros(shape, np.uint64)) for label, shape in made_arrays(model, size.rows, size.by_party)
    ]
    stock = MadeAhead(bytes(32), Shelf(arrays), model, size.rows, size.by_party)
    await stock.carries(Trio().session[Party.GRID])
    first, second = stock.step()
    with pytest.raises(LocalProtocolError, match="out of order"):
        stock.step()
    with pytest.raises(LocalProtocolError, match="out of order"):
        await stock.shares(second)
    every = places(model, size.rows)
    angles = [place.angles(SEEDS[Party.GRID]) for place in every]
    assert all(not np.array_equal(a[0], b[0]) for i, a in enumerate(angles) for b in angles[:i])
    assert first == every[0] and "hidden" in repr(stock)


@pytest.mark.parametrize("link", ["fourier", "taylor"])
@pytest.mark.parametrize("rows", [3000, 66_000])  # one span of a step and one block of a matrix, and two
async def test_rounds_are_no_fewer_than_the_longest_chain_and_no_more_than_all_arrays(link: str, rows: int) -> None:
    problem, model = make_problem(rows, 1, 2), Model(**MODEL | {"weight_bits": 10}, iterations=3, link=link)  # type: ignore[arg-type]
    size, making, training = size_of(problem), Trio(), Trio()
    chains = [chained(making), chained(training)]
    shelves = await made(model, size, making)
    await drawn(problem, model, size, shelves, training)
    matrices = -(-rows // MATRIX_BLOCK) + 1  # which a job is told to exchange besides
    every = [Linear().making_rounds(model, size), Linear().made_rounds(model, rows) + matrices]
    for stated, ends, trio in zip(every, chains, (making, training), strict=True):
        most = max(trio.session[p].traffic.rounds for p in Party)
        assert max(end.longest for end in ends.values()) <= stated <= most + 3  # and what the stage adds
