"""Scores from a stock with the coordinator ended: the bank's own command asks the grid's daemon, and every rule holds."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result

from common.client.client import Client
from common.plan.predeal import PredealPlan
from common.trial.processes import BANK
from tests.common.stages.plain import OFF
from tests.patience import patience
from tests.scenarios.end_to_end.lab import GRID_POLICY, Lab, command, eventually, make_plan, make_tables, monthly, own, succeed
from tests.scenarios.end_to_end.test_scoring import in_the_clear, read_scores

ROWS, STOCKS = 300, 8
FRESH = itertools.count()  # rows have budgets: each test has its own


@pytest.fixture(scope="module")
def model(shared: Lab) -> str:
    shared.heal()
    shared.write("after", *make_tables("V"))
    with shared.client() as client:
        return succeed(client, make_plan("after")).id


@pytest.fixture(scope="module")
def shelf(shared: Lab, model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stocks for the tests here, laid aside; the coordinator that dealt them has ended, and stays so."""
    shelf = tmp_path_factory.mktemp("shelf")
    with shared.client() as client:
        for _ in range(STOCKS):
            deal(client, ROWS + 50)
    for side in ("grid", "bank"):
        shutil.move(shared.data(side) / "stock", shelf / side)
        (shared.data(side) / "stock").mkdir(mode=0o700)
    shared.kill("coordinator")
    return shelf


@pytest.fixture
def stocked(shared: Lab, shelf: Path) -> Iterator[Lab]:
    """New companies, one stock for their scores, and no coordinator."""
    grid, bank = make_tables(f"W{next(FRESH)}-", ROWS + 40, seed=5)
    keep = sorted(grid["id"])
    shared.write("new", grid[~grid["id"].isin(keep[:20])], bank[~bank["id"].isin(keep[-20:])].drop(columns="y"))
    put(shared, shelf)
    shared.heal("coordinator")
    yield shared
    for side in ("grid", "bank"):
        for left in (shared.data(side) / "stock").iterdir():
            left.unlink()


def put(lab: Lab, shelf: Path) -> None:
    """One of these at both parties."""
    stock = min((shelf / "grid").iterdir()).name
    for side in ("grid", "bank"):
        shutil.move(shelf / side / stock, lab.data(side) / "stock")


def deal(client: Client, rows: int) -> None:
    succeed(client, PredealPlan.model_validate({"serves": "scores", "rows": rows, "grid_columns": 12, "bank_columns": 4}))


def words(model: str, dataset: str, *more: str) -> list[str]:
    return ["score", "--model", model, "--grid-dataset", dataset, "--bank-dataset", dataset, *more]


def process(lab: Lab, model: str, dataset: str, *more: str) -> list[str]:
    """The command as a process of its own."""
    config = ["--config", str(lab.folder / "bank.toml")]
    return [sys.executable, "-m", "bank_party", *words(model, dataset, *more), *config]


def ask(lab: Lab, model: str, dataset: str, *more: str) -> Result:
    return command(lab, "bank", *words(model, dataset, *more))


def scored(lab: Lab, model: str, dataset: str, *more: str) -> dict[str, Any]:
    done = ask(lab, model, dataset, "--json", *more)
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def listed(lab: Lab, party: str, job: str) -> dict[str, Any]:
    """A job that is over, as this party lists it: the two end one after the other."""

    def found() -> dict[str, Any]:
        (one,) = json.loads(own(lab, party, "jobs", job, "--json"))
        return dict(one)

    eventually(lambda: found()["state"] in ("done", "failed"))
    return found()


