"""How far the growing of a forest is: trees, and shares of u, kept every few trees. PROTOCOL.md sections 10 and 14.

An interrupted training goes on with the next tree under fresh seeds, its thresholds masked anew. What was dealt for the trees
before it is taken and not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.errors import PolicyError
from common.learn.diary import Diary, Progress
from common.learn.trees.forest import Forest
from common.learn.trees.masks import Short
from common.learn.trees.tree import Tree
from common.mpc.fixedpoint import Words, as_words

KEEP = 8  # trees between two entries


@dataclass(frozen=True, repr=False)
class Grown:
    """The trees grown by now, and this party's share of u after them, (rows,)."""

    trees: list[Tree]
    u: Short


async def enter(diary: Diary, forest: Forest, grown: Grown) -> None:
    """Keeps these, if it is time, and after the last tree."""
    done, steps = len(grown.trees), forest.shape.trees
    if done == steps or done % (KEEP * forest.abreast) < forest.abreast:
        splits = np.array([tree.splits for tree in grown.trees], np.int64)
        leaves = np.stack([tree.leaves for tree in grown.trees])
        arrays = {"u": grown.u.astype(np.uint64), "splits": as_words(splits), "leaves": leaves.astype(np.uint64)}
        await diary.enter(Progress(done, steps, arrays))


def grown(begin: Progress, forest: Forest, rows: int) -> Grown:
    """What was kept. rows: that this end grows them on.

    Raises PolicyError for a forest of another size, of which stocks may have several.
    """
    found = begin.arrays
    shapes = {"u": (rows,), "splits": (begin.done, forest.shape.depth), "leaves": (begin.done, forest.shape.leaves)}
    if begin.steps != forest.shape.trees or {name: array.shape for name, array in found.items()} != shapes:
        message = "trees were begun over another number of rows than they would go on with"
        raise PolicyError(message, remedy="Submit the job again.")
    splits = found["splits"].view(np.int64)
    trees = [Tree(tuple(own), leaves) for own, leaves in zip(splits.tolist(), _short(found["leaves"]), strict=True)]
    return Grown(trees, _short(found["u"]))


def _short(words: Words) -> Short:
    return words.astype(np.uint16)
