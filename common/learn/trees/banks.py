"""Boosted trees as a learner of several banks: joins the modules beside it to what `learn.several` asks. Section 16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.disk.scratch import Scratch
from common.learn.diary import Diary
from common.learn.learner import Matched, Size
from common.learn.several import Part
from common.learn.trees import cost
from common.learn.trees.design import Prepared, below, directions
from common.learn.trees.layout import TreesLayout, sum_words
from common.learn.trees.learner import TreesTask, TreesTrained, first_u
from common.learn.trees.make import make_forest
from common.learn.trees.price import label_bits
from common.learn.trees.several import TreesLine, grow_several
from common.mpc.cost import Cost
from common.mpc.fixedpoint import Reals
from common.mpc.several.hub import Hub
from common.plan.trees import Trees


@dataclass(frozen=True, repr=False)
class TreesAtBank:
    """A bank's part."""

    part: Part
    layout: TreesLayout
    alone: TreesTask
    warnings: Sequence[str] = ()

    @property
    def steps(self) -> int:
        return self.alone.section.trees

    async def train(self, hub: Hub, scratch: Scratch | None, diary: Diary) -> TreesTrained:
        task, start = self.alone, first_u(self.alone.rows)
        line = _line(self.part, self.layout, task.section, task.prepared, 0, start)
        trees = await grow_several(hub, [line], self.layout, task.section, diary)
        return TreesTrained(task.prepared, trees, start)


@dataclass(frozen=True, repr=False)
class TreesAtGrid:
    """The grid's part."""

    parts: Sequence[Part]
    layout: TreesLayout
    section: Trees
    prepared: Prepared
    lines: Sequence[TreesLine]
    warnings: Sequence[str] = ()

    @property
    def steps(self) -> int:
        return self.section.trees

    async def train(self, hub: Hub, scratch: Scratch | None, diary: Diary) -> TreesTrained:
        trees = await grow_several(hub, self.lines, self.layout, self.section, diary)
        return TreesTrained(self.prepared, trees, 0, tuple(part.who for part in self.parts))


class TreesOfSeveral:
    """Boosted trees of one grid and several banks."""

    whitened = False
    strict = True

    def label_bits(self, section: Trees, size: Size) -> float:
        return label_bits(make_forest(section, size), several=True)

    def ridge(self, section: Trees) -> float:
        return 0.0

    def layout(self, grid: int, common: int, rows: Sequence[int]) -> TreesLayout:
        return TreesLayout.over(grid, common, rows)

    def layout_of(self, grid: int, common: int, banks: int, total: int, taken: int) -> TreesLayout:
        return TreesLayout(grid, common, banks, total)

    def path(self, section: Trees, layout: TreesLayout, rows: int) -> tuple[int, int]:
        """No number of rows is enough: a node may be of one of them."""
        hub = layout.hub(section)
        return 0, hub.shape.trees * sum(sum_words(hub, level) for level in range(hub.shape.depth + 1))

    def cost(self, section: Trees, layout: TreesLayout, rows: int, *, speaks: bool) -> Cost:
        return cost.several(layout, section, rows, speaks=speaks)

    def dealt(self, section: Trees, layout: TreesLayout, rows: Sequence[int]) -> int:
        return cost.several_dealt(layout, section, rows)

    def more_rounds(self, section: Trees, layout: TreesLayout) -> int:
        """A sum of each level and of the leaves, of trees side by side together."""
        return len(layout.hub(section).groups()) * (section.depth + 1)

    def at_bank(
        self, part: Part, layout: TreesLayout, section: Trees, prepared: Prepared, label: Reals, scratch: Scratch | None
    ) -> TreesAtBank:
        rows = Matched(prepared.party, prepared.table, prepared.declared, part.rows)
        return TreesAtBank(part, layout, TreesTask(section, prepared, rows, Size(part.rows, layout.grid, layout.common + 1)))

    def at_grid(
        self, parts: Sequence[Part], layout: TreesLayout, section: Trees, prepared: Prepared, scratch: Scratch | None
    ) -> TreesAtGrid:
        lows = np.cumsum([0, *(part.rows for part in parts)]).tolist()
        lines = [_line(part, layout, section, prepared, low) for part, low in zip(parts, lows, strict=False)]
        return TreesAtGrid(parts, layout, section, prepared, lines)


def _line(part: Part, layout: TreesLayout, section: Trees, prepared: Prepared, low: int, start: int = 0) -> TreesLine:
    """One bank's rows at this end. low: where they begin among this end's."""
    taken = layout.taken(section, part.rows)
    places = low + np.arange(taken, dtype=np.int64) * part.rows // taken
    table = prepared.table.take(places)
    label = None if table.label is None else table.label > 0
    found = below(prepared.fitted, table), directions(prepared.fitted, prepared.declared)
    return TreesLine(part.session, part.correlations, part.rows, *found, label, start)
