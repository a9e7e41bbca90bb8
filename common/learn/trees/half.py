"""A party's half of boosted trees, and what of it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from common.features.bins import BinnedColumn, Cells
from common.features.fit import FittedPreparation
from common.learn.learner import Packed
from common.learn.packing import check_columns, pack_half, unpack_half
from common.learn.several import check_trained_with
from common.learn.trees.design import named
from common.learn.trees.forest import Shape
from common.learn.trees.masks import Short
from common.mpc.narrow import Bytes
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

LEARNER = "trees"
FORMAT = 1


@dataclass(frozen=True, repr=False)
class _Walk:
    """What of a half its rows' ways depend on, put together once: a row that is asked for by itself takes few steps then.

    used: numbers of the thresholds that split, (u,). sources: for each run of them that has the same cells, these cells and
    whether a row of each cell lies above, (run, cells). usual: on which side of each most training rows are, (u, 1). places:
    of each level and tree its threshold among the used ones, u where the other party splits, (depth, trees).
    """

    used: npt.NDArray[np.int64]
    sources: list[tuple[Cells, Bytes]]
    usual: Bytes
    places: npt.NDArray[np.intp]

    @classmethod
    def of(cls, fitted: FittedPreparation, splits: npt.NDArray[np.int32]) -> _Walk:
        used = np.unique(splits[splits >= 0]).astype(np.int64)
        columns = [column for k in used.tolist() if isinstance(column := fitted.fitted[k], BinnedColumn)]
        runs = [list(run) for _, run in groupby(columns, key=lambda column: column.cells)]
        above = [np.array([column.values for column in run], np.float64) < 1.0 for run in runs]
        usual = np.array([[column.centre < 0.5] for column in columns], np.uint8).reshape(-1, 1)
        places = np.where(splits >= 0, np.searchsorted(used, splits), len(used)).T.astype(np.intp)
        return cls(used, [(run[0].cells, rows.astype(np.uint8)) for run, rows in zip(runs, above, strict=True)], usual, places)

    def right(self, table: FeatureTable) -> Bytes:
        """(u, n): which rows lie above each used threshold. Raises DataError as `Cells.of` does."""
        out: Bytes = np.empty((len(self.used), table.rows), np.uint8)
        low = 0
        for cells, above in self.sources:
            np.take(above, cells.of(table), axis=1, out=out[low : low + len(above)])
            low += len(above)
        return out

    def through(self, right: Bytes) -> Bytes:
        """The paths, (trees, n), by which side of the used thresholds rows are on, (u, n)."""
        depth, trees = self.places.shape
        sides = np.concatenate([right, np.zeros((1, right.shape[1]), np.uint8)])  # the last where the other party splits
        out: Bytes = np.zeros((trees, right.shape[1]), np.uint8)
        for level, places in enumerate(self.places):
            out |= sides.take(places, axis=0) << np.uint8(depth - 1 - level)
        return out


@dataclass(frozen=True, repr=False)
class TreesHalf:
    """One party's half of trees that nobody holds: its thresholds and splits, and its shares of the leaves.

    splits: int32 (trees, depth), the number of the threshold by which it splits a level, -1 where the other party splits.
    leaves: uint16 (trees, 2^depth), shares modulo 2^16 of steps of 2^-11: each is uniform by itself. start: its share of the
    first u, in the same steps: the bank's alone. banks: of a model of several at the grid, their identities.
    """

    job: str
    party: Party
    fitted: FittedPreparation
    splits: npt.NDArray[np.int32]
    leaves: Short
    start: int
    source: dict[str, ColumnConfig]
    about: dict[str, Any]
    banks: tuple[str, ...] = ()
    learner = LEARNER
    closed = True
    coefficients = None
    repeats = False  # the bank's columns choose which of the grid's leaves are added up

    def line(self, bank: str) -> TreesHalf:
        """The half that scores together with one of the banks, by its identity. Raises PlanError for another one."""
        check_trained_with(self.job, bank, self.banks)
        return replace(self, banks=())

    @property
    def columns(self) -> tuple[str, ...]:
        return named(self.fitted, self.party)

    @property
    def shape(self) -> Shape:
        return Shape(*self.splits.shape)

    def paths(self, table: FeatureTable, left_out: Sequence[npt.NDArray[np.bool_]] = ()) -> Bytes:
        """(trees, n): of each row's way through each tree the bits of own levels; the upper one is the first level's.

        left_out: thresholds, (thresholds,), of which all rows once more take the side that most training rows are on: that of
        a number's median. Their ways stand after the others', (trees, (1 + left out) n).
        """
        walk = self._walk
        right = walk.right(table)
        versions = [right, *(np.where(lone[walk.used][:, None], walk.usual, right) for lone in left_out)]
        return np.concatenate([walk.through(version) for version in versions], axis=1)

    @cached_property
    def _walk(self) -> _Walk:
        return _Walk.of(self.fitted, self.splits)

    @property
    def split_counts(self) -> dict[str, int]:
        """How many levels each source column of this party splits: none of some, of those that were cut into thresholds."""
        found = dict.fromkeys(sorted(self.fitted.sources), 0)
        for split in self.splits[self.splits >= 0].tolist():
            found[self.fitted.fitted[split].source] += 1
        return found


def pack(model: TreesHalf) -> Packed:
    more = {"banks": list(model.banks)} if model.banks else {}
    return pack_half(model, FORMAT, {"splits": model.splits, "leaves": model.leaves}, start=model.start, **more)


def parse(head: Any, arrays: bytes) -> TreesHalf:
    """The half that `pack` wrote; raises an error of some kind for anything else."""
    found, start = unpack_half(head, arrays, (FORMAT,)), head["start"]
    fitted, splits, leaves = found.fitted, found.arrays["splits"], found.arrays["leaves"]
    if splits.dtype != np.int32 or splits.ndim != 2 or leaves.dtype != np.uint16 or not isinstance(start, int):
        raise ValueError("an array of another type or shape")
    if leaves.shape != (len(splits), 1 << splits.shape[1]) or not (splits >= -1).all() or splits.max() >= len(fitted.fitted):
        raise ValueError("an array of another type or shape")
    if not all(isinstance(column, BinnedColumn) and set(column.values) <= {0.0, 1.0} for column in fitted.fitted):
        raise ValueError("columns that are no thresholds")
    banks = tuple(map(str, head.get("banks", ())))
    model = TreesHalf(found.job, found.party, fitted, splits, leaves, start, found.source, found.about, banks)
    check_columns(model, head)
    return model
