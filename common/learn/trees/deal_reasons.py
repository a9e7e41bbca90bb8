"""What is dealt for telling, by trees, the strongest groups of the grid's columns in each row. PROTOCOL.md section 18."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.errors import PeerProtocolError
from common.learn.trees.deal import BLOCK_ROWS, deal_block
from common.learn.trees.forest import Shape
from common.mpc.dealer import Dealt, Prgs
from common.mpc.narrow import word_count
from common.mpc.ranks.dealer import deal_ranks, rank_arrays
from common.mpc.ranks.masks import MOST
from common.mpc.session import Kind, Round
from common.party import Party
from common.plan.trees import MOST_DEPTH, MOST_TREES

MOST_ROWS = 1 << 31
_FIRST, _TREE_BITS = 1 << 49, 16  # above every number of a training and of a scoring


@dataclass(frozen=True)
class TreeReasonsDemand:
    """Asks the dealer for telling, of so many rows, which of `groups` groups of the grid's columns raise u most."""

    rows: int
    trees: int
    depth: int
    groups: int

    @property
    def fits(self) -> bool:
        """Whether the numbers are ones that reasons are told of."""
        sizes = 0 < self.rows <= MOST_ROWS and 0 < self.trees <= MOST_TREES and 0 < self.depth <= MOST_DEPTH
        return sizes and 0 < self.groups <= MOST

    @property
    def shape(self) -> Shape:
        return Shape(self.trees, self.depth)

    @property
    def versions(self) -> int:
        """How often a row goes through the trees: as it is, and without each group."""
        return self.groups + 1

    def blocks(self) -> Iterator[tuple[int, slice]]:
        """The number and the rows of each block."""
        size = BLOCK_ROWS // self.versions
        for block, low in enumerate(range(0, self.rows, size)):
            yield block, slice(low, min(self.rows, low + size))

    def masks(self, block: int, tree: int) -> int:
        """Under which the choice of this tree for this block of rows is masked."""
        return _FIRST | block << _TREE_BITS | tree

    def label(self, block: int) -> Round:
        return Round(Kind.DEALT_TREES, _FIRST | block)

    def arrays(self, party: Party) -> Iterator[tuple[Round, tuple[int, ...]]]:
        """Label and shape of each array of words that a party is dealt for it, in the order of its use."""
        for block, rows in self.blocks():
            count = rows.stop - rows.start
            yield self.label(block), (word_count(2 * self.trees * self.versions * count),)
            yield from rank_arrays(self.ranked(block), self.groups, count, party)

    def ranked(self, block: int) -> int:
        """The number under which what groups raise u by is ranked."""
        return _FIRST | block


def deal_reasons(prg: Prgs, demand: TreeReasonsDemand) -> Iterator[Dealt]:
    """Of each block of rows the pads of all trees, then what ranking takes. Raises PeerProtocolError for other sizes."""
    if not demand.fits:
        raise PeerProtocolError("the parties ask the dealer for reasons of no size", got=demand)
    for block, rows in demand.blocks():
        count = rows.stop - rows.start
        yield deal_block(prg, demand, block, demand.versions * count)
        yield from deal_ranks(prg, demand.ranked(block), np.zeros((demand.groups, count), np.uint32))
