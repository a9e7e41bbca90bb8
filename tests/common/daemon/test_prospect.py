"""What a held job is said to cost, against what its columns become once they are prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.daemon.prospect import lines, prospect
from common.features.fit import fit
from common.features.options import Preparation
from common.features.pieces import room
from common.home.approvals import HeldJob
from common.home.registry import Registry
from common.learn.learner import Matched
from common.learn.trees.design import prepare
from common.party import Party
from common.plan.read import parse_plan
from common.plan.train import TrainPlan
from common.plan.trees import Trees
from common.rows.declare import ColumnConfig
from common.rows.table import FeatureTable, Ids
from common.stages.estimate import Estimate, Sizes, estimate
from common.stages.several.estimate import SeveralSizes, estimate_several
from common.wire import party_pb2 as wire
from tests.banks import several_plan
from tests.common.daemon.test_runner import CLIENT, Desk, plan
from tests.common.stages.companies import Companies, frames

ROWS, TRAIN, COLUMNS = 6000, 4200, 8


def amounts() -> FeatureTable:
    """Columns of numbers, every other of which is zero in a third of the rows, and one of them missing in a tenth."""
    rng = np.random.default_rng(8)
    values = rng.lognormal(3.0, 1.0, (COLUMNS, ROWS))
    values[::2] *= rng.random((COLUMNS // 2, ROWS)) > 0.33
    values[1] = np.where(rng.random(ROWS) < 0.1, np.nan, values[1])
    names = tuple(f"c{k}" for k in range(COLUMNS))
    return FeatureTable(Ids.of([f"{k:06d}" for k in range(ROWS)]), None, dict(zip(names, values, strict=True)), {}, None, names)


async def told(folder: Path, table: FeatureTable, **fields: Any) -> Estimate:
    """What a person of the grid is told of a job over this table."""
    desk = Desk(folder, hold=["train"])
    pd.DataFrame({"id": [f"{k:06d}" for k in range(ROWS)], **table.numeric}).to_csv(folder / "t.csv", index=False)
    await desk.runner.take(wire.ToParty(offer=wire.Offer(job="train-1", plan=plan(**fields), client=CLIENT)), desk.send)
    found = prospect(desk.home.approvals.find("train-1"), Party.GRID, desk.settings, desk.home)
    assert found.cost is not None and not found.why_not
    return found.cost


@pytest.mark.parametrize("fields", [{}, {"model": {"kind": "trees", "bins": 8}}, {"preparation": {"coding": "linear"}}])
async def test_a_held_job_s_bytes_are_those_of_the_columns_that_coding_makes_of_its_own(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    table, columns = amounts(), {f"c{k}": ColumnConfig(kind="numeric") for k in range(COLUMNS)}
    options, train, most = Preparation.model_validate(fields.get("preparation", {})), np.arange(ROWS) < TRAIN, room(TRAIN, 20)
    if "model" in fields:
        section = Trees.model_validate(fields["model"])
        made = len(prepare(section, Matched(Party.GRID, table, columns, TRAIN, room=most), options)[0].columns)
    else:
        made = len(fit(table, columns, options, train, room=most)[0].columns)
    found = await told(tmp_path, table, **fields)
    right = estimate(parse_plan(plan(**fields), "train-1"), Sizes(ROWS, made, made + 1))
    for line, count in right.bytes.items():
        assert 0.9 * count <= found.bytes[line] <= 1.3 * count, line


@pytest.mark.parametrize(
    "model",
    [{}, {"reveal": "owners"}, {"kind": "trees", "trees": 12, "depth": 2, "rate": 0.4}],
    ids=["closed", "opened", "trees"],
)
@pytest.mark.parametrize("name", ["job-1", "champion"])
async def test_a_held_scoring_s_bytes_are_those_of_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any], name: str
) -> None:
    at = Companies(tmp_path)
    at.write(frames(seed=1, monthly=False))
    asked = at.plan(model=model)
    assert isinstance(asked, TrainPlan)
    outcome = await at.run("job-1", asked)
    home, (grid, bank) = at.opened_home(Party.GRID), (outcome[p].counts["trained_columns"] for p in Party)
    monkeypatch.setattr(Registry, "champion", "job-1")
    (tmp_path / "desk").mkdir()
    desk, scoring = Desk(tmp_path / "desk"), at.plan(kind="score", model=name)
    rows = sum(1 for _ in (at.home(Party.GRID) / "rows.csv").open()) - 1
    desk.settings.datasets["rows"] = at.dataset(Party.GRID)
    held = HeldJob("job-3", "score", "", CLIENT, "", scoring.canonical(), 0.0)
    found = prospect(held, Party.GRID, desk.settings, home).cost
    right = estimate(scoring, Sizes(rows, grid, bank), asked.model)
    assert found is not None
    for line, count in right.bytes.items():
        assert found.bytes[line] == pytest.approx(count, rel=0.01), line


async def test_a_held_scoring_by_the_champion_is_of_that_of_its_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid has a champion with each bank: here trees with another bank than its first, with which it is a line."""
    north, at = "wattscore://north-bank/bank-party", Companies(tmp_path)
    at.write(frames(seed=1, monthly=False))
    for name, model in (("job-1", {}), ("job-2", {"kind": "trees", "trees": 12, "depth": 2, "rate": 0.4})):
        asked = at.plan(model=model)
        assert isinstance(asked, TrainPlan)
        outcome = await at.run(name, asked)
    home, (grid, bank) = at.opened_home(Party.GRID), (outcome[p].counts["trained_columns"] for p in Party)
    monkeypatch.setattr(Registry, "champion", property(lambda of: {"": "job-1", north: "job-2"}[of._bank]))
    (tmp_path / "desk").mkdir()
    desk, scoring = Desk(tmp_path / "desk"), at.plan(kind="score", model="champion", with_bank=north)
    rows = sum(1 for _ in (at.home(Party.GRID) / "rows.csv").open()) - 1
    desk.settings.datasets["rows"] = at.dataset(Party.GRID)
    held = HeldJob("job-3", "score", "", CLIENT, "", scoring.canonical(), 0.0)
    found, right = prospect(held, Party.GRID, desk.settings, home).cost, estimate(scoring, Sizes(rows, grid, bank), asked.model)
    assert found is not None
    for line, count in right.bytes.items():
        assert found.bytes[line] == pytest.approx(count, rel=0.01), line


