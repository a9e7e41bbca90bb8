"""What boosted trees cost in bytes: the formulas of protos/PROTOCOL.md section 14, payload of arrays only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from common.learn.trees.deal_reasons import TreeReasonsDemand
from common.learn.trees.forest import Forest, Shape
from common.learn.trees.layout import TreesLayout, sum_words
from common.learn.trees.masks import ORDER_BITS, dealt_arrays
from common.mpc.cost import Cost
from common.mpc.largest.masks import BITS, pair_count
from common.mpc.narrow import packed_size, word_count
from common.mpc.ranks.find import ROUNDS as RANK_ROUNDS
from common.mpc.ranks.masks import all_dealt, sent_bytes
from common.party import Party
from common.plan.trees import Trees

ROUNDS_OF_LEVEL, ROUNDS_OF_TREE = 6, 3
SCORE_BYTES = 2  # a row's, from the grid
_BLOCK_ROUNDS = 2


def by_rows(forest: Forest, tree: int, own_levels: float, offers: float) -> float:
    """Bytes a party sends of rows for one tree of which it splits so many levels: of several banks, on one line.

    offers: leaves that it sends for a row, 2^levels of the other - 1.
    """
    rows, depth = forest.rows, forest.shape.depth
    found = 2 * rows + packed_size(2 * rows) if tree % forest.abreast == 0 else 0
    found += sum(packed_size((1 << level) * rows) for level in range(1, depth)) + depth * -(-rows // 8)
    return found + own_levels * packed_size(rows) + offers * 2 * rows


def by_sums(party: Party, forest: Forest, tree: int) -> int:
    """What it sends of sums over rows, from which splits and leaves are found."""
    depth, looked_at = forest.shape.depth, forest.looked_at
    found = sum(packed_size((2 << level) * (looked_at + 1)) for level in range(depth)) + packed_size(2 * forest.shape.leaves)
    found += depth * (4 * looked_at + BITS * -(-pair_count(looked_at) // 8) + 4 * len(forest.drawn(tree)[party.other]))
    if forest.monotone:
        pairs = forest.shape.leaves // 2
        found += depth * (1 + 2 * pairs + ORDER_BITS * -(-pairs // 8))
    return found


def several(layout: TreesLayout, section: Trees, rows: int, *, speaks: bool) -> Cost:
    """At a bank of so many training rows, of several. speaks: for all of them."""
    line, hub = layout.line(section, rows), layout.hub(section)
    sent, sums = _sent(line, hub, speaks=speaks), sum(8 * sum_words(hub, level) for level in range(section.depth + 1))
    dealt = sum(8 * math.prod(shape) for _, shape in dealt_arrays(Party.BANK, line))
    return Cost(round(sent[Party.BANK]) + section.trees * sums, round(sent[Party.GRID]), dealt)


def several_dealt(layout: TreesLayout, section: Trees, rows: Sequence[int]) -> int:
    """What the grid is dealt of it, of banks of so many training rows each."""
    hub, forests = layout.hub(section), [layout.line(section, own) for own in rows]
    sums = sum(8 * sum_words(hub, level) for level in range(section.depth + 1))
    arrays = (shape for forest in (*forests, hub) for _, shape in dealt_arrays(Party.GRID, forest))
    return section.trees * sums + sum(8 * math.prod(shape) for shape in arrays)


def training(party: Party, forest: Forest) -> Cost:
    """Masked thresholds, and every tree. Who splits a level is not known before: as many of each side as it has candidates.

    A tree's levels are taken as drawn one by one, each a side's with the share of its candidates.
    """
    sent = _sent(forest, forest)
    dealt = sum(8 * math.prod(shape) for _, shape in dealt_arrays(party, forest))
    return Cost(round(sent[party]), round(sent[party.other]), dealt)


def _sent(line: Forest, hub: Forest, *, speaks: bool = True) -> dict[Party, float]:
    """What each sends of a forest, of several banks on one line; of one bank both are the same.

    speaks: whether the bank says anything of sums over rows.
    """
    depth, sent = line.shape.depth, {p: float(line.count(p) * packed_size(line.rows)) for p in Party}
    for tree in range(line.shape.trees):
        drawn = line.drawn(tree)
        for p in Party:
            share = len(drawn[p]) / line.looked_at
            sent[p] += by_rows(line, tree, depth * share, (2.0 - share) ** depth - 1.0)
            if speaks or p is Party.GRID:
                sent[p] += by_sums(p, hub, tree)
    return sent


def rounds(shape: Shape, abreast: int = 1, monotone: bool = False) -> int:
    """Messages one after another, once thresholds are shared. abreast: trees side by side."""
    order = 2 * shape.depth + 1 if monotone else 0
    return -(-shape.trees // abreast) * (ROUNDS_OF_LEVEL * shape.depth + ROUNDS_OF_TREE + order)


def scoring(party: Party, rows: int, shape: Shape, owned: list[int] | None = None) -> Cost:
    """Masked paths, masked leaves and the grid's share of each score. owned: levels of each tree that the grid splits.

    Without it, half of them: each level one side's or the other's.
    """
    paths = shape.trees * shape.depth * -(-rows // 8)
    if owned is None:
        to_grid = to_bank = shape.trees * (1.5**shape.depth - 1.0)
    else:
        to_grid = float(sum((1 << levels) - 1 for levels in owned))
        to_bank = float(sum((1 << (shape.depth - levels)) - 1 for levels in owned))
    from_grid, from_bank = (paths + round(2 * rows * entries) for entries in (to_bank, to_grid))
    from_grid += SCORE_BYTES * rows
    dealt = 8 * word_count(2 * shape.trees * rows)
    return Cost(from_grid, from_bank, dealt) if party is Party.GRID else Cost(from_bank, from_grid, dealt)


def scoring_rounds(blocks: int) -> int:
    return _BLOCK_ROUNDS * blocks + 1


def reasons(party: Party, demand: TreeReasonsDemand, most: int, owned: list[int] | None = None) -> Cost:
    """The grid's reasons, without their texts: each row scored once more without each group, values ranked. Section 18."""
    found = Cost()
    for _, at in demand.blocks():
        rows = at.stop - at.start
        wide, ranked = demand.versions * rows, sent_bytes(demand.groups, rows)
        told = SCORE_BYTES * wide  # of a scoring, and not of this
        found += scoring(party, wide, demand.shape, owned) + Cost(ranked, ranked, 8 * all_dealt(demand.groups, rows, party))
        found += Cost(most * rows - told) if party is Party.GRID else Cost(0, most * rows - told)
    return found


def reasons_rounds(demand: TreeReasonsDemand) -> int:
    """How many messages one after another tell them."""
    return (_BLOCK_ROUNDS + RANK_ROUNDS + 1) * len(list(demand.blocks()))
