"""Growing boosted trees on the rows of several banks: each line adds up its rows, and splits and leaves are found for all.

The grid holds one share of the leaves, each bank the same other one; all banks split their rows by the same thresholds.
PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np

from common.learn.diary import Diary
from common.learn.trees import course
from common.learn.trees.choose import Levels, unpacked_paths
from common.learn.trees.forest import HubForest, LineForest, children
from common.learn.trees.grow import Arrivals, Flags, Grower
from common.learn.trees.layout import TreesLayout, sum_number
from common.learn.trees.masks import Short
from common.learn.trees.order import Directions
from common.learn.trees.tree import Level, Thresholds, Tree, TreeGrower, Vectors
from common.mpc.beside import side_by_side
from common.mpc.correlations.asked import Correlations
from common.mpc.lockstep import Lockstep, Rounds
from common.mpc.narrow import MASK, Bytes, Narrow
from common.mpc.session import Kind, Session
from common.mpc.several.hub import Hub
from common.party import Party
from common.plan.trees import Trees


@dataclass(frozen=True, repr=False)
class TreesLine:
    """One bank's rows as one of the two that grow trees on them holds them.

    rows: of this bank that train. below: (thresholds, taken) uint8, of those that trees are grown on, as `Grower` has it.
    label: at the bank, (taken,). start: at the bank its first u.
    """

    session: Session
    correlations: Correlations
    rows: int
    below: Bytes
    directions: Directions
    label: Flags | None = None
    start: int = 0


async def grow_several(hub: Hub, lines: Sequence[TreesLine], layout: TreesLayout, section: Trees, diary: Diary) -> list[Tree]:
    """All trees as this end has them, or those that are left. lines: at a bank its own; at the grid those of all, in order.

    A tree, or as many as are grown side by side, has the rounds of one bank's, and a sum at each level and of the leaves.
    """
    whole, forests = layout.hub(section), [layout.line(section, line.rows) for line in lines]
    taken = [forest.rows for forest in forests]
    at_grid, found, u = hub.spoken.party is Party.GRID, list[Tree](), np.empty(0, np.uint16)
    if diary.begin is not None:
        before = course.grown(diary.begin, whole, sum(taken))
        found, u = before.trees, before.u
        if diary.begin.done == diary.begin.steps:
            return found
    first = len(found)
    growers = await side_by_side(_grower(line, layout, section, first) for line in lines)
    if first:
        for grower, own in zip(growers, np.split(u, np.cumsum(taken)[:-1]), strict=True):
            grower.u = own
    thresholds = await side_by_side(grower.share_thresholds() for grower in growers)
    arrivals = Arrivals(hub.correlations.ordered(), whole, first)
    source = replace(hub.correlations.ordered(), fetch=arrivals.fetch)
    shared = Thresholds(np.empty((0, 0), np.uint8), np.empty((0, 0), np.int32), lines[0].directions)
    for group in whole.groups(first):
        lanes = Lockstep(hub.spoken, len(group)).lanes()
        trees = [TreeGrower(lane, source, whole, shared, number) for lane, number in zip(lanes, group, strict=True)]
        begun = zip(lines, growers, forests, thresholds, strict=True)
        async with (
            nullcontext() if at_grid else hub.spoken.together(throughout=True)
        ):  # a bank says once what waits for nothing
            parts = await side_by_side(_begin(*one, group) for one in begun)
            found += await _grow(hub, trees, whole, group[0], parts)
        await course.enter(diary, whole, course.Grown(found, np.concatenate([grower.u for grower in growers])))
        hub.session.reporter.progress(group.stop, section.trees)
    return found


@dataclass(repr=False)
class _Part:
    """One line's part of growing a tree: what its rows hand on from level to level."""

    rounds: Rounds
    grower: Grower
    tree: TreeGrower
    path: Bytes
    vectors: Vectors
    totals: Narrow
    theirs: Bytes

    async def add_up(self, level: int) -> Narrow:
        """Shares of left children's histograms and all nodes' totals, one after the other, off by what the dealer knows."""
        left, self.totals = await self.tree.add_up(self.vectors, level)
        return np.concatenate([left.ravel(), self.totals.ravel()])

    async def move(self, level: int, split: int) -> None:
        state = Level(totals=self.totals)
        self.path |= self.tree.side(level, split)
        self.vectors = await self.tree.move(level, split, self.vectors, state)
        self.totals = state.totals

    async def end(self) -> Narrow:
        """The leaves' totals; the bank's hidden choices are on their way by then, as they wait for no leaf."""
        await self.hear(Party.GRID)
        return self.totals.ravel()

    async def hear(self, who: Party) -> None:
        """`who` hears what the other chooses of each row, hidden."""
        mine = self.tree.packed_choice(self.path)
        if self.rounds.party is not who:
            await self.rounds.send(Kind.MASKED_CHOICE, mine)
        else:
            packed = await self.rounds.receive(Kind.MASKED_CHOICE, np.uint8, mine.shape)
            self.theirs = unpacked_paths(packed, len(self.path))

    async def choose(self, levels: Levels, leaves: Short) -> None:
        """Adds to each row's u its leaf."""
        leaf = await self.tree.choose(levels, leaves, self.path, self.theirs)
        self.grower.u += leaf


