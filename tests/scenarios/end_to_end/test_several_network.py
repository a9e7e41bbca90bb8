"""A network of several banks through real daemons: its quality is that of the pooled training, and each bank uses its half."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bank_party.__main__ import main as bank_party
from common.client.client import failure
from common.disk.data_folder import Name
from common.home.audit import AuditLog, What
from common.home.models import ModelStore
from common.learn.network.half import NetworkModel
from common.learn.network.steps import epoch_steps
from common.plan.network import Network
from common.plan.promote import PromotePlan
from common.trial import processes
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire
from tests.extent import cases
from tests.scenarios.end_to_end.several import World, held_out, network, prepared_rows
from tests.scenarios.end_to_end.test_several import (
    LIMITS,
    audited,
    costs_what_was_estimated,
    evaluation,
    run,
    scored_at_each_bank,
    settled,
    trusting,
)

WHOLE = Network(hidden=4, batch=0, epochs=20)  # over all rows: their order does not matter


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trial, World]]:
    # An enterprise at two banks may be held out by each training here and scored three times: half of 12 columns were too few.
    with trusting(tmp_path_factory.mktemp("several"), noise=8) as found:
        yield found


def trained(lab: tuple[Trial, World], section: Network) -> tuple[wire.Job, dict[str, set[str]]]:
    """A training of all three, and which enterprises each holds out."""
    trial, world = lab
    with trial.client() as client:
        job = run(client, world.plan(model=section, limits=LIMITS))
    assert failure(job) is None, failure(job)
    return job, held_out(trial, world)


@pytest.fixture(scope="module")
def whole(lab: tuple[Trial, World]) -> tuple[wire.Job, dict[str, set[str]]]:
    return trained(lab, WHOLE)


def half(trial: Trial, name: str, job: str) -> NetworkModel:
    found = ModelStore(trial.folder / f"{name}-data" / "models").load(job)
    assert isinstance(found, NetworkModel)
    return found


def check(
    lab: tuple[Trial, World], job: wire.Job, held: dict[str, set[str]], section: Network, apart: float, epoch: int = -1
) -> None:
    """Each bank's metrics are those of the training in float64, after this epoch, but for so much."""
    trial, world = lab
    rows = prepared_rows(trial, world, job.id, held)
    twin = network(rows, section, len(half(trial, "grid", job.id).columns), epoch)
    gained = []
    for name, told in zip(world.names, job.banks, strict=True):
        found = evaluation(trial, name, job.id)
        gained.append(found.joint.auc - found.bank_only.auc)
        assert abs(found.joint.auc - twin[name].auc) < apart and abs(found.joint.logloss - twin[name].logloss) < apart
        assert told.report.pooled.rows == sum(map(len, held.values()))
    assert np.mean(gained) > 0.02  # of some hundred held-out rows a bank
    assert len({(told.report.pooled.auc, told.report.pooled.ks) for told in job.banks}) == 1


Whole = tuple[wire.Job, dict[str, set[str]]]


def test_each_bank_gets_the_pooled_trainings_quality(lab: tuple[Trial, World], whole: Whole) -> None:
    check(lab, *whole, WHOLE, 0.003)


@pytest.mark.parametrize("activation", cases(["relu"], ["sine"], "the sine in the trainings beside it"))
def test_batches_of_parts_of_each_banks_rows_do_as_well(lab: tuple[Trial, World], activation: Any) -> None:
    section = Network(hidden=4, epochs=4, activation=activation)
    check(lab, *trained(lab, section), section, 0.03)  # of other rows in each batch


def test_each_line_carries_what_was_estimated(lab: tuple[Trial, World], whole: Whole) -> None:
    costs_what_was_estimated(whole[0], lab[1].plan(model=WHOLE))


