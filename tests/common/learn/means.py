"""A second learner, for tests alone: u leans along the difference of both classes' means, X^T (y - mean y) / n.

It exists to show what a learner needs beside its folder: a section in plans, and a row in each of two tables. The grid's part
of X^T (y - mean y) is shared and opened to it, the bank's is its own; the bank adds up scores. It is no good model.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from common.disclosure import Opened
from common.disk.scratch import Scratch
from common.features.fit import FittedPreparation, fit
from common.features.options import Preparation
from common.learn.dealings import Dealing
from common.learn.dealt_ahead import Ahead
from common.learn.learner import Basis, Half, Matched, Packed, Size, Telling
from common.mpc.correlations.asked import Correlations
from common.mpc.cost import Cost
from common.mpc.dealer import Dealt, Prgs
from common.mpc.fixedpoint import X_SCALE, Reals, decode, encode
from common.mpc.prg import Purpose
from common.mpc.product import backward
from common.mpc.session import Kind, Round, Session
from common.party import Party
from common.plan.section import Floors, Section
from common.plan.train import TrainPlan
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from common.stats.logistic import Design


class Means(Section):
    """Its section in plans."""

    kind: Literal["means"] = "means"
    size: float = 4.0
    closed: ClassVar[bool] = False  # type: ignore[misc]
    opens: ClassVar[frozenset[Opened]] = frozenset({Opened.GRID_WEIGHTS})  # type: ignore[misc]
    reach: ClassVar[None] = None  # type: ignore[misc]
    calibrated: ClassVar[bool] = False  # type: ignore[misc]

    @property
    def scoring(self) -> Means:
        return Means()

    def refused(self, floors: Floors) -> list[str]:
        return [] if floors.own_weights else ["model.kind = 'means' (own_weights = false)"]

    def check_ahead(self) -> None:
        raise ValueError("it is not dealt ahead")


class MeansPlan(TrainPlan):
    """A training plan with that section."""

    model: Means = Means()  # type: ignore[assignment]


@dataclass(frozen=True)
class MeansDemand:
    """Asks for the product of the mask of the grid's matrix with that of the bank's vector."""

    rows: int
    columns: int


def deal_means(prg: Prgs, demand: MeansDemand) -> Iterator[Dealt]:
    """The bank's share of mask times mask; the grid expands its own."""
    size = demand.columns * demand.rows
    matrix = prg[Party.GRID].words(Purpose.MATRIX, 0, size).reshape(demand.columns, demand.rows).T
    lacking = backward(matrix, prg[Party.BANK].words(Purpose.RESIDUAL, 0, demand.rows))
    own, label = prg[Party.GRID].words(Purpose.GRADIENT, 0, demand.columns), Round(Kind.DEALT_GRADIENT, 0)
    yield [(Party.GRID, label, own[:0]), (Party.BANK, label, lacking - own)]


ROW = Dealing("means", MeansDemand, lambda prg, demand, plan, memory: deal_means(prg, demand))


@dataclass(frozen=True, repr=False)
class MeansHalf:
    job: str
    party: Party
    fitted: FittedPreparation
    coefficients: Reals
    source: dict[str, ColumnConfig]
    about: dict[str, Any]
    learner = "means"
    closed = False
    repeats = True

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.fitted.columns, "(intercept)") if self.party is Party.BANK else self.fitted.columns

    def part(self, table: FeatureTable) -> Reals:
        return whole(self.fitted.transform(table), self.party) @ self.coefficients


def whole(matrix: Reals, party: Party) -> Reals:
    return np.column_stack([matrix, np.ones(len(matrix))]) if party is Party.BANK else matrix


@dataclass(frozen=True, repr=False)
class MeansPrepared:
    fitted: FittedPreparation
    rows: Matched

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.fitted.columns, "(intercept)") if self.rows.party is Party.BANK else self.fitted.columns

    def matrix(self, low: int, high: int) -> Reals:
        return whole(self.fitted.transform(self.rows.table.part(low, high)), self.rows.party)

    def means(self, rows: int) -> Reals:
        return self.matrix(0, rows).mean(axis=0)


@dataclass(frozen=True, repr=False)
class MeansTask:
    section: Means
    prepared: MeansPrepared
    rows: Matched
    other_columns: int
    steps: int = 1
    warnings: Sequence[str] = field(default_factory=list)

    @property
    def size(self) -> Size:
        return Size.of(self.rows.party, self.rows.train_rows, len(self.prepared.columns), self.other_columns)

    @property
    def basis(self) -> Basis:
        columns, ridge = len(self.prepared.columns), 1e-4
        penalty = np.diag(np.append(np.full(columns - 1, ridge), 0.0))
        return Basis(Design(self.rows.train_rows, columns, self.prepared.matrix), penalty, np.eye(columns), ridge)

    def filled(self, size: Size) -> MeansTask:
        raise NotImplementedError

    async def train(self, session: Session, correlations: Correlations, scratch: Scratch | None = None) -> MeansTrained:
        n, grid = self.rows.train_rows, self.size.grid_columns
        await correlations.order(MeansDemand(n, grid))
        words = np.asfortranarray(encode(self.prepared.matrix(0, n), X_SCALE))
        if session.party is Party.GRID:
            await session.send(Kind.MASKED_MATRIX, words.T - correlations.matrix_mask(0, n, grid))
            received = await session.receive(Kind.MASKED_RESIDUAL, np.uint64, (n,))
            own, _ = await correlations.gradient_mask(0, grid, 0)
            share = await session.receive(Kind.GRID_WEIGHT_SHARE, np.uint64, (grid,))
            return MeansTrained(self, decode(backward(words, received) + own + share, 2 * X_SCALE) * self.section.size / n)
        label = self.rows.table.outcomes[:n]
        masked = await session.receive(Kind.MASKED_MATRIX, np.uint64, (grid, n))
        residual, hide = encode(label - label.mean(), X_SCALE), correlations.residual_mask(0, n)
        await session.send(Kind.MASKED_RESIDUAL, residual - hide)
        _, dealt = await correlations.gradient_mask(0, 0, grid)
        await session.send(Kind.GRID_WEIGHT_SHARE, backward(np.asfortranarray(masked.T), hide) + dealt)
        return MeansTrained(self, decode(backward(words, residual), 2 * X_SCALE) * self.section.size / n)


