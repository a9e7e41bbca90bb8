"""The network as a learner: joins what the modules beside it do to what `learn.learner` asks. PROTOCOL.md section 15."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from common.disk.scratch import Scratch
from common.features.options import Preparation
from common.learn.dealt_ahead import Ahead
from common.learn.design import PreparedRows, penalised, prepare_rows
from common.learn.diary import Diary, Forgetful
from common.learn.learner import Basis, Half, Matched, Packed, Size, Telling
from common.learn.network import cost
from common.learn.network.activations import NAMES, ROUNDS
from common.learn.network.batches import check_batches, held_back, whole_batches
from common.learn.network.deal import MOST_UNITS, NetworkDemand, NetworkScoreDemand, training_arrays
from common.learn.network.half import LEARNER, NetworkModel, pack, parse
from common.learn.network.score import open_scores
from common.learn.network.steps import (
    batch_rows,
    check_course,
    count_steps,
    first_compared,
    fit_rows,
    make_spans,
    make_steps,
)
from common.learn.network.train import TrainingInputs, train
from common.learn.network.weights import Weights
from common.learn.widened import Widened
from common.mpc.correlations.asked import Correlations
from common.mpc.cost import Cost
from common.mpc.fixedpoint import X_SCALE, Reals
from common.mpc.product import check_width
from common.mpc.session import Session
from common.mpc.short import WIDE
from common.party import Party
from common.plan.network import Network
from common.plan.section import Floors
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from common.stats.logistic import Design


@dataclass(frozen=True, repr=False)
class NetworkTrained:
    """What training left at one party: its shares of all weights; after how many steps."""

    prepared: PreparedRows
    weights: Weights
    activation: Literal["sine", "relu"]
    steps: int

    def half(self, job: str, source: dict[str, ColumnConfig], about: dict[str, Any]) -> Half:
        fitted, party = self.prepared.fitted, self.prepared.party
        return NetworkModel(job, party, fitted, self.weights, self.activation, source, about)


@dataclass(frozen=True, repr=False)
class NetworkTask:
    """One party's part of a training. `inputs` may hold zeros to spare."""

    prepared: PreparedRows
    inputs: TrainingInputs
    warnings: list[str]

    @property
    def size(self) -> Size:
        rows, columns = self.inputs.own.shape
        return Size.of(self.prepared.party, rows, columns, self.inputs.other_columns)

    @property
    def steps(self) -> int:
        return count_steps(self.inputs.section, self.inputs.own.shape[0])

    @property
    def basis(self) -> Basis:
        own, unit, ridge = self.inputs.own, 2.0**-X_SCALE, self.inputs.section.decay
        design = Design(own.shape[0], own.shape[1], lambda low, high: own[low:high] * unit)
        columns = self.prepared.columns
        return Basis(design, np.diag(ridge * penalised(columns)), np.eye(len(columns)), ridge)

    def filled(self, size: Size) -> NetworkTask:
        inputs, party = self.inputs, self.prepared.party
        spare = size.rows - inputs.own.shape[0]
        wide = replace(
            inputs,
            own=Widened(inputs.own, size.rows, size.columns(party)),
            other_columns=size.columns(party.other),
            label=None if inputs.label is None else np.pad(inputs.label, (0, spare)),
        )
        return replace(self, inputs=wide)

    async def train(self, session: Session, correlations: Correlations, scratch: Scratch | None = None) -> NetworkTrained:
        return await self.resume(session, correlations, scratch, Forgetful())

    async def resume(
        self, session: Session, correlations: Correlations, scratch: Scratch | None, diary: Diary
    ) -> NetworkTrained:
        found = await train(session, correlations, self.inputs, scratch, diary)
        return NetworkTrained(self.prepared, found.weights, self.inputs.section.activation, found.steps)


