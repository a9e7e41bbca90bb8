"""Labels that have matured: known rates and rankings give no alarm, changed ones are named by month."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bank_party.decision.bundle import HeldOut
from bank_party.decision.scores import read_scores
from bank_party.monitor.config import BankMonitorConfig
from bank_party.monitor.matured import alarms, area, mature
from common.errors import DataError
from common.monitor.history import Matured
from common.stats import measures
from common.stats.measures import sigmoid
from tests.bank_party.decision.worlds import held_out

MONTHS = ("2024-01", "2024-02", "2024-03")
ROWS = 3000


@pytest.fixture(scope="module")
def held() -> HeldOut:
    """Whose held-out AUC is that of scores drawn as `scores` does."""
    made, rng = held_out(8000)[0], np.random.default_rng(1)
    u = rng.normal(-1.5, 1.2, len(made.ids))
    return replace(made, u_joint=u, label=(rng.random(len(u)) < sigmoid(u)).astype(np.float64))


def scores(seed: int) -> pd.DataFrame:
    u = np.random.default_rng(seed).normal(-1.5, 1.2, ROWS * len(MONTHS))
    ids, months = [f"F{k}" for k in range(ROWS)] * len(MONTHS), np.repeat(MONTHS, ROWS)
    grade = np.digitize(u, [-2.5, -0.5]) + 1
    return pd.DataFrame(
        {"id": ids, "period": months, "month": months, "u": u, "probability": sigmoid(u), "grade": grade, "model": "job-1"}
    )


def labels(frame: pd.DataFrame, seed: int, **truth: np.ndarray) -> pd.DataFrame:
    """Drawn by the frame's probabilities, in the months named by other ones."""
    p = frame["probability"].to_numpy().copy()
    for month, other in truth.items():
        at = (frame["month"] == month.replace("_", "-").removeprefix("m")).to_numpy()
        p[at] = other[at]
    drawn = (np.random.default_rng(seed).random(len(p)) < p).astype(float)
    return pd.DataFrame({"id": frame["id"], "period": frame["period"], "label": drawn})


def named(months: list[Matured]) -> list[tuple[str, str]]:
    return [(alarm.what, alarm.month) for alarm in alarms(months, BankMonitorConfig())]


def test_twenty_unchanged_worlds_give_no_alarm(held: HeldOut) -> None:
    for seed in range(20):
        frame = scores(seed)
        months = mature(frame, labels(frame, 100 + seed), {"job-1": held}, BankMonitorConfig())
        assert len(months) == 3 and named(months) == []


def test_a_month_is_measured_on_the_rows_whose_outcome_is_known(held: HeldOut) -> None:
    frame = scores(1)
    known = labels(frame, 2).iloc[: ROWS + 500]
    first, second = mature(frame, known, {"job-1": held}, BankMonitorConfig())
    assert (first.month, first.rows, second.month, second.rows) == ("2024-01", ROWS, "2024-02", 500)
    y, u = known["label"].to_numpy()[:ROWS], frame["u"].to_numpy()[:ROWS]
    assert first.auc == pytest.approx(measures.auc(y, u)) and first.ks == pytest.approx(measures.ks(y, u))
    assert first.observed == y.mean() and first.expected == pytest.approx(sigmoid(u).mean())
    assert sum(g.rows for g in first.grades) == ROWS
    assert [g.expected for g in first.grades] == sorted(g.expected for g in first.grades)
    few = mature(frame, known.iloc[:30], {"job-1": held}, BankMonitorConfig())
    assert few[0].auc is None and few[0].ks is None and named(few) == []


def test_scores_and_labels_meet_by_period_or_where_neither_has_one(held: HeldOut) -> None:
    frame = scores(1)
    dated, undated = labels(frame, 2), labels(frame, 3).iloc[:ROWS].drop(columns="period")
    alone = frame.iloc[:ROWS].drop(columns="period").assign(month="score-1")
    found = {
        (kind, which): {m.month: m.rows for m in mature(known, outcome, {"job-1": held}, BankMonitorConfig())}
        for kind, known in (("dated", frame), ("undated", alone))
        for which, outcome in (("dated", dated), ("undated", undated), ("both", pd.concat([dated, undated])))
    }
    whole = dict.fromkeys(MONTHS, ROWS)
    assert found["dated", "dated"] == found["dated", "both"] == whole and found["dated", "undated"] == {}
    assert found["undated", "undated"] == found["undated", "both"] == {"score-1": ROWS} and found["undated", "dated"] == {}
    assert mature(frame, pd.DataFrame({"id": [], "label": []}), {"job-1": held}, BankMonitorConfig()) == []


