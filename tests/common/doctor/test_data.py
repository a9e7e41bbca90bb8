"""Estimates of rows, memory and disk, held against what real jobs took."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from common.daemon.settings import PartySettings
from common.doctor.data import check_datasets, check_plan, check_workers, dealer_needs, job_memory, party_needs
from common.doctor.finding import Machine, Status, free_disk
from common.party import Party
from common.plan.predeal import PredealPlan
from common.plan.train import TrainPlan
from common.process.memory import free_memory
from common.rows.dataset import DatasetConfig, check_declared
from common.rows.extent import Extent, extent_of
from tests.common.coordinator.office import make_settings

MIB = 1 << 20

# peak_mib of a party in `wattscore try`, two cores: rows, own columns, the other's, MiB
MEASURED = [
    (5_000, 10, 10, 194),
    (50_000, 10, 10, 258),
    (150_000, 10, 10, 321),
    (150_000, 30, 10, 411),
    (150_000, 10, 30, 328),
]


@pytest.mark.parametrize(("rows", "own", "other", "mib"), MEASURED)
def test_memory_is_enough_for_what_was_measured_and_not_twice_too_much(rows: int, own: int, other: int, mib: int) -> None:
    needed, files = job_memory(rows, own, other)
    assert mib <= needed / MIB <= 1.5 * mib
    assert files == 0


def test_what_exceeds_the_budget_goes_to_files() -> None:
    whole, _ = job_memory(1_000_000, 40, 40)
    held, files = job_memory(1_000_000, 40, 40, 100 * MIB)
    assert held + files == whole and files > 1000 * MIB


def config(path: Path, **values: object) -> DatasetConfig:
    return DatasetConfig.model_validate({"path": path, "id": "id", **values})


@pytest.mark.parametrize("rows", [3, 20_000])
def test_rows_are_counted_by_the_footer_or_estimated_by_the_length_of_lines(tmp_path: Path, rows: int) -> None:
    frame = pd.DataFrame({"id": range(rows), "a": [i * 0.37 for i in range(rows)], "b": "text", "y": 1})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for name, close in (("t.csv", 0.02), ("t.parquet", 0.0)):
        declared = config(tmp_path / name, label="y")
        size = extent_of(check_declared(declared, name="t", party=Party.BANK), declared)
        assert size.rows == pytest.approx(rows, rel=close) and size.columns == 2


def settings(folder: Path, **datasets: DatasetConfig) -> PartySettings:
    remote = {"identity": "wattscore://x/y", "address": "x:1"}
    tls = {"certificate": folder / "a", "key": folder / "b", "trust": folder}
    return PartySettings.model_validate(
        {"tls": tls, "data": folder, "coordinator": remote, "peer": {"identity": "wattscore://z/y"}, "datasets": datasets}
    )


def test_each_dataset_is_found_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,a\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    findings, sizes = check_datasets(
        settings(
            tmp_path,
            good=config(tmp_path / "t.csv"),
            unlabelled=config(tmp_path / "t.csv", label="y"),
            absent=config(tmp_path / "none.csv"),
            empty=config(tmp_path / "empty.csv"),
        ),
        Party.BANK,
    )
    assert [f.status for f in findings] == [Status.PASS, Status.WARN, Status.FAIL, Status.FAIL]
    assert sizes.keys() == {"good", "unlabelled"}
    assert "no label column 'y'" in findings[1].found and "No such file" in findings[2].found
    (label,), _ = check_datasets(settings(tmp_path, t=config(tmp_path / "t.csv", label="a")), Party.GRID)
    assert "the grid has no label" in label.found
    (none,), _ = check_datasets(settings(tmp_path), Party.GRID)
    assert none.status is Status.WARN


def test_needs_are_those_of_the_plans_dataset_or_of_the_largest(tmp_path: Path) -> None:
    own, sizes = settings(tmp_path), {"small": Extent(1_000, 5), "large": Extent(1_000_000, 40)}
    plan = TrainPlan.model_validate({"grid": {"dataset": "small"}, "bank": {"dataset": "b"}})
    assert "1,000 rows" in party_needs(own, Party.GRID, sizes, plan).what
    largest = party_needs(own, Party.GRID, sizes, None)
    assert "1,000,000 rows" in largest.what and largest.disk > 1000 * MIB
    stock = PredealPlan(rows=100_000, grid_columns=20, bank_columns=20)
    assert party_needs(own, Party.BANK, sizes, stock).disk > 10 * MIB
    assert party_needs(own, Party.GRID, {}, None).memory > 100 * MIB
    assert dealer_needs(make_settings(tmp_path)).memory > 1024 * MIB


def test_more_threads_than_cores_are_said(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    assert not list(check_workers(settings, Machine(cores=lambda: settings.workers)))
    (finding,) = check_workers(settings, Machine(cores=lambda: 1))
    assert finding.check == "workers" and "workers = 1" in finding.remedy
    assert Machine().cores() >= 1


def test_this_machine_has_some_of_both(tmp_path: Path) -> None:
    assert free_disk(tmp_path / "not" / "yet") > MIB
    assert free_memory() > MIB


@pytest.mark.parametrize(("by", "status"), [("row", Status.WARN), ("enterprise", Status.PASS), ("time", Status.PASS)])
def test_a_plan_that_splits_months_of_an_enterprise_by_row_is_warned_of(by: str, status: Status, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,month\n")
    settings = PartySettings.model_validate(
        {
            "tls": {"certificate": "c", "key": "k", "trust": "t"},
            "data": tmp_path,
            "coordinator": {"identity": "wattscore://neutral/coordinator", "address": "n:1"},
            "peer": {"identity": "wattscore://acme/grid-party"},
            "datasets": {"t": {"path": tmp_path / "t.csv", "id": "id", "period": "month", "label": "y"}},
        }
    )
    raw = {"keys": ["id", "period"], "grid": {"dataset": "t"}, "bank": {"dataset": "t"}, "split": {"by": by}}
    found = check_plan(TrainPlan.model_validate(raw), settings, Party.BANK)
    assert found.status is status and ("both train and test" in str(found)) == (by == "row")
