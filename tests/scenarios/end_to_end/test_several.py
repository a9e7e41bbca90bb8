"""Several banks through real daemons: the pooled fit's quality at each, and what happens where one is not as it should be."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bank_party.__main__ import main as bank_party
from common.auditor.replay import Verdict, replay
from common.client.client import Client, failure
from common.client.like import scores_like
from common.client.progress import waits
from common.disk.data_folder import Name
from common.errors import PlanError
from common.home.audit import AuditLog, What
from common.home.dealt import DealtBook
from common.home.outcome import Evaluation, parse_evaluation
from common.home.registry import Registry
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.stages.several.estimate import SeveralSizes, estimate_several
from common.stats.measures import auc
from common.trial import processes
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire
from tests.patience import patience
from tests.scenarios.end_to_end.lab import attending, eventually
from tests.scenarios.end_to_end.several import World, exact, held_out, prepared_rows, synthetic

LOOSE = {"rows_per_day": 10**8, "jobs_per_day": 1000, "models_per_day": 100, "min_matched": 300, "overrides": ["force"]}
BANK_POLICY = {**LOOSE, "label_bits": 1.0, "metric_bits": 100.0}
REASON = "Falling use"  # the text of one of the grid's columns, where banks trust each other
LIMITS = {"min_matched": 300}
LIES = {  # what is said of each, and by whom where the bank that lies sees it as soon as the others
    "rows": ("the bank try-bank-2 counts other rows than the other side of its line", "the grid counts other rows"),
    "columns": ("the bank try-bank-2 says another thing than the bank try-bank",),
    "dealer": ("the grid and the bank try-bank-2 ask the dealer for different things",),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trial, World]]:
    """A grid, three banks of different sizes and rates, and the coordinator."""
    folder = tmp_path_factory.mktemp("several")
    world = synthetic(folder, (1500, 900, 1600))
    settings: dict[str, Any] = {name: {"policy": BANK_POLICY} for name in world.names} | {"grid": {"policy": LOOSE}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(processes._MODULES, "bank", "tests.scenarios.end_to_end.telling_bank")
        patch.setenv("HELD_OUT", str(folder / "held"))
        with Trial(folder, world.datasets, settings) as trial:
            yield trial, world


@pytest.fixture(scope="module")
def trained(lab: tuple[Trial, World]) -> tuple[wire.Job, dict[str, set[str]]]:
    """A training of all three, and which enterprises each holds out."""
    trial, world = lab
    with trial.client() as client:
        job = run(client, world.plan(model={"iterations": 15}, limits=LIMITS, differ_by_one=True))
    assert failure(job) is None, failure(job)
    return job, held_out(trial, world)


Trained = tuple[wire.Job, dict[str, set[str]]]


def run(client: Client, plan: SeveralPlan) -> wire.Job:
    *_, last = client.watch(client.submit(plan).id)
    return last


def evaluation(trial: Trial, name: str, job: str) -> Evaluation:
    return parse_evaluation((trial.folder / f"{name}-data" / "models" / job / "evaluation.json").read_bytes())


def audited(trial: Trial, world: World, job: str) -> Verdict:
    """What an auditor finds of this job's dealing; what each party noted of it is what stands in its audit log."""
    folders = [trial.folder / f"{name}-data" for name in ("grid", *world.names)]
    openings = [DealtBook(folder / Name.DEALT).read(job) for folder in folders]
    for folder, own in zip(folders, openings, strict=True):
        ends = [json.loads(one.detail) for one in AuditLog(folder / Name.AUDIT).entries(job) if one.what == What.END]
        told = ends[-1]["dealt"]
        assert (told if len(own) > 1 else [told]) == [one.digest for one in own]
    assert len(openings[0]) == len(world.names)
    return asyncio.run(replay([one for own in openings for one in own]))


