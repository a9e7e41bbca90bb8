"""Scores by a network that nobody holds: the plain scores of every row, in steps, with as many rows dealt as are or more."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import PeerProtocolError, PolicyError
from common.learn.learner import Telling
from common.learn.network import deal
from common.learn.network.activations import NAMES
from common.learn.network.cost import scoring
from common.learn.network.deal import NetworkScoreDemand
from common.learn.network.score import Scores
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.session import Kind, Session
from common.party import Party
from tests.common.learn.in_turn import in_turn
from tests.common.learn.network.problems import DEALT, Problem, opened, random_shares, scored
from tests.peers import Trio, coordinate

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


async def scored_one_by_one(
    trio: Trio, sizes: list[int], activation: str, warm: bool, dealt: int
) -> tuple[np.ndarray, list[int]]:
    """u of the rows, so many at a time, and the bytes that the grid sent of each lot of units."""
    halves, telling = PROBLEM.halves(SHARES, activation), Telling(Kind.SCORES, 8, dealt=dealt)

    async def side(session: Session, correlations: DealtCorrelations) -> list[np.ndarray | None]:
        scores = await Scores.begin(session, correlations, halves[session.party], ROWS, telling)
        return await in_turn(scores, PROBLEM.table(session.party), sizes, warm=warm)

    told = (await coordinate(trio, side, more=DEALT))[Party.BANK]
    sent = [len(values) for label, values in trio.peer[Party.GRID].log if label.kind is Kind.MASKED_SIGNS]
    return np.concatenate([one for one in told if one is not None]), sent


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("activation", NAMES)
async def test_rows_asked_for_one_after_another_are_scored_as_all_at_once(
    activation: str, warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deal, "CELLS", 5 * 64)  # lots of 64 rows, whose ends no table keeps to
    sizes = [1, 1, 62, 1, 1, 62, 1, 130, 1, 140]
    found, sent = await scored_one_by_one(Trio(), sizes, activation, warm, ROWS + 9)
    assert np.abs(found - plain(PROBLEM, activation)).max() < 2.0**-6
    if activation == "relu":  # of a row that is asked for only its own units are compared
        assert sent[0] == 1 and max(sent) == 5 * 64 // 8


async def test_no_row_takes_the_masks_of_another() -> None:
    """The same row asked for again and again: it is hidden by something else each time."""
    trio, halves = Trio(), PROBLEM.halves(SHARES)

    async def side(session: Session, correlations: DealtCorrelations) -> None:
        scores = await Scores.begin(session, correlations, halves[session.party], 30, Telling(Kind.SCORES, 5))
        for _ in range(30):
            await scores.open(PROBLEM.table(session.party).part(0, 1))
        with pytest.raises(PolicyError, match="randomness is left for 0"):
            await scores.open(PROBLEM.table(session.party).part(0, 1))

    await coordinate(trio, side, more=DEALT)
    for party in Party:
        for kind in (Kind.MASKED_MATRIX, Kind.MASKED_HIDDEN, Kind.MASKED_UPDATE):
            sent = [values.tobytes() for label, values in trio.peer[party].log if label.kind is kind]
            assert len(sent) == 30 == len(set(sent))


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
