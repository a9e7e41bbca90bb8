"""Aligned rows against a plain merge, the same order on both sides, and that nothing but common months is opened."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.disclosure import Opened
from common.errors import DataError, PolicyError
from common.match.agree import MatchLimits
from common.match.ecdh import match_ids
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.session import Array, Kind, Session
from common.party import Party
from common.rows.months import month_number
from common.rows.table import FeatureTable, Index
from common.stages import align as stages_align
from common.stages.align import align, align_directly, unlike
from tests.common.stages.tables import rows, table
from tests.peers import Trio, coordinate

LIMITS = MatchLimits(min_matched=1)
Pairs = list[tuple[str, int]]


async def aligned(
    grid: FeatureTable, bank: FeatureTable, *, by_period: bool, trio: Trio | None = None, limits: MatchLimits = LIMITS
) -> dict[Party, tuple[Index, int]]:
    tables, trio = {Party.GRID: grid, Party.BANK: bank}, trio or Trio()

    async def protocol(session: Session, correlations: DealtCorrelations) -> tuple[Index, int]:
        own, match = tables[session.party], trio.neutral.match(session.party)
        return await align(session, correlations, own, by_period=by_period, domain=b"job", limits=limits, match=match)

    return await coordinate(trio, protocol)


def monthly(pairs: Pairs) -> FeatureTable:
    return table([i for i, _ in pairs], [p for _, p in pairs])


async def test_by_id_both_sides_get_the_common_rows_in_the_same_order() -> None:
    grid = table(["C", "A", "Ä1", "B", "X"])
    bank = table(["Ä1", "Y", "B", "A"])
    result = await aligned(grid, bank, by_period=False)
    mine, theirs = (rows(data, result[p][0]) for p, data in ((Party.GRID, grid), (Party.BANK, bank)))
    assert mine == theirs
    assert {i for i, _ in mine} == {"A", "B", "Ä1"}
    assert result[Party.GRID][1] == result[Party.BANK][1] == 3
    assert result[Party.GRID][0].dtype == np.int64


async def test_while_ids_are_matched_nothing_else_of_them_is_held() -> None:
    """Matching takes the most of a job over very many rows: what a place takes that is held then is paid for by each."""
    count, held = 400_000, list[int]()
    data = table([f"E{k:07d}" for k in range(count)])
    for by_period, some in ((False, data), (False, data.take(np.arange(0, count, 2)))):

        async def match(session: Session, ids: Any, *, domain: bytes, limits: MatchLimits) -> Index:
            held.append(tracemalloc.get_traced_memory()[0])
            return np.arange(0, len(ids), 2)

        tracemalloc.start()
        try:
            how: dict[str, Any] = {"by_period": by_period, "domain": b"d", "limits": LIMITS, "match": match}
            found, _ = await align_directly(Session(Party.BANK, None, allowed=frozenset(Opened)), some, **how)  # type: ignore[arg-type]
        finally:
            tracemalloc.stop()
        assert held.pop() < count
        assert found.dtype == np.int64 and some.ids[found].tolist() == some.ids.texts(some.ids.used())[::2].to_pylist()


async def test_by_id_no_period_is_opened_and_no_dealer_asked() -> None:
    trio = Trio(frozenset({Opened.MATCHED_IDS, Opened.COUNTS}))
    await aligned(table(["A", "B"], [1, 2]), table(["B", "A"], [7, 8]), by_period=False, trio=trio)
    for party in Party:
        assert trio.session[party].opened == {Opened.MATCHED_IDS, Opened.COUNTS}
        assert [round.kind for round, _ in trio.to_party[party].log] == [Kind.SEED]


pairs = st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.integers(24000, 24007)), unique=True, min_size=1, max_size=24)


@settings(max_examples=40)
@given(grid=pairs, bank=pairs)
def test_by_period_the_rows_are_those_of_a_merge(grid: Pairs, bank: Pairs) -> None:
    frames = [pd.DataFrame(side, columns=["id", "period"]) for side in (grid, bank)]
    merged = {(str(i), int(p)) for i, p in frames[0].merge(frames[1]).itertuples(index=False)}
    if not merged:
        with pytest.raises(PolicyError):
            asyncio.run(aligned(monthly(grid), monthly(bank), by_period=True))
        return
    result = asyncio.run(aligned(monthly(grid), monthly(bank), by_period=True))
    mine = rows(monthly(grid), result[Party.GRID][0])
    assert mine == rows(monthly(bank), result[Party.BANK][0])
    assert set(mine) == merged
    assert len(mine) == len(merged)
    assert result[Party.GRID][1] == len({i for i, _ in grid} & {i for i, _ in bank})


class Sent:
    """What one alignment by period put on the line."""

    def __init__(self, trio: Trio) -> None:
        self.trio = trio

    def of(self, party: Party, kind: Kind) -> Array:
        (values,) = [values for round, values in self.trio.peer[party].log if round.kind is kind]
        return values


async def run_periods(grid: Pairs, bank: Pairs) -> Sent:
    trio = Trio()
    await aligned(monthly(grid), monthly(bank), by_period=True, trio=trio)
    return Sent(trio)


def months(count: int, firms: int = 100) -> Pairs:
    return [(f"F{firm}", 24000 + month) for firm in range(firms) for month in range(count)]


def test_places_are_found_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [(f"F{k % 40}", 24000 + k // 40) for k in np.random.default_rng(3).permutation(400).tolist()]
    data = monthly(held)
    matched = np.array([3, 0, 17, 39])
    whole = stages_align._places(data, matched, 24002, 24008)
    monkeypatch.setattr(stages_align, "_SOME", 7)
    np.testing.assert_array_equal(stages_align._places(data, matched, 24002, 24008), whole)
    found = [[rows(data, np.array([row]))[0] for row in firm] for firm in whole.tolist()]
    levels = data.ids.levels.to_pylist()
    assert found == [[(levels[code], month) for month in range(24002, 24009)] for code in matched.tolist()]


async def test_months_that_only_one_side_holds_stay_hidden() -> None:
    # One enterprise, 64 months: the grid holds the even ones, the bank those divisible by three.
    ends = {0, 63}
    grid = [("F", month) for month in range(64) if month % 2 == 0 or month in ends]
    bank = [("F", month) for month in range(64) if month % 3 == 0 or month in ends]
    common = [month for month in range(64) if ("F", month) in grid and ("F", month) in bank]
    for _ in range(3):
        sent = await run_periods(grid, bank)
        shares = [sent.of(party, Kind.PERIOD_SHARES) for party in Party]
        opened = np.flatnonzero(np.unpackbits((shares[0] ^ shares[1]).view(np.uint8)))
        assert opened.tolist() == common


async def test_messages_about_months_look_uniform_and_are_fresh_in_each_run() -> None:
    data = months(64)  # every bit of both sides is one
    one, two = await run_periods(data, data), await run_periods(data, data)
    for party in Party:
        for kind in (Kind.PERIOD_BITS, Kind.PERIOD_SHARES):
            first, second = one.of(party, kind), two.of(party, kind)
            for values in (first, second, first ^ second):
                ones = int(np.unpackbits(values.view(np.uint8)).sum())
                assert abs(ones - 3200) < 6 * 40, (party, kind)  # six deviations of 6,400 fair bits


async def test_two_rounds_of_a_bit_a_month_after_the_range() -> None:
    sent = await run_periods(months(13, firms=7), months(13, firms=9))
    for party in Party:
        traffic = sent.trio.session[party].traffic
        assert traffic.sent[Kind.PERIOD_RANGE] == 16
        assert traffic.sent[Kind.PERIOD_BITS] == traffic.sent[Kind.PERIOD_SHARES] == 16  # 91 bits in two words
    dealt = [values.nbytes for round, values in sent.trio.to_party[Party.BANK].log if round.kind is Kind.DEALT_PERIODS]
    assert dealt == [16]
    assert [round.kind for round, _ in sent.trio.to_party[Party.GRID].log] == [Kind.SEED]


async def test_only_months_of_the_common_range_are_compared() -> None:
    trio = Trio()
    grid = [("A", month) for month in range(0, 70)]
    bank = [("A", month) for month in range(60, 10_000, 5)]
    result = await aligned(monthly(grid), monthly(bank), by_period=True, trio=trio)
    assert rows(monthly(grid), result[Party.GRID][0]) == [("A", 60), ("A", 65)]
    assert trio.session[Party.GRID].traffic.sent[Kind.PERIOD_BITS] == 8


async def test_by_period_opens_what_it_says() -> None:
    trio = Trio()
    await aligned(monthly([("A", 1)]), monthly([("A", 1)]), by_period=True, trio=trio)
    for party in Party:
        assert trio.session[party].opened == {Opened.MATCHED_IDS, Opened.COUNTS, Opened.PERIOD_RANGE, Opened.MATCHED_ROWS}


@pytest.mark.parametrize("lacking", [Opened.PERIOD_RANGE, Opened.MATCHED_ROWS])
async def test_nothing_is_opened_that_the_plan_does_not_list(lacking: Opened) -> None:
    trio = Trio(frozenset(Opened) - {lacking})
    with pytest.raises(PolicyError, match=lacking.value):
        await aligned(monthly([("A", 1)]), monthly([("A", 1)]), by_period=True, trio=trio)


async def refused(grid: FeatureTable, bank: FeatureTable, error: type[Exception], **more: Any) -> str:
    with pytest.raises(error) as caught:
        await aligned(grid, bank, **more)
    return str(caught.value)


async def test_an_id_that_repeats_is_refused_by_id_and_not_named_publicly() -> None:
    with pytest.raises(DataError, match="2 rows repeat an id") as caught:
        await aligned(table(["S3CRET", "S3CRET", "B", "B"]), table(["B"]), by_period=False)
    assert "S3CRET" not in caught.value.public
    assert 'keys = ["id", "period"]' in caught.value.remedy


async def test_monthly_rows_may_repeat_an_id() -> None:
    data = monthly([("A", 1), ("A", 2), ("B", 1)])
    result = await aligned(data, data, by_period=True)
    assert (len(result[Party.GRID][0]), result[Party.GRID][1]) == (3, 2)


async def test_a_table_without_periods_cannot_be_aligned_by_them() -> None:
    text = await refused(table(["A"]), monthly([("A", 1)]), DataError, by_period=True)
    assert "this dataset declares none" in text


async def test_ranges_that_do_not_overlap_are_refused_before_any_month_is_compared() -> None:
    trio = Trio()
    grid, bank = monthly([("A", 1), ("A", 5)]), monthly([("A", 6), ("A", 9)])
    assert "periods do not overlap" in await refused(grid, bank, PolicyError, by_period=True, trio=trio)
    assert all(Kind.PERIOD_BITS not in trio.session[party].traffic.sent for party in Party)


@pytest.mark.parametrize("late", list(Party))
async def test_each_side_is_told_which_months_the_other_has_and_who_lags_and_nobody_else_is(late: Party) -> None:
    old, new = (monthly([("A", month_number(month)) for month in months]) for months in (("2025-01", "2025-05"), ("2025-06",)))

    async def protocol(session: Session, correlations: DealtCorrelations) -> PolicyError:
        own, match = old if session.party is late else new, trio.neutral.match(session.party)
        with pytest.raises(PolicyError) as caught:
            await align(session, correlations, own, by_period=True, domain=b"job", limits=LIMITS, match=match)
        return caught.value

    trio = Trio()
    causes = await coordinate(trio, protocol)
    assert "Months here: 2025-01 to 2025-05; at the other party: 2025-06 to 2025-06." in str(causes[late])
    assert "this side's dataset that lacks newer records" in str(causes[late])
    assert "the other party's dataset that lacks newer records" in str(causes[late.other])
    assert all("20" not in error.public + error.remedy for error in causes.values())


async def test_overlapping_ranges_without_a_common_month_are_refused() -> None:
    grid, bank = monthly([("A", 1), ("A", 5)]), monthly([("A", 2), ("A", 4)])
    assert "no matched enterprise has a period that both sides hold" in await refused(grid, bank, PolicyError, by_period=True)


async def test_too_few_matches_are_refused_both_ways() -> None:
    limits = MatchLimits(min_matched=2)
    for by_period in (False, True):
        grid, bank = monthly([("A", 1), ("B", 1)]), monthly([("A", 1), ("C", 1)])
        assert "only 1 ids are common" in await refused(grid, bank, PolicyError, by_period=by_period, limits=limits)


def test_ids_without_a_common_row_that_lost_their_zeros_are_remarked_on_and_others_not() -> None:
    whole, short = [f"{k:08d}" for k in range(400)], [str(k) for k in range(1000, 1100)]
    data = table([*whole, *short, *whole], [1] * 500 + [2] * 400)
    matched = np.arange(400)
    assert "100 of 100 unmatched ids have 4 digits (100)" in unlike(data, matched)
    assert unlike(data.take(np.arange(400)), matched[:300]) == ""  # one form on both sides
    assert unlike(data.take(matched), matched) == ""


async def directly(grid: FeatureTable, bank: FeatureTable, trio: Trio, least: int = 1) -> dict[Party, tuple[Index, int]]:
    tables, limits = {Party.GRID: grid, Party.BANK: bank}, MatchLimits(min_matched=least)

    async def side(party: Party) -> tuple[Index, int]:
        asked = {"by_period": tables[party].periods is not None, "domain": b"job", "limits": limits}
        return await align_directly(trio.session[party], tables[party], match=match_ids, **asked)

    found = await asyncio.gather(*(side(party) for party in Party))
    return dict(zip(Party, found, strict=True))


@settings(max_examples=20, deadline=None)
@given(grid=pairs, bank=pairs)
def test_without_a_dealer_the_rows_are_those_of_a_merge_too(grid: Pairs, bank: Pairs) -> None:
    common = set(grid) & set(bank)
    if not common:
        with pytest.raises(PolicyError):
            asyncio.run(directly(monthly(grid), monthly(bank), Trio()))
        return
    trio = Trio()
    found = asyncio.run(directly(monthly(grid), monthly(bank), trio))
    mine, theirs = (rows(monthly(side), found[p][0]) for p, side in ((Party.GRID, grid), (Party.BANK, bank)))
    assert mine == theirs and set(mine) == common and len(mine) == len(common)
    assert {count for _, count in found.values()} == {len({i for i, _ in common})}
    for party in Party:
        assert not trio.to_party[party].log and not trio.from_dealer[party].log


async def test_without_a_dealer_the_fewest_are_enterprises_and_not_their_months() -> None:
    one = monthly([("A", 1), ("A", 2), ("A", 3)])
    with pytest.raises(PolicyError, match="min_matched = 2"):
        await directly(one, one, Trio(), least=2)
    await directly(table(["A", "B"]), table(["B", "A"]), Trio(), least=2)
    with pytest.raises(DataError, match="repeat an id"):
        await directly(table(["A", "A"]), table(["B", "A"]), Trio())
