"""Sums over rows of both parties' columns are exact modulo 2^40, whatever stands in a word; and each number is hidden once."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.mpc import crossed
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.crossed import BITS, WIDTH, Planes, Whole, by_both, by_words, deal_crossed, drawn, hidden, share_crossed
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg, Purpose
from common.mpc.session import Kind, Session
from common.party import Party
from tests.common.mpc.lattice.test_shares import distance
from tests.peers import Trio

LOW = (1 << BITS) - 1
MOST = (1 << 20) - 1  # of a number, either way
COLUMNS = {Party.GRID: 3, Party.BANK: 2}


def planes(words: Words) -> Planes:
    return Planes(words.astype(np.uint32), (words >> np.uint64(32)).astype(np.uint8))


def exact(left: list[list[int]], right: list[list[int]]) -> list[list[int]]:
    return [[sum(x * y for x, y in zip(one, two, strict=True)) & LOW for two in right] for one in left]


def low(words: Words) -> list[list[int]]:
    found: list[list[int]] = (words & np.uint64(LOW)).tolist()
    return found


@pytest.mark.parametrize("rows", [1, 8191, 8192, 8193, 20_000])
def test_the_largest_words_and_numbers_add_up_exactly(rows: int) -> None:
    """All of them at their bounds: limbs' products then add up to just below 2^53."""
    words = np.full((2, rows), LOW, np.uint64)
    words[1] -= np.uint64(rows)
    for number in (MOST, -MOST):
        numbers = np.full((1, rows), number, np.int32)
        found = by_both(numbers, planes(words[:1]), planes(words))
        assert low(found[0]) == exact(numbers.tolist(), words.tolist())
        assert low(found[1]) == exact(words[:1].tolist(), words.tolist())
    assert low(by_words(planes(words), planes(words[:1]))) == exact(words.tolist(), words[:1].tolist())


@given(
    st.lists(st.integers(-MOST, MOST), min_size=6, max_size=6),
    st.lists(st.integers(0, LOW), min_size=6, max_size=6),
    st.lists(st.integers(0, LOW), min_size=6, max_size=6),
)
def test_any_words(numbers: list[int], one: list[int], two: list[int]) -> None:
    whole, left, right = np.array([numbers], np.int32), np.array([one], np.uint64), np.array([two, one], np.uint64)
    found = by_both(whole, planes(left), planes(right))
    assert low(found[0]) == exact(whole.tolist(), right.tolist()) and low(found[1]) == low(
        by_words(planes(left), planes(right))
    )
    assert low(by_words(planes(left), planes(right))) == exact(left.tolist(), right.tolist())
    sent = Planes.of(hidden(whole, planes(left)), (1, 6))
    assert [(e + u - x) & LOW for e, u, x in zip(words_of(sent), one, numbers, strict=True)] == [0] * 6


def words_of(found: Planes) -> list[int]:
    words: list[int] = (found.low.astype(np.uint64) + (found.high.astype(np.uint64) << np.uint64(32))).ravel().tolist()
    return words


def test_limbs_are_of_the_words() -> None:
    words = np.random.default_rng(1).integers(0, LOW, (2, 5), np.uint64, endpoint=True)
    limbs = planes(words).limbs(slice(1, 4)).astype(np.uint64)
    assert (limbs[:2] + (limbs[2:] << np.uint64(20)) == words[:, 1:4]).all()


async def shared(numbers: dict[Party, Whole], trio: Trio) -> Words:
    """The sum of both shares and of what they lack, of either pair."""
    rows = numbers[Party.GRID].shape[1]

    async def side(session: Session, correlations: DealtCorrelations) -> Words:
        own, block = numbers[session.party], crossed.MATRIX_BLOCK
        return await share_crossed(session, correlations, lambda low: own[:, low : low + block], rows, COLUMNS)

    async def deal(_: Dealer) -> None:
        return None

    shares = await trio.run(side, deal)
    halves = {p: trio.dealer.expanded[p].half_words for p in Party}
    lacks = [deal_crossed(halves, rows, COLUMNS, workers) for workers in (1, 3)]
    assert (lacks[0] == lacks[1]).all()
    total: Words = shares[Party.GRID] + shares[Party.BANK] + lacks[0]
    return total


@pytest.mark.parametrize("rows", [1, 50, 51, 149])
async def test_shares_of_all_blocks_and_what_they_lack_are_the_sums(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossed, "MATRIX_BLOCK", 50)
    rng, trio = np.random.default_rng(rows), Trio(limit=2)
    numbers = {p: rng.integers(-MOST, MOST, (m, rows), np.int32, endpoint=True) for p, m in COLUMNS.items()}
    found = await shared(numbers, trio)
    assert low(found[0]) == low(found[1]) == exact(*(numbers[p].tolist() for p in Party))
    for p, m in COLUMNS.items():
        sizes = [(label.kind, values.nbytes) for label, values in trio.peer[p].log]
        ends = [*range(50, rows, 50), rows]
        assert sizes == [(Kind.MASKED_MATRIX, WIDTH * m * (end - low)) for low, end in zip([0, *ends], ends, strict=False)]


async def test_what_is_said_is_coins_and_nothing_of_it_where_a_table_is_said_twice() -> None:
    numbers = {p: np.full((m, 4000), 7 - 5 * m, np.int32) for p, m in COLUMNS.items()}
    trios = [Trio() for _ in range(2)]
    for trio in trios:
        await shared(numbers, trio)
    for p, m in COLUMNS.items():
        one, two = (Planes.of(trio.peer[p].log[0][1], (m, 4000)) for trio in trios)
        for a, b in ((one.low, two.low), (one.high, two.high)):
            apart = (a - b).ravel()
            for data in (a.ravel(), apart):
                assert distance(np.frombuffer(data.tobytes()[: data.nbytes // 8 * 8], np.uint64)) < 6


async def test_a_missing_mask_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DealtCorrelations, "half_mask", lambda self, purpose, number, count: np.zeros(count, np.uint32))
    trio, numbers = Trio(), {p: np.full((m, 4000), 7, np.int32) for p, m in COLUMNS.items()}
    await shared(numbers, trio)
    sent = trio.peer[Party.GRID].log[0][1]
    assert distance(np.frombuffer(sent.tobytes()[: sent.nbytes // 8 * 8], np.uint64)) > 50


async def test_each_block_has_a_mask_of_its_own(
    streams: dict[Prg, list[tuple[bytes, Purpose, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossed, "MATRIX_BLOCK", 50)
    trio = Trio()

    async def side(session: Session, correlations: DealtCorrelations) -> Words:
        numbers = np.zeros((COLUMNS[session.party], 120), np.int32)
        return await share_crossed(session, correlations, lambda low: numbers[:, low : low + 50], 120, COLUMNS)

    async def deal(dealer: Dealer) -> None:
        deal_crossed({p: dealer.expanded[p].half_words for p in Party}, 120, COLUMNS)

    await trio.run(side, deal)
    assert len(streams) == 4  # each party's, and the dealer's of each
    for used in streams.values():
        assert Counter((purpose, counter) for _, purpose, counter in used) == {(Purpose.MATRIX, block): 1 for block in range(3)}


def test_a_mask_is_the_first_bytes_of_a_stream() -> None:
    prg = Prg(bytes(32))
    mask = drawn(partial(prg.half_words), 4, (3, 5))
    data = prg.bytes(Purpose.MATRIX, 4, 75)
    assert mask.low.tobytes() == data[:60].tobytes() and mask.high.tobytes() == data[60:].tobytes()
