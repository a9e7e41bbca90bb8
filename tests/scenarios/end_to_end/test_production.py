"""A model's life through the three daemons: promoted, scoring as the champion, drifting, challenged, rolled back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click import Command
from click.testing import CliRunner, Result

from bank_party.__main__ import main as bank
from common.cli import main
from common.client.client import Client
from common.config import to_toml
from common.plan.promote import PromotePlan
from common.wire import coordinator_pb2 as wire
from grid_party.__main__ import main as grid
from tests.scenarios.end_to_end.lab import Lab, fail, make_plan, make_tables, succeed
from tests.scenarios.end_to_end.test_scoring import score

EARLY, LATE = ["2024-01", "2024-02", "2024-03"], ["2024-04", "2024-05"]


def wattscore(*words: object, code: int = 0, main: Command = main) -> Result:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done


def party(side: str, lab: Lab, name: str, *words: object, code: int = 0) -> Result:
    """A command of one side's own."""
    main = {"grid": grid, "bank": bank}[side]
    return wattscore(name, "--config", lab.folder / f"{side}.toml", *words, code=code, main=main)


def months(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Every company of `frame`, once, in one of these months in turn."""
    ordered = frame.sort_values("id").reset_index(drop=True)
    return ordered.assign(month=np.array(names)[np.arange(len(ordered)) % len(names)])


def monitored(lab: Lab, side: str, *words: object, code: int) -> Any:
    return json.loads(party(side, lab, "monitor", "--json", *words, code=code).stdout)


@pytest.fixture(scope="module")
def models(shared: Lab) -> tuple[str, str]:
    """Two trained on the same months; the second does not know much of the grid's columns."""
    shared.heal()
    shared.write("monthly", *(months(frame, EARLY) for frame in make_tables("W", 3000, seed=3)))
    with shared.client() as client:
        good = succeed(client, make_plan("monthly", keys=("id", "period"))).id
        config = ("--config", shared.folder / "client.toml")
        wattscore("promote", good, *config)
        hasty = {"iterations": 2, "step": 0.05, "weight_bits": 4}
        plan = make_plan("monthly", keys=("id", "period"), challenge=True, model=hasty)
        return good, succeed(client, plan).id


def test_a_worse_challenger_is_shown_and_refused_until_forced_and_then_rolled_back(
    lab: Lab, client: Client, models: tuple[str, str]
) -> None:
    good, poor = models
    found = client.show(poor).bank.report.challenge
    assert found.champion == good and found.auc < found.champion_auc and found.auc_difference.high < 0
    config = ("--config", lab.folder / "client.toml")
    refused = wattscore("promote", poor, *config, code=1)
    assert "is worse than the champion" in refused.output and f"{found.auc:.4f}" not in refused.output
    assert f"the champion is now {poor}" in wattscore("promote", poor, "--force", *config).output
    assert f"the champion is now {good}" in wattscore("rollback", *config).output
    for side in ("grid", "bank"):
        listed = json.loads(party(side, lab, "models", "--json").output)
        stages = {model["job"]: model["stage"] for model in listed["models"]}
        assert (stages[good], stages[poor]) == ("champion", "retired")
        assert [move["action"] for move in listed["moves"]][-3:] == ["promote", "promote", "rollback"]
        assert good in party(side, lab, "models").output


@pytest.fixture(scope="module")
def drifted(shared: Lab, models: tuple[str, str]) -> wire.Job:
    """The champion's scores of two later months; in the last, g1 of the grid moved and b0 of the bank is half missing."""
    shared.heal()
    grid, bank = (months(frame, LATE) for frame in make_tables("V", 2400, seed=4))
    last = grid["month"] == LATE[-1]
    grid.loc[last, "g1"] += 1.5
    bank.loc[(bank["month"] == LATE[-1]) & (np.arange(len(bank)) % 4 < 2), "b0"] = np.nan
    shared.write("monthly", grid, bank.drop(columns="y"))
    with shared.client() as client:
        return succeed(client, score("champion", "monthly", keys=("id", "period")))


def test_drift_is_named_to_its_owner_and_counted_to_the_client(lab: Lab, drifted: wire.Job, models: tuple[str, str]) -> None:
    of = {}
    for side, column in (("grid", "g1"), ("bank", "b0")):
        history = monitored(lab, side, code=3)
        of[side] = {(alarm["month"], alarm["feature"]) for alarm in history["alarms"] if alarm["model"] == models[0]}
        assert of[side] - {("2024-05", "(score)")} == {("2024-05", column)}
        assert {r["month"] for r in history["readings"] if r["model"] == models[0]} == set(LATE)
    told = {side: report.drift for side, report in (("grid", drifted.grid.report), ("bank", drifted.bank.report))}
    assert told["grid"].alarms == 1 and told["bank"].alarms >= 2 and told["grid"].largest_psi > 0.2
    assert "drift" in drifted.grid.report.opened
    shown = wattscore("show", drifted.id, "--config", lab.folder / "client.toml").output
    assert "grid: 1 drift alarm, the largest stability index (PSI)" in " ".join(shown.split()) and "g1" not in shown + str(
        drifted
    )


def test_matured_labels_are_measured_at_the_bank_and_a_page_shows_all(
    lab: Lab, drifted: wire.Job, models: tuple[str, str], tmp_path: Path
) -> None:
    _, bank = make_tables("V", 2400, seed=4)
    bank = months(bank, LATE)
    bank.loc[bank["month"] == LATE[-1], "y"] = np.nan  # not known yet
    bank.to_csv(lab.table("bank", "monthly"), index=False)
    page = tmp_path / "monitor.html"
    matured = monitored(lab, "bank", "--out", page, "--lang", "zh", code=3)["matured"]
    (month,) = [found for found in matured if found["model"] == models[0]]
    assert month["month"] == "2024-04" and month["rows"] == 1200
    assert month["before"] - 0.08 < month["auc"] < month["before"] + 0.08
    text = page.read_text(encoding="utf-8")
    assert 'lang="zh"' in text and "b0" in text and "://" not in text and "<script" not in text


def test_a_retraining_is_submitted_once_for_an_alarm(lab: Lab, client: Client, drifted: wire.Job, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(to_toml(make_plan("spare").model_dump(mode="json", exclude_none=True)))
    words = ("--retrain", plan, "--client", lab.folder / "client.toml")
    job = monitored(lab, "grid", *words, code=3)["retraining"]
    assert [*client.watch(job)][-1].state == "succeeded"
    assert monitored(lab, "grid", *words, code=3)["retraining"] is None
    assert party("grid", lab, "monitor", "--retrain", plan, code=2)


def test_an_unknown_model_is_not_promoted(lab: Lab, client: Client) -> None:
    assert fail(client, PromotePlan(model="train-0"))[1] == "JobNotFound"
