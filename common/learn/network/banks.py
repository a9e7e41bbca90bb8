"""The network as a learner of several banks: joins the modules beside it to what `learn.several` asks. Section 16."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.disk.scratch import Scratch
from common.learn.design import PreparedRows
from common.learn.diary import Diary
from common.learn.learner import Half, Size
from common.learn.network import cost
from common.learn.network.batches import check_batches, held_back
from common.learn.network.half import NetworkModel
from common.learn.network.layout import NetworkLayout
from common.learn.network.learner import NetworkLearner, NetworkTask, NetworkTrained
from common.learn.network.several import NetworkLine, train_several
from common.learn.network.steps import count_steps, epoch_steps, first_compared
from common.learn.network.train import Found, TrainingInputs
from common.learn.several import Part
from common.mpc.cost import Cost
from common.mpc.fixedpoint import Reals
from common.mpc.several.hub import Hub
from common.party import Party
from common.plan.network import Network
from common.rows.dataset import ColumnConfig


@dataclass(frozen=True, repr=False)
class NetworkAtBank:
    """A bank's part."""

    part: Part
    layout: NetworkLayout
    alone: NetworkTask

    @property
    def warnings(self) -> Sequence[str]:
        return self.alone.warnings

    @property
    def steps(self) -> int:
        return count_steps(self.alone.inputs.section, self.layout.total)

    async def train(self, hub: Hub, scratch: Scratch | None, diary: Diary) -> NetworkTrained:
        part, layout, inputs = self.part, self.layout, self.alone.inputs
        assert inputs.label is not None  # noqa: S101
        start, rate = np.zeros(layout.banks), float(inputs.label.mean())
        start[part.number] = math.log(rate / (1.0 - rate))
        line = NetworkLine(part.number, part.session, part.correlations, inputs.own, inputs.label)
        found = await train_several(hub, [line], layout, inputs.section, start, scratch, diary)
        mine = layout.line(found.weights, part.number)
        return NetworkTrained(self.alone.prepared, mine, inputs.section.activation, found.steps)


@dataclass(frozen=True, repr=False)
class NetworkEnded:
    """What training left at the grid: its share of all weights."""

    prepared: PreparedRows
    section: Network
    found: Found
    banks: tuple[str, ...]

    @property
    def steps(self) -> int:
        return self.found.steps

    def half(self, job: str, source: dict[str, ColumnConfig], about: dict[str, Any]) -> Half:
        fitted, activation = self.prepared.fitted, self.section.activation
        return NetworkModel(job, Party.GRID, fitted, self.found.weights, activation, source, about, self.banks)


@dataclass(frozen=True, repr=False)
class NetworkAtGrid:
    """The grid's part. lines: with each bank."""

    parts: Sequence[Part]
    layout: NetworkLayout
    section: Network
    prepared: PreparedRows
    lines: Sequence[NetworkLine]
    warnings: Sequence[str]

    @property
    def steps(self) -> int:
        return count_steps(self.section, self.layout.total)

    async def train(self, hub: Hub, scratch: Scratch | None, diary: Diary) -> NetworkEnded:
        start = np.zeros(self.layout.banks)
        found = await train_several(hub, self.lines, self.layout, self.section, start, scratch, diary)
        return NetworkEnded(self.prepared, self.section, found, tuple(part.who for part in self.parts))


class NetworkOfSeveral:
    """The network of one grid and several banks."""

    whitened = False
    strict = True

    def label_bits(self, section: Network, size: Size) -> float:
        return NetworkLearner().label_bits(section, size)

    def ridge(self, section: Network) -> float:
        return 0.0

    def layout(self, grid: int, common: int, rows: Sequence[int]) -> NetworkLayout:
        return NetworkLayout.over(grid, common, rows)

    def layout_of(self, grid: int, common: int, banks: int, total: int, taken: int) -> NetworkLayout:
        return NetworkLayout(grid, common, banks, total)

    def path(self, section: Network, layout: NetworkLayout, rows: int) -> tuple[int, int]:
        steps = layout.steps(section, rows)
        fewest, numbers = min(step.rows for step in steps), len(steps) * layout.count(section.hidden)
        if section.early_stop is not None:  # of each epoch the loss of the rows held back, a number more
            held = layout.held(section, rows)
            numbers = max(numbers, -(-section.epochs * fewest // (held.stop - held.start)))
        return fewest, numbers

    def cost(self, section: Network, layout: NetworkLayout, rows: int, *, speaks: bool) -> Cost:
        return cost.several(layout, section, rows, speaks=speaks)

    def dealt(self, section: Network, layout: NetworkLayout, rows: Sequence[int]) -> int:
        return cost.several_dealt(layout, section, rows)

    def more_rounds(self, section: Network, layout: NetworkLayout) -> int:
        """Of a step two: the output weights are shared apart, and what all pull is summed; so of a loss. A sum of the start."""
        looked = 0 if section.early_stop is None else section.epochs - first_compared(section, layout.total)
        return 2 * (count_steps(section, layout.total) + looked) + 1

    def at_bank(
        self, part: Part, layout: NetworkLayout, section: Network, prepared: PreparedRows, label: Reals, scratch: Scratch | None
    ) -> NetworkAtBank:
        words, beyond = prepared.words(part.rows, scratch=scratch)
        steps = layout.steps(section, part.rows)[: epoch_steps(section, layout.total)]
        # Of what all banks may bring to a mean, half goes by the head and half by rows.
        share = (([slice(step.low, step.high)], (step.averaged / layout.banks + step.rows) / 2) for step in steps)
        check_batches(section, words, prepared.columns, share)
        data = part.rows, len(prepared.columns), layout.grid
        inputs = TrainingInputs(section, words, layout.grid, label, data)
        return NetworkAtBank(part, layout, NetworkTask(prepared, inputs, held_back(beyond)))

    def at_grid(
        self, parts: Sequence[Part], layout: NetworkLayout, section: Network, prepared: PreparedRows, scratch: Scratch | None
    ) -> NetworkAtGrid:
        words, beyond = prepared.words(layout.total, scratch=scratch)
        lows = np.cumsum([0, *(part.rows for part in parts)]).tolist()
        lines = [
            NetworkLine(part.number, part.session, part.correlations, words[low : low + part.rows])
            for part, low in zip(parts, lows, strict=False)
        ]
        every = [layout.steps(section, part.rows)[: epoch_steps(section, layout.total)] for part in parts]
        whole = (
            ([slice(low + s.low, low + s.high) for s, low in zip(steps, lows, strict=False)], steps[0].averaged)
            for steps in zip(*every, strict=True)
        )
        check_batches(section, words, prepared.columns, whole)
        return NetworkAtGrid(parts, layout, section, prepared, lines, held_back(beyond))
