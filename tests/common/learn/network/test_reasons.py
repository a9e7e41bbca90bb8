"""Reasons by a network on shares: the plain choice but near ties, bytes and rounds as stated, every message uniform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.learn.network import deal_reasons as dealt
from common.learn.network.activations import NAMES
from common.learn.network.cost import reasons, reasons_rounds
from common.learn.network.deal_reasons import NetworkReasonsDemand, deal_reasons
from common.learn.network.reasons import tell_groups
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import Reals
from common.mpc.narrow import Bytes
from common.mpc.session import Kind, Session
from common.party import Party
from tests.common.learn.linear.groups import right
from tests.common.learn.network.problems import Problem, opened, random_shares
from tests.common.learn.telling import check_bytes, check_uniform
from tests.peers import Trio, coordinate

ROWS, UNITS = 400, 5
PROBLEM = Problem.made(ROWS, seed=2)
SHARES = random_shares(4, {Party.GRID: 3, Party.BANK: 3}, UNITS)
DEALT: Any = {NetworkReasonsDemand: deal_reasons}
GROUPS = [1, 0, 1]  # of the grid's three columns
TIE = 2.0**-7  # rows are encoded to 2^-10, units to 2^-11


def plain(activation: str, groups: Any = GROUPS, count: int = 2) -> Reals:
    """u less what it would be with each group's columns at their mean, (rows, groups)."""
    grid, bank = (PROBLEM.prepared[party].matrix(0, ROWS) for party in Party)
    network, found = opened(SHARES, activation), []
    for group in range(count):
        without = np.where(np.array([of == group for of in groups]), 0.0, grid)
        found.append(network.scores(grid, bank) - network.scores(without, bank))
    return np.stack(found, axis=1)


async def tell(
    trio: Trio, activation: str = "sine", groups: Any = GROUPS, count: int = 2, threshold: float = 0.1, most: int = 2
) -> Bytes:
    halves = PROBLEM.halves(SHARES, activation)

    async def side(session: Session, correlations: DealtCorrelations) -> Bytes | None:
        party = session.party
        known = groups if party is Party.GRID else ()
        return await tell_groups(session, correlations, halves[party], PROBLEM.table(party), known, count, threshold, most)

    found = await coordinate(trio, side, more=DEALT)
    told = found[Party.BANK]
    assert found[Party.GRID] is None and told is not None
    return told


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize(("groups", "count", "most"), [(GROUPS, 2, 2), ([0, 1, 2], 3, 2), ([None, 0, None], 1, 1)])
async def test_the_bank_hears_the_plain_choice_but_near_ties(
    activation: str, groups: Any, count: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dealt, "CELLS", 64 * UNITS)  # several blocks
    told, parts = await tell(Trio(), activation, groups, count, 0.1, most), plain(activation, groups, count)
    assert right(told, parts, 0.1, TIE).all()
    assert set(np.unique(told)) == set(range(count + 1))


async def test_a_column_without_text_is_in_no_group_and_one_without_columns_is_never_told() -> None:
    told = await tell(Trio(), groups=[0, None, 0], count=2, threshold=0.01)
    assert set(np.unique(told)) == {0, 1}


async def test_asking_again_gives_the_same_answer_but_near_ties() -> None:
    one, two = [await tell(Trio(seed=seed)) for seed in (1, 2)]
    parts = np.column_stack([plain("sine"), np.full(ROWS, 0.1)])
    gaps = np.diff(np.sort(parts, axis=1), axis=1).min(axis=1)
    assert (gaps > TIE).mean() > 0.8 and (one == two)[gaps > TIE].all()


@pytest.mark.parametrize("activation", NAMES)
async def test_what_is_sent_and_dealt_is_what_is_stated(activation: str) -> None:
    trio, demand = Trio(), NetworkReasonsDemand(ROWS, 3, 3, UNITS, 2, NAMES.index(activation))  # type: ignore[arg-type]
    await tell(trio, activation)
    check_bytes(trio, lambda party: reasons(party, demand, 2))
    assert len(trio.peer[Party.GRID].log) == reasons_rounds(demand)


@pytest.mark.parametrize("activation", NAMES)
async def test_messages_are_uniform_whatever_is_told(activation: str) -> None:
    trios = [Trio(seed=seed) for seed in range(2)]
    for seed, trio in enumerate(trios):
        await tell(trio, activation, threshold=100.0 if seed else 0.0)
    check_uniform(trios, 2048)


async def test_versions_of_a_row_are_masked_apart() -> None:
    """Columns that a version leaves as they are look unlike in it: else the bank read which column is in which group."""
    trio = Trio()
    await tell(trio)
    (masked,) = [values for label, values in trio.peer[Party.GRID].log if label.kind is Kind.MASKED_MATRIX]
    assert masked.shape == (3, 3 * ROWS)
    versions = masked.reshape(3, 3, ROWS)
    assert all((versions[:, a] != versions[:, b]).all() for a, b in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"groups": 31}, {"groups": 0}, {"units": 129}, {"activation": 2}])
def test_the_dealer_refuses_other_sizes(wrong: dict[str, int]) -> None:
    sizes = {"rows": 9, "grid_columns": 3, "bank_columns": 3, "units": 5, "groups": 2}
    with pytest.raises(PeerProtocolError, match="reasons of no size"):
        next(deal_reasons({}, NetworkReasonsDemand(**(sizes | wrong))))
