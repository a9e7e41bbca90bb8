"""Authorisations of enterprises through the three daemons: who has none is in no job, who withdraws one ends it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from common.client.client import Client
from common.plan.score import ScorePlan
from tests.scenarios.end_to_end.lab import LONG, Lab, finish, make_plan, make_tables, succeed, until_training


def write(file: Path, ids: list[str]) -> None:
    pd.DataFrame({"firm": ids, "until": "2999-12-31"}).to_csv(file.with_suffix(".new"), index=False)
    file.with_suffix(".new").replace(file)


def test_who_has_not_agreed_is_neither_trained_on_nor_scored_and_a_withdrawal_ends_what_runs(
    lab: Lab, client: Client, tmp_path: Path
) -> None:
    grid, bank = make_tables("W", 2000)
    lab.write("after", grid, bank)
    file, ids = tmp_path / "agreed.csv", sorted(grid["id"])
    refused = set(ids[::10])
    write(file, [one for one in ids if one not in refused])
    since = len(lab.told("grid"))
    lab.restart("grid", consent={"after": {"path": str(file), "id": "firm", "until": "until"}})

    trained = succeed(client, make_plan("after"))
    assert trained.grid.report.counts.own_rows == trained.bank.report.counts.matched_rows == len(ids) - len(refused)
    assert f"{len(refused)} of {len(ids):,} enterprises (10.0%) have no authorisation in force" in lab.told("grid", since)
    assert "authorisation" not in str(trained.grid.report.warnings)

    side = {"dataset": "after"}
    scored = succeed(client, ScorePlan.model_validate({"grid": side, "bank": side, "model": trained.id}))
    answers = pd.read_csv(lab.data("bank") / "scores" / f"{scored.id}.csv", dtype=str)
    had = set(answers.loc[answers["score"].notna(), answers.columns[0]])
    assert had == set(ids) - refused

    job = until_training(client, make_plan("after", split={"seed": 3}, model=LONG))
    write(file, [one for one in ids[150:] if one not in refused])  # enough that least_difference lets others be trained on
    fault = finish(client, job, 60.0).fault
    assert (fault.origin, fault.kind) == ("grid", "PolicyError")
    assert fault.message == "an enterprise whose rows are in this job has withdrawn its authorisation at the grid"
    again = succeed(client, make_plan("after", split={"seed": 4}))
    assert again.grid.report.counts.own_rows == trained.grid.report.counts.own_rows - 135
