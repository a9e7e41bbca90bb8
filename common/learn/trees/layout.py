"""Boosted trees of several banks: whose thresholds there are, which rows each line grows them on. PROTOCOL.md section 16."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from common.learn.layout import BanksLayout, LineDemand
from common.learn.trees.forest import Forest, HubForest, LineForest
from common.learn.trees.make import make_forest
from common.mpc.several.hub import training_sum
from common.plan.trees import Trees


@dataclass(frozen=True)
class TreesLayout(BanksLayout):
    """Sizes of such a training; columns are thresholds, those of the banks alike at each."""

    def taken(self, section: Trees, rows: int) -> int:
        """On how many of one bank's training rows trees are grown: all, or their part of as many as the plan says."""
        return rows if self.total <= section.sample else max(1, rows * section.sample // self.total)

    def line(self, section: Trees, rows: int) -> LineForest:
        """As one bank of so many training rows grows it with the grid."""
        whole = self._whole(section)
        return LineForest(**asdict(whole) | {"rows": self.taken(section, rows), "shape": whole.shape}, total=whole.rows)

    def hub(self, section: Trees) -> HubForest:
        """As the grid and all banks as one party look for its splits and leaves."""
        whole = self._whole(section)
        return HubForest(**asdict(whole) | {"shape": whole.shape})

    def _whole(self, section: Trees) -> Forest:
        return make_forest(section, LineDemand(self.total, self.grid, self.common + 1))


def sum_number(forest: Forest, tree: int, level: int) -> int:
    """The number of the sum over banks of a level's histograms and totals; of the leaves' sums at the last one.

    tree: of several side by side the first.
    """
    return training_sum(forest.number(tree, level))


def sum_words(forest: Forest, level: int) -> int:
    """Words of that sum for each tree: histograms of left children and totals of all nodes, at the last level totals alone."""
    histograms = 0 if level == forest.shape.depth else 2 * (1 << max(0, level - 1)) * forest.looked_at
    return histograms + (2 << level)
