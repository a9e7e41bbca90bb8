"""`wattscore` without a network: options and files that are wrong, and what is printed of a job."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from common.cli import main
from common.client import commands
from common.client.moment import moment
from common.client.show import follow, print_job, print_jobs
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan, make_plan
from common.trial import try_cli
from common.wire import coordinator_pb2 as wire
from common.wire.party_pb2 import Progress, Report
from common.wire.peer_pb2 import Fault


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tables, in which no trial may start."""
    for name in ("grid.csv", "bank.csv"):
        (tmp_path / name).write_text("id,x\n")

    def started(*_: object) -> None:
        raise AssertionError("a trial has been started")

    monkeypatch.setattr(try_cli, "Trial", started)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return tmp_path


def try_(folder: Path, *words: str) -> Result:
    tables = ("--grid", str(folder / "grid.csv"), "--bank", str(folder / "bank.csv"))
    return run("try", *tables, "--key", "id", "--label", "y", *words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--test", "1.5"), "options: split.test"),
        (("--seed", "-1"), "options: split.seed"),
        (("--ridge", "-0.1"), "options: model.ridge"),
        (("--iterations", "0"), "options: model.iterations"),
        (("--link-period", "33"), "period must be a power of two"),
        (("--link", "cubic"), "'cubic' is not one of 'fourier', 'taylor'"),
    ],
)
def test_an_option_out_of_range(files: Path, words: tuple[str, ...], says: str) -> None:
    ended = try_(files, *words)
    assert ended.exit_code == 2 and says in ended.stderr


def test_what_would_be_lost_after_training_is_refused_before(files: Path) -> None:
    (files / "kept").mkdir()
    assert "kept: exists already" in try_(files, "--keep", str(files / "kept")).stderr
    assert "its folder does not exist" in try_(files, "--json", str(files / "none" / "out.json")).stderr
    (files / "bank.csv").unlink()
    ended = try_(files)
    assert ended.exit_code == 2 and "bank.csv' does not exist" in ended.stderr


def test_files_a_client_command_cannot_use(tmp_path: Path) -> None:
    missing = run("jobs", "--config", str(tmp_path / "client.toml"))
    assert missing.exit_code == 2 and missing.stderr.startswith("wattscore: ")
    assert "client.toml: cannot be read (No such file or directory). Check the path" in missing.stderr
    (tmp_path / "client.toml").write_text("[tls]\ncert = 'x'\n")
    assert "unknown key 'tls.cert'" in run("jobs", "--config", str(tmp_path / "client.toml")).stderr


def test_a_scoring_plan_that_is_not_one(tmp_path: Path) -> None:
    words = ("--model", "train-1", "--grid-dataset", "a", "--bank-dataset", "b", "--name", "n" * 101)
    ended = run("score", *words, "--config", str(tmp_path / "client.toml"))
    assert ended.exit_code == 2 and "options: name" in ended.stderr and "Traceback" not in ended.stderr


def test_its_version() -> None:
    assert run("--version").stdout.startswith("wattscore, version ")