def test_a_training_that_ends_early_does_as_well_and_is_dealt_by_epochs(lab: tuple[Trial, World]) -> None:
    trial, world = lab
    section = Network(hidden=4, epochs=40, early_stop=1)
    job, held = trained(lab, section)
    counts = [job.grid.report.counts, *(told.report.counts for told in job.banks)]
    assert len({one.iterations for one in counts}) == 1
    each = epoch_steps(section, counts[0].train_rows)
    assert 10 <= counts[0].iterations < 40 * each and counts[0].iterations % each == 0
    check(lab, job, held, section, 0.05, epoch=counts[0].iterations // each - 1)  # of other rows in each batch, and held back
    assert {one.all_train_rows for one in counts[1:]} == {counts[0].train_rows}
    for name in ("grid", *world.names):
        audit = AuditLog(trial.folder / f"{name}-data" / Name.AUDIT).entries(job.id)
        told = [json.loads(one.detail)["value"] for one in audit if one.what == What.OPEN]
        assert "early_stop" in told
    page, words = world.folder / "early.html", ["report", job.id, "--config", str(trial.folder / "bank-2.toml"), "--lang", "en"]
    written = CliRunner().invoke(bank_party, [*words, "--out", str(page)])
    assert written.exit_code == 0, written.output
    assert f"{counts[0].iterations // each} of 40, then no gain on rows held back" in page.read_text(encoding="utf-8")
    verdict = audited(*lab, job.id)
    assert verdict.wrong == () and verdict.compared > 100


def test_an_auditor_deals_anew_what_all_parties_were_dealt(lab: tuple[Trial, World], whole: Whole) -> None:
    verdict = audited(*lab, whole[0].id)
    assert verdict.wrong == () and verdict.compared > 300


def test_all_banks_hold_the_same_share_but_for_whose_intercept_it_is(lab: tuple[Trial, World], whole: Whole) -> None:
    (trial, world), (job, _) = lab, whole
    halves = [half(trial, name, job.id) for name in ("grid", *world.names)]
    assert halves[0].banks == tuple(told.who for told in job.banks) and halves[0].weights.intercept.shape == (3,)
    for bank in halves[1:]:
        assert np.array_equal(bank.weights.own, halves[1].weights.own) and bank.weights.intercept.shape == (1,)
        assert np.array_equal(bank.weights.other, halves[1].weights.other) and bank.banks == ()
    common = len(halves[1].columns) - 1
    assert common == len(world.columns["bank"])


def test_each_bank_scores_rows_online_and_from_a_stock_of_its_own(lab: tuple[Trial, World], whole: Whole) -> None:
    (trial, world), (job, _) = lab, whole
    words = scored_at_each_bank(trial, world, job)
    other = CliRunner().invoke(bank_party, [*words, "--config", str(trial.folder / "bank-2.toml")])
    assert other.exit_code != 0 and "no unspent stock" in other.output


def test_each_bank_has_its_own_champion(lab: tuple[Trial, World], whole: Whole) -> None:
    trial, job = lab[0], whole[0]
    third = str(processes.more_bank("bank-3"))
    with trial.client() as client:
        for bank in (third, str(processes.BANK)):
            done = run(client, PromotePlan(model=job.id, with_bank=bank))  # type: ignore[arg-type]
            assert failure(done) is None and done.bank.report.champion == job.id


def test_a_bank_that_does_not_trust_the_others_refuses_its_batches(lab: tuple[Trial, World]) -> None:
    trial, world = lab
    with settled(trial, "bank-2", coalition_rows=1.0), trial.client() as client:
        job = run(client, world.plan(model=Network(hidden=4), limits=LIMITS))
    assert job.state == "failed" and job.fault.kind == "PolicyError" and job.fault.origin == "bank try-bank-2", job.fault
    audit = AuditLog(trial.folder / "bank-2-data" / Name.AUDIT).entries(job.id)
    told = {json.loads(one.detail)["value"] for one in audit if one.what == What.OPEN}
    assert "matched_ids" in told and "pooled_moments" not in told  # refused before sums over its columns
    assert "coalition_rows = 0" in (trial.folder / "bank-2-data" / "local.log").read_text(encoding="utf-8")
