"""The linear model as a learner of several banks: joins the modules beside it to what `learn.several` asks. Section 16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from common.disk.scratch import Scratch
from common.learn.diary import Diary
from common.learn.learner import Half, Size
from common.learn.linear import cost
from common.learn.linear.design import Prepared
from common.learn.linear.half import ClosedModel, make_half
from common.learn.linear.layout import Layout
from common.learn.linear.learner import Linear, LinearTask, LinearTrained, stepped_rounds
from common.learn.linear.several import Ended, Line, train_several
from common.learn.linear.steps import step_size
from common.learn.linear.train import Shares, TrainingInputs
from common.learn.several import Part
from common.mpc.cost import Cost
from common.mpc.fixedpoint import Reals
from common.mpc.several.hub import Hub
from common.plan.linear import Model
from common.rows.dataset import ColumnConfig


def make_task(section: Model, prepared: Prepared, label: Reals, grid: int, scratch: Scratch | None) -> LinearTask:
    """A bank's part of the training, with what its own columns alone are measured by. grid: the grid's columns."""
    step = step_size(section)
    words, pull, warnings = prepared.encoded(len(label), section.ridge, step, scratch)
    inputs = TrainingInputs(section, words, pull, grid, prepared.start(label), label)
    return LinearTask(prepared, inputs, grid, warnings)


@dataclass(frozen=True, repr=False)
class LinearAtBank:
    """A bank's part."""

    part: Part
    layout: Layout
    alone: LinearTask

    @property
    def warnings(self) -> Sequence[str]:
        return self.alone.warnings

    @property
    def steps(self) -> int:
        return len(self.layout.steps(self.alone.inputs.model, self.part.rows))

    async def train(self, hub: Hub, scratch: Scratch | None, diary: Diary) -> LinearTrained:
        part, layout, inputs = self.part, self.layout, self.alone.inputs
        first, pull = np.zeros(layout.columns), inputs.own_ridge
        first[layout.places(part.number)[layout.grid :]] = inputs.start
        mine = pull if part.number == 0 else np.zeros_like(pull)
        line = Line(part.number, part.session, part.correlations, inputs.own, mine, inputs.label)
        ended = await train_several(hub, [line], layout, inputs.model, first, 1.0, scratch, diary)
        own = ended.weights[layout.grid :][layout.bank_places(part.number)]
        return LinearTrained(self.alone.prepared, Shares(own, ended.lines[0]), self.steps)


@dataclass(frozen=True, repr=False)
class LinearEnded:
    """What training left at the grid: its share of all weights, tags of what it has with each bank, by identity."""

    prepared: Prepared
    layout: Layout
    ended: Ended
    banks: Sequence[str]

    def half(self, job: str, source: dict[str, ColumnConfig], about: dict[str, Any]) -> Half:
        first, whole = self.ended.lines[0], self.layout.grid
        shares = Shares(self.ended.weights[:whole], first.cut(whole, 0))
        found = make_half(job, self.prepared, shares, source, about)
        assert isinstance(found, ClosedModel)  # noqa: S101
        return replace(found, banks=dict(zip(self.banks, self.ended.lines, strict=True)))


@dataclass(frozen=True, repr=False)
class LinearAtGrid:
    """The grid's part. lines: with each bank."""

    parts: Sequence[Part]
    layout: Layout
    section: Model
    prepared: Prepared
    lines: Sequence[Line]
    warnings: Sequence[str]

    @property
    def steps(self) -> int:
        return len(self.layout.steps(self.section, self.layout.total))

    async def train(self, hub: Hub, scratch: Scratch | None, diary: Diary) -> LinearEnded:
        start = np.zeros(self.layout.columns)
        ended = await train_several(hub, self.lines, self.layout, self.section, start, 0.0, scratch, diary)
        return LinearEnded(self.prepared, self.layout, ended, [part.who for part in self.parts])


class LinearOfSeveral:
    """The linear model of one grid and several banks."""

    whitened = True
    strict = False

    def label_bits(self, section: Model, size: Size) -> float:
        return Linear().label_bits(section, size)

    def ridge(self, section: Model) -> float:
        return section.ridge

    def layout(self, grid: int, common: int, rows: Sequence[int]) -> Layout:
        return Layout.over(grid, common, rows)

    def layout_of(self, grid: int, common: int, banks: int, total: int, taken: int) -> Layout:
        return Layout(grid, common, banks, total, taken)

    def path(self, section: Model, layout: Layout, rows: int) -> tuple[int, int]:
        steps = layout.steps(section, rows)
        return min(step.rows for step in steps), len(steps) * layout.columns

    def cost(self, section: Model, layout: Layout, rows: int, *, speaks: bool) -> Cost:
        return cost.several(layout, section, rows, speaks=speaks)

    def dealt(self, section: Model, layout: Layout, rows: Sequence[int]) -> int:
        return cost.several_dealt(layout, section, rows)

    def more_rounds(self, section: Model, layout: Layout) -> int:
        """A sum a step, one of the start, and one of the joint matrix, after which weights are shared anew and steps begin.

        Each is over rows, whatever the link: one bank's by `taylor` need none.
        """
        steps, one = layout.steps(section, layout.total), Size(layout.total, layout.grid, layout.bank)
        stepped = stepped_rounds(section, steps) - Linear().rounds(section, one)
        return stepped + len(steps) + 1 + 2 * section.joint

    def at_bank(
        self, part: Part, layout: Layout, section: Model, prepared: Prepared, label: Reals, scratch: Scratch | None
    ) -> LinearAtBank:
        return LinearAtBank(part, layout, make_task(section, prepared, label, layout.grid, scratch))

    def at_grid(
        self, parts: Sequence[Part], layout: Layout, section: Model, prepared: Prepared, scratch: Scratch | None
    ) -> LinearAtGrid:
        step, lines, low = step_size(section), list[Line](), 0
        words, pull, warnings = prepared.encoded(layout.total, section.ridge, step, scratch)
        for part in parts:
            own, mine = words[low : low + part.rows], pull if part.number == 0 else np.zeros_like(pull)
            lines.append(Line(part.number, part.session, part.correlations, own, mine))
            low += part.rows
        return LinearAtGrid(parts, layout, section, prepared, lines, warnings)