def test_a_tiny_month_is_no_alarm_and_its_rates_are_not_shown(held: HeldOut) -> None:
    frame = scores(1)
    safe = frame.sort_values("probability").head(3)
    one = pd.DataFrame({"id": safe["id"], "period": safe["period"], "label": [1.0, 0.0, 0.0]})  # 33 % instead of about 0
    months = mature(frame, one, {"job-1": held}, BankMonitorConfig(min_labels=2))
    assert months and all(month.observed is None for month in months) and named(months) == []
    assert all(grade.observed is None for month in months for grade in month.grades)
    known = labels(frame, 2).iloc[:ROWS]
    grade = frame["grade"].to_numpy()[:ROWS]
    known.loc[grade == 1, "label"] = (np.cumsum(grade == 1) <= 3)[grade == 1].astype(float)  # three overdue in the best
    (month,) = mature(frame, known, {"job-1": held}, BankMonitorConfig())
    assert month.observed == known["label"].mean()
    assert [grade.observed is None for grade in month.grades].count(True) == 2  # and one more, or the rate told of the best
    assert month.grades[0].observed is None


def test_a_score_that_ranks_no_more_and_a_rate_that_rose_are_named_by_month(held: HeldOut) -> None:
    frame = scores(3)
    flat = np.full(len(frame), frame["probability"].mean())
    higher = sigmoid(frame["u"].to_numpy() + 0.6)
    months = mature(frame, labels(frame, 4, m2024_02=flat, m2024_03=higher), {"job-1": held}, BankMonitorConfig())
    assert named(months) == [("auc", "2024-02"), ("calibration", "2024-03")]


def test_a_model_whose_test_rows_hold_one_overdue_is_watched_like_any_other(held: HeldOut) -> None:
    """Of few overdue held out, most may calibrate: no standard error is of the one that is left."""
    overdue = np.flatnonzero(held.label == 1.0)
    few = replace(held, validation=~np.isin(np.arange(len(held.label)), [overdue[0], *np.flatnonzero(held.label == 0.0)[:50]]))
    frame = scores(1)
    months = mature(frame, labels(frame, 2), {"job-1": few}, BankMonitorConfig())
    assert [month.before for month in months] == [pytest.approx(measures.auc(held.label, held.u_joint))] * 3
    assert named(months) == []


def test_the_error_of_an_auc_is_the_spread_of_auc_over_samples() -> None:
    rng, found, errors = np.random.default_rng(5), [], []
    for _ in range(200):
        u = rng.normal(size=400)
        y = (rng.random(400) < sigmoid(u)).astype(np.float64)
        a, error = area(y, u)
        assert a == pytest.approx(measures.auc(y, u))
        found.append(a)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.15)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_scores_are_read_as_they_were_written_and_the_later_of_two_counts(tmp_path: Path, kind: str) -> None:
    frame = scores(6).head(50)[["id", "period", "u", "probability", "grade"]].assign(reasons="a; b")
    for job, shift in (("score-1", 0.0), ("score-2", 1.0)):
        part, file = frame.assign(u=frame["u"] + shift), tmp_path / f"{job}.{kind}"
        part.to_csv(file, index=False) if kind == "csv" else part.to_parquet(file)
    scored = [
        ("score-1", "job-1", f"score-1.{kind}"),
        ("score-2", "job-1", f"score-2.{kind}"),
        ("score-3", "job-1", "gone.csv"),
    ]
    found = read_scores(tmp_path, scored)
    assert len(found) == 50 and set(found["month"]) == {"2024-01"}
    np.testing.assert_allclose(found["u"], frame["u"] + 1.0)
    if kind == "csv":
        (tmp_path / "score-1.csv").write_text("id,u\nx,1\n")
        with pytest.raises(DataError, match="not a file of scores"):
            read_scores(tmp_path, scored[:1])
