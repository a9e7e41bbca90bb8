"""Drift is named by its column and month, and nothing is named where nothing drifts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.errors import DataError
from common.monitor import reference
from common.monitor.book import Book, Reading
from common.monitor.config import MonitorConfig
from common.monitor.drift import Alarm, alarms, observe
from common.monitor.reference import MISSING, SCORE, Distribution, describe
from common.party import Party
from common.records.make import make_features
from common.rows.dataset import DatasetConfig, read_table
from common.rows.table import FeatureTable
from common.stats.psi import psi
from common.trial.world import ID, LABEL, MONTH, Drift, make_world, world_config
from tests.common.monitor.worlds import FIRST, party, since, split

YEAR = 12


def found(table: FeatureTable, train: int = YEAR) -> list[Alarm]:
    """Alarms in the months from `train` on, by a reference of those before."""
    before, after = split(table, train)
    return alarms(observe("score-1", "job-1", describe(before, before.rows), after, None), MonitorConfig())


@pytest.mark.untraced
@pytest.mark.parametrize("rows", [60, 300, 1000])
def test_no_alarm_in_twenty_worlds_without_drift(rows: int) -> None:
    for seed in range(20):
        assert found(party(rows, 24, seed)) == []


LAST = 2025 * 12 + 8  # September, the demo's last quarter but one: the bank's last with a label


def demo_alarms(folder: Path, seed: int, drift: tuple[Drift, ...] = ()) -> set[tuple[Party, str, str]]:
    """In features of the demo's raw records from 2025-06 on, by those of the quarters before."""
    make_world(folder, enterprises=250, months=36, seed=seed, drift=drift)
    named = set()
    for side in Party:
        make_features(world_config(side, folder), folder / "rows.parquet")
        label = LABEL if side is Party.BANK else None
        config = DatasetConfig(path=folder / "rows.parquet", id=ID, period=MONTH, label=label)
        table = read_table(config, name="rows", party=side).table
        assert table.periods is not None and len(table.order) > 20
        before, after = (table.take(np.flatnonzero(at)) for at in (table.periods < LAST - 3, table.periods >= LAST - 3))
        readings = observe("score-1", "job-1", describe(before, before.rows), after, None)
        named |= {(side, a.month, a.feature) for a in alarms(readings, MonitorConfig())}
    return named


def test_drift_in_the_demos_later_months_is_named_by_column_and_month_at_its_owner(tmp_path: Path) -> None:
    drift = (Drift("consumption", "2025-09", factor=0.3), Drift("tax_amount", "2025-09", factor=3.0))
    named = demo_alarms(tmp_path, 5, drift)
    assert {(Party.GRID, "2025-09", "consumption_last"), (Party.BANK, "2025-09", "tax_amount_last")} <= named
    assert {month for _, month, _ in named} <= {"2025-09", "2025-12"}  # and not the quarter before
    for side, _, feature in named:
        assert ("consumption" if side is Party.GRID else "tax_amount") in feature


def test_each_kind_of_change_is_named_in_its_month_alone() -> None:
    table, rng = party(500, 15, 3), np.random.default_rng(1)
    flagged = (rng.random(table.rows) < 0.5).astype(np.float64)
    drifted = since(table, 14, amount=table.numeric["amount"] * 3, late=table.numeric["late"] + 1, flag=flagged)
    assert {(a.what, a.month, a.feature) for a in found(drifted)} == {("psi", "2024-03", f) for f in ("amount", "late", "flag")}
    trade = np.where(np.arange(table.rows) % 3 == 0, "mine", table.categorical["trade"])
    other = replace(table, categorical={"trade": trade})
    assert {(a.what, a.feature) for a in found(other.take(np.arange(table.rows)))} == set()  # it was so in training too
    months = table.periods >= FIRST + 13  # type: ignore[operator]
    new = replace(table, categorical={"trade": np.where(months, trade, table.categorical["trade"])})
    assert {(a.what, a.month, a.feature) for a in found(new)} == {("psi", f"2024-0{m}", "trade") for m in (2, 3)}


def test_a_season_that_was_trained_is_no_drift_and_one_that_was_not_is() -> None:
    table = party(500, 18, 4)
    assert found(table) == []
    assert {a.feature for a in found(table, 6)} == {"season"}


def test_the_score_is_a_column_of_its_own_and_rows_without_months_are_one_month() -> None:
    table = replace(party(800, 1, 5), periods=None)
    u = np.random.default_rng(2).normal(size=800)
    known = describe(table, 400, u[400:])
    assert known.columns[SCORE].counts == (40,) * 10 + (0,)
    same, moved = (observe("score-7", "job-1", known, table, score) for score in (u, u + 1))
    assert {r.month for r in same} == {"score-7"} and len(same) == 8
    assert alarms(same, MonitorConfig()) == []
    assert [(a.what, a.feature) for a in alarms(moved, MonitorConfig())] == [("psi", SCORE)]


def test_missing_values_are_an_alarm_only_beyond_chance_and_threshold() -> None:
    def reading(missing: float, rows: int) -> Reading:
        return Reading("job-1", "2024-01", "tax", 0.0, 0.1, missing, 0.02, rows, 10_000)

    assert [len(alarms([reading(*case)], MonitorConfig())) for case in ((0.06, 5000), (0.08, 5000), (0.08, 20))] == [0, 1, 0]
    assert alarms([reading(0.08, 5000)], MonitorConfig(missing=0.1)) == []


