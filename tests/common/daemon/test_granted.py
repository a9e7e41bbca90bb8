"""A grant held against jobs: each way in which a job is not what was granted is refused, by who may know why."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import grid_party.__main__
from common.daemon.granted import AllInForce, Grants, still_asked
from common.daemon.several import lines_of
from common.errors import PolicyError
from common.home.jobbook import JobBook, Offered
from common.party import Identity, Party
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.rows.dataset import DatasetConfig, read_table
from common.trust.authority import export_bundle, import_bundle, make_ca
from common.trust.grant import Grant, sign
from grid_party.settings import GridSettings
from tests.common.disk.diary import Diary

GRID, BANK = Identity("volt", "grid-party"), Identity("acme", "bank-party")
RAW: dict[str, Any] = {
    "org": "volt", "to": "acme", "dataset": "meters", "purpose": "credit", "columns": ("kwh", "late"),
    "first_month": "2024-01", "last_month": "2024-12", "jobs_per_month": 2, "expires": date(2026, 6, 30),
}  # fmt: skip
PLAN: dict[str, Any] = {"grid": {"dataset": "meters", "columns": ["kwh"]}, "bank": {"dataset": "loans"}, "purpose": "credit"}


class Desk:
    """One party, its grant of `meters` or the one it received, and a calendar."""

    def __init__(self, folder: Path, party: Party = Party.GRID) -> None:
        self.folder, self.today, self.party = folder, date(2026, 6, 30), party
        for org in ("volt", "acme"):
            make_ca(org, folder / org)
            import_bundle(export_bundle(folder / org), folder / "trust", org)
        own, other = (GRID, BANK) if party is Party.GRID else (BANK, GRID)
        key = "grants" if party is Party.GRID else "granted"
        self.raw = {
            "tls": {"certificate": folder / "x.pem", "key": folder / "x.key", "trust": folder / "trust"},
            "data": folder / "data",
            "listen": "127.0.0.1:0",
            "coordinator": {"identity": "wattscore://neutral/coordinator", "address": "n:1"},
            "peer": {"identity": str(other)},
            "datasets": {"meters": {"path": folder / "t.csv", "id": "id"}},
            key: {"meters": {"path": folder / "meters.grant"}},
        }
        self.jobs = JobBook(folder / "jobs.sqlite")
        settings = GridSettings.model_validate(self.raw)
        self.grants = Grants(settings, party, own, self.jobs, lambda: self.today)
        self.grant()

    def grant(self, **more: Any) -> str:
        made = Grant.model_validate({**RAW, **more})
        (self.folder / "meters.grant").write_bytes(sign(made, self.folder / "volt"))
        return made.fingerprint()

    def check(self, job: str = "train-1", **more: Any) -> Any:
        return self.grants.check(job, TrainPlan.model_validate({**PLAN, **more}))


@pytest.fixture(params=list(Party), ids=lambda party: party.value)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return Desk(tmp_path, request.param)


def test_a_job_as_granted_is_pinned_to_the_grant_at_both_sides(desk: Desk) -> None:
    print_ = desk.grant()
    in_force, pins = desk.check()
    assert pins == {"grid meters": print_} and (in_force is not None) is (desk.party is Party.GRID)


def test_a_plan_that_names_its_bank_is_held_to_the_same_grant_at_both_sides(desk: Desk) -> None:
    print_ = desk.grant()
    assert desk.check(with_bank=str(BANK))[1] == {"grid meters": print_}


@pytest.mark.parametrize(
    ("granted", "plan", "says"),
    [
        ({}, {"purpose": "marketing"}, "is for another purpose (expected credit, got marketing)"),
        ({}, {"purpose": ""}, "is for another purpose (expected credit, got none)"),
        ({"to": "other-bank"}, {}, "is for another bank (expected other-bank, got acme)"),
        ({"dataset": "bills"}, {}, "is for another dataset (expected bills, got meters)"),
        ({"kinds": ("score",)}, {}, "is for another kind of job (expected score, got train)"),
        ({}, {"grid": {"dataset": "meters", "columns": ["kwh", "name"]}}, "does not cover the columns name"),
        ({"expires": date(2026, 6, 29)}, {}, "expired on 2026-06-29"),
    ],
)
def test_another_use_is_refused_by_both_sides(desk: Desk, granted: Any, plan: Any, says: str) -> None:
    desk.grant(**granted)
    with pytest.raises(PolicyError) as caught:
        desk.check(**plan)
    assert says in str(caught.value)


def test_a_grant_that_is_gone_or_not_the_organisations_is_refused_by_both(desk: Desk) -> None:
    file = desk.folder / "meters.grant"
    file.write_bytes(file.read_bytes().replace(b'"late"', b'"more"'))
    with pytest.raises(PolicyError, match="not signed by the CA"):
        desk.check()
    file.write_bytes(sign(Grant.model_validate({**RAW, "org": "acme", "to": "volt"}), desk.folder / "acme"))
    with pytest.raises(PolicyError, match="is for another organisation"):
        desk.check()
    file.unlink()
    with pytest.raises(PolicyError, match="there is no grant: it was withdrawn") as caught:
        desk.check()
    assert caught.value.public == "the grant was withdrawn, or there is none"


def test_a_grant_to_one_bank_is_none_to_the_others_of_a_plan_of_several(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    banks = [{"who": f"wattscore://{org}/bank-party", "dataset": "loans"} for org in ("acme", "north")]
    plan = SeveralPlan.model_validate({"grid": PLAN["grid"], "banks": banks, "purpose": "credit"})
    lines = lines_of(plan, Party.GRID, GRID)
    assert [str(bank) for _, bank in lines] == [bank["who"] for bank in banks]
    desk.grants.check("train-1", *lines[0])
    with pytest.raises(PolicyError, match=r"is for another bank \(expected acme, got north\)"):
        desk.grants.check("train-1", *lines[1])
    assert lines_of(plan, Party.BANK, BANK) == [(plan.line(0), None)]


def test_each_bank_of_several_has_a_grant_of_its_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    north = Grant.model_validate({**RAW, "to": "north", "scores_per_row": 2, "columns": ("kwh",)})
    (tmp_path / "north.grant").write_bytes(sign(north, tmp_path / "volt"))
    desk.raw["grants"] = {"meters": {"path": tmp_path / "meters.grant", "others": [tmp_path / "north.grant"]}}
    grants = Grants(GridSettings.model_validate(desk.raw), Party.GRID, GRID, desk.jobs, lambda: desk.today)
    plan = TrainPlan.model_validate(PLAN)
    found = [grants.check("train-1", plan, Identity(org, "bank-party")) for org in ("acme", "north")]
    assert [list(pins) for _, pins in found] == [["grid meters (acme)"], ["grid meters (north)"]]
    assert found[1][1]["grid meters (north)"] == north.fingerprint() != found[0][1]["grid meters (acme)"]
    every = AllInForce([in_force for in_force, _ in found if in_force is not None])
    assert every.scores_per_row == 2 and every.ended() is None
    (tmp_path / "north.grant").unlink()
    assert "withdrawn" in every.ended().public  # type: ignore[union-attr]
    grants.check("train-2", plan, BANK)  # whose own stands
    with pytest.raises(PolicyError, match="there is no grant: it was withdrawn"):
        grants.check("train-2", plan, Identity("north", "bank-party"))


def test_jobs_of_a_month_are_counted_by_the_owner_refused_ones_not(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    pins = desk.check()[1]
    for job, state in (("a", "accepted"), ("b", "refused"), ("c", "held")):
        desk.jobs.enter(Offered(job, "train", dataset="meters", state=state, grants=pins))
    desk.jobs.enter(Offered("old", "train", dataset="meters", at=1e9, grants=pins))
    desk.check()
    desk.jobs.enter(Offered("d", "train", dataset="meters", grants=pins))
    with pytest.raises(PolicyError, match="is used up for this month"):
        desk.check()
    desk.check("d")  # one that goes on


def test_jobs_of_one_banks_grant_use_up_no_other_banks(tmp_path: Path) -> None:
    desk, plan, both = (
        Desk(tmp_path),
        TrainPlan.model_validate(PLAN),
        [Identity(org, "bank-party") for org in ("acme", "north")],
    )
    (tmp_path / "north.grant").write_bytes(sign(Grant.model_validate({**RAW, "to": "north"}), tmp_path / "volt"))
    desk.raw["grants"] = {"meters": {"path": tmp_path / "meters.grant", "others": [tmp_path / "north.grant"]}}
    grants = Grants(GridSettings.model_validate(desk.raw), Party.GRID, GRID, desk.jobs, lambda: desk.today)

    def begin(job: str, *banks: Identity | None) -> None:
        pins: dict[str, str] = {}
        for bank in banks:
            pins |= grants.check(job, plan, bank)[1]
        desk.jobs.enter(Offered(job, "train", dataset="meters", grants=pins))

    begin("train-1", None)  # a plan of one bank, where pins name none
    begin("train-2", both[0])
    with pytest.raises(PolicyError, match="is used up for this month"):
        grants.check("train-3", plan, both[0])
    begin("train-4", both[1])
    with pytest.raises(PolicyError, match="is used up for this month"):
        begin("train-5", *both)
    desk.grant()  # another grant, as the remedy says
    begin("train-6", *both)  # a job of both counts for both
    begin("train-7", both[0])
    for bank in both:
        with pytest.raises(PolicyError, match="is used up for this month"):
            grants.check("train-8", plan, bank)


def test_a_bank_left_out_takes_its_own_grants_alone_with_it() -> None:
    acme, north = (Identity(org, "bank-party") for org in ("acme", "north"))
    first = {"grid meters (acme)": "ab", "grid meters (north)": "cd", "bank loans (acme)": "ef", "grid meters": "01"}
    rest = {name: pin for name, pin in first.items() if not name.endswith(" (north)")}
    assert still_asked(first, rest, [north]) == rest and still_asked(first, {}, ()) == first
    assert still_asked(first, {}, [north]) == rest  # a grant that is in the configuration no more is missed
    assert still_asked(first, {}, [acme, north]) == {"grid meters": "01"}
    assert still_asked({"grid meters (north)": "ab"}, {"grid meters (north)": "cd"}, [north])  # a dataset's very name


def test_columns_and_months_of_the_rows_are_held_to_it_before_anything_leaves(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    in_force, _ = desk.check(grid={"dataset": "meters"}, keys=["id", "period"])

    def table(columns: str, months: tuple[str, str]) -> Any:
        rows = "".join(f"F{k},{months[k]}{',1' * (1 + columns.count(','))}\n" for k in range(2))
        (tmp_path / "t.csv").write_text(f"id,month,{columns}\n{rows}")
        kinds = {name: {"kind": "numeric"} for name in columns.split(",")}
        raw = {"path": tmp_path / "t.csv", "id": "id", "period": "month", "columns": kinds}
        return read_table(DatasetConfig.model_validate(raw), name="meters", party=Party.GRID)

    in_force.check(table("kwh,late", ("2024-01", "2024-12")))
    for columns, months, says, public in (
        ("kwh,late,secret", ("2024-01", "2024-12"), "the columns secret", "does not cover all columns asked for"),
        ("kwh", ("2023-12", "2024-12"), "the month 2023-12", "does not cover all months of the dataset"),
        ("kwh", ("2024-01", "2025-01"), "the month 2025-01", "does not cover all months of the dataset"),
    ):
        with pytest.raises(PolicyError) as caught:
            in_force.check(table(columns, months))
        assert says in str(caught.value) and public in caught.value.public
        assert "secret" not in caught.value.public and "20" not in caught.value.public


def test_a_running_job_sees_that_it_was_withdrawn_replaced_or_has_expired(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    in_force, _ = desk.check()
    assert in_force.ended() is None
    desk.today = date(2026, 7, 1)
    assert "expired on 2026-06-30" in str(in_force.ended())
    desk.today = date(2026, 6, 30)
    desk.grant(columns=("late",))
    assert "was replaced" in str(in_force.ended())
    (tmp_path / "meters.grant").unlink()
    assert "withdrawn" in in_force.ended().public


def test_the_commands_sign_show_and_withdraw(tmp_path: Path) -> None:
    from common.config import to_toml

    desk, main, run = Desk(tmp_path), grid_party.__main__.main, CliRunner().invoke
    (tmp_path / "meters.grant").unlink()
    (tmp_path / "data").mkdir()
    (tmp_path / "t.csv").write_text("id,kwh\nA,1\n")
    (tmp_path / "grid.toml").write_text(to_toml(desk.raw))
    config, file = ["--config", str(tmp_path / "grid.toml")], str(tmp_path / "meters.grant")
    asked = [
        "--to",
        "acme",
        "--purpose",
        "credit",
        "--columns",
        "kwh, late",
        "--expires",
        "2026-12-31",
        "--ca",
        str(tmp_path / "volt"),
    ]
    made = run(main, ["grant", "sign", "meters", file, *asked])
    assert made.exit_code == 0 and "SHA-256" in made.output, made.output
    shown = run(main, ["grant", "show", file, *config])
    assert "columns         kwh, late" in shown.output and made.output.split()[-1] in shown.output
    assert desk.check()[1]["grid meters"] == made.output.split()[-1]
    with Diary() as diary:
        gone = run(main, ["grant", "withdraw", "meters", "--note", "audit", *config])
    assert gone.exit_code == 0, gone.output
    (aside,) = tmp_path.glob("meters.grant.withdrawn-*")
    assert diary.entries[-2:] == [f"name {aside}", f"sync {tmp_path}"]
    with pytest.raises(PolicyError, match="withdrawn"):
        desk.check()
    assert '"what": "withdraw"' in run(main, ["audit", "show", *config]).output
    run(main, ["grant", "sign", "meters", file, *asked])
    assert "there is no grant" in run(main, ["grant", "withdraw", "meters", "--bank", "north", *config]).output
    assert run(main, ["grant", "withdraw", "meters", "--bank", "acme", *config]).exit_code == 0
    assert "there is no grant of dataset 'meters'" in run(main, ["grant", "withdraw", "meters", *config]).output


def test_a_grant_is_withdrawn_beside_a_broken_one(tmp_path: Path) -> None:
    from common.config import to_toml

    desk, main, run = Desk(tmp_path), grid_party.__main__.main, CliRunner().invoke
    (tmp_path / "data").mkdir()
    (tmp_path / "t.csv").write_text("id,kwh\nA,1\n")
    broken = [tmp_path / "broken.grant", tmp_path / "also.grant"]
    for file in broken:
        file.write_text("{")
    desk.raw["grants"] = {"meters": {"path": broken[0], "others": [broken[1], tmp_path / "meters.grant"]}}
    (tmp_path / "grid.toml").write_text(to_toml(desk.raw))
    withdraw = ["grant", "withdraw", "meters", "--config", str(tmp_path / "grid.toml")]
    gone = run(main, [*withdraw, "--bank", "acme"])
    assert gone.exit_code == 0 and not (tmp_path / "meters.grant").exists(), gone.output
    assert all(f"not read: {file}: not a grant of this release" in gone.output and file.exists() for file in broken)
    none = run(main, [*withdraw, "--bank", "acme"])
    assert none.exit_code != 0 and "there is no grant" in none.output and "not read" in none.output
    assert run(main, withdraw).exit_code == 0 and not any(file.exists() for file in broken)
