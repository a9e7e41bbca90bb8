"""The linear model as a learner: joins what the modules beside it do to what `learn.learner` asks."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from common.disk.scratch import Scratch
from common.errors import LocalProtocolError
from common.features.options import Preparation
from common.learn.dealt_ahead import Ahead
from common.learn.diary import Diary, Forgetful, all_steps
from common.learn.learner import Basis, Half, Matched, Packed, Size, Telling
from common.learn.linear import cost, hessian
from common.learn.linear.ahead import dealt_arrays
from common.learn.linear.deal import TrainingDemand
from common.learn.linear.deal_scores import ScoreDemand
from common.learn.linear.design import Prepared, prepare
from common.learn.linear.gain import secret_gain
from common.learn.linear.half import LEARNER, ClosedModel, CommittedModel, LinearModel, Trained, make_half, pack, parse
from common.learn.linear.joint import SETUP_ROUNDS
from common.learn.linear.made import SPARE_ROWS, MadeAhead, made_arrays, make_ahead, places, shifted
from common.learn.linear.path import Step
from common.learn.linear.price import label_bits
from common.learn.linear.schedule import LEVEL_ROWS
from common.learn.linear.score import open_scores
from common.learn.linear.steps import cell_bytes, check_course, is_quadratic, make_course, make_steps, make_work, step_size
from common.learn.linear.train import Shares, TrainingInputs, train
from common.learn.linear.unaided import CommittedShares
from common.learn.widened import Widened
from common.mpc.correlations.asked import MATRIX_BLOCK, Correlations, DealerLink
from common.mpc.cost import Cost
from common.mpc.fixedpoint import X_SCALE, Reals
from common.mpc.lattice.carries import POLYNOMIALS, polynomials_of
from common.mpc.lattice.phasors import spans_of
from common.mpc.product import check_width
from common.mpc.session import Array, Round, Session
from common.party import Party
from common.plan.linear import Model
from common.plan.section import Floors
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from common.stats.logistic import Design

_MADE_WAVE = 160  # and of a wave made ahead, a row and step
_PHASED_ROW = 400  # cells' worth of the link by phasors, a row and step
_CROSSED_CELLS = 16  # products of a row's columns that are a cell's worth
_UNAIDED_ROUNDS = 12  # before the first step and after the last, of few columns
_UNAIDED_CELLS = 30  # cells' worth of a value that is masked and multiplied
_UNAIDED_STEP = 1_000_000  # and of the polynomials of a step


@dataclass(frozen=True, repr=False)
class LinearTrained:
    """What training left at one party: its own weights on whitened columns, (m,), or its shares of all weights.

    steps: that it took, of which there may be others over a stock's rows than over as many as are data.
    """

    prepared: Prepared
    weights: Trained
    steps: int

    def half(self, job: str, source: dict[str, ColumnConfig], about: dict[str, Any]) -> Half:
        return make_half(job, self.prepared, self.weights, source, about)


@dataclass(frozen=True, repr=False)
class LinearTask:
    """One party's part of a training. `inputs` may hold zeros to spare; other_columns: of data, at the other party."""

    prepared: Prepared
    inputs: TrainingInputs
    other_columns: int
    warnings: list[str]

    @property
    def size(self) -> Size:
        rows, columns = self.inputs.own.shape
        return Size.of(self.prepared.party, rows, columns, self.inputs.other_columns)

    @property
    def steps(self) -> int:
        rows, columns = self.inputs.own.shape
        return len(make_steps(self.inputs.model, rows, columns + self.inputs.other_columns))

    @property
    def basis(self) -> Basis:
        own, unit, ridge = self.inputs.own, 2.0**-X_SCALE, self.inputs.model.ridge
        design = Design(own.shape[0], own.shape[1], lambda low, high: own[low:high] * unit)
        return Basis(design, ridge * self.prepared.penalty, self.prepared.whiten, ridge)

    def filled(self, size: Size) -> LinearTask:
        inputs, party = self.inputs, self.prepared.party
        columns, data_rows = size.columns(party), inputs.own.shape[0]
        spare = columns - inputs.own.shape[1]
        wide = replace(
            inputs,
            own=Widened(inputs.own, size.rows, columns),
            own_ridge=np.asfortranarray(np.pad(inputs.own_ridge, (0, spare))),
            other_columns=size.columns(party.other),
            start=np.pad(inputs.start, (0, spare)),
            label=None if inputs.label is None else np.pad(inputs.label, (0, size.rows - data_rows)),
            data_rows=data_rows,
            ones=size.bank_columns == (self.other_columns if party is Party.GRID else inputs.own.shape[1]),
        )
        return replace(self, inputs=wide)

    def drawing(self, seed: bytes, stored: DealerLink, size: Size) -> LinearTask:
        made = MadeAhead(seed, stored, self.inputs.model, size.rows, size.by_party)
        return replace(self, inputs=replace(self.inputs, made=made))

    async def train(self, session: Session, correlations: Correlations, scratch: Scratch | None = None) -> LinearTrained:
        return await self.resume(session, correlations, scratch, Forgetful())

    async def resume(
        self, session: Session, correlations: Correlations, scratch: Scratch | None, diary: Diary
    ) -> LinearTrained:
        begin = diary.begin
        found = await train(session, correlations, self.inputs, scratch, diary)
        columns, steps = len(self.prepared.columns), all_steps(begin, self.steps)
        if isinstance(found, Shares):
            shares = Shares(found.own[:columns], found.tagged.cut(columns, self.other_columns))
            return LinearTrained(self.prepared, shares, steps)
        if isinstance(found, CommittedShares):  # nothing fills a stock that nobody deals
            return LinearTrained(self.prepared, found, steps)
        if found[columns:].any():
            raise LocalProtocolError("a column of zeros was given a weight")
        return LinearTrained(self.prepared, found[:columns], steps)


