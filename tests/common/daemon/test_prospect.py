"""What a held job is said to cost, against what its columns become once they are prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.daemon.prospect import prospect
from common.features.fit import fit
from common.features.options import Preparation
from common.features.pieces import room
from common.learn.learner import Matched
from common.learn.trees.design import prepare
from common.party import Party
from common.plan.read import parse_plan
from common.plan.trees import Trees
from common.rows.declare import ColumnConfig
from common.rows.table import FeatureTable, Ids
from common.stages.estimate import Estimate, Sizes, estimate
from common.wire import party_pb2 as wire
from tests.common.daemon.test_runner import CLIENT, Desk, plan

ROWS, TRAIN, COLUMNS = 6000, 4200, 8


def amounts() -> FeatureTable:
    """Columns of numbers, every other of which is zero in a third of the rows, and one of them missing in a tenth."""
    rng = np.random.default_rng(8)
    values = rng.lognormal(3.0, 1.0, (COLUMNS, ROWS))
    values[::2] *= rng.random((COLUMNS // 2, ROWS)) > 0.33
    values[1] = np.where(rng.random(ROWS) < 0.1, np.nan, values[1])
    names = tuple(f"c{k}" for k in range(COLUMNS))
    return FeatureTable(Ids.of([f"{k:06d}" for k in range(ROWS)]), None, dict(zip(names, values, strict=True)), {}, None, names)


async def told(folder: Path, table: FeatureTable, **fields: Any) -> Estimate:
    """What a person of the grid is told of a job over this table."""
    desk = Desk(folder, hold=["train"])
    pd.DataFrame({"id": [f"{k:06d}" for k in range(ROWS)], **table.numeric}).to_csv(folder / "t.csv", index=False)
    await desk.runner.take(wire.ToParty(offer=wire.Offer(job="train-1", plan=plan(**fields), client=CLIENT)), desk.send)
    found = prospect(desk.home.approvals.find("train-1"), Party.GRID, desk.settings, desk.home)
    assert found.cost is not None and not found.why_not
    return found.cost


@pytest.mark.parametrize("fields", [{}, {"model": {"kind": "trees", "bins": 8}}, {"preparation": {"coding": "linear"}}])
async def test_a_held_job_s_bytes_are_those_of_the_columns_that_coding_makes_of_its_own(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    table, columns = amounts(), {f"c{k}": ColumnConfig(kind="numeric") for k in range(COLUMNS)}
    options, train, most = Preparation.model_validate(fields.get("preparation", {})), np.arange(ROWS) < TRAIN, room(TRAIN, 20)
    if "model" in fields:
        section = Trees.model_validate(fields["model"])
        made = len(prepare(section, Matched(Party.GRID, table, columns, TRAIN, room=most), options)[0].columns)
    else:
        made = len(fit(table, columns, options, train, room=most)[0].columns)
    found = await told(tmp_path, table, **fields)
    right = estimate(parse_plan(plan(**fields), "train-1"), Sizes(ROWS, made, made + 1))
    for line, count in right.bytes.items():
        assert 0.9 * count <= found.bytes[line] <= 1.3 * count, line