def costs_what_was_estimated(job: wire.Job, plan: SeveralPlan, rel: float = 0.01, beside: int = 0) -> None:
    """Bytes of each line, within this share, messages one after another; what each bank's labels are charged at most.

    beside: messages that nobody waits for.
    """
    counts = [told.report.counts for told in job.banks]
    columns = job.grid.report.counts.trained_columns, counts[0].trained_columns
    ids = job.grid.report.counts.own_rows, tuple(one.own_rows for one in counts)
    rows, held = (tuple(getattr(one, name) for one in counts) for name in ("matched_rows", "test_rows"))
    found = estimate_several(plan, SeveralSizes(rows, *columns, *ids, held=held))
    for k, told in enumerate(job.banks, 1):
        seen = sum(stage.rounds for stage in told.report.seconds)  # of sessions: without the start, and without the matching's
        if k == 1:  # who speaks for all
            assert seen - beside <= found.rounds <= seen - beside + 14
        within = {"rel": rel, "abs": 20 * seen}  # frames of a bank of few rows
        assert told.report.peer.sent == pytest.approx(found.bytes[f"bank_{k}_to_grid"], **within)
        assert told.report.peer.received == pytest.approx(found.bytes[f"grid_to_bank_{k}"], **within)
        assert told.report.coordinator.received == pytest.approx(found.bytes[f"coordinator_to_bank_{k}"], rel=0.01)
    assert job.grid.report.coordinator.received == pytest.approx(found.bytes["coordinator_to_grid"], rel=0.01)


@contextmanager
def trusting(folder: Path, noise: int = 0) -> Iterator[tuple[Trial, World]]:
    """A grid, three banks of different sizes and rates that trust each other to pool nothing, and the coordinator."""
    world = synthetic(folder, (1500, 900, 1600), noise=noise)
    world.columns["grid"]["g0"] |= {"reason": REASON}
    policy = {**BANK_POLICY, "coalition_rows": 0.0, "reasons_per_row": 1}
    settings: dict[str, Any] = {name: {"policy": policy} for name in world.names} | {
        "grid": {"policy": {**LOOSE, "scores_per_row": 1000, "reasons_per_row": 1}}
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(processes._MODULES, "bank", "tests.scenarios.end_to_end.telling_bank")
        patch.setenv("HELD_OUT", str(folder / "held"))
        with Trial(folder, world.datasets, settings) as trial:
            yield trial, world


def scored_at_each_bank(trial: Trial, world: World, job: wire.Job) -> list[str]:
    """All rows at each bank, by a job, and at the third from a stock of its own: the words of the command for that."""
    third = processes.more_bank("bank-3")
    with trial.client() as client:
        for name, told in zip(world.names, job.banks, strict=True):
            sides = {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}}
            done = run(client, ScorePlan.model_validate({**sides, "model": job.id, "with_bank": told.who}))  # type: ignore[arg-type]
            assert failure(done) is None, failure(done)
            scores = pd.read_csv(trial.folder / f"{name}-data" / "scores" / f"{done.id}.csv").set_index("id")
            outcome = pd.read_csv(world.folder / f"{name}.csv").set_index("id")["y"].loc[scores.index]
            assert auc(outcome.to_numpy(np.float64), scores["probability"].to_numpy()) > 0.7
        dealt = run(client, scores_like(client.show(job.id), 4000, "", third))  # type: ignore[arg-type]
        assert failure(dealt) is None, failure(dealt)
    words = ["score", "--model", job.id, "--grid-dataset", "t", "--bank-dataset", "t", "--json"]
    done = CliRunner().invoke(bank_party, [*words, "--config", str(trial.folder / "bank-3.toml")])
    assert done.exit_code == 0 and json.loads(done.stdout)["rows"] == 1600, done.output
    return words


def test_each_line_carries_what_was_estimated(lab: tuple[Trial, World], trained: Trained) -> None:
    costs_what_was_estimated(trained[0], lab[1].plan(model={"iterations": 15}), beside=15)  # of each step one leaves with u


def test_an_auditor_deals_anew_what_all_parties_were_dealt(lab: tuple[Trial, World], trained: Trained) -> None:
    verdict = audited(*lab, trained[0].id)
    assert verdict.wrong == () and verdict.compared > 100


