"""Trees grown on shares, held to the plaintext twin tree by tree."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.errors import PeerProtocolError, PolicyError
from common.learn.diary import Progress
from common.learn.trees import cost, course
from common.learn.trees.forest import U_SCALE, Forest
from common.learn.trees.tree import Tree
from common.mpc.session import Array, Kind, Round, Session
from common.party import Party
from tests.common.learn.trees import twin
from tests.common.learn.trees.problems import Problem, grow, make_problem
from tests.patience import patience
from tests.peers import Trio


def opened(problem: Problem, forest: Forest, found: dict[Party, list[Tree]]) -> list[twin.TwinTree]:
    """The forest put together from both halves."""
    halves = zip(found[Party.GRID], found[Party.BANK], strict=True)
    return [twin.put_together(grid.splits, bank.splits, grid.leaves + bank.leaves) for grid, bank in halves]


async def test_each_level_splits_by_the_best_candidate_and_each_leaf_is_the_twins() -> None:
    problem = make_problem()
    forest = problem.forest(trees=6, depth=3)
    trees = opened(problem, forest, await grow(Trio(), problem, forest))
    first = np.full(problem.rows, twin.start_of(problem.label) / 2**U_SCALE)
    twin.check(forest, problem.below, problem.label, first, trees)


async def test_trees_side_by_side_are_grown_from_the_same_gradients_in_fewer_rounds() -> None:
    problem = make_problem()
    forest = replace(problem.forest(trees=5, depth=2), abreast=2)
    trio = Trio()
    trees = opened(problem, forest, await grow(trio, problem, forest))
    assert len({tuple(tree.splits) for tree in trees}) > 1
    u = np.full(problem.rows, twin.start_of(problem.label) / 2**U_SCALE)
    for group in ((0, 1), (2, 3), (4,)):
        p = twin.sigmoid(u)
        g, h = p - problem.label, p * (1 - p)
        for t in group:
            place = trees[t].places(problem.below)
            assert np.allclose(trees[t].leaves, twin.leaves(forest, place, g, h), rtol=0.06, atol=0.02), t
        u += sum(trees[t].leaves[trees[t].places(problem.below)] for t in group)
    kinds = [label.kind for label, _ in trio.peer[Party.GRID].log]
    assert kinds.count(Kind.MASKED_U) == 3 and kinds.count(Kind.MASKED_COMPARED) == 3 * 2
    assert cost.rounds(forest.shape, 2) == 3 * (6 * 2 + 3)


@pytest.mark.parametrize("abreast", [1, 3])
async def test_a_level_that_a_changed_word_leaves_to_nobody_ends_the_training_at_once(abreast: int) -> None:
    problem, trio = make_problem(300), Trio()
    for channel in trio.peer.values():

        async def send(label: Round, values: Array, own: Any = channel.send) -> None:
            await own(label, values ^ np.uint32(1) if label.kind is Kind.SPLIT_TESTS else values)

        channel.send = send  # type: ignore[method-assign]
    with pytest.raises(PeerProtocolError, match="both or neither took it"):
        await asyncio.wait_for(grow(trio, problem, replace(problem.forest(), abreast=abreast)), patience(30.0))


async def test_a_level_that_both_take_for_their_own_ends_the_training_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def mine(session: Session, *given: Any) -> int:
        return 0 if session.party is Party.GRID else given[2].size - 1

    monkeypatch.setattr("common.learn.trees.tree.find_largest", mine)
    problem = make_problem(300)
    with pytest.raises(PeerProtocolError, match="both or neither took it"):
        await asyncio.wait_for(grow(Trio(), problem, problem.forest()), patience(30.0))


async def test_rows_to_spare_add_nothing() -> None:
    """The last tenth of the rows is not data: the trees are those of the others."""
    problem = make_problem(2000)
    real = 1800
    forest = problem.forest(trees=3, depth=2)
    trees = opened(problem, forest, await grow(Trio(), problem, forest, real))
    data = Problem({p: below[:, :real] for p, below in problem.below.items()}, problem.label[:real])
    u = np.full(real, twin.start_of(problem.label) / 2**U_SCALE)
    for t, tree in enumerate(trees):
        p = twin.sigmoid(u)
        place = tree.places(data.below)
        wanted = twin.leaves(forest, place, p - data.label, p * (1 - p))
        assert np.allclose(tree.leaves, wanted, rtol=0.06, atol=0.02), t
        u += tree.leaves[place]


class Kept:
    """A diary that keeps everything, and begins where it is told."""

    def __init__(self, begin: Progress | None = None) -> None:
        self.begin, self.entered = begin, list[Progress]()

    async def enter(self, progress: Progress) -> None:
        self.entered.append(progress)


@pytest.mark.parametrize("abreast", [1, 2])
async def test_an_interrupted_training_goes_on_with_the_next_tree_under_other_seeds(
    monkeypatch: pytest.MonkeyPatch, abreast: int
) -> None:
    monkeypatch.setattr(course, "KEEP", 2)
    problem = make_problem(1500)
    forest = replace(problem.forest(trees=8, depth=2), abreast=abreast)
    first: dict[Party, Any] = {party: Kept() for party in Party}
    whole = await grow(Trio(), problem, forest, diaries=first)
    done = [progress.done for progress in first[Party.BANK].entered]
    assert done == ([2, 4, 6, 8] if abreast == 1 else [4, 8])
    begin = {party: next(p for p in first[party].entered if p.done == 4) for party in Party}
    again: dict[Party, Any] = {party: Kept(begin[party]) for party in Party}
    trio = Trio()
    resumed = await grow(trio, problem, forest, diaries=again)
    for party in Party:
        assert all(np.array_equal(a.leaves, b.leaves) for a, b in zip(whole[party][:4], resumed[party][:4], strict=True))
    assert sum(label.kind is Kind.MASKED_U for label, _ in trio.peer[Party.GRID].log) == 4 // abreast
    one, two = opened(problem, forest, whole), opened(problem, forest, resumed)
    u = [
        twin.start_of(problem.label) / 2**U_SCALE + sum(t.leaves[t.places(problem.below)] for t in trees)
        for trees in (one, two)
    ]
    assert np.abs(u[0] - u[1]).mean() < 0.1  # but for rounding, and for ties that it decides


async def test_what_was_kept_of_another_forest_is_not_gone_on_with() -> None:
    problem = make_problem(500)
    forest = problem.forest(trees=4, depth=2)
    arrays = {"u": np.zeros(499, np.uint64), "splits": np.zeros((2, 2), np.uint64), "leaves": np.zeros((2, 4), np.uint64)}
    kept = Progress(2, 4, arrays)
    with pytest.raises(PolicyError, match="another number of rows"):
        await grow(Trio(), problem, forest, diaries={party: Kept(kept) for party in Party})
