"""`bank-party pipeline`: what it prints and refuses without any job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bank_party.__main__ import main
from bank_party.home import BankHome
from bank_party.pipeline.book import RunBook, Step
from bank_party.seat import SEAT
from common.cli import main as wattscore
from common.disk.data_folder import Name
from common.disk.lock import Lock
from common.home.approvals import PIPELINE as PIPELINE_KIND
from common.plan.promote import PromotePlan
from tests.bank_party.test_main import config

PIPELINE = """
name = "monthly"
client = "client.toml"
plan = "plan.toml"
people = 1
"""


class Desk:
    def __init__(self, folder: Path) -> None:
        self.config, self.file, self.reports = config(folder), folder / "pipeline.toml", folder / "pages" / "pipeline"
        (folder / "data").mkdir()
        self.file.write_text(PIPELINE, encoding="utf-8")
        self.book = RunBook(folder / "data" / Name.PIPELINE)

    def say(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["pipeline", str(self.file), "--config", str(self.config), *words])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_nothing_is_to_do(desk: Desk) -> None:
    done = desk.say()
    assert (done.exit_code, done.output) == (0, "no run is open, and it is not time for one\n")
    never = "no run of monthly has begun yet"
    assert (desk.say("--show").exit_code, desk.say("--show").output) == (0, f"{never}\n")
    assert json.loads(desk.say("--json", "--show").output) == {"run": None, "rests": never, "steps": []}


def test_one_process_at_a_time(desk: Desk) -> None:
    lock = Lock(desk.reports)
    done = desk.say("--begin")
    assert done.exit_code == 2 and "the pipeline monthly runs already" in done.output
    assert desk.say("--show").exit_code == 0
    lock.release()
    assert desk.say().exit_code == 0


def test_the_policy_must_ask_as_many_people(desk: Desk) -> None:
    desk.file.write_text(PIPELINE.replace("people = 1", "people = 2"), encoding="utf-8")
    done = desk.say("--begin")
    assert done.exit_code == 2 and "Set approvals = 2 under [policy]" in done.output
    assert desk.book.runs(1) == []


def test_a_run_is_shown_and_stopped(desk: Desk) -> None:
    desk.book.begin("monthly-1", "monthly", "time: every 30 days", (), "{}")
    desk.book.name_job(desk.book.start("monthly-1", Step.TRAIN), "model", "train-7")
    shown = desk.say("--show").output.splitlines()
    assert shown[0].startswith("monthly-1  open  began ") and shown[0].endswith("time: every 30 days")
    assert [line.split()[0] for line in shown[1:]] == [step.value for step in Step]
    assert shown[2].endswith("train-7")
    ended = desk.say("--stop", "a holiday")
    assert ended.exit_code == 1 and ended.output.splitlines()[-1].endswith(": a holiday")
    again = desk.say("--stop", "x")
    assert again.exit_code == 2 and "no run of the pipeline monthly is open" in again.output


def test_a_run_is_approved_by_the_command_for_held_jobs(desk: Desk) -> None:
    home = BankHome.of(SEAT.load(desk.config))
    plan = PromotePlan(model="train-7").canonical()
    home.approvals.hold("monthly-1", PIPELINE_KIND, "report: monthly-1.html", "pipeline monthly", "ab" * 32, plan)
    words = ["approve", "monthly-1", "--yes", "--config", str(desk.config)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "make train-7 the champion" in done.output and "pipeline monthly" in done.output
    assert done.output.splitlines()[-1].endswith(": the run goes on")
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 2 and "is approved already" in again.output


def test_who_looks_for_it_under_the_clients_command_is_told_where_it_is() -> None:
    done = CliRunner().invoke(wattscore, ["pipeline", "pipeline.toml"])
    assert done.exit_code == 2 and "`bank-party pipeline pipeline.toml` at the bank" in done.output
    assert "grid-party" not in done.output
