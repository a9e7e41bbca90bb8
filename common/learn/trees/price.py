"""How many bits of the bank's labels the winners of levels can tell the grid: a bound, from public numbers. Section 14."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from common.learn.trees.forest import Forest
from common.party import Party
from common.plan.trees import LEAST_CANDIDATES


def label_bits(forest: Forest, *, several: bool = False) -> float:
    """At each level the grid hears which of its own candidates of the tree won, or that none did: log2 of as many outcomes.

    With monotone columns also in which direction, or in none, the bank's column is to go. several: of several banks, of which
    the others too hear who won: all together, which of all candidates.
    """
    return sum(_each(forest, several))


def fitting(forest: Forest, bits: float, *, several: bool = False) -> tuple[int, int]:
    """How many trees like these would tell at most so many bits, and how many candidates of each of these; 0 where none would.

    As many as there are at most.
    """
    told, trees = 0.0, 0
    for one in _each(forest, several):
        told += one
        if told > bits:
            break
        trees += 1
    fewer = range(forest.candidates, LEAST_CANDIDATES - 1, -1)
    able = (c for c in fewer if label_bits(replace(forest, candidates=c), several=several) <= bits)
    return trees, next(able, 0)


def _each(forest: Forest, several: bool) -> Iterator[float]:
    """The bits of each tree."""
    if several:  # the direction of a level follows from which candidate won
        return (forest.shape.depth * math.log2(forest.looked_at) for _ in range(forest.shape.trees))
    others, depth = 3 if forest.monotone else 1, forest.shape.depth
    return (depth * math.log2(others + len(forest.drawn(tree)[Party.GRID])) for tree in range(forest.shape.trees))
