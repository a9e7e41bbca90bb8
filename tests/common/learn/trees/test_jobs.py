"""Boosted trees through whole jobs: trained, kept, scored, measured; what is sent is what is stated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.learn.trees.half import TreesHalf
from common.party import Party
from tests.common.stages.companies import Companies, frames

TREES: dict[str, Any] = {"kind": "trees", "trees": 12, "depth": 2, "rate": 0.4, "bins": 6, "candidates": 12}


def companies(folder: Path) -> Companies:
    found = Companies(folder)
    found.write(frames(seed=3, monthly=False))
    return found


async def test_trees_train_are_kept_and_score_through_whole_jobs(tmp_path: Path) -> None:
    at = companies(tmp_path)
    trained = await at.run("job-1", at.plan(model=TREES))
    measured = trained[Party.BANK].evaluation
    assert measured is not None and measured.joint.auc > measured.bank_only.auc + 0.1
    assert trained[Party.BANK].counts["iterations"] == 12
    assert {"tree_splits", "test_scores"} <= set(trained[Party.GRID].opened)
    halves = {party: at.models(party).load("job-1") for party in Party}
    grid, bank = halves[Party.GRID], halves[Party.BANK]
    assert isinstance(grid, TreesHalf) and isinstance(bank, TreesHalf)
    assert ((grid.splits >= 0) ^ (bank.splits >= 0)).all()
    await at.run("job-2", at.plan(kind="score", model="job-1"))
    found = pd.read_csv(tmp_path / "bank" / "scores" / "job-2.csv")
    assert len(found) == 500 and found["u"].std() > 0.3
    assert np.allclose(found["u"] * 32, np.rint(found["u"] * 32))
