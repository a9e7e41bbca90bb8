"""Boosted trees of several banks through real daemons: quality is that of the pooled rows, and each bank uses its half."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bank_party.__main__ import main as bank_party
from common.client.client import failure
from common.home.models import ModelStore
from common.learn.learner import Size
from common.learn.trees.forest import U_SCALE
from common.learn.trees.half import TreesHalf
from common.learn.trees.make import make_forest
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.plan.trees import Trees
from common.rows.dataset import read_table
from common.rows.declare import DatasetConfig
from common.stats.measures import evaluate
from common.trial import processes
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire
from grid_party.settings import GridPolicy
from tests.common.learn.trees import twin
from tests.scenarios.end_to_end.several import World, held_out, indicators
from tests.scenarios.end_to_end.test_several import (
    LIMITS,
    REASON,
    audited,
    costs_what_was_estimated,
    evaluation,
    restart,
    run,
    scored_at_each_bank,
    settled,
    trusting,
)

SECTION = Trees(kind="trees", trees=25, depth=3)
THRESHOLD = GridPolicy().reason_threshold


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trial, World]]:
    with trusting(tmp_path_factory.mktemp("several")) as found:
        yield found


Trained = tuple[wire.Job, dict[str, set[str]]]


@pytest.fixture(scope="module")
def trained(lab: tuple[Trial, World]) -> Trained:
    """A training of all three, and which enterprises each holds out."""
    trial, world = lab
    with trial.client() as client:
        job = run(client, world.plan(model=SECTION, limits=LIMITS))
    assert failure(job) is None, failure(job)
    return job, held_out(trial, world)


def half(trial: Trial, name: str, job: str) -> TreesHalf:
    found = ModelStore(trial.folder / f"{name}-data" / "models").load(job)
    assert isinstance(found, TreesHalf)
    return found


def test_each_bank_gets_the_quality_of_trees_grown_in_floats_on_the_rows_of_all(
    lab: tuple[Trial, World], trained: Trained
) -> None:
    (trial, world), (job, held) = lab, trained
    rows = indicators(trial, world, job.id, held)
    grid, bank = (next(iter(rows.values())).below[party].shape[0] for party in rows["bank"].below)
    size = Size(sum(int((~one.test).sum()) for one in rows.values()), grid, bank + 1)
    forest = make_forest(SECTION, size)
    below = {p: np.concatenate([one.below[p][:, ~one.test] for one in rows.values()], axis=1) for p in rows["bank"].below}
    label = np.concatenate([one.y[~one.test] for one in rows.values()])
    starts = {name: twin.start_of(one.y[~one.test]) / 2**U_SCALE for name, one in rows.items()}
    first = np.concatenate([np.full(int((~one.test).sum()), starts[name]) for name, one in rows.items()])
    trees, gained = twin.grow(forest, below, label, first)[0], []
    for name, told in zip(world.names, job.banks, strict=True):
        one, found = rows[name], evaluation(trial, name, job.id)
        there = {p: cells[:, one.test] for p, cells in one.below.items()}
        u = starts[name] + sum(tree.leaves[tree.places(there)] for tree in trees)
        expected = evaluate(one.y[one.test], u)
        assert abs(found.joint.auc - expected.auc) < 0.03 and abs(found.joint.logloss - expected.logloss) < 0.02
        gained.append(found.joint.auc - found.bank_only.auc)
        assert told.report.pooled.rows == sum(map(len, held.values()))
    assert np.mean(gained) > 0.0  # 0.05 to 0.1, of some hundred held-out rows a bank
    assert len({(told.report.pooled.auc, told.report.pooled.ks) for told in job.banks}) == 1


def test_each_line_carries_what_was_estimated(lab: tuple[Trial, World], trained: Trained) -> None:
    plan = lab[1].plan(model=SECTION)
    costs_what_was_estimated(trained[0], plan, rel=0.08, beside=2 * SECTION.trees)  # who splits a level is not known before


def test_an_auditor_deals_anew_what_all_parties_were_dealt(lab: tuple[Trial, World], trained: Trained) -> None:
    verdict = audited(*lab, trained[0].id)
    assert verdict.wrong == () and verdict.compared > 100


def test_all_banks_hold_the_same_share_and_split_by_the_same_thresholds(lab: tuple[Trial, World], trained: Trained) -> None:
    (trial, world), (job, _) = lab, trained
    grid, *banks = [half(trial, name, job.id) for name in ("grid", *world.names)]
    assert grid.banks == tuple(told.who for told in job.banks) and grid.start == 0
    for bank in banks:
        assert bank.banks == () and bank.columns == banks[0].columns
        assert np.array_equal(bank.splits, banks[0].splits) and np.array_equal(bank.leaves, banks[0].leaves)
    assert len({bank.start for bank in banks}) == 3  # each its own rate
    assert ((grid.splits < 0) != (banks[0].splits < 0)).all()
    values = (grid.leaves + banks[0].leaves).view(np.int16) / 2**U_SCALE
    assert 0.01 < np.abs(values).max() < 3.0


def test_what_all_are_told_of_labels_is_charged_at_each_bank(lab: tuple[Trial, World], trained: Trained) -> None:
    """25 trees, 3 levels, 32 candidates: a bank of 630 rows cannot bear that twice."""
    trial, world = lab
    with trial.client() as client:
        job = run(client, world.plan(model=SECTION, limits=LIMITS))
    assert job.state == "failed" and job.fault.kind == "PolicyError" and job.fault.origin == "bank try-bank-2", job.fault
    assert "all splits would tell 375.0 bits" in (trial.folder / "bank-2-data" / "local.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("lie", ["sums", "replayed"])
def test_a_grid_that_tells_a_bank_other_sums_is_found_out_before_anything_is_charged(
    lab: tuple[Trial, World], lie: str
) -> None:
    trial, world = lab
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIE", lie)
        patch.setitem(processes._MODULES, "grid", "tests.scenarios.end_to_end.unlike_grid")
        restart(trial, "grid")
    try:
        with trial.client() as client:
            last = run(client, world.plan(model=SECTION.model_copy(update={"trees": 10}), limits=LIMITS))
        error = failure(last)
        found = "have not heard the same of the grid", "says another thing than"  # the latter where numbers of cuts differ
        assert error is not None and any(one in error.message for one in found), error
        for name in ("grid", *world.names):
            assert not (trial.folder / f"{name}-data" / "models" / last.id).exists()
    finally:
        restart(trial, "grid")


def test_a_bank_that_does_not_trust_the_others_refuses(lab: tuple[Trial, World]) -> None:
    trial, world = lab
    with settled(trial, "bank-2", coalition_rows=0.001), trial.client() as client:
        error = failure(run(client, world.plan(model=SECTION, limits=LIMITS)))
    assert error is not None and error.origin == "bank try-bank-2" and "coalition_rows = 0" in error.message


def test_each_bank_scores_online_and_from_a_stock_and_has_its_own_champion(lab: tuple[Trial, World], trained: Trained) -> None:
    (trial, world), (job, _) = lab, trained
    scored_at_each_bank(trial, world, job)
    third = processes.more_bank("bank-3")
    with trial.client() as client:
        done = run(client, PromotePlan(model=job.id, with_bank=str(third)))  # type: ignore[arg-type]
    assert failure(done) is None and done.bank.report.champion == job.id


def test_each_bank_hears_the_grids_reason_of_its_own_rows(lab: tuple[Trial, World], trained: Trained) -> None:
    """Of each row whether the one column with a text raises u enough, as both halves say it, which nobody has in production."""
    (trial, world), (job, _) = lab, trained
    sides = {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}, "grid_reasons": 1, "model": job.id}
    for name, told in zip(world.names, job.banks, strict=True):
        with trial.client() as client:
            done = run(client, ScorePlan.model_validate({**sides, "with_bank": told.who}))
        assert failure(done) is None, failure(done)
        assert "grid_reasons" in done.grid.report.opened and "grid_reasons" in done.bank.report.opened
        scores = pd.read_csv(trial.folder / f"{name}-data" / "scores" / f"{done.id}.csv", keep_default_na=False).set_index("id")
        said, raised = scores["reasons"].str.contains(REASON), raised_by_the_column(trial, world, name, job.id)
        assert set(said.index) == set(raised.index) and 0 < said.sum() < len(said)
        assert (said == (raised.loc[said.index] > THRESHOLD)).all(), name


def raised_by_the_column(trial: Trial, world: World, name: str, job: str) -> pd.Series:
    """By id, u of each row of this bank less what it is with the column's thresholds on the side of most training rows."""
    halves, sides = [half(trial, who, job) for who in ("grid", name)], ("grid", name)
    configs = [DatasetConfig.model_validate(world.datasets[side]["t"]) for side in sides]
    parties = zip(configs, Party, strict=True)
    grid, bank = (read_table(config, name="t", party=p, require_label=p is Party.BANK).table for config, p in parties)
    at = pd.Index(list(grid.ids)).get_indexer(pd.Index(list(bank.ids)))
    there = at >= 0
    named = np.array([column.source == "g0" for column in halves[0].fitted.fitted])
    ways = halves[0].paths(grid.take(at[there]), [named]).astype(np.int64)
    own = np.tile(halves[1].paths(bank.take(np.flatnonzero(there))).astype(np.int64), 2)
    leaves = (halves[0].leaves + halves[1].leaves).view(np.int16) / 2**U_SCALE
    as_is, without = np.split(np.take_along_axis(leaves, ways | own, 1).sum(0), 2)
    return pd.Series(as_is - without, index=np.array(list(bank.ids))[there])


