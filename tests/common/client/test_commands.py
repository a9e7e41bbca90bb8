"""`wattscore` without a network: options and files that are wrong, and what is printed of a job."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from common.cli import main
from common.client import commands
from common.client.moment import moment
from common.client.progress import Pace, Stages, _tell, follow
from common.client.show import print_history, print_job, print_jobs
from common.plan.job_stages import MEANING, ORDER
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan, make_plan
from common.plan.score import ScorePlan
from common.trial import run as trial_run
from common.wire import coordinator_pb2 as wire
from common.wire.party_pb2 import Progress, Report
from common.wire.peer_pb2 import Fault


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tables, in which no trial may start."""
    for name in ("grid.csv", "bank.csv"):
        (tmp_path / name).write_text("id,x,y\n" + "".join(f"e{k},{k},{k % 2}\n" for k in range(1000)))

    def started(*_: object) -> None:
        raise AssertionError("a trial has been started")

    monkeypatch.setattr(trial_run, "Trial", started)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return tmp_path


def try_(folder: Path, *words: str) -> Result:
    tables = ("--grid", str(folder / "grid.csv"), "--bank", str(folder / "bank.csv"))
    return run("try", *tables, "--key", "id", "--label", "y", *words)


def test_what_is_wrong_in_a_plan_or_an_option_is_told_without_a_client(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('nmae = "x"\n[grid]\ndataset = "a"\n[bank]\ndataset = "b"\n')
    plan, config = str(tmp_path / "plan.toml"), ("--config", str(tmp_path / "none.toml"))
    assert "did you mean 'name'" in run("train", plan, *config).stderr
    for month in ("2025-13", "2025", "newest"):
        assert f"--until: '{month}' is not a month" in run("backtest", plan, "--until", month, *config).stderr


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
    remedy = "Name the client's configuration by --config or WATTSCORE_CONFIG."
    assert f"client.toml: cannot be read (No such file or directory). {remedy}" in missing.stderr
    for words in (("promote", "train-1"), ("rollback",), ("predeal",)):  # which are watched in any case
        assert remedy in run(*words, "--watch", "--config", str(tmp_path / "client.toml")).stderr
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


def shown(job: wire.Job, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_job(job, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_list_of_jobs_fits_eighty_columns_with_the_id_whole() -> None:
    long = [
        wire.Job(id="train-20260101-0a1b2c3d", name="n" * 100, state="succeeded", submitted=1.0, started=2.0, ended=4000.0),
        wire.Job(id="promote-20260101-0a1b2c3d", state="failed", fault=Fault(message="the grid has no dataset " * 9)),
    ]
    long[0].bank.report.evaluation.joint.auc = 0.79249
    console = Console(file=io.StringIO(), width=80)
    print_jobs(long, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 4 and all(len(line) <= 80 for line in lines)
    assert lines[1].startswith(long[0].id) and "0.792" in lines[1] and "1:06:38" in lines[1]
    assert lines[2].startswith(long[1].id) and lines[3].startswith("  coordinator: the grid has no dataset")


def test_a_scoring_says_what_became_of_the_rows() -> None:
    job = wire.Job(id="score-1", kind="score", state="succeeded")
    job.bank.report.counts.own_rows, job.bank.report.counts.matched_rows, job.grid.report.counts.own_rows = 3600, 3400, 3800
    said = " ".join(shown(job).split())
    assert "3,600 rows of the bank asked for: 3,400 scored, 200 without a match among the grid's 3,800" in said
    assert "scores/score-1.csv" in said


def test_a_job_that_waits_says_for_whom() -> None:
    who = [wire.PartyProgress(who=f"wattscore://{org}/bank-party", connected=org != "south") for org in ("north", "south")]
    job = wire.Job(id="train-1", kind="train", state="queued", grid={"connected": True}, bank=who[0], banks=who)
    console = Console(file=io.StringIO(), width=40)
    follow([job], console)
    queued = "waits for the bank south, not connected to the coordinator, or for earlier jobs"
    assert console.file.getvalue() == f"train-1: queued: {queued}\n"  # type: ignore[attr-defined]
    assert queued in " ".join(shown(job).split())
    job.state = "waiting"
    job.disturbed.message = "the bank south lost its connection to the coordinator"
    said = " ".join(shown(job).split())
    assert "interrupted, waits for the bank south; it goes on by itself (the bank south lost its connection" in said
    job.banks[1].connected = True
    assert "is about to go on" in shown(job)


def test_without_a_terminal_a_stage_is_a_line() -> None:
    console = Console(file=io.StringIO(), width=40)
    stages = ["connect", "load", "load", "train"]
    jobs = [wire.Job(id="train-1", kind="train", state="running", bank={"progress": Progress(stage=s)}) for s in stages]
    follow([wire.Job(id="train-1", kind="train", state="queued"), *jobs], console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    told = ["queued", "1 of 7, connect", "2 of 7, load", "3 of 7, align", "4 of 7, prepare", "5 of 7, train"]
    assert [line.split(":")[1].strip() for line in lines] == told


def test_without_a_terminal_a_long_stage_says_now_and_then_how_far_it_is() -> None:
    console, passed = Console(file=io.StringIO(), width=40), 0.0
    begun = Progress(stage="train", bytes=1_000_000, expected=5_000_000, total=12)

    def updates() -> Iterator[wire.Job]:
        nonlocal passed
        for step in range(5):
            now = Progress(stage="train", bytes=1_000_000 * (1 + step), expected=5_000_000, done=3 * step, total=12)
            yield wire.Job(id="train-1", kind="train", state="running", bank={"progress": now if step else begun})
            passed += 10.0

    _tell(updates(), console, lambda: passed)
    first, second, third = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert first.startswith("train-1: 5 of 7, train: ")
    assert second == "train-1: train: 6 of 12 steps, 3.0 MB; about 0:20 left of it"
    assert third.startswith("train-1: train: 12 of 12 steps")


def test_scoring_on_request_has_no_stage_that_matches() -> None:
    console = Console(file=io.StringIO(), width=40)
    job = wire.Job(id="score-1", kind="score", state="running", plan='{"on_request": 9}')
    for stage in ("load", "score"):
        job.bank.progress.stage = stage
        follow([job], console)
    assert [line.split(":")[1].strip() for line in console.file.getvalue().splitlines()] == ["2 of 4, load", "3 of 4, score"]  # type: ignore[attr-defined]


def test_a_job_over_before_it_is_looked_at_again_tells_its_last_stage() -> None:
    console = Console(file=io.StringIO(), width=40)
    ended = wire.Job(id="score-1", kind="score", state="succeeded", bank={"progress": Progress(stage=ORDER["score"][-1])})
    follow([wire.Job(id="score-1", kind="score", state="offered"), ended], console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[-1].startswith(f"score-1: 5 of 5, {ORDER['score'][-1]}") and len(lines) == 2


def test_a_terminal_shows_all_stages_and_about_how_long_the_present_one_takes() -> None:
    pace = Pace(clock=iter([0.0, 10.0, *[20.0] * 9]).__next__)
    begun = Progress(stage="train", bytes=1_000_000, expected=5_000_000, total=15)
    now = Progress(stage="train", bytes=2_000_000, expected=5_000_000, done=4, total=15, rows=1050)
    pace.see("load", Progress(stage="load"))
    pace.see("train", begun)
    assert pace.left("train", begun) is None
    assert pace.left("train", now) == pytest.approx(30.0)  # a quarter of the bytes in ten seconds
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    job = wire.Job(id="train-1", kind="train", state="running", grid={"progress": now})
    console.print(Stages(job, pace))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(stage in said for stage in ORDER["train"]) and "4 of 15 steps, 1,050 rows, 2.0 MB" in said
    assert "about 0:30 left of 'train'" in said
    marks = {line.split()[1]: line.split()[0] for line in said.splitlines() if line.split()[1] in ORDER["train"]}
    assert [marks[stage] for stage in ("connect", "load", "prepare", "train", "evaluate")] == ["✓", "✓", "✓", "▸", "·"]


def test_every_stage_has_a_meaning() -> None:
    assert {stage for stages in ORDER.values() for stage in stages} == set(MEANING)


def test_the_history_of_a_job_a_line_an_event() -> None:
    events = [
        wire.JobEvent(at=1.0, who="client", what="submitted"),
        wire.JobEvent(at=2.0, who="bank", what="stage", stage="load"),
    ]
    console = Console(file=io.StringIO(), width=80)
    job = wire.Job(id="train-1", submitter="wattscore://acme/client", events=events)
    assert print_history(job, console) == 2 == print_history(job, console, 2)
    first, second = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert first.endswith("client       submitted by wattscore://acme/client")
    assert second.endswith("bank         stage load: each reads and checks its own table")


def test_a_note_on_a_promotion_is_the_name_by_which_both_parties_list_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[AnyPlan] = []
    monkeypatch.setattr(commands, "_move", lambda plan, *_: asked.append(plan))
    for words in (("promote", "train-1"), ("rollback",)):
        assert run(*words, "--note", "report 7, approved").exit_code == 0
    assert [plan.name for plan in asked] == ["report 7, approved"] * 2
    long = run("rollback", "--note", "x" * 101)
    assert long.exit_code == 2 and "name: " in long.stderr


# predeal


TRAINING = '[grid]\ndataset = "m"\n[bank]\ndataset = "l"\n[model]\niterations = 9\n'


class Desk:
    """A client that keeps what is submitted, and knows one finished training job."""

    def __init__(self) -> None:
        self.plans: list[AnyPlan] = []
        self.model: dict[str, Any] = {"iterations": 7}

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, job: str) -> wire.Job:
        plan = make_plan({"grid": {"dataset": "m"}, "bank": {"dataset": "l"}, "model": self.model}, "before")
        found = wire.Job(id=job, kind="score" if job == "score-1" else "train", plan=plan.canonical(), state="succeeded")
        if job == "train-1":
            for party, columns in ((found.grid, 12), (found.bank, 4)):
                party.report.counts.train_rows, party.report.counts.trained_columns = 1050, columns
        return found

    def submit(self, plan: AnyPlan) -> wire.Job:
        self.plans.append(plan)
        return wire.Job(id="predeal-1", kind="predeal", state="queued")

    def watch(self, job: str) -> Iterator[wire.Job]:
        yield wire.Job(id=job, kind="predeal", state="succeeded")


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


def test_predeal_for_scores_by_trees_takes_how_many_there_are_of_which_depth(desk: Desk) -> None:
    desk.model = {"kind": "trees", "trees": 30, "depth": 2}
    ended = run("predeal", "--scores", "--like", "train-1", "--rows", "500")
    assert ended.exit_code == 0, ended.output
    (plan,) = desk.plans
    assert isinstance(plan, PredealPlan) and plan.sizes == (30, 2)
    columns = run("predeal", "--scores", "--like", "train-1", "--rows", "500", "--grid", "30")
    assert columns.exit_code == 2 and "write trees = 30 there" in columns.stderr


def test_predeal_for_scores_takes_columns_of_a_finished_training_and_rows_of_its_own(desk: Desk) -> None:
    ended = run("predeal", "--scores", "--like", "train-1", "--rows", "500")
    assert ended.exit_code == 0, ended.output
    (plan,) = desk.plans
    assert isinstance(plan, PredealPlan)
    assert (plan.serves, plan.rows, plan.grid_columns, plan.bank_columns) == ("scores", 500, 12, 4)
    lacking = run("predeal", "--scores", "--like", "train-1")
    assert lacking.exit_code == 2 and "nothing says the rows" in lacking.stderr


def test_a_scoring_without_a_dealer_has_the_parties_match_ids(desk: Desk) -> None:
    words = ("score", "--model", "train-1", "--grid-dataset", "a", "--bank-dataset", "b")
    for more in ((), ("--no-dealer",)):
        assert run(*words, *more).exit_code == 0
    usual, without = desk.plans
    assert isinstance(usual, ScorePlan) and (usual.dealer, usual.matching) == ("whole", "neutral")
    assert isinstance(without, ScorePlan) and (without.dealer, without.matching) == ("none", "ecdh")
    assert "nothing is dealt" in run(*words, "--no-dealer", "--ahead").stderr


def test_predeal_deals_as_often_as_asked(desk: Desk) -> None:
    ended = run("predeal", "--scores", "--like", "train-1", "--rows", "500", "--times", "3")
    assert ended.exit_code == 0 and len(desk.plans) == 3, ended.output
    assert run("predeal", "--scores", "--like", "train-1", "--rows", "500", "--times", "65").exit_code == 2


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