class NetworkLearner:
    """The network: u = phi(X_G W_G + X_B W_B) w + b."""

    name = LEARNER

    def prepare(self, section: Network, rows: Matched, options: Preparation, leverage: float) -> tuple[PreparedRows, list[str]]:
        made = rows.columns, options, rows.train_rows, 0.0, rows.party, rows.binned, leverage, rows.room, section.pieces
        prepared, _, warnings = prepare_rows(rows.table, *made)
        return prepared, warnings

    def check(self, section: Network, size: Size, floors: Floors) -> None:
        check_course(section, size.rows, floors)
        check_width(size.rows, max(size.by_party.values()), WIDE)

    def task(
        self, section: Network, prepared: PreparedRows, rows: Matched, other_columns: int, scratch: Scratch | None = None
    ) -> NetworkTask:
        count, label = rows.train_rows, rows.table.label
        words, beyond = prepared.words(count, scratch=scratch)
        check_batches(section, words, prepared.columns, whole_batches(section, count))
        data = count, len(prepared.columns), other_columns
        inputs = TrainingInputs(section, words, other_columns, None if label is None else label[:count], data)
        return NetworkTask(prepared, inputs, held_back(beyond))

    def steps(self, section: Network, size: Size) -> int:
        return count_steps(section, size.rows)

    def rounds(self, section: Network, size: Size) -> int:
        rows, span = size.rows, 3 + ROUNDS[section.activation]
        taken = (
            sum(3 + span * len(step.spans(section.hidden)) for step in make_steps(section, rows)) + 1
        )  # the check at the end
        return taken if section.early_stop is None else taken + self._loss_rounds(section, rows)

    def _loss_rounds(self, section: Network, rows: int) -> int:
        """At most: of each epoch's loss, and of all but the first comparison."""
        spans = len(make_spans(0, fit_rows(section, rows), rows, section.hidden))
        count = section.epochs - first_compared(section, rows)
        return count * (1 + (2 + ROUNDS[section.activation]) * spans) + 4 * (count - 1)

    def work(self, section: Network, size: Size) -> float:
        rows, columns = size.rows, size.grid_columns + size.bank_columns
        held = 0 if section.early_stop is None else section.epochs * (rows - fit_rows(section, rows))
        return float(columns * (count_steps(section, rows) * batch_rows(section, rows) + held // 2) * section.hidden)

    def values(self, section: Network, size: Size) -> tuple[float, float]:
        return float(size.grid_columns + size.bank_columns), float(size.grid_columns + size.bank_columns)

    def label_bits(self, section: Network, size: Size) -> float:
        """One an epoch, which is told of the rows held back: as many more as makes each of these pay its whole part."""
        if section.early_stop is None:
            return 0.0
        return float(-(-section.epochs * size.rows // (size.rows - fit_rows(section, size.rows))))

    def ahead(self, section: Network, size: Size) -> Ahead:
        demand = NetworkDemand(size.rows, size.grid_columns, size.bank_columns)
        alike = ("network", section.hidden, section.activation, section.epochs, section.batch)
        return Ahead(demand, lambda party: training_arrays(party, section, demand), alike)

    def ahead_scores(self, section: Network, size: Size, bits: int) -> Ahead:
        demand = _scoring(section, size, bits)
        return Ahead(demand, demand.arrays, ("network scores", section.hidden, section.activation, bits))

    def scorings(self) -> Iterator[Network]:
        return (Network(hidden=units, activation=name) for name in NAMES for units in range(1, MOST_UNITS + 1))

    def scored_by(self, half: NetworkModel) -> Network:
        return Network(hidden=half.units, activation=half.activation)

    def scored(self, half: NetworkModel, rows: int) -> Size:
        return Size.of(half.party, rows, len(half.columns), len(half.weights.other))

    def cost(self, party: Party, section: Network, size: Size) -> Cost:
        return cost.training(party, section, NetworkDemand(size.rows, size.grid_columns, size.bank_columns))

    def cost_scores(self, party: Party, section: Network, size: Size) -> Cost:
        return cost.scoring(party, _scoring(section, size))

    def score_rounds(self, section: Network, rows: int) -> int:
        return 2 + (2 + ROUNDS[section.activation]) * len(list(_scoring(section, Size(rows, 1, 1)).blocks()))

    async def open_scores(
        self, session: Session, correlations: Correlations, half: NetworkModel, table: FeatureTable, telling: Telling
    ) -> Reals | None:
        return await open_scores(session, correlations, half, table, telling)

    def pack(self, half: NetworkModel) -> Packed:
        return pack(half)

    def parse(self, head: Any, arrays: bytes) -> Half:
        return parse(head, arrays)


def _scoring(section: Network, size: Size, bits: int = 0) -> NetworkScoreDemand:
    sizes = size.rows, size.grid_columns, size.bank_columns
    return NetworkScoreDemand(0, *sizes, section.hidden, bits, NAMES.index(section.activation))
