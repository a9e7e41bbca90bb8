"""The neutral process: what it tells of two streams of tags, what it holds of them, and streams that it must refuse."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import PeerProtocolError, PolicyError, WattScoreError
from common.match import intersect as module
from common.match.intersect import intersect
from common.mpc.session import Array, Kind, Round
from common.party import Party
from tests.channels import MemoryChannel, memory_pair
from tests.patience import patience

Pair = tuple[int, int]
word = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
sets = st.sets(st.tuples(word, word), max_size=25).map(sorted)
PIECE = 4


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", PIECE)


def said(tags: list[Pair], other: int) -> list[tuple[Kind, Array]]:
    """The messages of a party that does as it should."""
    whole = np.array(tags, np.uint64).reshape(-1, 2)
    pieces = [(Kind.PSI_TAGS, whole[low : low + PIECE]) for low in range(0, len(tags), PIECE)]
    return [(Kind.PSI_SIZES, np.array([len(tags), other], np.uint64)), *pieces]


class Ends:
    """The neutral process over lines that hold one message each way; and the parties' ends of them."""

    def __init__(self, most: int = 1000) -> None:
        pairs = {party: memory_pair(1) for party in Party}
        self.party: dict[Party, MemoryChannel] = {party: pair[0] for party, pair in pairs.items()}
        self.work = asyncio.create_task(intersect({party: pair[1] for party, pair in pairs.items()}, most))

    async def say(self, party: Party, messages: list[tuple[Kind, Array]]) -> None:
        for number, (kind, values) in enumerate(messages, 1):
            await self.party[party].send(Round(kind, number), values)

    async def run(self, grid: list[tuple[Kind, Array]], bank: list[tuple[Kind, Array]]) -> Any:
        """What it returned or raised, although the parties may still want to say something."""
        saying = [asyncio.create_task(self.say(party, words)) for party, words in zip(Party, (grid, bank), strict=True)]
        try:
            await asyncio.wait([self.work], timeout=patience(5))
            return self.work.exception() or self.work.result()
        finally:
            for task in saying:
                task.cancel()
            await asyncio.gather(*saying, return_exceptions=True)

    async def told(self, party: Party, count: int) -> list[bool]:
        bits = await self.party[party].receive(Round(Kind.PSI_COMMON, 1))
        assert bits.dtype == np.uint8 and bits.shape == (-(-count // 8),)
        return [bool(bit) for bit in np.unpackbits(bits, count=count)]


@settings(max_examples=60, deadline=None)
@given(sets, sets)
def test_each_is_told_which_of_its_own_are_common(grid: list[Pair], bank: list[Pair]) -> None:
    async def run() -> None:
        ends = Ends()
        assert await ends.run(said(grid, len(bank)), said(bank, len(grid))) == len(set(grid) & set(bank))
        assert await ends.told(Party.GRID, len(grid)) == [tag in bank for tag in grid]
        assert await ends.told(Party.BANK, len(bank)) == [tag in grid for tag in bank]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", PIECE)
        asyncio.run(run())


def ascending(count: int) -> list[Pair]:
    return [(number, 7) for number in range(count)]


GOOD = said(ascending(9), 9)


def changed(place: int, values: Array) -> list[tuple[Kind, Array]]:
    return [*GOOD[:place], (GOOD[place][0], values), *GOOD[place + 1 :]]


def tags(*numbers: int) -> Array:
    return np.array([(number, 7) for number in numbers], np.uint64)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (changed(0, np.array([9, 8], np.uint64)), "do not agree on how many ids"),
        (changed(0, np.array([9], np.uint64)), "another number of tags"),
        (changed(0, np.array([9, 9], np.uint32)), "another number of tags"),
        (changed(1, tags(0, 1, 2, 3, 4)), "another number of tags"),
        (changed(1, tags(0, 1, 2)), "another number of tags"),
        (changed(3, tags(8, 9)), "another number of tags"),
        (changed(1, tags(0, 1, 2, 3).T.copy()), "another number of tags"),
        (changed(1, tags(0, 2, 1, 3)), "do not ascend"),
        (changed(1, tags(0, 1, 1, 3)), "do not ascend"),
        (changed(2, tags(3, 5, 6, 7)), "do not ascend"),
        (changed(2, tags(1, 5, 6, 7)), "do not ascend"),
        ([GOOD[0], GOOD[2], GOOD[1], *GOOD[3:]], "do not ascend"),
        (GOOD[1:], "another round"),
        ([GOOD[0], GOOD[0]], "another round"),
    ],
    ids=[
        "sizes differ", "one size", "narrow", "more in a piece", "fewer", "more at the end", "turned", "unsorted", "twice",
        "twice across pieces", "back", "pieces swapped", "no sizes", "sizes again",
    ],
)  # fmt: skip
@pytest.mark.parametrize("party", Party)
async def test_a_party_that_breaks_the_form_is_named(bad: list[tuple[Kind, Array]], message: str, party: Party) -> None:
    error = await Ends().run(*(bad if one is party else GOOD for one in Party))
    assert isinstance(error, PeerProtocolError) and message in str(error)
    if "agree" not in message and "round" not in message:
        assert error.message.startswith(f"the {party.value} ")


async def test_a_party_that_brings_too_many_is_refused_before_memory_is_given() -> None:
    for party in Party:
        said_so = [(Kind.PSI_SIZES, np.array([2**63, 9], np.uint64))]
        error = await Ends(most=20).run(*(said_so if one is party else GOOD for one in Party))
        assert isinstance(error, PolicyError) and error.message.startswith(f"the {party.value} brings {2**63} ids, more than")
    assert await Ends(most=9).run(GOOD, GOOD) == 9


async def test_one_piece_of_each_is_all_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A party's messages are taken only as the other's come: nothing waits in memory but what the lines hold."""
    ends, many = Ends(), ascending(400)
    talking = asyncio.create_task(ends.say(Party.GRID, said(many, 400)))
    for _ in range(2000):
        await asyncio.sleep(0)
    assert len(ends.party[Party.GRID].log) <= 3  # the other one has said nothing: sizes taken, one on the line, one in hand
    await ends.say(Party.BANK, said(many, 400))
    assert await ends.work == 400
    await talking


async def test_the_one_with_more_is_heard_to_the_end() -> None:
    ends = Ends()
    assert await ends.run(said(ascending(50), 1), said([(3, 7)], 50)) == 1
    assert await ends.told(Party.GRID, 50) == [number == 3 for number in range(50)]
    bad = said(ascending(50), 1)
    bad[-1] = (Kind.PSI_TAGS, bad[-2][1][:2])
    error = await Ends().run(bad, said([(3, 7)], 50))
    assert isinstance(error, WattScoreError) and "do not ascend" in error.message