async def _begin(line: TreesLine, grower: Grower, forest: LineForest, thresholds: Thresholds, group: range) -> list[_Part]:
    """One line's part of each of these trees, whose root and gradients are the same."""
    root = await grower.root(group[0])
    await grower.take(len(group) - 1)  # sums are dealt behind
    found = list[_Part]()
    for lane, number in zip(Lockstep(line.session, len(group)).lanes(), group, strict=True):
        tree, path = TreeGrower(lane, grower.arrivals, forest, thresholds, number), np.zeros(forest.rows, np.uint8)
        found.append(_Part(lane, grower, tree, path, root, np.empty(0, np.uint32), path))
    return found


async def _grow(
    hub: Hub, trees: Sequence[TreeGrower], forest: HubForest, first: int, lines: Sequence[Sequence[_Part]]
) -> list[Tree]:
    """Trees side by side, `first` and those after it. lines: of each line of this end the parts of these trees."""
    depth, states = forest.shape.depth, [Level() for _ in trees]
    splits: list[list[int]] = [[] for _ in trees]
    for level in range(depth):
        work = (_of_all(part.add_up(level) for part in parts) for parts in lines)
        added = np.split(await _summed(hub, sum_number(forest, first, level), work), len(trees))
        for state, own in zip(states, added, strict=True):
            cut = len(own) - (2 << level)
            left = own[:cut].reshape(-1, 2, forest.looked_at)
            state.sums = left if level == 0 else children(left, state.sums)
            state.totals = own[cut:].reshape(-1, 2)
        async with _told_at_once(hub):
            chosen = await side_by_side(tree.split(level, state) for tree, state in zip(trees, states, strict=True))
            moves = (part.move(level, split) for parts in lines for part, split in zip(parts, chosen, strict=True))
            await side_by_side(moves)
        for own_splits, split in zip(splits, chosen, strict=True):
            own_splits.append(split)
    ends = (_of_all(part.end() for part in parts) for parts in lines)
    totals = np.split(await _summed(hub, sum_number(forest, first, depth), ends), len(trees))
    for state, own in zip(states, totals, strict=True):
        state.totals = own.reshape(-1, 2)
    async with _told_at_once(hub):
        leaves = await side_by_side(tree.leaves(state) for tree, state in zip(trees, states, strict=True))
        await side_by_side(part.hear(Party.BANK) for parts in lines for part in parts)
    if forest.monotone:
        leaves = await side_by_side(tree.ordered(table, own) for tree, table, own in zip(trees, leaves, splits, strict=True))
    found = [Tree(tuple(own), table) for own, table in zip(splits, leaves, strict=True)]
    levels = [Levels.of(np.array(own) >= 0) for own in splits]
    chosen_by = (zip(parts, levels, leaves, strict=True) for parts in lines)
    await side_by_side(part.choose(owned, table) for of_line in chosen_by for part, owned, table in of_line)
    return found


async def _of_all(work: Iterable[Awaitable[Narrow]]) -> Narrow:
    """What one line's parts of trees side by side give, one after the other."""
    return np.concatenate(await side_by_side(work))


def _told_at_once(hub: Hub) -> AbstractAsyncContextManager[None]:
    """At the grid: banks that say nothing of what follows hear what it says as one message."""
    return hub.spoken.together() if hub.spoken.party is Party.GRID else nullcontext()


async def _summed(hub: Hub, number: int, work: Iterable[Awaitable[Narrow]]) -> Narrow:
    """What the lines of all ends give, modulo 2^22, shared with all banks at once. work: of each line of this end."""
    every = await side_by_side(work)
    total = np.add.reduce([one.astype(np.uint64) for one in every])
    return (await hub.shared(number, total)).astype(np.uint32) & MASK


async def _grower(line: TreesLine, layout: TreesLayout, section: Trees, first: int) -> Grower:
    source = await line.correlations.source(layout.demand(line.rows, first))
    forest = layout.line(section, line.rows)
    return Grower(line.session, source, forest, line.below, line.label, line.start, forest.rows, line.directions, first)
