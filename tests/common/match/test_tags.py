"""Matching by tags: the rows, what is handed out and in which order, and what a helper may not say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.disclosure import Opened
from common.errors import DataError, HelperFailed, LocalProtocolError, PeerProtocolError, PolicyError
from common.match.ecdh import MatchLimits
from common.match.tags import Tags, match_tags
from common.mpc.session import Kind, Session, memory_pair
from common.party import Party

SMALL = MatchLimits(min_matched=1)
Alter = Callable[[Tags], Tags]


class Find:
    """Compares in clear, keeps what it was given, and lets a test change what it says."""

    def __init__(self, alter: Alter = lambda tags: tags) -> None:
        self.given: list[Tags] = []
        self._alter = alter

    async def __call__(self, session: Session, tags: Tags, most: int) -> Tags:
        self.given.append(tags)
        theirs = (await session.exchange(Kind.PSI_TUNNEL, tags.reshape(-1), shape=(16 * self.size,))).reshape(-1, 16)
        assert most == max(len(tags), len(theirs))
        common = sorted({t.tobytes() for t in tags} & {t.tobytes() for t in theirs})
        return self._alter(np.frombuffer(b"".join(common), np.uint8).reshape(-1, 16))

    size = 0  # of the other's set, which a test knows


async def run(
    grid: list[str], bank: list[str], alter: Alter = lambda tags: tags, limits: MatchLimits = SMALL, domain: bytes = b"job"
) -> tuple[list[Any], list[Find]]:
    finds, tasks = [Find(), Find(alter)], []
    for session, find, own, other in zip(sessions(), finds, (grid, bank), (bank, grid), strict=True):
        find.size = len(other) + 1
        tasks.append(match_tags(session, own, domain=domain, limits=limits, find=find))
    return list(await asyncio.gather(*tasks, return_exceptions=True)), finds


def sessions() -> list[Session]:
    allowed = frozenset({Opened.MATCHED_IDS})
    return [Session(party, end, allowed=allowed) for party, end in zip(Party, memory_pair(), strict=True)]


ids = st.lists(st.integers(0, 30).map(lambda n: f"企业 {n}"), min_size=1, max_size=25, unique=True)


@settings(max_examples=25, deadline=None)
@given(ids, ids)
def test_rows_are_the_intersection_in_one_order(grid: list[str], bank: list[str]) -> None:
    (one, two), _ = asyncio.run(run(grid, bank))
    common = set(grid) & set(bank)
    if not common:
        assert isinstance(one, PolicyError) and isinstance(two, PolicyError)
        return
    assert [grid[row] for row in one] == [bank[row] for row in two]
    assert {grid[row] for row in one} == common and len(one) == len(common)


async def test_tags_are_of_one_job_shuffled_and_one_is_random() -> None:
    names = [f"id{n}" for n in range(200)]
    _, first = await run(names, names)
    _, second = await run(names, names)
    sets = [{tag.tobytes() for tag in find.given[0]} for find in (*first, *second)]
    assert all(len(tags) == 201 for tags in sets)
    assert len(sets[0] & sets[1]) == 200  # equal sets of ids, and yet each has a tag of its own
    assert not sets[0] & sets[2]  # a fresh key a job
    orders = [[tag.tobytes() for tag in find.given[0]] for find in first]
    shared = [[tag for tag in order if tag in sets[0] & sets[1]] for order in orders]
    assert shared[0] != shared[1] and all(order != sorted(order) for order in shared)


async def test_rounds_and_bytes_are_as_stated() -> None:
    one, two = sessions()
    find = Find()
    find.size = 3
    await asyncio.gather(*(match_tags(s, ["a", "b"], domain=b"j", limits=SMALL, find=find) for s in (one, two)))
    assert one.traffic.sent[Kind.PSI_COUNT] == two.traffic.sent[Kind.PSI_COUNT] == 80
    assert one.traffic.rounds == 2 + 1  # and one of this test's find


@pytest.mark.parametrize(
    "alter",
    [
        lambda tags: np.concatenate([tags, tags[-1:]]),
        lambda tags: tags[::-1],
        lambda tags: np.concatenate([tags[:-1], np.full((1, 16), 255, np.uint8)]),
        lambda tags: np.concatenate([np.zeros((1, 16), np.uint8), tags[1:]]),
    ],
    ids=["twice", "unsorted", "foreign last", "foreign first"],
)
async def test_a_helper_that_lies_is_refused(alter: Alter) -> None:
    names = [f"id{n}" for n in range(20)]
    tasks = []
    for session, find in zip(sessions(), (Find(), Find(alter)), strict=True):
        find.size = 21
        tasks.append(asyncio.create_task(match_tags(session, names, domain=b"job", limits=SMALL, find=find)))
    await asyncio.wait([tasks[1]])
    tasks[0].cancel()
    assert isinstance((await asyncio.gather(*tasks, return_exceptions=True))[1], HelperFailed)


async def test_two_results_that_differ_are_noticed_by_both() -> None:
    names = [f"id{n}" for n in range(20)]
    errors, _ = await run(names, names, lambda tags: tags[1:])
    assert all(isinstance(error, PeerProtocolError) and "same common ids" in error.message for error in errors)


async def test_limits_bind_before_anything_is_compared() -> None:
    names = [f"id{n}" for n in range(20)]
    errors, finds = await run(names, names[:5], limits=MatchLimits(min_matched=6))
    assert all(isinstance(error, PolicyError) and "too few ids" in error.message for error in errors)
    assert not finds[0].given and not finds[1].given
    errors, _ = await run(names[:15], names[10:], limits=MatchLimits(min_matched=6))
    assert all(isinstance(error, PolicyError) and "only 5 ids" in error.message for error in errors)


@pytest.mark.parametrize(("own", "kind"), [(["a", "a"], LocalProtocolError), (["\ud800"], DataError)])
async def test_ids_that_cannot_be_matched(own: list[str], kind: type[Exception]) -> None:
    grid, bank = sessions()
    other = asyncio.create_task(match_tags(bank, ["a"], domain=b"job", limits=SMALL, find=Find()))
    with pytest.raises(kind):
        await match_tags(grid, own, domain=b"job", limits=SMALL, find=Find())
    other.cancel()