def test_each_bank_gets_the_pooled_fits_quality(lab: tuple[Trial, World], trained: Trained) -> None:
    (trial, world), (job, held) = lab, trained
    plan = world.plan()
    twin = exact(prepared_rows(trial, world, job.id, held), plan.model.ridge)
    found_at = {name: evaluation(trial, name, job.id) for name in world.names}
    assert abs(np.mean([found.joint.auc - twin[name].auc for name, found in found_at.items()])) < 0.002
    for name, told in zip(world.names, job.banks, strict=True):
        found = found_at[name]  # of 270 to 480 rows: rounded at random, areas of one bank differ by 0.0013 in 18
        assert abs(found.joint.auc - twin[name].auc) < 0.004 and abs(found.joint.logloss - twin[name].logloss) < 0.002
        assert told.report.counts.test_rows == len(held[name])
        assert told.report.pooled.rows == sum(map(len, held.values()))
    assert len({(told.report.pooled.auc, told.report.pooled.ks) for told in job.banks}) == 1
    assert [told.who for told in job.banks] == [str(who) for who in plan.identities]


def test_an_enterprise_of_two_banks_is_held_out_at_both_or_at_neither(lab: tuple[Trial, World], trained: Trained) -> None:
    (_, world), (_, held), ids = lab, trained, {}
    for name in world.names:
        lines = (world.folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()[1:]
        ids[name] = {line.split(",")[0] for line in lines}
    common = ids["bank"] & ids["bank-2"]
    assert len(common) > 100
    assert held["bank"] & common == held["bank-2"] & common
    assert 0 < len(held["bank"] & common) < len(common)


def test_a_model_of_several_banks_keeps_a_half_at_each_and_the_weights_at_none(
    lab: tuple[Trial, World], trained: Trained
) -> None:
    (trial, world), (job, _) = lab, trained
    heads = {
        name: json.loads((trial.folder / f"{name}-data" / "models" / job.id / "model.json").read_text(encoding="utf-8"))
        for name in ("grid", *world.names)
    }
    assert all(head["closed"] for head in heads.values())
    assert set(heads["grid"]["banks"]) == {told.who for told in job.banks}
    assert len({head["about"]["plan_sha256"] for head in heads.values()}) == 1


def test_a_bank_of_too_few_rows_for_so_many_steps_is_warned_or_refuses(lab: tuple[Trial, World], trained: Trained) -> None:
    trial, world = lab
    head = json.loads((trial.folder / "bank-2-data" / "models" / trained[0].id / "model.json").read_text(encoding="utf-8"))
    assert any("of this bank's rows: if the grid and another bank pooled" in said for said in head["about"]["warnings"])
    with settled(trial, "bank-2", coalition_rows=1.0), trial.client() as client:
        job = run(client, world.plan(model={"iterations": 40}, limits=LIMITS, differ_by_one=True))
    assert job.state == "failed" and job.fault.kind == "PolicyError" and job.fault.origin == "bank try-bank-2", job.fault
    assert "too few" in job.fault.message and "coalition" not in job.fault.message
    assert "rows (coalition_rows = 1)" in (trial.folder / "bank-2-data" / "local.log").read_text(encoding="utf-8")


def test_two_of_the_banks_train_without_the_third_which_has_agreed_to_that(lab: tuple[Trial, World], trained: Trained) -> None:
    trial, world = lab
    two = World(world.folder, ("bank-3", "bank"), world.columns)
    with trial.client() as client:
        job = run(client, two.plan(limits=LIMITS))
    assert failure(job) is None and len(job.banks) == 2 and all(bank.report.HasField("pooled") for bank in job.banks)
    assert not (trial.folder / "bank-2-data" / "models" / job.id).exists()
    second = str(processes.more_bank("bank-2"))
    with trial.client() as client, pytest.raises(PlanError, match=f"the bank {second} has no model of {job.id}"):
        client.submit(PromotePlan(model=job.id, with_bank=second))
    by_itself = CliRunner().invoke(bank_party, ["promote", job.id, "--config", str(trial.folder / "bank.toml")])
    assert by_itself.exit_code != 0 and f"wattscore promote {job.id}" in by_itself.output


def test_a_bank_that_does_not_list_another_refuses_and_is_named(lab: tuple[Trial, World]) -> None:
    trial, world = lab
    with settled(trial, "bank-2", with_banks=[str(processes.BANK)]), trial.client() as client:
        error = failure(run(client, world.plan(limits=LIMITS)))
    assert error is not None and error.origin == "bank try-bank-2" and "with_banks" in error.message


def test_a_bank_that_nobody_knows_is_no_plan(lab: tuple[Trial, World]) -> None:
    trial, world = lab
    raw = json.loads(world.plan(limits=LIMITS).canonical())
    raw["banks"][1]["who"] = "wattscore://else/bank-party"
    with trial.client() as client, pytest.raises(PlanError, match="wattscore://else/bank-party"):
        client.submit(SeveralPlan.model_validate(raw))


def test_banks_with_other_columns_are_told_so(lab: tuple[Trial, World]) -> None:
    trial, world = lab
    raw = json.loads(world.plan(limits=LIMITS).canonical())
    raw["banks"][1]["columns"] = ["b0", "b1"]
    with trial.client() as client:
        error = failure(run(client, SeveralPlan.model_validate(raw)))
    assert error is not None and "columns of the same names" in error.message


def test_a_bank_that_never_comes_is_named(lab: tuple[Trial, World]) -> None:
    trial, world = lab
    trial._settings["coordinator"] = {"attend_timeout": patience(0.5)}  # type: ignore[index]
    try:
        trial.kill("bank-3")
        restart(trial, "coordinator")
        eventually(lambda: len(attending(trial)) == 3)
        with trial.client() as client:
            first, *_, last = client.watch(client.submit(world.plan(limits=LIMITS)).id)
            assert waits(first).startswith("waits for the bank try-bank-3, not connected")
            error = failure(last)
            assert error is not None and "the bank try-bank-3 did not connect to the coordinator" in error.message
    finally:
        del trial._settings["coordinator"]  # type: ignore[attr-defined]
        for name in ("coordinator", "bank-3"):
            restart(trial, name)


@pytest.mark.parametrize("lie", ["rows", "columns", "dealer"])
def test_a_bank_that_lies_about_sizes_is_refused_by_all(lab: tuple[Trial, World], lie: str) -> None:
    trial, world = lab
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIE", lie)
        restart(trial, "bank-2")
    try:
        with trial.client() as client:
            last = run(client, world.plan(limits=LIMITS))
        error = failure(last)
        assert error is not None and error.message.startswith(LIES[lie]), error
        assert "try-bank-2" in f"{error.message} {error.origin}" and not re.search(r"\d{3}", error.message)
        for name in ("grid", *world.names):
            assert trial.processes[name].poll() is None
            assert not (trial.folder / f"{name}-data" / "models" / last.id).exists()
    finally:
        restart(trial, "bank-2")
    with trial.client() as client:
        assert failure(run(client, world.plan(limits=LIMITS))) is None


@contextmanager
def settled(trial: Trial, name: str, **policy: Any) -> Iterator[None]:
    """A bank that runs under this policy beside what it has."""
    config, settings = trial.folder / f"{name}.toml", cast(dict[str, dict[str, Any]], trial._settings)
    before, own = config.read_text(encoding="utf-8"), settings[name]["policy"]
    settings[name]["policy"] = {**own, **policy}
    try:
        restart(trial, name)
        yield
    finally:
        settings[name]["policy"] = own
        restart(trial, name)
    assert config.read_text(encoding="utf-8") == before


def restart(trial: Trial, name: str) -> None:
    """Ends a daemon if it runs, and starts it again."""
    if trial.processes[name].poll() is None:
        trial.processes[name].terminate()
        trial.processes[name].wait(patience(15))
    trial.start(name)


def test_each_bank_scores_rows_by_the_model_of_all(lab: tuple[Trial, World], trained: Trained) -> None:
    (trial, world), (job, _) = lab, trained
    scores = {}
    with trial.client() as client:
        for name, told in zip(world.names, job.banks, strict=True):
            sides = {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}}
            plan = ScorePlan.model_validate({**sides, "model": job.id, "with_bank": told.who})
            *_, done = client.watch(client.submit(plan).id)
            assert failure(done) is None and done.bank.report.counts.matched_rows == told.report.counts.matched_rows
            written = trial.folder / f"{name}-data" / "scores" / f"{done.id}.csv"
            scores[name] = pd.read_csv(written).set_index("id")
            outcome = pd.read_csv(world.folder / f"{name}.csv").set_index("id")["y"].loc[scores[name].index]
            assert auc(outcome.to_numpy(np.float64), scores[name]["probability"].to_numpy()) > 0.7
    assert not (trial.folder / "bank-2-data" / "scores").joinpath(f"{done.id}.csv").exists()


