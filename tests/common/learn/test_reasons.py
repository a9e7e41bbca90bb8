"""Reasons of the grid in whole scoring jobs, by closed trees and networks: what the bank's file says is the plain choice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_party.decision.config import DecisionConfig
from common.disclosure import Opened
from common.features.contributions import grouped
from common.learn.groups import members
from common.learn.network.half import NetworkModel
from common.learn.trees.half import TreesHalf
from common.mpc.fixedpoint import Reals
from common.mpc.session import Kind
from common.party import Party
from common.rows.table import FeatureTable
from grid_party.settings import GridPolicy
from tests.common.learn.linear.groups import right
from tests.common.learn.network.problems import opened
from tests.common.stages.companies import POLICY, Companies, frames
from tests.common.stages.tables import table

MODELS: dict[str, dict[str, Any]] = {
    "trees": {"kind": "trees", "trees": 12, "depth": 2, "rate": 0.4, "bins": 6, "candidates": 12},
    "sine": {"kind": "network", "hidden": 4, "epochs": 40, "batch": 0},
    "relu": {"kind": "network", "hidden": 4, "epochs": 40, "batch": 0, "activation": "relu"},
}
TEXTS = {"kwh": None, "peak": "High peak use", "late": "Late payments", "branch": "Line of business"}
COLUMNS = {name: {"kind": "categorical" if name == "branch" else "numeric", "reason": text} for name, text in TEXTS.items()}
THRESHOLD = GridPolicy().reason_threshold


@pytest.mark.parametrize("model", MODELS)
async def test_the_banks_file_names_what_raises_the_score_most_of_each_row(tmp_path: Path, model: str) -> None:
    at = Companies(tmp_path, columns={Party.GRID: COLUMNS}, policy=POLICY.model_copy(update={"reasons_per_row": 2}))
    at.decision = DecisionConfig(min_grade_rows=10, reasons=0)
    at.write(frames(seed=3, monthly=False))
    await at.run("job-1", at.plan(model=MODELS[model]))
    told = await at.run("job-2", at.plan(kind="score", model="job-1", grid_reasons=2))
    assert all(Opened.GRID_REASONS.value in outcome.opened for outcome in told.values())
    sent = at.trio.session[Party.BANK].traffic.sent
    assert {Kind.MASKED_SIGNS, Kind.MASKED_RANKS} <= set(sent) and Kind.GRID_REASONS not in sent
    found = pd.read_csv(at.home(Party.BANK) / "scores" / "job-2.csv", keep_default_na=False).sort_values("id")
    codes, texts = np.zeros((len(found), 2), np.uint8), tuple(text for text in TEXTS.values() if text)
    for row, said in zip(codes, found["reasons"], strict=True):
        for k, text in enumerate(said.split("; ") if said else ()):
            row[k] = 1 + texts.index(text)
    parts = plain(at, list(found["id"]), texts)
    assert right(codes, parts, THRESHOLD, 0.0 if model == "trees" else 2.0**-7).all()
    assert set(np.unique(codes)) >= {0, 1, 3} and (codes[:, 1] > 0).any()


def plain(at: Companies, ids: list[str], texts: tuple[str, ...]) -> Reals:
    """By the halves put together, u less what it would be without the columns of each text, (rows, texts)."""
    tables = {}
    for party, names in ((Party.GRID, ("kwh", "peak", "late")), (Party.BANK, ("income", "debt"))):
        data = pd.read_csv(at.dataset(party).path)
        data = data.set_index(data.columns[0]).loc[ids]
        tables[party] = table(ids, **{name: data[name] for name in names})
        if party is Party.GRID:
            tables[party] = replace(tables[party], categorical={"branch": data["branch"].to_numpy(object)})
    halves: Any = {party: at.models(party).load("job-1") for party in Party}
    grid = halves[Party.GRID]
    groups, named = grouped([column.source for column in grid.fitted.fitted], TEXTS)
    lone = [members(groups, len(named))[named.index(text)] for text in texts]
    scores = by_trees if isinstance(grid, TreesHalf) else by_network
    return np.stack([scores(halves, tables, None) - scores(halves, tables, without) for without in lone], axis=1)


def by_trees(halves: dict[Party, TreesHalf], tables: dict[Party, FeatureTable], without: Any) -> Reals:
    """Thresholds that are left out have each row on the side of most training rows."""
    leaves = sum(half.leaves for half in halves.values()).astype(np.uint16).view(np.int16) / 2.0**11  # type: ignore[attr-defined]
    depth = halves[Party.GRID].shape.depth
    place = np.zeros((len(leaves), tables[Party.GRID].rows), np.int64)
    for party, half in halves.items():
        for tree, splits in enumerate(half.splits.tolist()):
            for level, split in enumerate(splits):
                if split >= 0:
                    place[tree] |= side(half, split, tables[party], without) << (depth - 1 - level)
    return np.asarray(np.take_along_axis(leaves, place, 1).sum(0))


def side(half: TreesHalf, split: int, rows: FeatureTable, without: Any) -> Any:
    """1 where rows lie above this threshold."""
    column: Any = half.fitted.fitted[split]
    if half.party is Party.GRID and without is not None and without[split]:
        return np.full(rows.rows, int(column.centre < 0.5))
    return 1 - np.array(column.values, np.int64)[column.cells.of(rows)]


def by_network(halves: dict[Party, NetworkModel], tables: dict[Party, FeatureTable], without: Any) -> Reals:
    network = opened({party: half.weights for party, half in halves.items()}, halves[Party.GRID].activation)
    grid, bank = (halves[party].fitted.transform(tables[party]) for party in Party)
    if without is not None:
        grid = np.where(without, 0.0, grid)
    return network.scores(grid, np.column_stack([bank, np.ones(len(bank))]))
