from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.client.client import Client
from tests.scenarios.end_to_end.lab import ATTEND, BANK_POLICY, GRID_POLICY, Lab, dataset_files, make_tables

_BY_ID = ("main", "trained", "small", "spare", "after", "scratch", "new", "other", "together", "fresh")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all tests. `main`, `trained` and `spare` hold tables of different companies: rows have a budget of scores."""
    folder = tmp_path_factory.mktemp("lab")
    datasets = dataset_files(folder, _BY_ID)
    for side, months in dataset_files(folder, ("monthly",), period="month").items():
        datasets[side] |= months
    column = {"kind": "numeric"}
    for side, name in (("grid", "g"), ("bank", "b")):
        declared = {"columns": {f"{name}0": column, f"{name}1": column, f"{name}2": column}}
        datasets[side]["declared"] = {**datasets[side]["scratch"], "path": folder / side / "declared.csv", **declared}
    spoken = {"columns": {"g0": {**column, "reason": "Falling use"}}}
    datasets["grid"]["spoken"], datasets["bank"]["spoken"] = {**datasets["grid"]["new"], **spoken}, datasets["bank"]["new"]
    for told, rows in (("told", "scratch"), ("heard", "fresh")):
        datasets["grid"][told], datasets["bank"][told] = {**datasets["grid"][rows], **spoken}, datasets["bank"][rows]
    # A job that loses somebody fails at once here; `scenarios/kill` is about those that go on.
    settings = {
        "coordinator": {"attend_timeout": ATTEND, "resume_days": 0},
        "grid": {"policy": GRID_POLICY},
        "bank": {"policy": BANK_POLICY},
    }
    with Lab(folder, datasets, settings) as lab:
        for prefix, name in (("M", "main"), ("T", "trained"), ("S", "spare")):
            lab.write(name, *make_tables(prefix))
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    """The shared lab, all of it running, whatever the test before has done."""
    shared.heal()
    yield shared
    shared.heal()


@pytest.fixture
def client(lab: Lab) -> Iterator[Client]:
    with lab.client() as client:
        yield client


@pytest.fixture
def folder(lab: Lab) -> Path:
    return lab.folder