def test_rows_are_scored_with_the_coordinator_ended_and_both_sides_have_a_record(stocked: Lab, model: str) -> None:
    lab = stocked
    job = scored(lab, model, "new")
    assert job["rows"] == ROWS and Path(job["file"]).exists()
    found, exact = read_scores(lab, job["job"]), in_the_clear(lab, model, "new")
    assert list(found.index) == list(exact.index) and np.abs(found["u"] - exact).max() <= OFF and found["u"].std() > 0.3
    for party in ("grid", "bank"):
        record = listed(lab, party, job["job"])
        assert (record["state"], record["kind"], record["client"]) == ("done", "score", str(BANK))
        assert record["counts"]["matched_rows"] == ROWS
        eventually(lambda party=party: not any((lab.data(party) / "stock").iterdir()))  # type: ignore[misc]
        entries = [json.loads(line) for line in own(lab, party, "audit", "show", "--job", job["job"]).splitlines()]
        assert [e["what"] for e in entries if e["what"] != "open"] == ["offer", "accept", "peer", "take", "end"]
        opened = {e["value"] for e in entries if e["what"] == "open"}
        assert opened == {"matched_ids", "counts", "scores"}
        own(lab, party, "audit", "verify")
    refused = ask(lab, model, "new")
    assert refused.exit_code == 2 and "no unspent stock for this plan" in refused.stderr
    assert not (lab.data("grid") / "scores").exists()


