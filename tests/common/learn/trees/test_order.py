"""Leaves that are put in order on shares: in every step what the same done in clear gives, and nothing told of which moved."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.disclosure import Opened
from common.errors import PeerProtocolError
from common.learn.trees import cost, price
from common.learn.trees.forest import Forest, Shape
from common.learn.trees.masks import Short, order_words
from common.learn.trees.order import OrderMasks, agreed, as_dealt, deal_order, level_shares, put_in_order
from common.mpc.prg import Prg
from common.mpc.session import Kind, Session
from common.party import Party
from tests.channels import memory_pair
from tests.common.learn.trees import twin
from tests.common.learn.trees.problems import Problem, grow, make_problem
from tests.common.learn.trees.test_grow import opened
from tests.peers import Trio


def forest_of(depth: int) -> Forest:
    return Forest(100, (5, 5), Shape(3, depth), 0.25, 6, 0.1, 0.003, monotone=True)


async def shared(seed: int, leaves: list[int], directions: list[int], to: Party) -> np.ndarray[Any, Any]:
    """The leaves in order, put together from shares."""
    trio, depth, rng = Trio(seed=seed), len(directions), np.random.default_rng(seed)
    forest = forest_of(depth)
    prg = {p: Prg(bytes([seed % 256, p.index]) * 16) for p in Party}
    masks = {p: [OrderMasks(prg[p], forest, 1, level) for level in range(depth)] for p in Party}
    both = zip(masks[Party.GRID], masks[Party.BANK], strict=True)
    words = as_dealt([deal_order(pair, pair[to.other.index].dealt()) for pair in both])
    assert words.shape == (order_words(forest),)
    one = rng.integers(0, 1 << 16, len(leaves)).astype(np.uint16)
    share = {Party.GRID: one, Party.BANK: np.array(leaves, np.int16).view(np.uint16) - one}

    async def side(session: Session, _: Any) -> Short:
        p = session.party
        dealt = level_shares(words, forest) if p is to else [mask.dealt() for mask in masks[p]]
        return await put_in_order(session, masks[p], dealt, share[p], np.array(directions, np.uint8))

    async def nothing(_: Any) -> None:
        return None

    found = await trio.run(side, nothing)
    return (found[Party.GRID] + found[Party.BANK]).view(np.int16).astype(np.int64)


LEAF = st.one_of(st.integers(-16000, 16000), st.integers(-3, 3))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(0, 1 << 30), st.sampled_from(list(Party)))
def test_leaves_are_those_that_the_same_in_clear_gives(data: Any, depth: int, seed: int, to: Party) -> None:
    leaves = data.draw(st.lists(LEAF, min_size=1 << depth, max_size=1 << depth))
    directions = data.draw(st.lists(st.integers(0, 2), min_size=depth, max_size=depth))
    found = asyncio.run(shared(seed, leaves, directions, to))
    assert found.tolist() == twin.in_order(np.array(leaves, np.int64), directions).tolist()
    assert in_order(found.tolist(), directions) and found.sum() == sum(leaves)


def in_order(leaves: list[int], directions: list[int]) -> bool:
    depth = len(directions)
    for level, direction in enumerate(directions):
        for left in (k for k in range(len(leaves)) if k >> (depth - 1 - level) & 1 == 0):
            step = leaves[left | 1 << (depth - 1 - level)] - leaves[left]
            if (direction == 1 and step < 0) or (direction == 2 and step > 0):
                return False
    return True


def against(problem: Problem) -> dict[Party, np.ndarray[Any, np.dtype[np.uint8]]]:
    """Of one column of each side the direction that its data are not of: risk falls with the bank's second column."""
    found = {p: np.zeros(len(problem.below[p]), np.uint8) for p in Party}
    found[Party.GRID][7:14], found[Party.BANK][7:14] = 2, 1
    return found


def told(directions: dict[Party, Any], tree: twin.TwinTree) -> list[int]:
    return [int(directions[party][k]) for party, k in tree.splits]


@pytest.mark.parametrize("abreast", [1, 2])
async def test_a_forest_keeps_to_what_owners_declared(abreast: int) -> None:
    problem = make_problem()
    directions = against(problem)
    forest = replace(problem.forest(trees=6, depth=3), monotone=True, abreast=abreast)
    trio = Trio()
    trees = opened(problem, forest, await grow(trio, problem, forest, directions=directions))
    free = opened(problem, forest, await grow(Trio(), problem, replace(forest, monotone=False)))
    kept, left = ([in_order(steps(tree), told(directions, tree)) for tree in grown] for grown in (trees, free))
    assert all(kept) and not all(left)
    assert any(any(told(directions, tree)) for tree in trees)
    sent = [label.kind for label, _ in trio.peer[Party.GRID].log]
    assert sent.count(Kind.MASKED_ORDER) == 6 // abreast * 3 * 2 and sent.count(Kind.SPLIT_DIRECTIONS) == 6 // abreast
    assert cost.rounds(forest.shape, abreast, True) == 6 // abreast * (6 * 3 + 3 + 2 * 3 + 1)


def steps(tree: twin.TwinTree) -> list[int]:
    found: list[int] = np.rint(tree.leaves * 2**11).astype(int).tolist()
    return found


async def test_leaves_out_of_order_meet_in_their_mean() -> None:
    problem = make_problem()
    directions = against(problem)
    forest = replace(problem.forest(trees=3, depth=2), monotone=True)
    trees = opened(problem, forest, await grow(Trio(), problem, forest, directions=directions))
    u = np.full(problem.rows, twin.start_of(problem.label) / 2**11)
    for t, tree in enumerate(trees):
        p = twin.sigmoid(u)
        place = tree.places(problem.below)
        free = twin.leaves(forest, place, p - problem.label, p * (1 - p))
        wanted = twin.in_order(np.rint(free * 2**11).astype(np.int64), told(directions, tree))
        assert np.allclose(tree.leaves, wanted / 2**11, rtol=0.06, atol=0.02), t
        u += tree.leaves[place]


@pytest.mark.parametrize("theirs", [[0, 1], [3, 0]], ids=["of a level that is not the other's", "no direction"])
async def test_directions_that_cannot_be_are_refused(theirs: list[int]) -> None:
    mine, line = memory_pair()
    await Session(Party.BANK, line, allowed=frozenset(Opened)).send(Kind.SPLIT_DIRECTIONS, np.array(theirs, np.uint8))
    with pytest.raises(PeerProtocolError, match="does not split"):
        session = Session(Party.GRID, mine, allowed=frozenset(Opened))
        await agreed(session, np.zeros(2, np.uint8), np.array([False, True]))


def test_the_price_is_that_of_two_more_outcomes_a_level() -> None:
    forest = replace(make_problem(500).forest(trees=2, depth=2, candidates=16), monotone=True)
    each = [len(forest.drawn(t)[Party.GRID]) for t in range(2)]
    assert price.label_bits(forest) == pytest.approx(2 * sum(np.log2(3 + c) for c in each))
    assert price.label_bits(replace(forest, monotone=False)) == pytest.approx(2 * sum(np.log2(1 + c) for c in each))