def test_each_bank_scores_by_itself_from_stocks_of_its_own(lab: tuple[Trial, World], trained: Trained) -> None:
    (trial, _), (job, _) = lab, trained
    third = processes.more_bank("bank-3")
    with trial.client() as client:
        for bank in (third, None):
            *_, dealt = client.watch(client.submit(scores_like(client.show(job.id), 4000, "", bank)).id)
            assert failure(dealt) is None
    words = ["score", "--model", job.id, "--grid-dataset", "t", "--bank-dataset", "t", "--json"]
    for name, rows in (("bank", 1500), ("bank-3", 1600)):  # what the first does leaves the third's stock alone
        done = CliRunner().invoke(bank_party, [*words, "--config", str(trial.folder / f"{name}.toml")])
        assert done.exit_code == 0 and json.loads(done.stdout)["rows"] == rows, done.output
    other = CliRunner().invoke(bank_party, [*words, "--config", str(trial.folder / "bank-2.toml")])
    assert other.exit_code != 0 and "no unspent stock" in other.output


@pytest.fixture(scope="module")
def alone(lab: tuple[Trial, World]) -> wire.Job:
    """A training of the third bank with the grid; once, as rows may be scored by few models."""
    trial, _ = lab
    who, sides = str(processes.more_bank("bank-3")), {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}}
    with trial.client() as client:
        *_, done = client.watch(client.submit(TrainPlan.model_validate({**sides, "with_bank": who, "limits": LIMITS})).id)
    assert failure(done) is None, failure(done)
    return done


