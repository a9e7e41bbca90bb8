"""What each party of trees of several banks is sent is uniform, to any two banks too, and no pad hides two values."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.learn.trees.masks import dealt_parts
from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg, Purpose
from common.mpc.session import OPENS, Array, Kind, Round
from common.mpc.several.hub import LineCorrelations
from common.party import Party
from common.plan.trees import Trees
from tests.banks import Banks
from tests.common.learn.trees.test_privacy import NARROW
from tests.common.learn.trees.test_several import World, grown
from tests.common.mpc.uniform import uneven

ROWS, JOBS = (128, 96, 64), 5
SECTION = Trees(kind="trees", trees=2, depth=2, candidates=10, monotone=True)
SECTIONS = SECTION, SECTION.model_copy(update={"trees": 3, "abreast": 2})
HUB = {Kind.MASKED_SUMS, Kind.MASKED_COMPARED, Kind.MASKED_CARRIES, Kind.MASKED_ORDER}
ELSEWHERE = {Kind.SEED, Kind.NONCES}
OF_HUB = 1 << 40


def worlds() -> list[World]:
    """The same rows with both labels, and with thresholds that are all alike."""
    first = World.made(ROWS, seed=3)
    problem = first.problem
    flat = {party: np.ones_like(below) for party, below in problem.below.items()}
    return [
        first,
        *(replace(first, problem=replace(problem, **more)) for more in ({"label": 1.0 - problem.label}, {"below": flat})),
    ]


def wholly_random(kind: Kind, values: Array) -> bytes:
    """The bytes of a message in which every bit is random: packed words of 22 bits have them in their low 16."""
    if kind in NARROW and values.size:
        rows = values.reshape(-1, values.shape[-1])
        return rows[:, : 2 * (rows.shape[1] // 11 * 4)].tobytes()
    if kind in (Kind.MASKED_COMPARED, Kind.SPLIT_TESTS):
        return values.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    if kind is Kind.MASKED_CARRIES:
        return values[:, :-1].tobytes()
    if kind is Kind.MASKED_ORDER and values.ndim == 2:  # of two pairs: two bits of each of three bytes
        return b""
    return values.tobytes()


def dealt(world: World, line: int, party: Party, number: int, words: Words) -> list[bytes]:
    """The parts that are uniform bytes, without the zeros behind."""
    layout = world.layout
    forest = layout.hub(SECTION) if number >= OF_HUB else layout.line(SECTION, ROWS[line])
    found, low = [], 0
    for label, size in dealt_parts(party, forest, number % OF_HUB):
        if label.kind is Kind.DEALT_TREES:
            found.append(words[low : low + size - 1].tobytes())
        low += size
    assert low == len(words)
    return found


def messages(banks: Banks) -> Iterator[tuple[str, int, Round, Array]]:
    """All that is sent in a job and opens nothing, by who hears it; what all banks say alike once."""
    for who, line, label, values in banks.heard():
        again = line and who == "grid" and label.kind in {*HUB, Kind.SPLIT_TESTS}
        if label.kind not in {*OPENS, *ELSEWHERE} - {Kind.SPLIT_TESTS} and not again:
            yield who, line, label, values


@pytest.fixture(scope="module")
def seen() -> dict[tuple[str, Kind], list[bytes]]:
    """By who hears it and its kind, all that was sent in several jobs."""
    found: dict[tuple[str, Kind], list[bytes]] = defaultdict(list)

    async def jobs() -> None:
        for number, world in enumerate(worlds()):
            for again in range(JOBS):
                banks = Banks(len(ROWS), seed=100 * number + again)
                await grown(world, SECTION, banks)
                for who, line, label, values in messages(banks):
                    if label.kind is Kind.DEALT_TREES:
                        party = Party.GRID if who == "grid" else Party.BANK
                        found[who, label.kind] += dealt(world, line, party, label.number, values)
                    else:
                        found[who, label.kind].append(wholly_random(label.kind, values))

    asyncio.run(jobs())
    return found


def test_every_message_is_uniform(seen: dict[tuple[str, Kind], list[bytes]]) -> None:
    kinds = {who: {kind for other, kind in seen if other == who} for who in ("grid", "bank 0", "bank 2")}
    both = {*HUB, Kind.SPLIT_TESTS, Kind.MASKED_THRESHOLDS, Kind.MASKED_U, Kind.MASKED_NODES, Kind.MASKED_BRANCH}
    both |= {Kind.MASKED_CHOICE, Kind.MASKED_LEAVES, Kind.DEALT_TREES}
    assert kinds["grid"] == both | {Kind.MASKED_ADDEND, Kind.DEALT_SUM}
    assert kinds["bank 0"] == kinds["bank 2"] == both
    for key, parts in seen.items():
        data = b"".join(parts)
        assert len(data) > 100 and uneven(data) < 6.0, key


def test_what_any_two_banks_hear_of_their_rows_together_is_uniform(seen: dict[tuple[str, Kind], list[bytes]]) -> None:
    """What is said to each on its own line; differences between what two hear are of different pads too."""
    for one, other in combinations(("bank 0", "bank 1", "bank 2"), 2):
        for kind in (Kind.MASKED_U, Kind.MASKED_LEAVES, Kind.MASKED_NODES):
            apart = []
            for a, b in zip(seen[one, kind], seen[other, kind], strict=False):
                n = min(len(a), len(b)) // 2 * 2
                apart.append(np.frombuffer(a[:n], "<u2") - np.frombuffer(b[:n], "<u2"))
            assert uneven(np.concatenate(apart).tobytes()) < 6.0, (one, other, kind)


@pytest.mark.parametrize(
    ("where", "name", "kind"),
    [
        (LineCorrelations, "sum_mask", Kind.MASKED_ADDEND),
        ("common.learn.trees.masks.TreeMasks", "branch", Kind.MASKED_BRANCH),
    ],
)
def test_a_missing_mask_would_be_found(monkeypatch: pytest.MonkeyPatch, where: type | str, name: str, kind: Kind) -> None:
    if isinstance(where, str):
        monkeypatch.setattr(f"{where}.{name}", lambda self, tree, level: np.zeros(self.forest.rows, np.uint32))
    else:
        monkeypatch.setattr(where, name, lambda self, number, count: np.zeros(count, np.uint64))

    async def heard() -> bytes:
        banks = Banks(len(ROWS))
        with suppress(PeerProtocolError):  # what lacks its mask spoils the training, too
            await grown(worlds()[2], SECTION, banks)
        return b"".join(wholly_random(kind, values) for _, _, label, values in messages(banks) if label.kind is kind)

    assert uneven(asyncio.run(heard())) > 20.0


@pytest.mark.parametrize("section", SECTIONS, ids=["alone", "abreast"])
def test_the_grid_sees_no_banks_sum_and_no_sum_of_two(section: Trees) -> None:
    """What the grid holds of one bank's addends, or of two banks', says nothing of them."""

    async def addends(seed: int) -> list[Words]:
        banks = Banks(len(ROWS), seed=seed)
        await grown(worlds()[2], section, banks)
        return banks.addends()

    every = [asyncio.run(addends(seed)) for seed in range(4)]
    for some in [*combinations(range(3), 1), *combinations(range(3), 2)]:
        told = np.concatenate([np.sum([one[k] for k in some], axis=0, dtype=np.uint64) for one in every])
        assert uneven(told.tobytes()) < 6.0, some


@pytest.mark.parametrize("section", SECTIONS, ids=["alone", "abreast"])
async def test_no_pad_hides_two_values(streams: dict[Prg, list[tuple[bytes, Purpose, int]]], section: Trees) -> None:
    """As many pads of each kind as values that they hide: each sent once, on one line, or by all banks alike."""
    banks, world = Banks(len(ROWS)), worlds()[0]
    await grown(world, section, banks)
    counts = Counter(purpose for _, purpose, _ in {key for used in streams.values() for key in used})
    logs = [label.kind for line in range(3) for party in Party for label, _ in banks.peer[line][party].log]
    sent, lines, trees = Counter(logs), 3, section.trees
    levels, groups = trees * section.depth, -(-trees // section.abreast)
    told = groups * (section.depth + 1)  # sums, of trees side by side together
    assert counts[Purpose.TREE_MATRIX] == lines * (world.layout.grid + world.layout.common)
    assert counts[Purpose.TREE_NODES] == 2 * lines * (groups + levels - trees)  # a root for trees side by side
    assert sent[Kind.MASKED_NODES] == 2 * lines * groups * section.depth
    assert counts[Purpose.TREE_ANGLE] == sent[Kind.MASKED_U] == 2 * lines * groups
    assert counts[Purpose.TREE_CHOICE] == counts[Purpose.TREE_PADS] == 2 * lines * trees
    assert sent[Kind.MASKED_CHOICE] == sent[Kind.MASKED_LEAVES] == 2 * lines * groups
    assert counts[Purpose.TREE_SUMS] + counts[Purpose.TREE_LEAVES] == 2 * (levels + trees)  # the grid's, and that of all banks
    assert sent[Kind.MASKED_SUMS] == (lines + 1) * told  # to each bank the same, and of all banks from the first
    assert counts[Purpose.LARGEST_MASK] == counts[Purpose.LARGEST_BITS] == 2 * levels
    assert counts[Purpose.TREE_ORDER_MASK] == counts[Purpose.TREE_ORDER_BITS] == 2 * levels
    assert counts[Purpose.SUM] == lines * counts[Purpose.SUM_OUT] == lines * told == sent[Kind.MASKED_ADDEND]
    assert (
        counts[Purpose.TREE_MOMENTS] == levels and counts[Purpose.TREE_LEAF_MOMENTS] == trees
    )  # of all banks; the grid is dealt


async def test_what_is_dealt_does_not_tell_the_dealer_s_side_who_split_what() -> None:
    """Labels, sizes and order of all that is dealt are the same whatever the trees; of sums the banks are dealt nothing."""
    orders = []
    for world in worlds():
        banks = Banks(len(ROWS))
        await grown(world, SECTION, banks)
        each = [[(label, values.shape) for label, values in line[party].log] for line in banks.at_dealer for party in Party]
        orders.append(each)
        for bank in each[1::2]:
            assert [label.number for label, _ in bank if label.kind is Kind.DEALT_TREES] == list(range(SECTION.trees))
    assert orders[0] == orders[1] == orders[2]