def _steps(section: Model, size: Size) -> list[Step]:
    columns = size.grid_columns + size.bank_columns
    if size.banks > 1:
        return make_course(section, size.rows, columns, section.full_steps if section.joint else 0)
    return make_steps(section, size.rows, columns)


def _quadratic(section: Model, size: Size) -> bool:
    """Whether rows are needed once: of several banks they are not."""
    return size.banks == 1 and is_quadratic(section, size.rows)


def stepped_rounds(section: Model, steps: Sequence[Step]) -> int:
    """How many messages one after another a descent by steps over rows takes, none of a step beside the joint matrix."""
    half, found = section.dealer == "half", SETUP_ROUNDS if section.joint else 0
    each = 2 if section.weights == "owned" else 3 + half if section.joint else 3
    for step in steps:
        found += len(step.spans()) + each + (half * (len(step.bounds) - 1))  # arrays one after another, of each part
    return found + (section.weights == "shared")  # the check at the end


def _within(section: Model, first: Step) -> int:
    """How many messages of the first step come within the rounds of the joint matrix."""
    beside = section.joint and section.dealer == "whole"
    return min(len(first.spans()) + 1, SETUP_ROUNDS - 1) if beside else 0


class Linear:
    """The linear model: u = X_G w_G + X_B w_B."""

    name = LEARNER

    def prepare(self, section: Model, rows: Matched, options: Preparation, leverage: float) -> tuple[Prepared, list[str]]:
        table, made = rows.table, (rows.binned, leverage, rows.room)
        return prepare(table, rows.columns, options, rows.train_rows, section.ridge, rows.party, *made)

    def check(self, section: Model, size: Size, floors: Floors) -> None:
        check_course(section, size.rows, size.grid_columns + size.bank_columns, floors)
        columns = size.by_party.values()
        if section.undealt and section.link != "fourier":  # who has fewer masks them, with their sum, and the label at the bank
            check_width(size.rows, min(columns) + 2, cell_bytes(section, ()))
        elif not _quadratic(section, size):
            check_width(size.rows, max(columns), cell_bytes(section, _steps(section, size)))

    def task(
        self, section: Model, prepared: Prepared, rows: Matched, other_columns: int, scratch: Scratch | None = None
    ) -> LinearTask:
        count, label = rows.train_rows, rows.table.label
        own = None if label is None else label[:count]
        step = step_size(section)
        words, pull, warnings = prepared.encoded(count, section.ridge, step, scratch)
        gain, fitted = 0.0, None
        if section.joint and own is not None:  # the curvature of `taylor` is the bound itself
            gain = 1.0
            fitted = partial(secret_gain, words, own, section.ridge * prepared.penalty, step) if section.calibrated else None
        inputs = TrainingInputs(section, words, pull, other_columns, prepared.start(own), own, gain=gain, fitted=fitted)
        return LinearTask(prepared, inputs, other_columns, warnings)

    def steps(self, section: Model, size: Size) -> int:
        return len(_steps(section, size))

    def rounds(self, section: Model, size: Size) -> int:
        rows = size.rows
        if section.undealt:
            if section.link != "fourier":
                return _UNAIDED_ROUNDS + 1 + 2 * section.iterations
            blocks, spans = -(-rows // MATRIX_BLOCK), len(spans_of(rows))  # a block of the matrix is three arrays, not one
            return _UNAIDED_ROUNDS + 2 * blocks + (spans + 4) * section.iterations
        if is_quadratic(section, rows):
            return -(-rows // MATRIX_BLOCK) + hessian.ROUNDS + 2 * section.iterations + 1
        steps = _steps(section, size)
        return stepped_rounds(section, steps) - _within(section, steps[0])

    def work(self, section: Model, size: Size) -> float:
        columns = size.grid_columns + size.bank_columns
        if section.undealt:
            if section.link == "fourier":
                each = (_PHASED_ROW + 3 * columns) * size.rows + _UNAIDED_STEP
                return float(2 * _UNAIDED_CELLS * columns * size.rows + each * section.iterations)
            return float(_UNAIDED_CELLS * columns * size.rows + _UNAIDED_STEP * section.iterations)
        if _quadratic(section, size):
            return float(size.grid_columns * size.bank_columns * size.rows / _CROSSED_CELLS + columns * size.rows)
        return float(columns * sum(step.rows for step in _steps(section, size)))

    def values(self, section: Model, size: Size) -> tuple[float, float]:
        return float(size.grid_columns + size.bank_columns), float(size.grid_columns + size.bank_columns)

    def label_bits(self, section: Model, size: Size) -> float:
        return label_bits(section, size.grid_columns, self.steps(section, size))

    def opens_once(self, section: Model) -> bool:
        """With owned weights each step opens a gradient, again where a step is taken again."""
        return section.weights == "shared"

    def ahead(self, section: Model, size: Size) -> Ahead:
        demand, steps = TrainingDemand(size.rows, size.grid_columns, size.bank_columns), make_steps(section, 4 * LEVEL_ROWS, 1)
        link, course = repr(section.make_link()), (tuple(step.high for step in steps), steps[0].size)
        alike = (link, *course, section.revealed_bits, section.weights, section.optimiser, section.dealer)
        if section.undealt:
            make_steps(section, math.ceil(size.rows / SPARE_ROWS), 1)  # of the smallest training that takes it: none is larger
            return Ahead(demand, lambda party: made_arrays(section, size.rows, size.by_party), alike)
        return Ahead(demand, lambda party: dealt_arrays(party, make_work(section, demand)), alike)

    def make_ahead(self, session: Session, section: Model, size: Size, seed: bytes) -> AsyncGenerator[tuple[Round, Array]]:
        return make_ahead(session, section, size.rows, size.by_party, seed)

    def cost_making(self, party: Party, section: Model, size: Size) -> Cost:
        return cost.made_ahead(party, section, size.rows, size.by_party)

    def making_rounds(self, section: Model, size: Size) -> int:
        polynomials = polynomials_of(shifted(section, size.by_party))
        return 4 + 2 * -(-polynomials // POLYNOMIALS) + len(places(section, size.rows))

    def making_work(self, section: Model, size: Size) -> float:
        terms = section.fourier().terms if section.link == "fourier" else 0
        return float((_MADE_WAVE * terms * size.rows + _UNAIDED_STEP) * section.iterations)

    def cost_made(self, party: Party, section: Model, size: Size) -> Cost:
        return cost.unaided(party, section, size.rows, size.columns(party), size.columns(party.other), made=True)

    def made_rounds(self, section: Model, rows: int) -> int:
        if section.link != "fourier":
            return _UNAIDED_ROUNDS - 1 + 2 * section.iterations
        return _UNAIDED_ROUNDS - 2 + 2 * -(-rows // MATRIX_BLOCK) + 4 * section.iterations

    def ahead_scores(self, section: Model, size: Size, bits: int) -> Ahead:
        demand = ScoreDemand(0, size.rows, size.grid_columns, size.bank_columns, bits)
        return Ahead(demand, lambda party: demand.arrays(), ("scores", bits))

    def scorings(self) -> tuple[Model, ...]:
        return (Model(),)

    def scored_by(self, half: LinearModel) -> Model:
        return Model() if half.closed else Model(reveal="owners")

    def scored(self, half: LinearModel, rows: int) -> Size:
        return Size.of(
            half.party, rows, len(half.columns), len(half.other) if isinstance(half, ClosedModel | CommittedModel) else 0
        )

    def cost(self, party: Party, section: Model, size: Size) -> Cost:
        if section.undealt:
            return cost.unaided(party, section, size.rows, size.columns(party), size.columns(party.other))
        return cost.descent(party, make_work(section, TrainingDemand(size.rows, size.grid_columns, size.bank_columns)))

    def cost_scores(self, party: Party, section: Model, size: Size) -> Cost:
        if section.closed and section.undealt:
            return cost.undealt_scoring(party, size.rows)
        if section.closed:
            return cost.scoring(party, size.rows, size.columns(party), size.columns(party.other))
        return cost.parts(party, size.rows)

    def score_rounds(self, section: Model, rows: int) -> int:
        return 2 * -(-rows // MATRIX_BLOCK) + 2 if section.closed else 1

    async def open_scores(
        self,
        session: Session,
        correlations: Correlations,
        half: LinearModel,
        table: FeatureTable,
        telling: Telling,
    ) -> Reals | None:
        return await open_scores(session, correlations, half, table, telling)

    def pack(self, half: LinearModel) -> Packed:
        return pack(half)

    def parse(self, head: Any, arrays: bytes) -> Half:
        return parse(head, arrays)