def test_commands_at_once_take_a_stock_each_and_one_too_many_takes_none(stocked: Lab, shelf: Path, model: str) -> None:
    """Three processes of the bank, two stocks: two that chose one at once lost it, and both failed."""
    lab = stocked
    put(lab, shelf)
    begun = [subprocess.Popen(process(lab, model, "new", "--json"), stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [one.communicate(timeout=patience(120))[0] for one in begun]
    jobs = [json.loads(text)["job"] for one, text in zip(begun, said, strict=True) if one.returncode == 0]
    assert len(jobs) == 2, said
    exact = in_the_clear(lab, model, "new")
    assert all(np.abs(read_scores(lab, job)["u"] - exact).max() <= OFF for job in jobs)
    taken = []
    for party in ("grid", "bank"):
        every = [[json.loads(line) for line in own(lab, party, "audit", "show", "--job", job).splitlines()] for job in jobs]
        taken.append([e["stock"] for entries in every for e in entries if e["what"] == "take"])
        eventually(lambda party=party: not any((lab.data(party) / "stock").iterdir()))  # type: ignore[misc]
    assert taken[0] == taken[1] and len(set(taken[0])) == 2


def test_a_warning_says_what_it_is_to_the_bank_whose_command_it_is(stocked: Lab, model: str) -> None:
    lab = stocked
    table = lab.table("bank", "new")
    bank = pd.read_csv(table, dtype={"id": str}).sort_values("id")
    bank["id"] = [f"91530100{name}" if k < 20 else name for k, name in enumerate(bank["id"])]  # the grid has none of these
    bank.to_csv(table, index=False)
    done = ask(lab, model, "new", "--json")
    assert done.exit_code == 0, done.stderr
    (warning,) = json.loads(done.stdout)["warnings"]
    assert warning in done.stderr and "see the log" not in done.stderr + warning


def test_the_ledger_and_the_rates_hold_as_for_jobs_of_the_coordinator(stocked: Lab, model: str) -> None:
    lab = stocked
    lab.restart("grid", policy={**GRID_POLICY, "rows_per_day": 1})
    refused = ask(lab, model, "new")
    assert refused.exit_code == 2 and f"client {BANK} asks for more rows to be scored" in refused.stderr
    assert len(list((lab.data("grid") / "stock").iterdir())) == 1  # rows that may not be scored use up none
    lab.restart("grid", policy={**GRID_POLICY, "direct": False})
    refused = ask(lab, model, "new")
    assert refused.exit_code == 2 and "grid: " in refused.stderr and "direct = false" in refused.stderr
    lab.restart("grid", policy={**GRID_POLICY, "scores_per_row": 1})
    scored(lab, model, "new")


def test_rows_are_scored_as_they_are_asked_for_in_one_session(stocked: Lab, model: str) -> None:
    """A request gets its answer before the next one is written; what cannot be scored is told and ends nothing."""
    lab = stocked
    exact = in_the_clear(lab, model, "new")
    session = subprocess.Popen(
        process(lab, model, "new", "--requests", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert session.stdin is not None and session.stdout is not None

    def request(line: str) -> dict[str, Any]:
        assert session.stdin is not None and session.stdout is not None
        session.stdin.write(line + "\n")
        found: dict[str, Any] = json.loads(session.stdout.readline())
        assert found["request"] == line
        return found

    ids = list(exact.index[:20])
    for id in ids:
        assert abs(request(id.lower())["u"] - exact[id]) <= OFF  # as a person types it
    bank = pd.read_csv(lab.table("bank", "new"))["id"]
    assert request(sorted(set(bank) - set(exact.index))[0])["error"] == "the grid holds no such row"
    assert "this side's dataset has no such row" in request("NOBODY")["error"]
    again = request(ids[0])
    assert abs(again["u"] - exact[ids[0]]) <= OFF and again["decision"] in ("approve", "refer", "decline")
    session.stdin.close()
    assert session.wait(patience(20)) == 0
    (job,) = json.loads(own(lab, "bank", "jobs", "--last", "1", "--json"))
    assert job["state"] == "done" and job["counts"]["matched_rows"] == 20
    assert sorted(read_scores(lab, job["job"]).index) == ids
    record = listed(lab, "grid", job["job"])
    assert record["state"] == "done" and record["counts"]["matched_rows"] == 20


def test_a_row_that_the_ledger_refuses_ends_no_session(stocked: Lab, model: str) -> None:
    lab = stocked
    grid, bank = make_tables("Z", 50, seed=8)
    lab.write("other", grid, bank.drop(columns="y"))
    clients = json.loads(own(lab, "grid", "budget", "--json"))["clients"]
    had = next((found["rows"] for found in clients if found["client"] == str(BANK)), 0)
    lab.restart("grid", policy={**GRID_POLICY, "rows_per_day": had + 2})
    lines = "\n".join(grid["id"].iloc[:4])
    done = subprocess.run(
        process(lab, model, "other", "--requests", "-"), input=lines, capture_output=True, text=True, timeout=patience(60),
        check=False,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and ["u" in answer for answer in answers] == [True, True, False, False]
    assert "the grid's books" in answers[2]["error"] and "asks for more rows" in lab.told("grid")


def test_a_command_that_is_ended_ends_the_job_at_the_grid(stocked: Lab, model: str) -> None:
    lab = stocked
    grid, bank = make_tables("X", 8000, seed=6)
    lab.write("other", grid, bank.drop(columns="y"))

    def newest() -> dict[str, Any]:
        return dict(json.loads(own(lab, "grid", "jobs", "--last", "1", "--json"))[0])

    before = newest()["job"]
    asking = subprocess.Popen(process(lab, model, "other"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def asked() -> bool:
        assert asking.poll() is None, asking.communicate()
        return bool(newest()["job"] != before)

    eventually(asked)
    asking.terminate()
    asking.wait(patience(20))
    eventually(lambda: newest()["state"] == "failed")
    assert newest()["cause"]


def test_months_are_matched_without_a_dealer(lab: Lab, client: Client) -> None:
    """Rows are (enterprise, month): months that only one side holds are scored by neither."""
    months = ["2025-01", "2025-02", "2025-03"]
    grid, bank = (monthly(frame, months) for frame in make_tables("Y", 3600, seed=7))
    lab.write("monthly", grid, bank)
    trained = succeed(client, make_plan("monthly", keys=("id", "period"))).id
    left = bank[bank["month"] != "2025-01"].drop(columns="y").sample(600, random_state=4)
    lab.write("monthly", grid[grid["month"] != "2025-03"], left)
    deal(client, 600)
    lab.kill("coordinator")
    job = scored(lab, trained, "monthly", "--by-period")
    found = pd.read_csv(job["file"])
    expected = left[left["month"] == "2025-02"]
    assert set(found["period"]) == {"2025-02"} and set(found["id"]) == set(expected["id"]) and len(found) == len(expected)
