"""What a client hears, as values: every figure of the message, frames, and HTML in which nothing is markup."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import Any

import pytest
from matplotlib.figure import Figure

from common.client.results import Comparison, Job, Jobs
from common.errors import PolicyError
from common.plan.job_states import State
from common.plan.train import TrainPlan
from common.trial.frames import Tried
from common.wire import coordinator_pb2 as wire
from common.wire.peer_pb2 import Fault


def message(job: str = "train-1", auc: float = 0.8, **plan: Any) -> wire.Job:
    made = TrainPlan.model_validate({"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}, **plan})
    found = wire.Job(
        id=job, name="<b>name</b>", kind="train", state="succeeded", plan=made.canonical(), started=10.0, ended=25.0
    )
    told = found.bank.report.evaluation
    told.joint.auc, told.bank_only.auc, told.joint.ks = auc, 0.7, 0.4
    told.auc_difference.difference, told.auc_difference.low, told.auc_difference.high = auc - 0.7, 0.02, 0.2
    found.bank.report.counts.matched_rows = 1200
    found.grid.report.warnings.append("3 columns <left> out")
    return found


def test_a_job_has_the_figures_of_the_message() -> None:
    job = Job.of(message())
    assert job.evaluation is not None
    assert (job.state, job.over, job.rows, job.error) == (State.SUCCEEDED, True, {"matched": 1200}, None)
    assert job.started == datetime.fromtimestamp(10, UTC) and job.submitted is None
    assert job.evaluation.to_pandas().loc["auc"].tolist() == pytest.approx([0.8, 0.7, 0.1])
    assert job.plan["grid"]["dataset"] == "meters" and job.as_dict()["id"] == "train-1"
    with pytest.raises(FrozenInstanceError):
        job.id = "other"  # type: ignore[misc]
    (line,) = Jobs((job,)).to_pandas().to_dict("records")
    assert (line["seconds"], line["auc"], line["matched"]) == (15.0, 0.8, 1200)


def test_the_text_of_each_fits_two_lines_and_tells_id_state_and_auc() -> None:
    job = Job.of(message())
    jobs = Jobs(tuple(Job.of(message(f"train-{k}")) for k in range(1, 6)))
    for found in (job, jobs, Comparison(jobs), job.evaluation, Tried(job, {"auc": [0.8] * 1000})):
        assert len(repr(found)) < 280 and repr(found) == str(found), found
    assert repr(job) == "<Job train-1: succeeded, AUC 0.8000>" and repr(jobs).startswith("<5 jobs: 2 before, <Job train-3: ")
    assert repr(Job.of(wire.Job(id="a", state="failed"))) == "<Job a: failed>"


def test_plots_show_the_figures_and_leave_out_jobs_without_any() -> None:
    figure = Figure()
    one, two = figure.subplots(2)
    job = Job.of(message())
    assert job.evaluation is not None and job.evaluation.plot(one) is one
    assert sorted(round(bar.get_height(), 3) for bar in one.patches)[-2:] == [0.7, 0.8] and "+0.100" in one.get_title()
    jobs = Jobs((job, Job.of(wire.Job(id="a", state="failed")), Job.of(message("train-2", 0.6))))
    assert [text.get_text() for text in jobs.plot(two).get_xticklabels()] == ["train-1", "train-2"]
    assert [list(line.get_ydata()) for line in two.lines][-1] == [0.7, 0.7]


def test_html_shows_names_and_warnings_as_text() -> None:
    html = Job.of(message())._repr_html_()
    assert "&lt;b&gt;name&lt;/b&gt;" in html and "&lt;left&gt;" in html and "<b>" not in html
    assert "<b>" not in Jobs((Job.of(message()),))._repr_html_()


def test_a_failed_job_says_why_and_a_list_of_none_is_a_frame() -> None:
    job = Job.of(wire.Job(id="a", state="failed", fault=Fault(kind="PolicyError", message="too few rows", origin="bank")))
    assert isinstance(job.error, PolicyError) and "too few rows" in job._repr_html_()
    assert len(Jobs(()).to_pandas()) == 0


def test_a_comparison_says_what_differs_and_whether_the_rows_are_the_same() -> None:
    one, two = message(), message("train-2", 0.82, model={"ridge": 0.01})
    found = Comparison(Jobs((Job.of(one), Job.of(two))))
    assert found.same_rows and found.differs == {"model.ridge": (1e-4, 0.01)}
    assert found.to_pandas().loc["auc"].tolist() == [0.8, 0.82]
    other = Comparison(Jobs((Job.of(one), Job.of(message("train-3", split={"seed": 7})))))
    assert not other.same_rows and "not the same" in other._repr_html_()