def test_edges_split_ties_and_tails() -> None:
    table = party(5000, 1, 6)
    known = describe(table, 5000)
    assert known.columns["late"].edges == (0.0, 1.0) and known.columns["flag"].edges == (0.0,)
    assert max(known.columns["amount"].counts) == 500
    assert known.columns["blank"].counts[-1] == int(np.isnan(table.numeric["blank"]).sum())
    assert known.columns["trade"].levels == ("farm", "mill", "shop")
    values = np.array([0.5, 1.0, 1.5, 2.0, 9.0, np.nan])
    assert Distribution(edges=(1.0, 2.0), counts=()).places(values).tolist() == [0, 0, 1, 1, 2, 3]


@pytest.mark.parametrize(("constant", "labels"), [(0.0, ("< 0", "0", "> 0")), (12345.0, ("< 12,300", "12,300", "> 12,300"))])
@pytest.mark.parametrize("by", [1.0, -1.0])
def test_a_constant_of_training_that_no_longer_is_one_is_told(constant: float, labels: tuple[str, ...], by: float) -> None:
    was = np.where(np.arange(4000) % 10 == 0, np.nan, constant)
    table = replace(party(1000, 4, 6), numeric={"seized": was}, categorical={})
    known = describe(table, 4000)
    assert known.columns["seized"].labels() == (*labels, MISSING)
    assert known.columns["seized"].counts == (0, 3600, 0, 400)
    for changed, told in ((0, 0), (1, 0), (100, 1)):
        now = was.copy()
        now[np.flatnonzero((table.periods == FIRST) & (was == constant))[:changed]] = constant + by
        months = observe("job-1", "job-1", known, replace(table, numeric={"seized": now}), None)
        assert [alarm.what for alarm in alarms(months, MonitorConfig(psi=0.1))] == ["psi"] * told


def test_rows_are_counted_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    table = party(200, 14, 8)
    known = describe(table, 2400, np.linspace(-3.0, 1.0, 400))
    assert sum(map(sum, known.columns["amount"].seasons.values())) == sum(known.columns["amount"].counts) == 2400
    monkeypatch.setattr(reference, "_ROWS", 7)
    assert describe(table, 2400, np.linspace(-3.0, 1.0, 400)) == known


def test_the_reference_survives_the_disk_for_its_owner_alone(tmp_path: Path) -> None:
    known = describe(party(100, 3, 7), 200)
    reference.save(known, tmp_path / "job-1")
    file = tmp_path / "job-1" / reference.FILE
    assert reference.load("job-1", file.parent) == known and file.stat().st_mode & 0o777 == 0o600
    assert reference.load("job-2", tmp_path) is None
    file.write_text("{}")
    with pytest.raises(DataError, match="job-1 are damaged"):
        reference.load("job-1", file.parent)


def test_the_book_keeps_a_month_once_and_remembers_what_was_answered(tmp_path: Path) -> None:
    book, one = Book(tmp_path / "m.sqlite"), Reading("job-1", "2024-01", "tax", 0.1, 0.1, 0.0, 0.0, 10, 20)
    book.enter("score-1", [one])
    book.enter("score-2", [again := replace(one, psi=0.4)])
    assert Book(tmp_path / "m.sqlite").readings() == [again]
    book.enter("score-3", [replace(one, psi=9.0, rows=1)])  # a row that came late
    assert book.readings() == [again]
    book.enter("score-4", [more := replace(one, psi=0.3, rows=11)])
    assert book.readings() == [more]
    book.answer(["psi/job-1/2024-01/tax"], "train-1")
    assert book.answered() == {"psi/job-1/2024-01/tax"}


def test_a_month_of_the_year_with_few_training_rows_explains_no_change() -> None:
    """Against a handful of rows chance explains any index, and the nearer of two references was taken."""
    table = party(500, 24, 3)
    before, after = split(since(table, 19, amount=table.numeric["amount"] * 50), 18)
    assert before.periods is not None and after.periods is not None
    drifted, of_year = {f"2024-{m:02d}" for m in range(8, 13)}, before.periods % 12
    for few in (1, 3, 10, 30, 100):
        kept = [np.flatnonzero(of_year == m)[: few if m in after.periods % 12 else None] for m in range(12)]
        known = describe(before.take(np.sort(np.concatenate(kept))), sum(map(len, kept)))
        raised = alarms(observe("score-1", "job-1", known, after, None), MonitorConfig())
        assert {a.month for a in raised if a.feature == "amount"} == drifted, few


@pytest.mark.parametrize("job", ["score-1", "score-20260101-0a1b2c3d", "2024-13"])
def test_rows_without_months_are_read_against_all_of_a_training_that_had_months(job: str) -> None:
    """The name of the job stood for a month, whose number of the year was looked for in it."""
    before, after = split(party(500, 18, 3), 12)
    known = describe(before, before.rows)
    readings = observe(job, "job-1", known, replace(after, periods=None), None)
    assert {r.month for r in readings} == {job} and {r.feature for r in readings} == set(known.columns)
    whole = {name: psi(np.array(of.counts), placed(of, after, name)[None])[0] for name, of in known.columns.items()}
    assert {r.feature: r.psi for r in readings} == pytest.approx(whole)


def placed(known: Distribution, table: FeatureTable, name: str) -> np.ndarray:
    values = table.numeric[name] if name in table.numeric else table.categorical[name]
    return np.bincount(known.places(values), minlength=known.bins)
