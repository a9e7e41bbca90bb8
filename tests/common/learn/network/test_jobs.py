"""A network through the jobs of two companies: from stocks, against a linear champion, with prices and refusals by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import PlanError, PolicyError
from common.learn.learner import Size
from common.learn.network.learner import NetworkLearner
from common.mpc.session import Kind
from common.party import Party
from common.plan.network import Network
from common.plan.predeal import PredealPlan
from common.plan.train import TrainPlan
from tests.common.home.test_registry import move
from tests.common.learn.network.test_learner import SECTION, companies
from tests.common.stages.companies import Companies, frames
from tests.common.stages.test_ahead import deal, names

FULL: dict[str, Any] = {"kind": "network", "hidden": 4, "epochs": 40, "batch": 0}
SENT = {
    *(Kind.MASKED_HIDDEN, Kind.MASKED_BACK, Kind.MASKED_U, Kind.MASKED_RESIDUAL, Kind.MASKED_UPDATE),
    *(Kind.MASKED_WEIGHTS, Kind.TRAINING_CHECK),
}


async def test_a_stock_trains_and_another_scores_with_rows_and_columns_to_spare(tmp_path: Path) -> None:
    at = companies(tmp_path)
    plan = at.plan(model=FULL, dealt="ahead", preparation={"min_binary": 20, "coding": "linear"})
    with pytest.raises(PolicyError, match=r"fits 350 rows x \(5 \+ 3\)"):
        await at.run("job-0", plan)
    stock = {"kind": "predeal", "model": FULL, "rows": 400, "grid_columns": 7, "bank_columns": 4}
    await deal(tmp_path, PredealPlan.model_validate(stock), "stock-1")
    trained = await at.run("job-1", plan)
    measured = trained[Party.BANK].evaluation
    assert measured is not None and measured.joint.auc > measured.bank_only.auc + 0.1
    for hidden in (3, 4):  # of three units is of no use
        wanted = {"kind": "predeal", "serves": "scores", "model": {"kind": "network", "hidden": hidden}, "rows": 700}
        await deal(tmp_path, PredealPlan.model_validate(wanted | {"grid_columns": 5, "bank_columns": 3}), f"stock-{hidden}")
    await at.run("job-3", at.plan(kind="score", model="job-1", dealt="ahead"))
    assert [label.kind for party in Party for label, _ in at.trio.to_party[party].log] == [Kind.SEED] * 2
    assert names(tmp_path) == {"grid": ["stock-3"], "bank": ["stock-3"]}
    scored = pd.read_csv(tmp_path / "bank" / "scores" / "job-3.csv")
    assert len(scored) == 500 and scored["u"].std() > 0.3


def test_batches_are_not_dealt_ahead() -> None:
    raw = {"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "model": SECTION, "dealt": "ahead"}
    with pytest.raises(ValueError, match="only batch = 0 can be dealt ahead"):
        TrainPlan.model_validate(raw)


async def test_a_challenger_that_is_a_network_faces_a_linear_champion(tmp_path: Path) -> None:
    at = companies(tmp_path)
    await at.run("job-1", at.plan())
    await move({party: at.opened_home(party) for party in Party}, "p-1", "job-1")
    outcomes = await at.run("job-2", at.plan(split={"seed": 7}, model=SECTION, challenge=True))
    found = outcomes[Party.BANK].challenge
    assert found is not None and (found.champion, found.rows) == ("job-1", 150)


async def test_its_training_sends_and_is_dealt_what_the_estimate_states(tmp_path: Path) -> None:
    at = companies(tmp_path)
    outcomes = await at.run("job-1", at.plan(model=SECTION))
    counts = outcomes[Party.BANK].counts
    columns = [outcomes[party].counts["trained_columns"] for party in Party]
    learner, section = NetworkLearner(), Network.model_validate(SECTION)
    for party in Party:
        sent = sum(size for kind, size in at.trio.session[party].traffic.sent.items() if kind in SENT | {Kind.MASKED_MATRIX})
        trained = learner.cost(party, section, Size(counts["train_rows"], *columns)).peer_sent
        told = learner.cost_scores(party, section, Size(counts["test_rows"], *columns)).peer_sent
        assert sent == trained + told - (8 * counts["test_rows"] if party is Party.GRID else 0)  # its share goes as test_scores


async def test_one_that_stops_early_says_how_far_it_came_and_is_charged_by_the_epoch(tmp_path: Path) -> None:
    at = companies(tmp_path)
    outcomes = await at.run("job-1", at.plan(model=SECTION | {"step": 1.0, "decay": 0.0, "early_stop": 2, "epochs": 60}))
    steps = outcomes[Party.BANK].counts["iterations"]
    assert steps == outcomes[Party.GRID].counts["iterations"] and 0 < steps < 60 * (307 // 128) and steps % 2 == 0
    for party in Party:
        assert "early_stop" in outcomes[party].opened
    poor = Companies(tmp_path / "poor", own={Party.BANK: {"label_bits": 1.0}})
    poor.write(frames(seed=3, monthly=False))
    with pytest.raises(PolicyError, match="when training stopped gaining"):  # 60 bits of 43 rows held back
        await poor.run("job-2", poor.plan(model=SECTION | {"early_stop": 2, "epochs": 60}))


async def test_each_scoring_of_a_row_by_a_network_is_charged(tmp_path: Path) -> None:
    """The bank's columns choose what a score tells of the grid's, so that the same model again is another equation."""
    at = companies(tmp_path)
    await at.run("job-1", at.plan(model=SECTION))
    await at.run("job-2", at.plan(kind="score", model="job-1"))
    with pytest.raises(PolicyError, match="have been scored by 2 models already"):
        await at.run("job-3", at.plan(kind="score", model="job-1"))


async def test_points_add_up_to_the_score_of_each_row(tmp_path: Path) -> None:
    at = companies(tmp_path)
    await at.run("job-1", at.plan(model=SECTION))
    await at.run("job-2", at.plan(kind="score", model="job-1"))
    found = pd.read_csv(tmp_path / "bank" / "scores" / "job-2.csv")
    assert {"u", "score"} <= set(found.columns) and found["score"].nunique() > 20
    assert np.corrcoef(found["u"], found["score"])[0, 1] < -0.99 or np.corrcoef(found["u"], found["score"])[0, 1] > 0.99


async def test_what_a_network_has_not_is_refused_by_name(tmp_path: Path) -> None:
    at = companies(tmp_path)
    for wrong, said in (
        ({"activation": "gelu"}, "model.activation"),
        ({"reveal": "owners"}, "model.reveal"),
        ({"early_stop": 0}, "model.early_stop"),
        ({"momentum": 0.9}, "multiple of 1/32"),
        ({"decay": 0.5}, "use a smaller decay"),
        ({"hidden": 129}, "model.hidden"),
    ):
        with pytest.raises(PlanError, match=said):
            at.plan(model={"kind": "network", **wrong})
