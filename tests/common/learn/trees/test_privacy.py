"""What each party is sent while trees are grown is uniform, whatever rows and labels are, and no pad is used twice."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from common.learn.trees.forest import Forest
from common.learn.trees.masks import dealt_parts
from common.mpc.fixedpoint import Words
from common.mpc.narrow import unpack
from common.mpc.prg import Prg, Purpose
from common.mpc.session import Array, Kind, Round
from common.party import Party
from tests.common.learn.trees.problems import Problem, grow, make_problem
from tests.common.mpc.uniform import uneven
from tests.peers import Trio

ROWS, JOBS = 256, 6
NARROW = {Kind.MASKED_THRESHOLDS, Kind.MASKED_NODES, Kind.MASKED_SUMS, Kind.MASKED_BRANCH}
Seen = dict[tuple[str, Kind], list[bytes]]


def problems() -> list[Problem]:
    """The same columns with both labels, and with columns that are all alike."""
    first = make_problem(ROWS, 3, 2, cuts=5)
    flat = {party: np.ones_like(below) for party, below in first.below.items()}
    return [first, replace(first, label=1.0 - first.label), replace(first, below=flat)]


def wholly_random(kind: Kind, values: Array) -> bytes:
    """The bytes of a message in which every bit is random: packed words of 22 bits have them in their low 16."""
    if kind in NARROW and values.size:
        rows = values.reshape(-1, values.shape[-1])
        count = rows.shape[1] // 11 * 4
        return rows[:, : 2 * count].tobytes()
    if kind is Kind.MASKED_CHOICE:  # the choices of 256 rows, by bits, then packed words of the leaves' sums
        return values[: 3 * ROWS // 8 + 2 * 2 * 8].tobytes()
    if kind in (Kind.MASKED_COMPARED, Kind.SPLIT_TESTS):
        return values.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    if kind is Kind.MASKED_CARRIES:
        return values[:, :-1].tobytes()
    if kind is Kind.MASKED_ORDER and values.ndim == 2:  # the upper half of each of three bytes
        return (values[0] | values[1] >> np.uint8(4)).tobytes()
    return values.tobytes()


def dealt(party: Party, forest: Forest, tree: int, words: Words) -> list[bytes]:
    """The parts that are uniform bytes, without the zeros behind; of elements largest/test_find.py knows."""
    found, low = [], 0
    for label, size in dealt_parts(party, forest, tree):
        if label.kind is Kind.DEALT_TREES:
            found.append(words[low : low + size - 1].tobytes())
        low += size
    assert low == len(words)
    return found


@pytest.fixture(scope="module")
def seen() -> Seen:
    """By who gets it and its kind, all that both parties were sent in several jobs."""
    found: Seen = defaultdict(list)

    async def jobs() -> None:
        for problem in problems():
            for _ in range(JOBS):
                trio = Trio()
                forest = replace(problem.forest(trees=2, depth=3, candidates=10), monotone=True)
                await grow(trio, problem, forest)
                for party in Party:
                    for label, values in trio.peer[party].log:
                        found[party.other.value, label.kind].append(wholly_random(label.kind, values))
                    for label, values in trio.to_party[party].log:
                        if label.kind is Kind.DEALT_TREES:
                            found[party.value, label.kind] += dealt(party, forest, label.number, values)

    asyncio.run(jobs())
    return found


def test_every_message_is_uniform(seen: Seen) -> None:
    told = {key: parts for key, parts in seen.items() if key[1] is not Kind.SPLIT_DIRECTIONS}
    assert len(told) == 2 * 12
    for key, parts in told.items():
        data = b"".join(parts)
        assert len(data) > 500 and uneven(data) < 6.0, key


def test_a_message_that_lacks_its_mask_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "common.learn.trees.masks.TreeMasks.branch", lambda self, tree, level: np.zeros(self.forest.rows, np.uint32)
    )

    async def job() -> bytes:
        trio = Trio()
        problem = make_problem(ROWS, 3, 2, cuts=5)
        await grow(trio, problem, problem.forest(trees=2, depth=3, candidates=10))
        sent = [v for party in Party for label, v in trio.peer[party].log if label.kind is Kind.MASKED_BRANCH]
        assert {int(word) for message in sent if message.size for word in unpack(message, (ROWS,))} == {0, 1}
        return b"".join(wholly_random(Kind.MASKED_BRANCH, v) for v in sent)

    assert uneven(asyncio.run(job())) > 100.0


async def test_no_pad_hides_two_values(streams: dict[Prg, list[tuple[bytes, Purpose, int]]]) -> None:
    """A stream may be expanded again for the same value, as the dealer does of thresholds; no two values have one."""
    trio, problem = Trio(), make_problem(ROWS, 3, 2, cuts=5)
    forest = replace(problem.forest(trees=3, depth=3, candidates=10), monotone=True)
    await grow(trio, problem, forest)
    sent: Counter[Kind] = Counter(label.kind for party in Party for label, _ in trio.peer[party].log)
    expanded = {(seed, purpose, counter) for used in streams.values() for seed, purpose, counter in used}
    counts = Counter(purpose for _, purpose, _ in expanded)
    trees, levels = forest.shape.trees, forest.shape.trees * forest.shape.depth
    assert counts[Purpose.TREE_MATRIX] == sum(forest.thresholds)  # one for each row of thresholds that is sent
    assert counts[Purpose.TREE_NODES] == sent[Kind.MASKED_NODES] == 2 * levels
    assert counts[Purpose.TREE_ANGLE] == sent[Kind.MASKED_U] == 2 * trees
    assert counts[Purpose.TREE_SUMS] == sent[Kind.MASKED_SUMS] == 2 * levels
    assert counts[Purpose.LARGEST_MASK] == sent[Kind.MASKED_COMPARED] == 2 * levels
    assert counts[Purpose.LARGEST_BITS] == sent[Kind.MASKED_CARRIES] == 2 * levels
    assert counts[Purpose.TREE_CHOICE] == counts[Purpose.TREE_LEAVES] == sent[Kind.MASKED_CHOICE] == 2 * trees
    assert counts[Purpose.TREE_ORDER_MASK] == counts[Purpose.TREE_ORDER_BITS] == sent[Kind.MASKED_ORDER] / 2 == 2 * levels
    assert counts[Purpose.TREE_PADS] == sent[Kind.MASKED_LEAVES] == 2 * trees
    branches = [values for party in Party for label, values in trio.peer[party].log if label.kind is Kind.MASKED_BRANCH]
    assert sum(values.size > 0 for values in branches) == levels  # the bank says nothing where the grid splits
    assert counts[Purpose.TREE_BRANCH] == 2 * levels  # the other owner's is not used


async def test_what_is_dealt_does_not_tell_the_dealer_s_side_who_split_what() -> None:
    """Labels, sizes and order of all that is dealt are the same whatever the trees."""
    orders: list[list[tuple[Round, tuple[int, ...]]]] = []
    for problem in problems():
        trio = Trio()
        await grow(trio, problem, problem.forest(trees=2, depth=2, candidates=10))
        orders.append([(label, values.shape) for party in Party for label, values in trio.to_party[party].log])
    assert orders[0] == orders[1] == orders[2]
