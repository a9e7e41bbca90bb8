"""The plaintext twin: the same symmetric trees over the same candidates, in floats. An oracle for tests and benches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from common.learn.trees.forest import U_SCALE, Forest
from common.party import Party

Reals = npt.NDArray[np.float64]


def sigmoid(u: Reals) -> Reals:
    return np.asarray(0.5 * (1.0 + np.tanh(u / 2.0)))


@dataclass
class TwinTree:
    """splits: (party, threshold) of each level. leaves: (2^depth,)."""

    splits: list[tuple[Party, int]] = field(default_factory=list)
    leaves: Reals = field(default_factory=lambda: np.zeros(0))

    def places(self, below: dict[Party, npt.NDArray[np.uint8]]) -> npt.NDArray[np.int64]:
        """The leaf of each row."""
        place = np.zeros(next(iter(below.values())).shape[1], np.int64)
        for party, k in self.splits:
            place = 2 * place + (1 - below[party][k].astype(np.int64))
        return place


def candidates(forest: Forest, tree: int) -> list[tuple[Party, int]]:
    drawn = forest.drawn(tree)
    return [(party, int(k)) for party in Party for k in drawn[party]]


def gains(forest: Forest, cells: Reals, place: npt.NDArray[np.int64], nodes: int, g: Reals, h: Reals) -> Reals:
    """Of each candidate, (C,): the sum over all children of G^2 / (H + ridge). cells: (C, rows)."""
    ridge, total = forest.ridge * forest.most_h, np.zeros(len(cells))
    for node in range(nodes):
        at = place == node
        for side in (cells[:, at], 1.0 - cells[:, at]):
            total += (side @ g[at]) ** 2 / (side @ h[at] + ridge)
    return total


def leaves(forest: Forest, place: npt.NDArray[np.int64], g: Reals, h: Reals) -> Reals:
    count = forest.shape.leaves
    sums = [np.bincount(place, part, count) for part in (g, h)]
    return np.asarray(-forest.rate * sums[0] / (sums[1] + forest.leaf_ridge * forest.most_h))


def in_order(steps: npt.NDArray[np.int64], directions: Sequence[int]) -> npt.NDArray[np.int64]:
    """Leaves as whole steps, level by level in order: 1 the left ones of a level never above the right ones, 2 never below."""
    out, depth = steps.copy(), len(directions)
    for level, direction in enumerate(directions):
        for left in (k for k in range(len(out)) if k >> (depth - 1 - level) & 1 == 0):
            pair = [left, left | 1 << (depth - 1 - level)]
            below, above = pair if direction != 2 else pair[::-1]
            if direction and out[below] > out[above]:
                total = out[below] + out[above]
                out[below], out[above] = total // 2, total - total // 2
    return out


def put_together(grid: Sequence[int], bank: Sequence[int], leaves: npt.NDArray[np.uint16]) -> TwinTree:
    """A tree from its halves' splits, -1 where the other splits: one of both at each level. leaves: both shares, added."""
    assert all((a < 0) != (b < 0) for a, b in zip(grid, bank, strict=True))
    splits = [(Party.GRID, a) if a >= 0 else (Party.BANK, b) for a, b in zip(grid, bank, strict=True)]
    return TwinTree(splits, leaves.view(np.int16).astype(np.float64) / 2**U_SCALE)


def check(
    forest: Forest,
    below: dict[Party, npt.NDArray[np.uint8]],
    label: Reals,
    first: Reals,
    trees: Iterable[TwinTree],
    least: float = 0.98,
) -> None:
    """Asserts of trees, those of a group grown from the same gradients, that floats would have split and valued them so.

    first: u of each row before. least: part of the largest gain that each level's split has, as gains are rounded.
    """
    u = first.copy()
    for t, tree in enumerate(trees):
        if t % forest.abreast == 0:
            p = sigmoid(u)
            g, h = p - label, p * (1.0 - p)
        order = candidates(forest, t)
        cells = np.stack([below[party][k] for party, k in order]).astype(np.float64)
        place = np.zeros(len(u), np.int64)
        for level, split in enumerate(tree.splits):
            found = gains(forest, cells, place, 1 << level, g, h)
            assert found[order.index(split)] >= least * found.max(), (t, level)
            place = 2 * place + (1 - cells[order.index(split)].astype(np.int64))
        assert np.allclose(tree.leaves, leaves(forest, place, g, h), rtol=0.06, atol=0.02), t
        u += tree.leaves[place]


def start_of(label: Reals) -> int:
    """The first u, in steps of 2^-11."""
    return round(float(np.log(label.mean() / (1.0 - label.mean()))) * 2**U_SCALE)


def grow(
    forest: Forest, below: dict[Party, npt.NDArray[np.uint8]], label: Reals, first: Reals | None = None
) -> tuple[list[TwinTree], Reals]:
    """All trees, and u of the rows they were grown on. first: the first u of each, of several banks."""
    u = np.full(forest.rows, start_of(label) / 2**U_SCALE) if first is None else first.copy()
    trees: list[TwinTree] = []
    for group in forest.groups():
        p = sigmoid(u)
        g, h = p - label, p * (1.0 - p)
        for t in group:
            order = candidates(forest, t)
            cells = np.stack([below[party][k] for party, k in order]).astype(np.float64)
            tree, place = TwinTree(), np.zeros(forest.rows, np.int64)
            for level in range(forest.shape.depth):
                best = int(np.argmax(gains(forest, cells, place, 1 << level, g, h)))
                tree.splits.append(order[best])
                place = 2 * place + (1 - cells[best].astype(np.int64))
            tree.leaves = leaves(forest, place, g, h)
            u = u + tree.leaves[place]
            trees.append(tree)
    return trees, u
