"""The network as a learner, through whole jobs of two companies in one process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import PolicyError
from common.features.options import Preparation
from common.learn.learner import Matched, Size
from common.learn.linear.learner import Linear
from common.learn.network.half import NetworkModel
from common.learn.network.learner import NetworkLearner
from common.learn.network.steps import batch_rows
from common.party import Party
from common.plan.linear import Model
from common.plan.network import Network
from common.plan.policy import Policy
from common.rows.dataset import ColumnConfig
from tests.common.stages.companies import Companies, frames
from tests.common.stages.tables import table

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


def test_pieces_of_a_line_are_large_enough_to_be_looked_at() -> None:
    """Those of the linear model, of deviation sqrt(n / 10^6), left a network no better than the line on public data."""
    rows = table([f"F{k}" for k in range(4000)], debt=np.random.default_rng(1).standard_normal(4000))
    matched = Matched(Party.GRID, rows, {"debt": ColumnConfig(kind="numeric")}, 4000, room=20)
    for learner, section, deviation in ((NetworkLearner(), Network(), 0.5), (Linear(), Model(), (4000 / 1e6) ** 0.5)):
        prepared = learner.prepare(section, matched, Preparation(), 1.0)[0]
        assert len(prepared.columns) == 4 and prepared.columns[0] == "debt"
        assert np.allclose(prepared.matrix(0, 4000).std(axis=0), [1.0, deviation, deviation, deviation], rtol=0.02)


@pytest.mark.parametrize(("rows", "batch"), [(20, 20), (1000, 256), (6000, 512), (21_000, 1024), (10**6, 1024)])
def test_a_plan_that_names_no_batch_has_one_by_its_rows(rows: int, batch: int) -> None:
    assert batch_rows(Network(), rows) == batch
    assert batch_rows(Network(batch=0), rows) == rows and batch_rows(Network(batch=300), rows) == min(300, rows)


def test_columns_of_which_a_block_of_rows_is_no_message_are_refused() -> None:
    section = Network.model_validate({**SECTION, "batch": 50_000, "epochs": 40})
    NetworkLearner().check(section, Size(500_000, 3, 2048), Policy())
    with pytest.raises(PolicyError, match="65536 rows of 2049 columns are more than one message may hold"):
        NetworkLearner().check(section, Size(500_000, 3, 2049), Policy())