async def test_a_held_scoring_by_a_model_that_is_not_here_says_so(tmp_path: Path) -> None:
    (tmp_path / "desk").mkdir()
    desk, scoring = Desk(tmp_path / "desk"), Companies(tmp_path).plan(kind="score", model="champion")
    desk.settings.datasets["rows"] = desk.settings.datasets["t"]
    found = prospect(HeldJob("job-1", "score", "", CLIENT, "", scoring.canonical(), 0.0), Party.GRID, desk.settings, desk.home)
    assert found.cost is None and found.why_not


@pytest.mark.parametrize(
    ("fields", "action", "details"),
    [
        ({}, "score rows by the model champion", ("champion",)),
        ({"months": ("newest",)}, "score rows of the newest month by the model champion", ("champion", "newest")),
        ({"months": ("2025-06", "2025-07")}, "score rows of 2025-06, 2025-07 by the model champion",
         ("champion", "2025-06", "2025-07")),
    ],
)  # fmt: skip
async def test_a_held_scoring_says_of_which_months(
    fields: dict[str, Any], action: str, details: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "desk").mkdir()
    desk, keys = Desk(tmp_path / "desk"), ("id", "period")
    scoring = Companies(tmp_path).plan(kind="score", model="champion", keys=keys, **fields)
    found = prospect(HeldJob("job-1", "score", "", CLIENT, "", scoring.canonical(), 0.0), Party.GRID, desk.settings, desk.home)
    assert (found.action, found.details) == (action, details)
    assert "no dataset 'rows' any more" in found.why_not  # its owner has taken it out since


@pytest.mark.parametrize("model", [{}, {"kind": "network", "hidden": 4, "epochs": 4}], ids=["linear", "network"])
async def test_a_held_job_of_several_banks_is_priced_as_if_each_had_a_part_of_the_grid_s_rows(
    tmp_path: Path, model: dict[str, Any]
) -> None:
    table, asked = amounts(), several_plan(3, model=model, grid={"dataset": "t"}, preparation={"coding": "linear"})
    desk = Desk(tmp_path)
    pd.DataFrame({"id": [f"{k:06d}" for k in range(ROWS)], **table.numeric}).to_csv(tmp_path / "t.csv", index=False)
    held = HeldJob("train-1", "train", "", CLIENT, "", asked.canonical(), 0.0)
    found = prospect(held, Party.GRID, desk.settings, desk.home)
    assert found.cost is not None and found.extent is not None and not found.why_not
    each = found.extent.rows // 3
    assert found.cost == estimate_several(asked, SeveralSizes((each,) * 3, COLUMNS, COLUMNS + 1))
    assert any("as many at each bank" in line for line in lines(found)) and len(found.cost.banks) == 3


async def test_a_held_job_of_several_banks_is_priced_at_a_bank_by_its_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, desk = several_plan(2), Desk(tmp_path)
    desk.settings.datasets["loans"] = desk.settings.datasets["t"]
    held = HeldJob("train-1", "train", "", CLIENT, "", asked.canonical(), 0.0)
    unread = prospect(held, Party.BANK, desk.settings, desk.home)  # without a certificate nobody knows which bank it is
    assert unread.cost is None and "x.pem" in unread.why_not
    monkeypatch.setattr("common.daemon.prospect.read_certificate", lambda file: None)
    monkeypatch.setattr("common.daemon.prospect.identity_of", lambda certificate: asked.identities[1])
    table = amounts()
    pd.DataFrame({"id": [f"{k:06d}" for k in range(ROWS)], **table.numeric}).to_csv(tmp_path / "t.csv", index=False)
    found = prospect(held, Party.BANK, desk.settings, desk.home)
    assert found.cost is not None and found.extent is not None and found.side == asked.banks[1]
    assert sum(bank.trained + bank.held for bank in found.cost.banks) == 2 * found.extent.rows
    alone = several_plan(3, grid="none")
    monkeypatch.setattr("common.daemon.prospect.identity_of", lambda certificate: alone.identities[0])
    held = HeldJob("train-2", "train", "", CLIENT, "", alone.canonical(), 0.0)
    told = prospect(held, Party.BANK, desk.settings, desk.home)
    assert told.cost == estimate_several(alone, SeveralSizes((found.extent.rows,) * 3, 0, COLUMNS + 1))
    at_hub = prospect(held, Party.GRID, desk.settings, desk.home)  # who adds up has no rows, by which to tell
    assert at_hub.cost is None and "  a few messages" in lines(at_hub)