def test_each_bank_has_a_report_of_it(lab: tuple[Trial, World], trained: Trained) -> None:
    trial, job = lab[0], trained[0]
    page, words = (
        lab[1].folder / "trees.html",
        ["report", job.id, "--config", str(trial.folder / "bank-2.toml"), "--lang", "en"],
    )
    written = CliRunner().invoke(bank_party, [*words, "--out", str(page)])
    assert written.exit_code == 0, written.output
    assert "b0" in page.read_text(encoding="utf-8")


def test_trees_side_by_side_have_the_rounds_of_one_and_rank_better_than_own_rows(tmp_path: Path) -> None:
    """Of 12 trees three at a time, as the estimate has it; what was dealt an auditor deals anew."""
    with trusting(tmp_path) as (trial, world):
        plan = world.plan(model=SECTION.model_copy(update={"trees": 12, "abreast": 3}), limits=LIMITS)
        with trial.client() as client:
            job = run(client, plan)
        assert failure(job) is None, failure(job)
        costs_what_was_estimated(job, plan, rel=0.08, beside=2 * 4)
        (rounds,) = [told.rounds for told in job.banks[0].report.seconds if told.stage == "train"]
        assert rounds < 4 * 35  # of a tree alone 27
        assert audited(trial, world, job.id).wrong == ()
        found = [evaluation(trial, name, job.id) for name in world.names]
    assert np.mean([one.joint.auc - one.bank_only.auc for one in found]) > 0.0