@dataclass(frozen=True, repr=False)
class MeansTrained:
    task: MeansTask
    direction: Reals

    def half(self, job: str, source: dict[str, ColumnConfig], about: dict[str, Any]) -> Half:
        return MeansHalf(job, self.task.rows.party, self.task.prepared.fitted, self.direction, source, about)


class MeansLearner:
    """The learner: what `learn.learner.Learner` asks."""

    name = "means"

    def prepare(self, section: Means, rows: Matched, options: Preparation, leverage: float) -> tuple[MeansPrepared, list[str]]:
        fitted, warnings = fit(rows.table, rows.columns, options, np.arange(rows.table.rows) < rows.train_rows, rows.binned)
        return MeansPrepared(fitted, rows), warnings

    def check(self, section: Means, size: Size, floors: Floors) -> None:
        pass

    def task(
        self, section: Means, prepared: MeansPrepared, rows: Matched, other_columns: int, scratch: Scratch | None = None
    ) -> MeansTask:
        return MeansTask(section, prepared, rows, other_columns)

    def steps(self, section: Means, size: Size) -> int:
        return 1

    def rounds(self, section: Means, size: Size) -> int:
        return 1

    def work(self, section: Means, size: Size) -> float:
        return float(size.rows * (size.grid_columns + size.bank_columns))

    def values(self, section: Means, size: Size) -> tuple[float, float]:
        return float(size.grid_columns + size.bank_columns), float(size.grid_columns + size.bank_columns)

    def label_bits(self, section: Means, size: Size) -> float:
        return 64.0 * size.grid_columns

    def ahead(self, section: Means, size: Size) -> Ahead:
        raise NotImplementedError

    def ahead_scores(self, section: Means, size: Size, bits: int) -> Ahead:
        return Ahead(MeansDemand(0, 0), lambda party: iter(()), ("means: scores consume nothing",))

    def scorings(self) -> tuple[Means, ...]:
        return (Means(),)

    def scored_by(self, half: MeansHalf) -> Means:
        return Means()

    def scored(self, half: MeansHalf, rows: int) -> Size:
        return Size.of(half.party, rows, len(half.columns), 0)

    def cost(self, party: Party, section: Means, size: Size) -> Cost:
        to_bank, to_grid = 8 * size.rows * size.grid_columns, 8 * size.rows + 8 * size.grid_columns
        return Cost(to_bank, to_grid) if party is Party.GRID else Cost(to_grid, to_bank, 8 * size.grid_columns)

    def cost_scores(self, party: Party, section: Means, size: Size) -> Cost:
        return Cost(8 * size.rows) if party is Party.GRID else Cost(0, 8 * size.rows)

    def score_rounds(self, section: Means, rows: int) -> int:
        return 1

    async def open_scores(
        self,
        session: Session,
        correlations: Correlations,
        half: MeansHalf,
        table: FeatureTable,
        telling: Telling,
    ) -> Reals | None:
        if session.party is Party.GRID:
            await session.send(telling.kind, encode(half.part(table), telling.bits))
            return None
        theirs = await session.receive(telling.kind, np.uint64, (table.rows,))
        return half.part(table) + decode(theirs, telling.bits)

    def pack(self, half: MeansHalf) -> Packed:
        arrays = io.BytesIO()
        np.savez(arrays, direction=half.coefficients)
        source = {name: column.model_dump(mode="json") for name, column in half.source.items()}
        head = {"learner": self.name, "job": half.job, "party": half.party.value, "about": half.about, "source": source}
        head |= {"preparation": half.fitted.to_dict(), "arrays_sha256": hashlib.sha256(arrays.getvalue()).hexdigest()}
        return Packed(json.dumps(head).encode(), arrays.getvalue())

    def parse(self, head: Any, arrays: bytes) -> Half:
        source = {name: ColumnConfig.model_validate(column) for name, column in head["source"].items()}
        fitted = FittedPreparation.from_dict(head["preparation"])
        with np.load(io.BytesIO(arrays), allow_pickle=False) as stored:
            return MeansHalf(head["job"], Party(head["party"]), fitted, stored["direction"], source, head["about"])
