"""Boosted trees through whole jobs: trained, kept, scored, measured; what is sent is what is stated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import PlanError, PolicyError
from common.home.outcome import Outcome
from common.learn.learner import Size
from common.learn.trees import cost, course
from common.learn.trees.half import TreesHalf
from common.learn.trees.learner import TreeLearner
from common.learn.trees.make import make_forest
from common.mpc.narrow import packed_size
from common.mpc.session import Kind
from common.party import Party
from common.plan.predeal import PredealPlan
from common.plan.trees import Trees
from common.rows.table import FeatureTable, Ids
from tests.common.stages.companies import Companies, frames
from tests.common.stages.test_ahead import deal
from tests.common.stages.test_course import Breaking, broken, charged, sent
from tests.scenarios.kill.masks import twice

TREES: dict[str, Any] = {"kind": "trees", "trees": 12, "depth": 2, "rate": 0.4, "bins": 6, "candidates": 12}


def companies(folder: Path) -> Companies:
    found = Companies(folder)
    found.write(frames(seed=3, monthly=False))
    return found


async def test_trees_train_are_kept_and_score_through_whole_jobs(tmp_path: Path) -> None:
    at = companies(tmp_path)
    trained = await at.run("job-1", at.plan(model=TREES))
    measured = trained[Party.BANK].evaluation
    assert measured is not None and measured.joint.auc > measured.bank_only.auc + 0.1
    assert trained[Party.BANK].counts["iterations"] == 12
    assert {"tree_splits", "test_scores"} <= set(trained[Party.GRID].opened)
    halves = {party: at.models(party).load("job-1") for party in Party}
    grid, bank = halves[Party.GRID], halves[Party.BANK]
    assert isinstance(grid, TreesHalf) and isinstance(bank, TreesHalf)
    assert ((grid.splits >= 0) ^ (bank.splits >= 0)).all()
    await at.run("job-2", at.plan(kind="score", model="job-1"))
    found = pd.read_csv(tmp_path / "bank" / "scores" / "job-2.csv")
    assert len(found) == 500 and found["u"].std() > 0.3
    assert np.allclose(found["u"] * 32, np.rint(found["u"] * 32))


async def test_a_stock_trains_trees_and_another_scores_with_rows_and_thresholds_to_spare(tmp_path: Path) -> None:
    other = companies(tmp_path / "elsewhere")
    rows, grid, bank = sizes(await other.run("job-1", other.plan(model=TREES)))
    at = companies(tmp_path)
    stock = {"kind": "predeal", "model": TREES, "rows": rows + 30, "grid_columns": grid + 3, "bank_columns": bank + 2}
    await deal(tmp_path, PredealPlan.model_validate(stock), "stock-1")
    trained = await at.run("job-2", at.plan(model=TREES, dealt="ahead"))
    measured = trained[Party.BANK].evaluation
    assert measured is not None and measured.joint.auc > measured.bank_only.auc + 0.1
    wanted = {"kind": "predeal", "serves": "scores", "model": TREES, "rows": 700}
    await deal(tmp_path, PredealPlan.model_validate(wanted), "stock-2")
    await at.run("job-3", at.plan(kind="score", model="job-2", dealt="ahead"))
    scored = pd.read_csv(tmp_path / "bank" / "scores" / "job-3.csv")
    assert len(scored) == 500 and scored["u"].std() > 0.3
    with pytest.raises(PolicyError, match="have been scored by 2 models already"):  # the same model again, of four columns
        await at.run("job-4", at.plan(kind="score", model="job-2"))


def sizes(outcome: dict[Party, Outcome]) -> tuple[int, int, int]:
    """Training rows and trained columns of both."""
    counts = {party: outcome[party].counts for party in Party}
    return counts[Party.BANK]["train_rows"], *(counts[party]["trained_columns"] for party in Party)


async def test_what_is_sent_is_within_one_percent_of_what_is_stated_once_it_is_known_who_splits(tmp_path: Path) -> None:
    at = companies(tmp_path)
    outcome = await at.run("job-1", at.plan(model=TREES))
    section, size = Trees.model_validate(TREES), Size(*sizes(outcome))
    forest = make_forest(section, size)
    halves = {party: at.models(party).load("job-1") for party in Party}
    for party in Party:
        half = halves[party]
        assert isinstance(half, TreesHalf)
        owned = (half.splits >= 0).sum(1).tolist()
        stated = forest.count(party) * packed_size(forest.rows) + sum(
            cost.by_rows(forest, t, own, 2 ** (forest.shape.depth - own) - 1) + cost.by_sums(party, forest, t)
            for t, own in enumerate(owned)
        )
        traffic = at.trio.session[party].traffic.sent
        held = cost.scoring(party, outcome[party].counts["test_rows"], forest.shape, grid_levels(halves)).peer_sent
        kinds = {*KINDS, Kind.TEST_SCORES}
        sent = sum(count for kind, count in traffic.items() if kind in kinds)
        assert abs(sent - stated - held) <= 0.01 * sent
        dealt = TreeLearner().cost(party, section, size).dealt
        dealings = [(label, v) for label, v in at.trio.to_party[party].log if label.kind is Kind.DEALT_TREES]
        received = sum(v.nbytes for label, v in dealings if label.number < 1 << 48)
        assert received == dealt
    estimated = TreeLearner().cost(Party.GRID, section, size)
    assert abs(estimated.peer_sent / stated_of(at, Party.GRID) - 1) < 0.3  # who splits is guessed


KINDS = {
    Kind.MASKED_U, Kind.MASKED_COMPARED, Kind.MASKED_CARRIES, Kind.SPLIT_TESTS, Kind.MASKED_THRESHOLDS, Kind.MASKED_NODES,
    Kind.MASKED_SUMS, Kind.MASKED_BRANCH, Kind.MASKED_CHOICE, Kind.MASKED_LEAVES,
}  # fmt: skip


def grid_levels(halves: dict[Party, Any]) -> list[int]:
    found: list[int] = (halves[Party.GRID].splits >= 0).sum(1).tolist()
    return found


def stated_of(at: Companies, party: Party) -> int:
    return sum(count for kind, count in at.trio.session[party].traffic.sent.items() if kind in KINDS)


async def test_a_champion_may_be_a_line_and_its_challenger_trees(tmp_path: Path) -> None:
    at = companies(tmp_path)
    await at.run("job-1", at.plan())
    await at.run("job-2", at.plan(model=TREES))
    linear, trees = (at.models(Party.BANK).load(job) for job in ("job-1", "job-2"))
    assert (linear.learner, trees.learner) == ("linear", "trees")


async def test_labels_that_trees_would_tell_of_have_their_price(tmp_path: Path) -> None:
    at = companies(tmp_path)
    at.own = {Party.BANK: {"label_bits": 0.1}}
    with pytest.raises(PolicyError, match="bits") as caught:
        await at.run("job-1", at.plan(model=TREES))
    assert "What is left is enough for" in str(caught.value) and "`wattscore estimate`" in caught.value.remedy
    assert not any(figure in caught.value.public + caught.value.remedy for figure in "0123456789")
    assert not at.models(Party.GRID).has("job-1")


MONOTONE = {Party.GRID: {"peak": "increasing", "late": "increasing"}, Party.BANK: {"debt": "decreasing"}}


def declared(at: Companies) -> None:
    """Columns with a direction: those of late and debt are against what the data say."""
    for party, columns in MONOTONE.items():
        names = ("kwh", "peak", "late") if party is Party.GRID else ("income", "debt")
        at.columns[party] = {name: {"kind": "numeric", "monotone": columns.get(name)} for name in names}


async def test_risk_goes_as_owners_declared_it_for_every_value_that_is_there(tmp_path: Path) -> None:
    at = companies(tmp_path)
    declared(at)
    trained = await at.run("job-1", at.plan(model={**TREES, "monotone": True}))
    measured = trained[Party.BANK].evaluation
    assert measured is not None and measured.joint.auc > 0.6
    halves: dict[Party, Any] = {party: at.models(party).load("job-1") for party in Party}
    leaves = (halves[Party.GRID].leaves + halves[Party.BANK].leaves).view(np.int16)
    rng, rows, moved = np.random.default_rng(0), 300, set()
    for party, columns in MONOTONE.items():
        for name, direction in columns.items():
            tables = {p: any_rows(halves[p], rng, rows) for p in Party}
            values = np.sort(tables[party].numeric[name][20:])
            u = []
            for value in values[::10]:
                tables[party].numeric[name][:] = value
                place = halves[Party.GRID].paths(tables[Party.GRID]) | halves[Party.BANK].paths(tables[Party.BANK])
                u.append(np.take_along_axis(leaves, place.astype(np.intp), 1).sum(0, dtype=np.int64))
            change = np.diff(np.array(u), axis=0) * (1 if direction == "increasing" else -1)
            assert change.min() >= 0 and change.shape[1] == rows
            moved.add((name, bool(change.max() > 0)))
    assert ("peak", True) in moved


def any_rows(half: TreesHalf, rng: np.random.Generator, rows: int) -> FeatureTable:
    """Values within and beyond what was trained on, some missing."""
    numeric = {name: rng.normal(0.0, 2.0, rows) * (30 if name in ("kwh", "income") else 1) for name in half.fitted.sources}
    for values in numeric.values():
        values[:20] = np.nan
    return FeatureTable(Ids.of([str(k) for k in range(rows)]), None, numeric, {}, None, tuple(numeric))


@pytest.mark.parametrize(
    ("model", "preparation", "why"),
    [({}, {}, "does not|do not keep"), ({"monotone": True}, {"coding": "woe"}, "orders its bins by weight of evidence")],
    ids=["unasked", "woe"],
)
async def test_a_declared_direction_that_would_not_be_kept_is_refused(
    tmp_path: Path, model: dict[str, Any], preparation: dict[str, Any], why: str
) -> None:
    at = companies(tmp_path)
    declared(at)
    with pytest.raises(PlanError, match=why) as caught:
        await at.run("job-1", at.plan(model={**TREES, **model}, preparation={"min_binary": 20, **preparation}))
    assert "monotone" in str(caught.value) and not [n for n in ("peak", "late", "debt") if n in caught.value.public]


async def test_a_coding_that_trees_have_no_use_for_is_refused_by_name(tmp_path: Path) -> None:
    at = companies(tmp_path)
    with pytest.raises(PlanError, match=r"preparation.coding = 'bins' is not for them"):
        await at.run("job-1", at.plan(model=TREES, preparation={"min_binary": 20, "coding": "bins"}))


@pytest.mark.parametrize("at", [30, 90, 150])
async def test_a_job_that_is_broken_off_goes_on_and_tells_again_only_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(course, "KEEP", 2)
    found = Companies(tmp_path, new_trio=Breaking)
    found.write(frames(seed=3, monthly=False))
    plan = found.plan(model=TREES)
    before = await broken(found, plan, Party.BANK, at)
    assert before
    outcome = await found.run("job-1", plan, attempt=1)
    measured = outcome[Party.BANK].evaluation
    assert measured is not None and measured.joint.auc > measured.bank_only.auc + 0.1
    for party in Party:
        assert twice([*before[party], *sent(found, party, 1)]) == []
    told = [bits for job, what, bits in charged(found) if what == "the grid's splits"]
    assert len(told) == 2 and told[1] <= told[0] and (at == 30 or told[1] < told[0])
