"""What is wrong in a file or a plan, from there to the message that the client reads: it names the place and no value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from common.client.client import Client
from common.errors import PlanError
from common.stages.sizes import TOO_FEW
from common.wire import coordinator_pb2 as wire
from common.wire.methods import SUBMIT
from tests.scenarios.end_to_end.lab import Lab, fail, make_plan, make_tables, succeed

Frame = pd.DataFrame
SECRET = "Zx-42-secret"
FEW = 60  # rows: enough for what is found while reading


def change(side: str, edit: Callable[[Frame], Frame], prefix: str = "Q", rows: int = FEW) -> tuple[Frame, Frame]:
    """Good tables of both sides, one of them edited."""
    grid, bank = (frame.reset_index(drop=True) for frame in make_tables(prefix, rows))
    return (edit(grid), bank) if side == "grid" else (grid, edit(bank))


def put(column: str, value: object, row: int = 7) -> Callable[[Frame], Frame]:
    """Writes one value."""

    def edit(frame: Frame) -> Frame:
        values: Any = [value if place == row else old for place, old in enumerate(frame[column])]
        frame[column] = values
        return frame

    return edit


def twice(frame: Frame) -> Frame:
    return pd.concat([frame, frame.iloc[[3]]])


@pytest.mark.parametrize(
    ("side", "edit", "public", "local"),
    [
        ("grid", lambda f: f.drop(columns="g1"), "dataset declared: no column 'g1'", "no column 'g1'"),
        ("grid", put("g0", SECRET), "column 'g0': not a number (1 row)", f"line 9, column 'g0': '{SECRET}': not a number"),
        ("bank", put("b2", SECRET), "column 'b2': not a number (1 row)", f"line 9, column 'b2': '{SECRET}'"),
        ("grid", twice, "more than one row for the same id (1 row too many)", "line 5 and line 62 are both of id"),
        ("bank", twice, "more than one row for the same id (1 row too many)", "line 5 and line 62 are both of id"),
        ("bank", put("y", 2), "column 'y': the label is not 0 or 1 (1 row)", "line 9, column 'y': '2': the label"),
        ("bank", put("y", SECRET), "column 'y': the label is not 0 or 1 (1 row)", f"'{SECRET}': the label"),
        ("bank", lambda f: f.assign(y=""), "column 'y': no outcome is known", "column 'y': no outcome is known"),
        ("bank", lambda f: f.assign(y=0), "column 'y': every label is the same", "every label is the same"),
        ("grid", put("id", ""), "column 'id': the id is empty (1 row)", "line 9, column 'id'"),
        ("grid", lambda f: f.iloc[:0], "dataset declared: the file has a header and no rows", "no rows"),
    ],
    ids=[
        "absent", "text-grid", "text-bank", "twice-grid", "twice-bank", "label-2", "label-text", "label-missing", "one-class",
        "no-id", "no-rows",
    ],
)  # fmt: skip
def test_a_bad_file(lab: Lab, client: Client, side: str, edit: Callable[[Frame], Frame], public: str, local: str) -> None:
    lab.write("declared", *change(side, edit))
    before = {name: len(lab.told(name)) for name in lab.processes}
    origin, kind, message = fail(client, make_plan("declared"))
    assert (origin, kind) == (side, "DataError")
    assert public in message
    assert local in lab.told(side, before[side])
    for name in {"coordinator", "grid", "bank"} - {side}:  # the value is nobody else's business
        assert SECRET not in lab.told(name, before[name])
    assert SECRET not in message and "Q0000" not in message


def test_one_row_twice_in_a_month(lab: Lab, client: Client) -> None:
    grid, bank = make_tables("Q", FEW)
    grid.insert(1, "month", "2024-05")
    bank.insert(1, "month", "2024-05")
    lab.write("monthly", twice(grid), bank)
    assert fail(client, make_plan("monthly", keys=("id", "period"))) == (
        "grid",
        "DataError",
        "dataset monthly: more than one row for the same id and period (1 row too many)",
    )
    lab.write("monthly", grid.assign(month="May-24"), bank)
    origin, _, message = fail(client, make_plan("monthly", keys=("id", "period")))
    assert origin == "grid" and message == "dataset monthly: column 'month': not a month (60 rows)"


def test_a_plan_that_names_an_undeclared_column_or_dataset(lab: Lab, client: Client) -> None:
    lab.write("declared", *make_tables("Q", FEW))
    unknown = {"dataset": "declared", "columns": ["g0", "gO"]}
    assert fail(client, make_plan("declared", grid=unknown)) == (
        "grid",
        "PlanError",
        "dataset 'declared' declares no column 'gO'",
    )
    assert fail(client, make_plan("declared", bank={"dataset": "elsewhere"})) == (
        "bank",
        "PlanError",
        "the bank has no dataset 'elsewhere'",
    )
    origin, kind, message = fail(client, make_plan("declared", keys=("id", "period")))
    assert kind == "PlanError" and message == f"dataset 'declared' of the {origin} has no period"


def test_a_file_that_is_not_there(lab: Lab, client: Client) -> None:
    lab.write("scratch", *make_tables("Q", FEW))
    lab.table("bank", "scratch").unlink()
    assert fail(client, make_plan("scratch")) == ("bank", "DataError", "the file of dataset 'scratch' is missing")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"grid":{"dataset":"main"},"bank":{"dataset":"main"},"modl":{}}', "unknown key 'modl', did you mean 'model'?"),
        ('{"grid":{"dataset":"main"},"bank":{"dataset":"main"},"model":{"ridge":-1}}', "model.ridge"),
        ('{"grid":{"dataset":"main"}}', "missing key 'bank'"),
        ('{"kind":"guess"}', "kind 'guess' is not known"),
        ("[]", "missing key 'grid'"),
        ("not json", "not valid JSON"),
        ("[" * 60_000, "not valid JSON"),
        ("[" * 100_000, "too long (expected at most 65536 bytes"),
    ],
)
def test_a_plan_the_coordinator_cannot_take(client: Client, text: str, says: str) -> None:
    before = len(client.jobs())
    with pytest.raises(PlanError, match="plan: ") as caught:
        client._call(SUBMIT, wire.SubmitRequest(plan=text))
    assert says in str(caught.value) and caught.value.origin == "coordinator"
    assert len(client.jobs()) == before


def test_ids_match_whatever_their_case_and_spaces(lab: Lab, client: Client) -> None:
    grid, bank = make_tables("Ca")
    grid["id"] = " " + grid["id"].str.lower()
    bank["id"] = bank["id"].str.slice(0, 4) + " " + bank["id"].str.slice(4) + "\u3000"
    lab.write("scratch", grid, bank)
    job = succeed(client, make_plan("scratch"))
    assert job.grid.report.counts.matched_rows == len(grid)


def test_no_company_in_common(lab: Lab, client: Client) -> None:
    lab.write("scratch", make_tables("K", 1000)[0], make_tables("L", 1000)[1])
    origin, kind, message = fail(client, make_plan("scratch"))
    assert origin in ("grid", "bank") and kind == "PolicyError"
    assert message == "no id is common to both parties, below min_matched = 1000"


def test_fewer_companies_than_the_minimum(lab: Lab, client: Client) -> None:
    lab.write("scratch", *make_tables("K", 999))
    _, kind, message = fail(client, make_plan("scratch"))
    assert kind == "PolicyError"
    assert message == "too few ids: 999 here and 999 at the other party, below min_matched = 1000"


def test_fewer_training_rows_than_the_minimum(lab: Lab, client: Client) -> None:
    lab.write("scratch", *make_tables("K", 1200))
    _, kind, message = fail(client, make_plan("scratch"))
    assert kind == "PolicyError"
    assert message == TOO_FEW


def test_a_constant_column_is_named_to_its_owner_only(lab: Lab, client: Client) -> None:
    grid, bank = make_tables("V")
    lab.write("scratch", grid.assign(tariff=7), bank)
    before = {name: len(lab.told(name)) for name in lab.processes}
    job = succeed(client, make_plan("scratch"))
    assert "left out 'tariff': the same value in every training row" in lab.told("grid", before["grid"])
    assert list(job.grid.report.warnings) == ["1 warning(s) while in stage 'prepare': see the log of the grid"]
    assert job.grid.report.counts.trained_columns == job.grid.report.counts.own_columns - 1
    assert not job.bank.report.warnings
    assert "tariff" not in str(job) + lab.told("coordinator", before["coordinator"]) + lab.told("bank", before["bank"])
