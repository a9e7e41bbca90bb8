"""Scores by a network that nobody holds: the plain scores of every row, in steps, with as many rows dealt as are or more."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import PeerProtocolError, PolicyError
from common.learn.network import deal
from common.learn.network.activations import NAMES
from common.learn.network.cost import scoring
from common.learn.network.deal import NetworkScoreDemand
from common.mpc.session import Kind
from common.party import Party
from tests.common.learn.network.problems import Problem, opened, random_shares, scored
from tests.peers import Trio

ROWS = 400
PROBLEM = Problem.made(ROWS, seed=2)
SHARES = random_shares(4, {Party.GRID: 3, Party.BANK: 3}, 5)


def plain(problem: Problem, activation: str = "sine") -> np.ndarray:
    return opened(SHARES, activation).scores(*(problem.prepared[party].matrix(0, len(problem.label)) for party in Party))


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("bits", [0, 5, 12])
async def test_shares_add_up_to_the_score_within_a_step(bits: int, activation: str) -> None:
    found, exact = await scored(Trio(), PROBLEM, SHARES, bits, activation=activation), plain(PROBLEM, activation)
    assert np.abs(found - exact).max() < 1.5 * 2.0**-bits + 0.012  # rows are encoded to 2^-10, tables to 2^-11
    assert abs(float((found - exact).mean())) < 4 * 2.0**-bits / np.sqrt(ROWS) + 2e-3


@pytest.mark.parametrize("activation", NAMES)
async def test_rows_of_several_blocks_with_rows_to_spare_are_the_same_rows(
    activation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deal, "CELLS", 5 * 64)
    for dealt in (ROWS, ROWS + 1, 3 * ROWS):
        found = await scored(Trio(), PROBLEM, SHARES, 8, dealt, activation)
        assert np.abs(found - plain(PROBLEM, activation)).max() < 2.0**-6


async def test_more_rows_than_were_dealt_for_are_refused() -> None:
    with pytest.raises(PolicyError, match="randomness is left for 300"):
        await scored(Trio(), PROBLEM, SHARES, dealt=300)


@pytest.mark.parametrize("activation", NAMES)
async def test_it_sends_and_is_dealt_what_it_states(activation: str) -> None:
    trio = Trio()
    await scored(trio, PROBLEM, SHARES, activation=activation)
    demand = NetworkScoreDemand(0, ROWS, 3, 3, 5, 5, [*NAMES].index(activation))
    for party in Party:
        stated = scoring(party, demand)
        sent = sum(values.nbytes for _, values in trio.peer[party].log) + (8 * ROWS if party is Party.GRID else 0)  # its share
        assert sent == stated.peer_sent
        dealt = [values.nbytes for label, values in trio.to_party[party].log if label.kind is not Kind.SEED]
        assert sum(dealt) == stated.dealt


@pytest.mark.parametrize("wrong", [{"units": 129}, {"number": 256}, {"bits": 21}, {"rows": 0}, {"activation": 2}])
def test_a_scoring_of_no_size_is_refused(wrong: dict[str, int]) -> None:
    sizes = {"number": 0, "rows": 9, "grid_columns": 3, "bank_columns": 3, "units": 5, "bits": 5}
    demand = NetworkScoreDemand(**(sizes | wrong))
    with pytest.raises(PeerProtocolError, match="of no size"):
        next(deal.deal_scores({}, demand))
