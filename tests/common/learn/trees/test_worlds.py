"""Thresholds of worlds that trees meet, and how trees on them rank beside scikit-learn's of as many bins."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from common.features.bins import BinnedColumn
from common.features.options import Preparation, least_rows
from common.learn.trees.design import Prepared, below
from common.party import Party
from common.plan.trees import Trees
from common.rows.table import FeatureTable
from common.stats.measures import auc
from tests.bench.trees import Split, grow_twin, prepared_sides, split_world

TREES = Trees(kind="trees", trees=25, rate=0.4)


def parted(split: Split) -> list[dict[Party, FeatureTable]]:
    """The rows that train, and the others."""
    ends = ((0, split.train), (split.train, len(split.label)))
    return [{p: table.part(*at) for p, table in split.tables.items()} for at in ends]


def theirs(split: Split) -> float:
    x, train = split.pooled, split.train
    model = HistGradientBoostingClassifier(
        max_iter=TREES.trees, max_depth=TREES.depth, learning_rate=TREES.rate, max_bins=TREES.bins, early_stopping=False
    )
    model.fit(x[:train], split.label[:train])
    return auc(split.label[train:], model.decision_function(x[train:]))


@pytest.mark.parametrize("world", ["rare", "categories"])
def test_trees_split_level_by_level_rank_as_others_of_as_many_bins_do(world: str) -> None:
    split = split_world(world, 0, 6000, 12_000)
    _, prepared = prepared_sides(split, TREES)
    train, held = ({p: below(prepared[p].fitted, tables[p]) for p in Party} for tables in parted(split))
    assert auc(split.label[split.train :], grow_twin(split, TREES, train, held)) > theirs(split) - 0.002


def thresholds(prepared: Prepared, source: str) -> dict[str, BinnedColumn]:
    found = [column for column in prepared.fitted.fitted if isinstance(column, BinnedColumn) and column.cells.source == source]
    return {column.name: column for column in found}


def test_a_category_of_many_levels_is_halved_as_often_as_it_has_levels_and_alike_whatever_the_rows() -> None:
    split = split_world("mixed", 0, 4000, 10)
    _, prepared = prepared_sides(split, TREES)
    sector, kind = (thresholds(prepared[p], name) for p, name in ((Party.BANK, "sector"), (Party.GRID, "kind")))
    levels, halves = ([name for name in sector if ("half" in name) is wanted] for wanted in (False, True))
    assert len(levels) == len(halves) > 10
    for name in halves:
        assert sum(sector[name].values) >= len(levels) // 2
    rows = below(prepared[Party.BANK].fitted, split.tables[Party.BANK].part(0, split.train))
    assert np.minimum(rows.sum(1), split.train - rows.sum(1)).min() >= least_rows(Preparation())
    assert len(kind) == 3 and not any("half" in name for name in kind)  # each level from the others says as much

    at = np.arange(split.train)
    at = np.concatenate([at, *([at[split.tables[Party.BANK].categorical["sector"][at] == "L05"]] * 5)])  # now the most frequent
    more = Split({p: table.take(at) for p, table in split.tables.items()}, split.label[at], len(at))
    again = thresholds(prepared_sides(more, TREES)[1][Party.BANK], "sector")
    assert list(again) != list(sector)
    assert [sides(sector[name]) for name in halves] == [sides(again[name]) for name in halves]


def sides(half: BinnedColumn) -> list[str]:
    """The levels on one side: cells stand in order of their frequency, which other rows may change."""
    levels = half.cells.levels or ()
    return sorted(level for level, value in zip(levels, half.values, strict=False) if value)
