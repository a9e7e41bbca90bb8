"""Authorisations of enterprises and grants of datasets through the three daemons: what is not allowed, or no longer."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import grid_party.__main__
from common.client.client import Client
from common.plan.score import ScorePlan
from common.trial import processes
from common.trial.processes import BANK, GRID
from common.wire.peer import pins_of
from tests.scenarios.end_to_end.lab import LONG, Lab, fail, finish, make_plan, make_tables, own, succeed, until_training
from tests.source import ROOT


@pytest.fixture
def lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setitem(processes._MODULES, "grid", "tests.scenarios.end_to_end.looking_grid")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return lab


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


def test_a_granted_dataset_is_in_jobs_of_that_use_and_a_withdrawal_ends_them(lab: Lab, client: Client, tmp_path: Path) -> None:
    lab.write("after", *make_tables("G"))
    file = tmp_path / "after.grant"
    asked = ["--to", BANK.org, "--purpose", "credit", "--expires", "2999-12-31", "--ca", str(lab.folder / "certs" / GRID.org)]
    signed = CliRunner().invoke(grid_party.__main__.main, ["grant", "sign", "after", str(file), *asked])
    assert signed.exit_code == 0, signed.output
    received = tmp_path / "received.grant"
    received.write_bytes(file.read_bytes())
    lab.restart("bank", granted={"after": {"path": str(received)}})
    lab.restart("grid", grants={"after": {"path": str(file)}})

    origin, kind, said = fail(client, make_plan("after", purpose="marketing"))
    assert origin in ("grid", "bank") and kind == "PolicyError" and "the grant of the grid is for another purpose" in said
    job = succeed(client, make_plan("after", purpose="credit"))
    pin = signed.output.split()[-1]
    for party in ("grid", "bank"):
        entries = [json.loads(line) for line in own(lab, party, "audit", "show", "--job", job.id).splitlines()]
        assert pins_of((job.grid if party == "grid" else job.bank).grants) == {"grid after": pin}
        assert [entry["grants"] for entry in entries if entry["what"] == "offer"] == [[f"grid after {pin}"]]

    running = until_training(client, make_plan("after", purpose="credit", split={"seed": 3}, model=LONG))
    assert "withdrawn" in own(lab, "grid", "grant", "withdraw", "after", "--note", "the contract has ended")
    fault = finish(client, running, 60.0).fault
    assert (fault.origin, fault.kind, fault.message) == ("grid", "PolicyError", "the grant was withdrawn, or there is none")
    assert fail(client, make_plan("after", purpose="credit"))[2] == "the grant was withdrawn, or there is none"
