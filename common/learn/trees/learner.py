"""Boosted trees as a learner: joins what the modules beside it do to what `learn.learner` asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from common.disk.scratch import Scratch
from common.features.options import Preparation
from common.learn.dealt_ahead import Ahead
from common.learn.diary import Diary, Forgetful
from common.learn.learner import Basis, Half, Matched, Packed, Size, Telling
from common.learn.trees import cost, course
from common.learn.trees.deal import BLOCK_ROWS, TreeScoreDemand, TreesDemand
from common.learn.trees.design import Prepared, below, directions, prepare
from common.learn.trees.forest import U_SCALE, Forest, Shape
from common.learn.trees.grow import Grower
from common.learn.trees.half import LEARNER, TreesHalf, pack, parse
from common.learn.trees.make import make_forest, sampled
from common.learn.trees.masks import dealt_arrays
from common.learn.trees.order import Directions
from common.learn.trees.price import fitting, label_bits
from common.learn.trees.score import open_scores
from common.learn.trees.tree import Tree
from common.mpc.correlations.asked import Correlations
from common.mpc.cost import Cost
from common.mpc.fixedpoint import Reals
from common.mpc.session import Session
from common.party import Party
from common.plan.section import Floors
from common.plan.trees import Trees
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from common.stats.logistic import Design

# Work on a row of a node's vectors, on a message, on a threshold's row, in values of a matrix, and on a leaf a row may be in,
# in values scored: measured through three daemons on two cores.
_VECTOR, _ROUND, _CELL, _LEAF = 55.0, 1.0e6, 4.0, 1.0
_RIDGE = 1e-3  # of the bank's own regression on its thresholds, which nearly repeat each other

FEWER = "Plan fewer `trees`, `candidates` or levels: `wattscore estimate` says what they tell. Or train on more rows or others."


def fitting_trees(section: Trees, size: Size, bits: float, *, several: bool = False) -> str:
    """What would tell at most so many bits, for people. several: of several banks."""
    trees, candidates = fitting(make_forest(section, size), bits, several=several)
    found = [f"{trees} such trees"] if trees else []
    found += [f"{section.trees} of {candidates} candidates each"] if candidates else []
    enough = f"enough for {' or '.join(found)}" if found else "not enough for one such tree"
    return f"What is left is {enough}."


@dataclass(frozen=True, repr=False)
class TreesTrained:
    """What growing left at one party. banks: of several at the grid, their identities."""

    prepared: Prepared
    trees: list[Tree]
    start: int
    banks: tuple[str, ...] = ()

    def half(self, job: str, source: dict[str, ColumnConfig], about: dict[str, Any]) -> Half:
        own = len(self.prepared.fitted.fitted)
        splits = np.array([tree.splits for tree in self.trees], np.int32)
        splits = np.where(splits >= 0, splits % own, -1).astype(np.int32)  # thresholds to spare repeat the first ones
        leaves = np.stack([tree.leaves for tree in self.trees])
        return TreesHalf(job, self.prepared.party, self.prepared.fitted, splits, leaves, self.start, source, about, self.banks)


@dataclass(frozen=True, repr=False)
class TreesTask:
    """One party's part of a training. size: as dealt for; it may have rows and thresholds to spare."""

    section: Trees
    prepared: Prepared
    rows: Matched
    size: Size
    warnings: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return self.section.trees

    @property
    def basis(self) -> Basis:
        columns = len(self.prepared.columns)
        penalty = np.diag([_RIDGE] * (columns - 1) + [0.0])
        return Basis(Design(self.rows.train_rows, columns, self.prepared.matrix), penalty, np.eye(columns), _RIDGE)

    def filled(self, size: Size) -> TreesTask:
        return replace(self, size=size)

    async def train(self, session: Session, correlations: Correlations, scratch: Scratch | None = None) -> TreesTrained:
        return await self.resume(session, correlations, scratch, Forgetful())

    async def resume(self, session: Session, correlations: Correlations, scratch: Scratch | None, diary: Diary) -> TreesTrained:
        forest, party = make_forest(self.section, self.size), self.prepared.party
        if diary.begin is not None and diary.begin.done == diary.begin.steps:
            return TreesTrained(self.prepared, course.grown(diary.begin, forest, forest.rows).trees, self._start)
        source = await correlations.source(TreesDemand(self.size.rows, self.size.grid_columns, self.size.bank_columns))
        places = sampled(self.rows.train_rows, self.section)
        matrix = await session.compute(lambda: self._below(forest, places), forest.rows * forest.count(party))
        label = None
        if self.rows.table.label is not None:
            label = np.zeros(forest.rows, np.bool_)
            label[: len(places)] = self.rows.table.label[: self.rows.train_rows][places] > 0
        grower = Grower(session, source, forest, matrix, label, self._start, len(places), self._directions(forest))
        grown = await grower.grow(diary)
        return TreesTrained(self.prepared, grown, self._start)

    @property
    def _start(self) -> int:
        return first_u(self.rows)

    def _directions(self, forest: Forest) -> Directions:
        """Of each threshold, those to spare too."""
        own = directions(self.prepared.fitted, self.prepared.declared)
        return own[np.arange(forest.count(self.prepared.party)) % len(own)]

    def _below(self, forest: Forest, places: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Own thresholds' rows, (thresholds, rows): to spare are zeros after the rows, and the first thresholds once more."""
        out = np.zeros((forest.count(self.prepared.party), forest.rows), np.uint8)
        own = below(self.prepared.fitted, self.rows.table.take(places))
        out[:, : len(places)] = own[np.arange(len(out)) % len(own)]
        return out


def first_u(rows: Matched) -> int:
    """The first u, in steps of 2^-11: at the bank the logit of its overdue rate, which the grid does not hear."""
    if rows.table.label is None:
        return 0
    rate = float(rows.table.label[: rows.train_rows].mean())
    start: int = round(float(np.log(rate / (1.0 - rate))) * 2**U_SCALE)
    return start


class TreeLearner:
    """Boosted trees: u is a first value and the sum of a leaf of each tree."""

    name = LEARNER

    def prepare(self, section: Trees, rows: Matched, options: Preparation, leverage: float) -> tuple[Prepared, list[str]]:
        return prepare(section, rows, options)  # no threshold singles out fewer rows than a bin has

    def check(self, section: Trees, size: Size, floors: Floors) -> None:
        pass

    def task(
        self, section: Trees, prepared: Prepared, rows: Matched, other_columns: int, scratch: Scratch | None = None
    ) -> TreesTask:
        size = Size.of(rows.party, rows.train_rows, len(prepared.columns), other_columns)
        return TreesTask(section, prepared, rows, size)

    def steps(self, section: Trees, size: Size) -> int:
        return section.trees

    def rounds(self, section: Trees, size: Size) -> int:
        return cost.rounds(Shape(section.trees, section.depth), section.abreast, section.monotone)

    def work(self, section: Trees, size: Size) -> float:
        forest = make_forest(section, size)
        vectors, cells = forest.shape.trees * forest.shape.leaves * forest.rows, sum(forest.thresholds) * forest.rows
        return _VECTOR * vectors + _ROUND * self.rounds(section, size) + _CELL * cells

    def values(self, section: Trees, size: Size) -> tuple[float, float]:
        sources = (size.grid_columns + size.bank_columns) / (section.bins - 1)
        return sources, sources + _LEAF * section.trees * (1 << section.depth)

    def label_bits(self, section: Trees, size: Size) -> float:
        return label_bits(make_forest(section, size))

    def ahead(self, section: Trees, size: Size) -> Ahead:
        forest, demand = make_forest(section, size), TreesDemand(size.rows, size.grid_columns, size.bank_columns)
        alike = ("trees", *(value for key, value in sorted(section.model_dump().items()) if key != "bins"))
        return Ahead(demand, lambda party: dealt_arrays(party, forest), alike)

    def ahead_scores(self, section: Trees, size: Size, bits: int) -> Ahead:
        """size: in place of columns the number of trees and their depth, as `scored` says."""
        demand = TreeScoreDemand(0, size.rows, size.grid_columns, size.bank_columns)
        return Ahead(demand, lambda party: demand.arrays(), ("tree scores",))

    def scorings(self) -> tuple[Trees, ...]:
        return (Trees(kind="trees"),)

    def scored_by(self, half: TreesHalf) -> Trees:
        return Trees(kind="trees", trees=half.shape.trees, depth=half.shape.depth)

    def scored(self, half: TreesHalf, rows: int) -> Size:
        return Size(rows, half.shape.trees, half.shape.depth)

    def cost(self, party: Party, section: Trees, size: Size) -> Cost:
        return cost.training(party, make_forest(section, size))

    def cost_scores(self, party: Party, section: Trees, size: Size) -> Cost:
        return cost.scoring(party, size.rows, Shape(section.trees, section.depth))

    def score_rounds(self, section: Trees, rows: int) -> int:
        return cost.scoring_rounds(-(-rows // BLOCK_ROWS))

    async def open_scores(
        self, session: Session, correlations: Correlations, half: TreesHalf, table: FeatureTable, telling: Telling
    ) -> Reals | None:
        return await open_scores(session, correlations, half, table, telling)

    def pack(self, half: TreesHalf) -> Packed:
        return pack(half)

    def parse(self, head: Any, arrays: bytes) -> Half:
        return parse(head, arrays)
