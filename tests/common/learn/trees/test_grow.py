"""Trees grown on shares, held to the plaintext twin tree by tree."""

from __future__ import annotations

import numpy as np

from common.learn.trees.forest import U_SCALE, Forest
from common.learn.trees.grow import Tree
from common.party import Party
from tests.common.learn.trees import twin
from tests.common.learn.trees.problems import Problem, grow, make_problem
from tests.peers import Trio


def opened(problem: Problem, forest: Forest, found: dict[Party, list[Tree]]) -> list[twin.TwinTree]:
    """The forest put together from both halves."""
    trees = []
    for grid, bank in zip(found[Party.GRID], found[Party.BANK], strict=True):
        assert all((a < 0) != (b < 0) for a, b in zip(grid.splits, bank.splits, strict=True))
        splits = [(Party.GRID, a) if a >= 0 else (Party.BANK, b) for a, b in zip(grid.splits, bank.splits, strict=True)]
        leaves = (grid.leaves + bank.leaves).view(np.int16).astype(np.float64) / 2**U_SCALE
        trees.append(twin.TwinTree(splits, leaves))
    return trees


async def test_each_level_splits_by_the_best_candidate_and_each_leaf_is_the_twins() -> None:
    problem = make_problem()
    forest = problem.forest(trees=6, depth=3)
    trees = opened(problem, forest, await grow(Trio(), problem, forest))
    u = np.full(problem.rows, twin.start_of(problem.label) / 2**U_SCALE)
    for t, tree in enumerate(trees):
        p = twin.sigmoid(u)
        g, h = p - problem.label, p * (1 - p)
        order = twin.candidates(forest, t)
        cells = np.stack([problem.below[party][k] for party, k in order]).astype(np.float64)
        place = np.zeros(problem.rows, np.int64)
        for level, split in enumerate(tree.splits):
            gains = twin.gains(forest, cells, place, 1 << level, g, h)
            assert gains[order.index(split)] >= 0.98 * gains.max(), (t, level)
            place = 2 * place + (1 - cells[order.index(split)].astype(np.int64))
        assert np.allclose(tree.leaves, twin.leaves(forest, place, g, h), rtol=0.06, atol=0.02), t
        u += tree.leaves[place]
