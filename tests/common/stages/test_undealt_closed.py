"""Models that nobody holds and nobody deals for: whole trainings and monthly scorings between two companies on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_party.home import BankHome
from bank_party.online.stocks import stocks_waiting
from common.disk.data_folder import Name
from common.errors import PlanError, PolicyError
from common.learn.learner import Half
from common.learn.linear.half import CommittedModel
from common.match.ecdh import match_ids
from common.mpc.session import Kind
from common.party import Party
from common.plan.linear import Model
from common.plan.promote import PromotePlan
from common.rows.dataset import read_table
from common.stages.estimate import Estimate, Sizes, estimate
from tests.common.stages.companies import COMMON, MONTHS, POLICY, Companies, frames
from tests.common.stages.plain import OFF, plain_part, weights_of
from tests.common.stages.test_undealt import dealt

CLOSED: dict[str, Any] = {"dealer": "none", "link": "taylor", "iterations": 24}
SCORES: dict[str, Any] = {"kind": "score", "dealer": "none", "matching": "ecdh", "model": "job-1"}
MONTH: dict[str, Any] = {**SCORES, "months": ["2024-03"]}


def companies_of(folder: Path, monthly: bool = True, **own: Any) -> Companies:
    made = Companies(folder, monthly=monthly, policy=POLICY.model_copy(update={"no_dealer": True, "own_weights": False}))
    made.match = lambda _: match_ids
    made.own = {Party.GRID: {"scores_per_row": 100, **own}}
    made.write(frames(seed=3, monthly=monthly))
    return made


def assert_costs(companies: Companies, expected: Estimate) -> None:
    """What the last job sent is what was said before, and nothing to or from who would deal."""
    for party in Party:
        sent = sum(values.nbytes for _, values in companies.trio.peer[party].log)
        assert expected.bytes[f"{party.value}_to_{party.other.value}"] == pytest.approx(sent, rel=0.01)
    assert not any(count for line, count in expected.bytes.items() if "coordinator" in line)


def newest(companies: Companies, halves: dict[Party, Half], party: Party) -> dict[str, float]:
    """A party's part of u of each enterprise in the last month, in plain floats."""
    table = read_table(companies.dataset(party), name="rows", party=party).table
    assert table.periods is not None
    last, parts = table.periods == table.periods.max(), plain_part(halves, party, table)
    return dict(zip(table.ids[last], parts[last].tolist(), strict=True))


def scores_file(companies: Companies, job: str) -> pd.DataFrame:
    return pd.read_csv(companies.home(Party.BANK) / Name.SCORES / f"{job}.csv", dtype={"id": str, "firm": str})


async def test_it_is_trained_and_scores_each_month_and_nobody_holds_it(tmp_path: Path) -> None:
    companies = companies_of(tmp_path)
    plan = companies.plan(model=CLOSED, matching="ecdh")
    found = await companies.run("job-1", plan)
    assert dealt(companies) == {Kind.SEED}  # which the test's dealer sends unasked
    assert_costs(companies, estimate(plan, Sizes(1500, 5, 3, 560, 540, MONTHS)))
    assert not {Kind.GRID_WEIGHT_SHARE, Kind.BANK_WEIGHT_SHARE} & companies.trio.session[Party.GRID].traffic.sent.keys()
    for party in Party:
        assert set(found[party].opened) <= {opened.value for opened in plan.needs}

    halves = {party: companies.models(party).load("job-1") for party in Party}
    for party in Party:  # a share by itself says nothing of a weight
        half = halves[party]
        assert isinstance(half, CommittedModel) and half.closed
        assert np.abs((half.own << np.uint64(18)).view(np.int64)).max() > 2**60 and np.abs(weights_of(halves, party)).max() < 5

    plan = companies.plan(**MONTH)
    for job in ("job-2", "job-3"):
        await companies.run(job, plan)
        assert dealt(companies) == {Kind.SEED}
        assert_costs(companies, estimate(plan, Sizes(500, 5, 3, 560, 540, 1)))
    one, two = (scores_file(companies, job) for job in ("job-2", "job-3"))
    u = {party: newest(companies, halves, party) for party in Party}
    exact = {firm: u[Party.GRID][firm] + u[Party.BANK][firm] for firm in u[Party.GRID].keys() & u[Party.BANK].keys()}
    assert len(one) == len(exact) == 500
    for table in (one, two):
        off = table["u"].to_numpy() - np.array([exact[firm] for firm in table["id"]])
        assert np.abs(off).max() < OFF and abs(off.mean()) < 0.01
    assert not (one["u"] == two["u"]).all()  # rounded at random, anew


async def test_the_ledger_is_charged_as_for_other_closed_models(tmp_path: Path) -> None:
    companies = companies_of(tmp_path, monthly=False, scores_per_row=1)
    await companies.run("job-1", companies.plan(model=CLOSED, matching="ecdh"))
    for job in ("job-2", "job-3"):  # of one model a row's score may be told again
        await companies.run(job, companies.plan(**SCORES))
    with pytest.raises(PolicyError, match="already"):
        await companies.run("job-4", companies.plan(model=CLOSED, matching="ecdh"))
    assert not any(label.kind is Kind.TEST_SCORES for label, _ in companies.trio.peer[Party.GRID].log)