def test_a_bank_trains_alone_with_the_grid_beside_the_others(lab: tuple[Trial, World], alone: wire.Job) -> None:
    (trial, _), done = lab, alone
    assert done.bank.report.counts.matched_rows == 1600
    kept = {
        name: (trial.folder / f"{name}-data" / "models" / done.id).exists() for name in ("grid", "bank", "bank-2", "bank-3")
    }
    assert kept == {"grid": True, "bank": False, "bank-2": False, "bank-3": True}


def test_each_bank_has_its_own_champion_and_sees_what_the_others_rows_are_worth(
    lab: tuple[Trial, World], trained: Trained, alone: wire.Job
) -> None:
    """A bank's model with the grid alone, then that of all banks beside it; the first bank has nothing to do with it."""
    (trial, _), (job, _) = lab, trained
    first, third = (str(who) for who in (processes.BANK, processes.more_bank("bank-3")))
    sides = {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}}
    with trial.client() as client:

        def done(plan: Any) -> wire.Job:
            *_, last = client.watch(client.submit(plan).id)
            assert failure(last) is None, last.fault.message
            return last

        own = alone.id
        assert done(PromotePlan(model=job.id)).bank.report.champion == job.id
        assert done(PromotePlan(model=own, with_bank=third)).bank.report.champion == own
        # Forced: of one job in forty that are equal the interval says it is worse.
        moved = done(PromotePlan(model=job.id, with_bank=third, force=True))
        found = moved.bank.report.challenge
        assert (moved.bank.report.champion, found.champion) == (job.id, own)
        assert min(found.auc, found.champion_auc) > 0.6 and 50 < found.rows < 500  # held out by both, told in steps
        error = failure((*client.watch(client.submit(PromotePlan(model=own)).id),)[-1])
        assert error is not None and "no model of job" in error.message  # the first bank has none of it
        scored = done(ScorePlan.model_validate({**sides, "model": "champion", "with_bank": third}))
        assert scored.bank.report.counts.matched_rows == 1600
        assert done(PromotePlan(action="rollback", with_bank=third)).bank.report.champion == own
        assert done(ScorePlan.model_validate({**sides, "model": "champion", "with_bank": first})).state == "succeeded"
    books = {name: Registry(trial.folder / f"{name}-data" / Name.REGISTRY) for name in ("grid", "bank", "bank-3")}
    assert books["grid"].position == books["bank"].position
    assert books["grid"].of(third).position == books["bank-3"].position != books["bank"].position
    assert {v.job: v.stage.value for v in books["grid"].versions() if v.job in (own, job.id)} == dict.fromkeys(
        (own, job.id), "champion"
    )
