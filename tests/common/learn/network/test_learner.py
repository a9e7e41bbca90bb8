"""The network as a learner, through whole jobs of two companies in one process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.learn.network.half import NetworkModel
from common.party import Party
from tests.common.stages.companies import Companies, frames

SECTION = {"kind": "network", "hidden": 4, "epochs": 20, "batch": 128, "step": 0.5}


def companies(folder: Path) -> Companies:
    found = Companies(folder)
    found.write(frames(seed=3, monthly=False))
    return found


@pytest.mark.parametrize("activation", ["sine", "relu"])
async def test_a_network_trains_is_kept_and_scores_through_whole_jobs(tmp_path: Path, activation: str) -> None:
    at = companies(tmp_path)
    trained = await at.run("job-1", at.plan(model={**SECTION, "activation": activation}))
    measured = trained[Party.BANK].evaluation
    assert measured is not None and measured.joint.auc > measured.bank_only.auc + 0.1
    assert trained[Party.BANK].counts["iterations"] == 20 * (350 // 128)
    assert not {"grid_weights", "bank_weights"} & set(trained[Party.GRID].opened) | set(trained[Party.BANK].opened) & {
        "bank_weights"
    }
    bank, grid = (at.models(party).load("job-1") for party in (Party.BANK, Party.GRID))
    assert bank.learner == grid.learner == "network" and bank.closed
    assert isinstance(bank, NetworkModel) and bank.activation == activation
    await at.run("job-2", at.plan(kind="score", model="job-1"))
    found = pd.read_csv(tmp_path / "bank" / "scores" / "job-2.csv")
    assert len(found) == 500 and found["u"].std() > 0.3
    assert np.all(found["u"] * 32 == np.rint(found["u"] * 32))
