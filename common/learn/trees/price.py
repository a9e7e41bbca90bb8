"""How many bits of the bank's labels the winners of levels can tell the grid: a bound, from public numbers. Section 14."""

from __future__ import annotations

import math

from common.learn.trees.forest import Forest
from common.party import Party


def label_bits(forest: Forest) -> float:
    """At each level the grid hears which of its own candidates of the tree won, or that none did: log2 of as many outcomes.

    With monotone columns also in which direction, or in none, the bank's column is to go.
    """
    others = 3 if forest.monotone else 1
    each = (math.log2(others + len(forest.drawn(tree)[Party.GRID])) for tree in range(forest.shape.trees))
    return forest.shape.depth * sum(each)
