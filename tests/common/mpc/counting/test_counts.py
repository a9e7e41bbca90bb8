"""Counts of labels by bin: exact, small ones found and not opened, and nothing else for either party to see."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.disclosure import Opened
from common.errors import LocalProtocolError, PeerProtocolError, PolicyError, RangeError
from common.mpc import field
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.counting import counts as protocol
from common.mpc.counting.counts import BinCounts
from common.mpc.counting.dealer import deal_counts
from common.mpc.counting.masks import MAX_BINS, CountMasks, CountsDemand
from common.mpc.field import P
from common.mpc.prg import Prg, Purpose
from common.mpc.session import OPENS, Array, Kind, Session
from common.party import Party
from tests.common.mpc.problems import run
from tests.common.mpc.test_privacy import SURE, uneven, uneven_bytes
from tests.extent import extent
from tests.peers import ALL, Trio, coordinate

LEAST = 5


def codes_of(sizes: list[list[int]]) -> Any:
    """(columns, n): rows of each column in bins of these sizes, numbered through."""
    starts = np.cumsum([0, *(len(column) for column in sizes)])[:-1]
    return np.stack([np.repeat(np.arange(len(c)), c) + s for c, s in zip(sizes, starts, strict=True)]).astype(np.int16)


async def count(trio: Trio, demand: CountsDemand, codes: Any, label: Any, groups: Any, sizes: Any) -> dict[Party, Any]:
    """(small flags of each test, counts) at the grid, the same groups each time."""

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[list[Any], Any]:
        grid = session.party is Party.GRID
        shared = await BinCounts.share(session, correlations, demand, codes if grid else None, None if grid else label)
        flags = [await shared.small(groups if grid else None, sizes if grid else None) for _ in range(demand.rounds)]
        return flags, await shared.open(groups if grid else None)

    return await coordinate(trio, side)


def matrix(bins: int) -> Any:
    return np.eye(bins, dtype=np.uint32)


async def test_counts_are_exact_for_any_bins_and_labels() -> None:
    rng = np.random.default_rng(3)
    codes = np.stack([rng.integers(0, 4, 3000), 4 + rng.integers(0, 7, 3000)]).astype(np.int16)
    label = (rng.random(3000) < 0.2).astype(np.float64)
    sizes = np.bincount(codes.ravel(), minlength=11)
    result = await count(Trio(), CountsDemand(3000, 11, LEAST, 2), codes, label, matrix(11), sizes)
    flags, ones = result[Party.GRID]
    expected = np.bincount(codes.ravel(), np.tile(label, 2), 11)
    assert ones.tolist() == expected.tolist()
    assert not np.any(flags)
    assert result[Party.BANK] == ([None, None], None)


@pytest.mark.parametrize("least", [1, 2, 5, 20])
async def test_a_test_tells_exactly_which_counts_are_small(least: int) -> None:
    """Bins of 60 rows with every count of ones from 0 to 60."""
    ones = np.arange(61)
    codes = codes_of([[60] * 61])
    label = (np.tile(np.arange(60), 61) < np.repeat(ones, 60)).astype(np.float64)
    flags, opened = (await count(Trio(), CountsDemand(3660, 61, least, 1), codes, label, matrix(61), np.full(61, 60)))[
        Party.GRID
    ]
    assert flags[0].tolist() == ((ones < least) | (60 - ones < least)).tolist()
    assert opened.tolist() == ones.tolist()


async def test_groups_are_sums_of_bins_and_places_without_a_group_tell_nothing() -> None:
    sizes = [[40, 30, 30]]
    label = np.r_[np.ones(10), np.zeros(30), np.ones(2), np.zeros(28), np.ones(20), np.zeros(10)]
    groups = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], np.uint32)
    result = await count(Trio(), CountsDemand(100, 3, LEAST, 1), codes_of(sizes), label, groups, np.array([70, 30, 0]))
    flags, opened = result[Party.GRID]
    assert flags[0].tolist()[:2] == [False, False]
    assert opened.tolist() == [12, 20, 0]


async def test_rows_in_many_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.mpc.counting.masks._CELLS", 40)  # ten rows a block
    label = (np.arange(97) % 3 == 0).astype(np.float64)
    demand = CountsDemand(97, 4, 1, 1)
    assert len(list(demand.blocks())) == 10
    codes = (np.arange(97) % 4).astype(np.int16)[None]
    trio = Trio()
    result = await count(trio, demand, codes, label, matrix(4), np.bincount(codes[0]))
    assert result[Party.GRID][1].tolist() == np.bincount(codes[0], label).tolist()


@pytest.mark.parametrize("party", Party)
async def test_a_plan_that_does_not_list_it_opens_no_bit_and_no_count(party: Party) -> None:
    trio = Trio(ALL - {Opened.BIN_COUNTS})
    codes, label = codes_of([[50, 50]]), np.tile([0.0, 1.0], 50)
    with pytest.raises(PolicyError, match="bin_counts"):
        await count(trio, CountsDemand(100, 2, LEAST, 1), codes, label, matrix(2), np.array([50, 50]))
    assert not {Kind.BIN_TESTS, Kind.BIN_COUNTS} & trio.session[party].traffic.sent.keys()
    assert trio.session[party].opened == set()


async def test_counts_are_not_opened_before_their_tests_nor_tested_more_often_than_ordered() -> None:
    codes, label = codes_of([[50, 50]]), np.tile([0.0, 1.0], 50)

    async def side(session: Session, correlations: DealtCorrelations) -> None:
        grid = session.party is Party.GRID
        ours = (codes, None) if grid else (None, label)
        shared = await BinCounts.share(session, correlations, CountsDemand(100, 2, LEAST, 1), *ours)
        groups = matrix(2) if grid else None
        with pytest.raises(LocalProtocolError, match="after their tests"):
            await shared.open(groups)
        await shared.small(groups, np.array([50, 50]) if grid else None)
        with pytest.raises(LocalProtocolError, match="more tests"):
            await shared.small(groups, None)
        await shared.open(groups)
        with pytest.raises(LocalProtocolError, match="once"):
            await shared.open(groups)

    await coordinate(Trio(), side)


@pytest.mark.parametrize(
    "demand",
    [
        CountsDemand(10, 0, 5, 1),
        CountsDemand(10, MAX_BINS + 1, 5, 1),
        CountsDemand(P, 2, 5, 1),
        CountsDemand(0, 2, 5, 1),
        CountsDemand(10, 2, 21, 1),
        CountsDemand(10, 2, 0, 1),
        CountsDemand(10, 2, 5, 17),
    ],
    ids=str,
)
async def test_sizes_that_are_not_counted_with_are_refused_by_party_and_dealer(demand: CountsDemand) -> None:
    trio = Trio()
    with pytest.raises(RangeError):
        await BinCounts.share(trio.session[Party.GRID], None, demand, None, None)  # type: ignore[arg-type]
    with pytest.raises(PeerProtocolError, match="too many bins"):
        await trio.dealer.deal(deal_counts(trio.dealer._prg, demand))


async def test_a_number_beyond_the_field_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    original = protocol._masked
    monkeypatch.setattr(protocol, "_masked", lambda *args: original(*args) | np.uint32(1 << 31))
    with pytest.raises(PeerProtocolError, match="no element"):
        codes, label = codes_of([[50, 50]]), np.tile([0.0, 1.0], 50)
        await count(Trio(), CountsDemand(100, 2, LEAST, 1), codes, label, matrix(2), np.array([50, 50]))


# What each party sees

SMALL = CountsDemand(8, 3, 2, 2)
CODES = codes_of([[3, 2, 3]])
SIZES = np.array([3, 2, 3])
MERGED = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], np.uint32)


def views(label: Any, seeds: range, spoil: Callable[[pytest.MonkeyPatch], None] = lambda _: None) -> dict[Any, Array]:
    """Every word either party is sent or dealt, over one job a seed: (to, label, place) to its values."""

    async def every() -> dict[Any, Array]:
        words = defaultdict(list)
        for seed in seeds:
            trio = Trio(seed=seed)
            await count(trio, SMALL, CODES, label, MERGED, MERGED @ SIZES)
            log = [(p.other, *entry) for p in Party for entry in trio.peer[p].log]
            log += [(p, *entry) for p in Party for entry in trio.to_party[p].log if entry[0].kind is not Kind.SEED]
            for to, mark, values in log:
                words[to, str(mark)].append(values.ravel())
        stacked = {key: np.stack(values) for key, values in words.items()}
        return {(*key, i): column for key, block in stacked.items() for i, column in enumerate(block.T)}

    async def in_place(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", in_place)
        spoil(patch)
        result: dict[Any, Array] = run(every())
    return result


LABEL = np.array([1.0, 0, 0, 1, 0, 1, 0, 1])


@pytest.fixture(scope="module")
def seen() -> dict[Any, Array]:
    return views(LABEL, range(extent(130, 400)))


def masked(view: dict[Any, Array]) -> dict[Any, Array]:
    """Words shifted to 32 bits, so that uniform elements fill their words; without what is opened."""
    opening = {kind.value for kind in OPENS}
    return {key: column << np.uint32(1) for key, column in view.items() if key[1].split("/")[0] not in opening}


def uneven_top(column: Array) -> float:
    return uneven(column | (column >> np.uint32(5)) & np.uint32(1))  # the lowest bit is one of the shift


@pytest.mark.untraced
def test_all_that_is_masked_is_uniform_and_the_bank_sees_nothing_else(seen: dict[Any, Array]) -> None:
    hidden = masked(seen)
    kinds = {key[1].split("/")[0] for key in hidden}
    assert kinds == {"masked_bins", "masked_counts", "dealt_counts"}
    assert {key for key in seen if key[0] is Party.BANK} == {key for key in hidden if key[0] is Party.BANK}
    assert min(uneven_top(column) for column in hidden.values()) > SURE
    together = defaultdict(list)
    for key, column in hidden.items():
        together[key[:2]].append(column | (column >> np.uint32(9)) & np.uint32(1))
    assert min(uneven_bytes(columns) for columns in together.values()) > SURE


@pytest.mark.untraced
@pytest.mark.parametrize("name", ["labels", "indicators", "groups"])
def test_a_mask_left_out_is_found(name: str) -> None:
    original = getattr(CountMasks, name)
    hidden = masked(views(LABEL, range(60), lambda patch: patch.setattr(CountMasks, name, lambda *a: original(*a) * 0)))
    assert "masked_bins" in {key[1].split("/")[0] for key, column in hidden.items() if uneven_top(column) < SURE}


def put_together(seeds: range, spoil: Callable[[pytest.MonkeyPatch], None] = lambda _: None) -> dict[Any, Array]:
    """What parties make of messages and their own shares: the opened counts less their masks, and what G multiplies."""
    found: dict[Any, list[Array]] = defaultdict(list)
    evaluate, apply = protocol._evaluate, field.apply

    def opened(tables: Array, values: Array, least: int) -> Array:
        found["opened"].append(values.ravel())
        return evaluate(tables, values, least)

    def applied(matrix: Array, vector: Array) -> Array:
        if len(vector) == SMALL.bins:
            found["applied"].append(vector.copy())
        return apply(matrix, vector)

    def watched(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(protocol, "_evaluate", opened)
        patch.setattr(field, "apply", applied)
        spoil(patch)

    views(LABEL, seeds, watched)
    return {(what, i): column for what, values in found.items() for i, column in enumerate(np.stack(values).T)}


@pytest.mark.untraced
def test_what_is_put_together_is_uniform_too() -> None:
    assert min(uneven_top(column << np.uint32(1)) for column in put_together(range(200)).values()) > SURE


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "what"), [("angle", "opened"), ("counts", "applied")])
def test_a_mask_left_out_of_shares_is_found(name: str, what: str) -> None:
    original = getattr(CountMasks, name)
    found = put_together(range(60), lambda patch: patch.setattr(CountMasks, name, lambda *a: original(*a) * 0))
    assert what in {key[0] for key, column in found.items() if uneven_top(column << np.uint32(1)) < SURE}


@pytest.mark.untraced
def test_a_small_count_looks_the_same_whatever_it_is_and_a_large_one_too() -> None:
    """The product that the grid opens in a test: zero if small, else uniform; its value tells no count."""

    async def product(label: Any, seed: int) -> Array:
        parts: list[Array] = []
        evaluate = protocol._evaluate

        def kept(*args: Any) -> Array:
            parts.append(evaluate(*args))
            return parts[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(protocol, "_evaluate", kept)
            sizes = np.full(3, 30)
            await count(Trio(seed=seed), CountsDemand(90, 3, LEAST, 1), codes_of([[30, 30, 30]]), label, matrix(3), sizes)
        return field.add(*parts)

    async def many(ones: int) -> Array:
        label = (np.tile(np.arange(30), 3) < np.repeat([0, 4, ones], 30)).astype(np.float64)
        return np.stack([await product(label, seed) for seed in range(120)])

    for ones in (5, 25):
        products = run(many(ones))
        assert (products[:, :2] == 0).all()
        assert (products[:, 2] != 0).all()
        assert uneven_top(products[:, 2] << np.uint32(1)) > SURE


def test_the_dealer_deals_in_order_and_expands_no_stream_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[bytes, Purpose, int]] = []
    original = Prg._stream

    def stream(self: Prg, purpose: Purpose, counter: int) -> Any:
        used.append((self._seed, purpose, counter))
        return original(self, purpose, counter)

    monkeypatch.setattr(Prg, "_stream", stream)
    dealt = list(deal_counts(Trio(seed=1).dealer._prg, CountsDemand(50, 4, LEAST, 3)))
    assert [label.number for ((_, label, _),) in dealt] == [0, 2, 3, 4, 5, 6, 7, 8]
    assert [values.shape for ((_, _, values),) in dealt] == [(4,), (4,), (36, 4), (4,), (36, 4), (4,), (36, 4), (4,)]
    assert len(used) == len(set(used))