def printed(job: wire.Job) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_job(job, console)
    print_jobs([job], console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_names_and_causes_are_printed_as_they_are() -> None:
    """rich would take [/x] for markup, and raise."""
    fault = Fault(kind="DataError", message="column '[/red]amount[usd]': not a number", origin="bank")
    said = printed(wire.Job(id="train-1", name="[/first]", state="failed", fault=fault))
    assert "train-1  [/first]  failed" in said and said.count("column '[/red]amount[usd]': not a number") == 2


def test_warnings_that_come_with_the_report_only_are_shown_once() -> None:
    early, late = "1 warning(s) while in stage 'load'", "held-out scores reach |u| = 14.0 [wide]"
    running = wire.Job(id="train-1", state="running", bank={"progress": Progress(stage="load", warnings=[early])})
    ended = wire.Job(id="train-1", state="succeeded", bank={"report": Report(warnings=[early, late])})
    console = Console(file=io.StringIO(), width=200)
    assert follow([running, running, ended], console) is ended
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count(f"bank: {early}") == said.count(f"bank: {late}") == 1
    assert f"bank: {late}" in printed(ended)


# predeal


TRAINING = '[grid]\ndataset = "m"\n[bank]\ndataset = "l"\n[model]\niterations = 9\n'


class Desk:
    """A client that keeps what is submitted, and knows one finished training job."""

    def __init__(self) -> None:
        self.plans: list[AnyPlan] = []

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, job: str) -> wire.Job:
        plan = make_plan({"grid": {"dataset": "m"}, "bank": {"dataset": "l"}, "model": {"iterations": 7}}, "before")
        found = wire.Job(id=job, kind="score" if job == "score-1" else "train", plan=plan.canonical(), state="succeeded")
        if job == "train-1":
            for party, columns in ((found.grid, 12), (found.bank, 4)):
                party.report.counts.train_rows, party.report.counts.trained_columns = 1050, columns
        return found

    def submit(self, plan: AnyPlan) -> wire.Job:
        self.plans.append(plan)
        return wire.Job(id="predeal-1", kind="predeal", state="queued")

    def watch(self, job: str) -> list[wire.Job]:
        return [wire.Job(id=job, kind="predeal", state="succeeded")]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()
    monkeypatch.setattr(commands.Client, "from_config", lambda _: desk)
    return desk


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("PLAN", "--rows", "2000", "--grid", "13", "--bank", "5"), (9, 2000, 13, 5)),
        (("--like", "train-1"), (7, 1102, 12, 4)),
        (("PLAN", "--like", "train-1", "--grid", "14"), (9, 1102, 14, 4)),
    ],
)
def test_predeal_takes_sizes_and_model_from_options_or_a_finished_job(
    desk: Desk, tmp_path: Path, words: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    (tmp_path / "plan.toml").write_text(TRAINING)
    ended = run("predeal", *(str(tmp_path / "plan.toml") if word == "PLAN" else word for word in words), "--json")
    assert ended.exit_code == 0, ended.output
    (plan,) = desk.plans
    assert isinstance(plan, PredealPlan)
    assert (plan.model.iterations, plan.rows, plan.grid_columns, plan.bank_columns) == expected


def test_predeal_for_scores_takes_columns_of_a_finished_training_and_rows_of_its_own(desk: Desk) -> None:
    ended = run("predeal", "--scores", "--like", "train-1", "--rows", "500")
    assert ended.exit_code == 0, ended.output
    (plan,) = desk.plans
    assert isinstance(plan, PredealPlan)
    assert (plan.serves, plan.rows, plan.grid_columns, plan.bank_columns) == ("scores", 500, 12, 4)
    lacking = run("predeal", "--scores", "--like", "train-1")
    assert lacking.exit_code == 2 and "nothing says the rows" in lacking.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nothing says the model, rows, grid_columns, bank_columns"),
        (("--like", "score-1"), "job score-1 has trained nothing"),
        (("--like", "train-2"), "job train-2 has trained nothing"),
        (("--like", "train-1", "--rows", "0"), "options: rows: "),
    ],
)
def test_predeal_says_what_it_lacks(desk: Desk, words: tuple[str, ...], says: str) -> None:
    ended = run("predeal", *words)
    assert ended.exit_code == 2 and says in ended.stderr and not desk.plans


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1970-01-02T00:00+00:00", 86400.0), ("1970-01-01T08:00:01+08:00", 1.0), ("90m", -5400.0), ("2w", -1209600.0)],
)
def test_a_moment_is_a_time_or_how_long_ago(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert moment(text) == seconds


def test_a_moment_that_is_none_is_refused() -> None:
    ended = run("jobs", "--since", "01/02/2026")
    assert ended.exit_code == 2 and "neither a date such as 2026-01-31" in ended.stderr
