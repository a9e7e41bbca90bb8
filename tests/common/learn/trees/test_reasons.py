"""Reasons by trees on shares: the plain choice in every row, ties too; bytes and rounds as stated, every message uniform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.features.contributions import strongest
from common.learn.trees import deal_reasons as dealt
from common.learn.trees.cost import reasons, reasons_rounds
from common.learn.trees.deal_reasons import TreeReasonsDemand, deal_reasons
from common.learn.trees.reasons import tell_groups
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import Reals
from common.mpc.narrow import Bytes
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.table import FeatureTable
from tests.common.learn.telling import check_bytes, check_uniform
from tests.common.learn.trees.test_score import CUTS, DEPTH, TREES, halves, table
from tests.peers import Trio, coordinate

ROWS = 500
DEALT: Any = {TreeReasonsDemand: deal_reasons}
GROUPS = [1] * CUTS + [0] * CUTS  # thresholds of kwh, then of peak
MEDIAN = -0.2  # of either column: centres below say that most rows lie above the cuts up to -1/3, and below the others


def models() -> tuple[Any, Reals]:
    found, leaves = halves()
    for column in found[Party.GRID].fitted.fitted:
        above = float(column.name.split("<")[1]) < MEDIAN
        object.__setattr__(column, "centre", 0.3 if above else 0.7)
    return found, leaves


def without(rows: FeatureTable, group: int, groups: Any) -> FeatureTable:
    """The same rows with the columns of this group at their median."""
    gone = {name for name, of in zip(("kwh", "peak"), groups[::CUTS], strict=True) if of == group}
    numeric = {name: np.full(rows.rows, MEDIAN) if name in gone else values for name, values in rows.numeric.items()}
    return FeatureTable(rows.ids, None, numeric, {}, None, rows.order)


def plain(groups: Any = GROUPS, count: int = 2) -> Reals:
    """u less what it would be with each group's columns at their median, (rows, groups), by the trees themselves."""
    halves, leaves = models()
    bank = halves[Party.BANK].paths(table(Party.BANK, ROWS)).astype(np.int64)

    def scores(rows: FeatureTable) -> Reals:
        place = bank | halves[Party.GRID].paths(rows)
        return np.asarray(np.take_along_axis(leaves, place, 1).sum(0))

    own = table(Party.GRID, ROWS)
    return np.stack([scores(own) - scores(without(own, group, groups)) for group in range(count)], axis=1)


async def tell(trio: Trio, groups: Any = GROUPS, count: int = 2, threshold: float = 0.1, most: int = 2) -> Bytes:
    halves, _ = models()

    async def side(session: Session, correlations: DealtCorrelations) -> Bytes | None:
        party = session.party
        known, own = groups if party is Party.GRID else (), table(party, ROWS)
        return await tell_groups(session, correlations, halves[party], own, known, count, threshold, most)

    found = await coordinate(trio, side, more=DEALT)
    told = found[Party.BANK]
    assert found[Party.GRID] is None and told is not None
    return told


@pytest.mark.parametrize("threshold", [0.0, 0.1, 2.0**-11, 0.25])
async def test_the_bank_hears_the_plain_choice_in_every_row(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dealt, "BLOCK_ROWS", 3 * 128)  # several blocks
    told, parts = await tell(Trio(), threshold=threshold), plain()
    assert (told == strongest(parts, 2, threshold)).all()
    assert set(np.unique(told)) == {0, 1, 2} and (parts == 0.0).any()


async def test_a_threshold_that_a_contribution_meets_exactly_is_not_passed() -> None:
    parts = plain()
    met = float(np.unique(parts[parts > 0.05])[0])
    told = await tell(Trio(), threshold=met)
    assert (parts == met).any() and (told == strongest(parts, 2, met)).all()


@pytest.mark.parametrize(("groups", "count"), [([0] * 2 * CUTS, 1), ([None] * CUTS + [2] * CUTS, 3)])
async def test_whatever_the_groups(groups: Any, count: int) -> None:
    told = await tell(Trio(), groups, count, most=1)
    assert (told == strongest(plain(groups, count), 1, 0.1)).all()


async def test_asking_again_gives_the_same_answer() -> None:
    one, two = [await tell(Trio(seed=seed)) for seed in (1, 2)]
    assert (one == two).all()


async def test_what_is_sent_and_dealt_is_what_is_stated() -> None:
    trio, demand = Trio(), TreeReasonsDemand(ROWS, TREES, DEPTH, 2)
    await tell(trio)
    owned = (models()[0][Party.GRID].splits >= 0).sum(1).tolist()
    check_bytes(trio, lambda party: reasons(party, demand, 2, owned))
    assert len(trio.peer[Party.GRID].log) == reasons_rounds(demand)


async def test_messages_are_uniform_whatever_the_rows() -> None:
    trios = [Trio(seed=seed) for seed in range(3)]
    for seed, trio in enumerate(trios):
        await tell(trio, threshold=100.0 if seed else 0.0)
    check_uniform(trios, 2048)


async def test_ways_of_a_row_are_masked_apart() -> None:
    """A tree that no group splits looks unlike in each version: else the bank read which trees a group is in."""
    trio = Trio()
    await tell(trio)
    (masked,) = [values for label, values in trio.peer[Party.GRID].log if label.kind is Kind.MASKED_CHOICE]
    bits = np.unpackbits(masked, axis=1, count=3 * ROWS).reshape(TREES * DEPTH, 3, ROWS)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        same = (bits[:, a] == bits[:, b]).mean(axis=1)
        assert np.abs(same - 0.5).max() < 5 * 0.5 / np.sqrt(ROWS)


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"groups": 31}, {"groups": 0}, {"trees": 1001}, {"depth": 7}])
def test_the_dealer_refuses_other_sizes(wrong: dict[str, int]) -> None:
    with pytest.raises(PeerProtocolError, match="reasons of no size"):
        next(deal_reasons({}, TreeReasonsDemand(**({"rows": 9, "trees": 3, "depth": 2, "groups": 2} | wrong))))