async def test_a_champion_of_it_scores_and_is_told_apart_from_those_that_are_dealt_for(tmp_path: Path) -> None:
    companies = companies_of(tmp_path, monthly=False, reasons_per_row=1)
    await companies.run("job-1", companies.plan(model=CLOSED, matching="ecdh"))
    promotion = PromotePlan.model_validate({"action": "promote", "model": "job-1"})
    for party in Party:
        registry = companies.opened_home(party).registry
        registry.prepare("move-1", promotion, "job-1", anew=False)
        registry.commit()
    await companies.run("job-2", companies.plan(**{**SCORES, "model": "champion"}))
    assert len(scores_file(companies, "job-2")) == COMMON

    bank = companies.opened_home(Party.BANK)
    assert isinstance(bank, BankHome)
    assert stocks_waiting(bank, "job-1", 10) is None  # it needs none

    companies.match = None
    with pytest.raises(PlanError, match=r"the champion job-1 scores in another way.*with nobody who deals"):
        await companies.run("job-6", companies.plan(challenge=True))
    companies.match = lambda _: match_ids
    with pytest.raises(PlanError, match="takes a coordinator that deals"):
        await companies.run("job-7", companies.plan(**SCORES, grid_reasons=1))
    companies.match = None
    with pytest.raises(PlanError, match="trained with nobody who deals: it scores so alone"):
        await companies.run("job-3", companies.plan(kind="score", model="job-1"))
    await companies.run("job-4", companies.plan(model={"iterations": 12}))
    companies.match = lambda _: match_ids
    with pytest.raises(PlanError, match="nobody holds model job-4: scores by it take masks that are dealt"):
        await companies.run("job-5", companies.plan(**{**SCORES, "model": "job-4"}))


def promoted(companies: Companies, job: str) -> None:
    promotion = PromotePlan.model_validate({"action": "promote", "model": job})
    for party in Party:
        registry = companies.opened_home(party).registry
        registry.prepare(f"move-{job}", promotion, job, anew=False)
        registry.commit()


async def test_a_training_that_nobody_deals_for_challenges_a_champion_that_was_trained_so(tmp_path: Path) -> None:
    """On the same held-out rows, by both halves of either model; a champion of a dealer's it cannot score."""
    companies = companies_of(tmp_path, monthly=False)
    await companies.run("job-1", companies.plan(model=CLOSED, matching="ecdh"))
    promoted(companies, "job-1")
    plan = companies.plan(model=CLOSED, matching="ecdh", challenge=True, split={"seed": 7})
    found = await companies.run("job-2", plan)
    assert dealt(companies) == {Kind.SEED}
    assert_costs(companies, estimate(plan, Sizes(500, 5, 3, 560, 540)))
    result = found[Party.BANK].challenge
    assert result is not None and result.champion == "job-1"
    assert result.champion_auc > 0.7 and abs(result.auc - result.champion_auc) < 0.05


async def test_it_challenges_no_champion_of_a_dealers(tmp_path: Path) -> None:
    companies = companies_of(tmp_path, monthly=False)
    companies.match = None
    await companies.run("job-1", companies.plan(model={"iterations": 12}))
    promoted(companies, "job-1")
    companies.match = lambda _: match_ids
    with pytest.raises(PlanError, match=r"the champion job-1 scores in another way.*masks that are dealt"):
        await companies.run("job-2", companies.plan(model=CLOSED, matching="ecdh", challenge=True))


@pytest.mark.parametrize("strict", Party)
async def test_a_party_that_no_longer_allows_it_scores_no_row_by_it(tmp_path: Path, strict: Party) -> None:
    companies = companies_of(tmp_path, monthly=False)
    await companies.run("job-1", companies.plan(model=CLOSED, matching="ecdh"))
    companies.own = {Party.GRID: {"scores_per_row": 100}, Party.BANK: {}}
    companies.own[strict]["no_dealer"] = False
    with pytest.raises(PolicyError, match="no_dealer = false"):
        await companies.run("job-2", companies.plan(**SCORES))
    assert not any(label.kind is Kind.SCORES for label, _ in companies.trio.peer[Party.GRID].log)


async def test_half_of_it_put_back_from_another_training_scores_nothing(tmp_path: Path) -> None:
    """As a back-up of one party's folder would: refused by name, and no score is charged."""
    companies = companies_of(tmp_path, monthly=False)
    for job in ("job-1", "job-2"):
        await companies.run(job, companies.plan(model=CLOSED, matching="ecdh"))
    models = companies.models(Party.BANK)
    for name in ("model.json", "arrays.npz"):
        other = (models.folder("job-2") / name).read_bytes()
        (models.folder("job-1") / name).write_bytes(other.replace(b'"job": "job-2"', b'"job": "job-1"'))
    with pytest.raises(Exception, match="not those that training left"):
        await companies.run("job-3", companies.plan(**SCORES))


def test_what_is_not_known_of_a_models_training_is_taken_as_its_plan_has_it() -> None:
    companies = Companies(Path())
    plan = companies.plan(**SCORES)
    assert estimate(plan, Sizes(500, 5, 3)).bytes == estimate(plan, Sizes(500, 5, 3), Model(**CLOSED)).bytes
    assert estimate(plan, Sizes(500, 5, 3)).bytes["coordinator_to_grid"] == 0
