"""What is dealt is known beforehand, to the word; and zeros that fill a stock change nothing but the rounding."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import LocalProtocolError
from common.learn.linear.ahead import dealt_arrays
from common.learn.linear.cost import descent
from common.learn.linear.deal import Work
from common.learn.linear.path import SPAN_ROWS
from common.learn.linear.schedule import nesterov
from common.learn.linear.steps import make_steps
from common.learn.widened import Widened
from common.mpc.link import Fourier, Link, Taylor
from common.party import Party
from common.plan.linear import Model
from tests.common.mpc.problems import Problem, make_problem, train
from tests.peers import Trio, deal_work

COLUMNS = {Party.GRID: 2, Party.BANK: 3}
SIZES = 50, 2 * SPAN_ROWS


@pytest.mark.parametrize(
    ("link", "bits", "joint", "rows", "full"),
    [
        *((*form, rows, 0) for form in ((Fourier(), 8, True), (Taylor(), 20, False), (Taylor(), 20, True)) for rows in SIZES),
        (Fourier(), 8, True, 65_536, 2),
        (Taylor(), 20, True, 65_536, 2),
    ],
)
async def test_the_list_is_what_the_dealer_deals_and_what_it_costs(
    link: Link, bits: int, joint: bool, rows: int, full: int
) -> None:
    work = Work(nesterov(rows, 7, 2.5, full), link, rows, COLUMNS, bits, joint=joint)
    trio = Trio()
    await deal_work(trio.dealer, work)
    for party in Party:
        dealt = [(label, values.shape) for label, values in trio.to_party[party].log]
        assert list(dealt_arrays(party, work)) == dealt
        assert sum(values.nbytes for _, values in trio.to_party[party].log) == descent(party, work).dealt


def test_owned_weights_are_not_listed() -> None:
    with pytest.raises(LocalProtocolError):
        list(dealt_arrays(Party.GRID, Work(nesterov(50, 7, 2.5), Fourier(), 50, COLUMNS, None)))


def test_widening_keeps_the_numbers_and_adds_zeros() -> None:
    small = np.asfortranarray(np.arange(1, 7, dtype=np.int32).reshape(3, 2))
    wide, whole = Widened(small, 5, 3), np.zeros((5, 3), np.int32)
    whole[:3, :2] = small
    assert wide.shape == (5, 3)
    for low, high in [(0, 5), (1, 2), (2, 4), (3, 5), (4, 5), (0, 3)]:
        part = wide[low:high]
        assert part.dtype == np.int32 and part.flags.f_contiguous
        np.testing.assert_array_equal(part, whole[low:high])
    assert Widened(small, 3, 2)[1:3].base is small
    with pytest.raises(LocalProtocolError):
        wide[0:1] = small[0:1]


@pytest.mark.parametrize("link", ["fourier", "taylor"])
async def test_zero_rows_and_columns_leave_the_descent_what_it_is(link: str) -> None:
    """A quarter more rows: the step averages over those of data, whatever the tables' scale; zero columns get no weight."""
    problem, model = make_problem(1000, 3, 4), Model.model_validate({"link": link, "iterations": 12})
    steps = make_steps(model, 1250, 11, 1000)
    scales = [[step.scales(model.make_link()).table for step in some] for some in (steps, make_steps(model, 1000, 7))]
    assert scales[0] != scales[1]
    gain = 1.5 if link == "fourier" else 1.0  # beyond it taylor's steps, of curvature 1/4 throughout, are too long
    found = (await train(Trio(), wide(problem, 1250, 2), steps, model.make_link(), gain=gain)).weights
    grid, bank = found[:5], found[5:]
    assert not grid[3:].any() and not bank[4:].any()
    exact = problem.twin(make_steps(model, 1000, 7), model.make_link(), gain)
    np.testing.assert_allclose(np.r_[grid[:3], bank[:4]], exact, rtol=0, atol=5e-4)


def wide(problem: Problem, rows: int, more: int) -> Problem:
    """The same problem with zero rows and `more` zero columns at each side."""
    x = {party: np.pad(x, ((0, rows - problem.rows), (0, more))) for party, x in problem.x.items()}
    ridge = {party: np.pad(ridge, (0, more)) for party, ridge in problem.ridge.items()}
    return Problem(x, ridge, np.pad(problem.y, (0, rows - problem.rows)))
