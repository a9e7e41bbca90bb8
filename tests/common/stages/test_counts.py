"""Binned columns over whole jobs: the grid's weights of evidence are the plaintext ones, and little else is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.disclosure import Opened
from common.errors import PeerProtocolError, PolicyError
from common.features.binning import Binning, binned_columns, cut
from common.features.options import Preparation
from common.home.outcome import Outcome
from common.home.standing import Charge
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.cost import Cost, bin_counts
from common.mpc.counting.counts import BinCounts
from common.mpc.counting.masks import CountsDemand
from common.mpc.seeds import DEALT_BYTES
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.policy import Policy
from common.plan.train import TrainPlan
from common.stages import split
from common.stages.counts import Allowance, bin_columns, without_isolating
from common.stages.price import count_bits
from tests.common.features.test_fit import configs
from tests.common.mpc.test_cost import measured
from tests.common.stages.companies import FLOORS, POLICY, Companies, frames
from tests.common.stages.plain import OFF
from tests.common.stages.tables import table
from tests.common.stages.test_pipeline import common_rows, joint_scores
from tests.peers import Trio, coordinate

BINNED: dict[str, Any] = {"min_binary": 20, "bins": 5, "min_bin_rows": 20, "min_bin_class": 5}
WOE: dict[str, Any] = {"limits": {**FLOORS, "rows_per_column": 10}, "preparation": {**BINNED, "coding": "woe"}}


@pytest.fixture
def companies(tmp_path: Path) -> Companies:
    made = Companies(tmp_path)
    made.write(frames(seed=1, monthly=False))
    return made


def report(companies: Companies, party: Party, job: str = "job-1") -> dict[str, Any]:
    found = json.loads((companies.home(party) / "models" / job / "features.json").read_text())
    return {column["name"]: column for column in found["columns"]}


def training(companies: Companies, plan: TrainPlan) -> tuple[Any, Any]:
    rows = common_rows(companies)
    test = split.draw(rows[Party.BANK], plan.split)
    label = rows[Party.BANK].label
    assert label is not None
    return rows[Party.GRID].take(np.flatnonzero(~test)), label[~test]


async def woe_job(companies: Companies, job: str = "job-1", **more: Any) -> tuple[TrainPlan, dict[Party, Outcome]]:
    plan = companies.plan(**{**WOE, **more})
    assert isinstance(plan, TrainPlan)
    return plan, await companies.run(job, plan)


async def test_the_grids_weights_of_evidence_are_those_of_plaintext_and_nothing_else_is_opened(companies: Companies) -> None:
    plan, outcomes = await woe_job(companies)
    grid, label = training(companies, plan)
    fitted = companies.models(Party.GRID).load("job-1").fitted
    assert set(fitted.columns) >= {"peak", "late"}
    worst = 0.0
    for name, values in zip(fitted.columns, fitted.transform(grid).T, strict=True):
        distinct, place = np.unique(values, return_inverse=True)
        bad, good = np.bincount(place, label), np.bincount(place, 1 - label)
        assert min(bad.min(), good.min()) >= 5 and (bad + good).min() >= 20
        exact = np.log((bad / bad.sum()) / (good / good.sum()))
        column = next(c for c in fitted.fitted if c.name == name)
        worst = max(worst, float(np.abs(distinct * column.spread + column.centre - exact).max()))
    assert worst < 1e-9
    needs = {opened.value for opened in plan.needs}
    assert "bin_counts" in needs
    assert set(outcomes[Party.GRID].opened) == needs - {"metrics"}
    assert set(outcomes[Party.BANK].opened) == needs
    result = outcomes[Party.BANK].evaluation
    assert result is not None and result.joint.auc > result.bank_only.auc + 0.08


async def test_each_owner_has_a_report_with_information_values(companies: Companies) -> None:
    plan, _ = await woe_job(companies)
    _, label = training(companies, plan)
    grid, bank = (report(companies, party) for party in Party)
    assert set(grid) == {"kwh", "peak", "late", "branch"} and set(bank) == {"income", "debt"}
    for column in (*grid.values(), *bank.values()):
        assert sum(b["ones"] for b in column["bins"]) == label.sum()
        assert sum(b["rows"] for b in column["bins"]) == len(label)
        assert column["iv"] == pytest.approx(
            sum((b["ones"] / label.sum() - b["zeros"] / (1 - label).sum()) * b["woe"] for b in column["bins"])
        )
    assert min(grid["peak"]["iv"], grid["late"]["iv"]) > grid["kwh"]["iv"]
    assert [b["bin"] for b in grid["branch"]["bins"]] and grid["peak"]["kept"]


async def test_a_model_of_weights_of_evidence_scores(companies: Companies) -> None:
    await woe_job(companies)
    companies.write(frames(seed=2, monthly=False))
    plan = companies.plan(kind="score", model="job-1")
    await companies.run("score-1", plan)
    written = pd.read_csv(companies.home(Party.BANK) / "scores" / "score-1.csv", index_col="id").sort_index()
    u = joint_scores(companies, "job-1", common_rows(companies))
    np.testing.assert_allclose(written["u"], u, rtol=0, atol=OFF)


async def test_one_hot_bins_need_no_label_and_open_no_count(companies: Companies) -> None:
    more: dict[str, Any] = {"preparation": {**BINNED, "coding": "bins", "bins": 3}, "limits": {**FLOORS, "rows_per_column": 10}}
    _, outcomes = await woe_job(companies, **more)
    assert "bin_counts" not in {*outcomes[Party.GRID].opened, *outcomes[Party.BANK].opened}
    assert not {Kind.MASKED_BINS, Kind.BIN_TESTS} & companies.trio.session[Party.BANK].traffic.sent.keys()
    found = report(companies, Party.GRID)
    assert {column["iv"] for column in found.values()} == {None}
    assert all("ones" not in b for column in found.values() for b in column["bins"])
    assert outcomes[Party.GRID].counts["trained_columns"] == 8  # of four columns in three bins
    result = outcomes[Party.BANK].evaluation
    assert result is not None and result.joint.auc > result.bank_only.auc + 0.05


# What the grid is not told


async def bins_of(grid: Any, label: Any, options: Preparation, trio: Trio | None = None) -> list[Binning]:
    """The grid's binnings of a table of training rows only."""
    rows = len(label)
    tables = {Party.GRID: grid, Party.BANK: table(grid.ids, label=label, own=np.arange(rows))}

    async def side(session: Session, correlations: DealtCorrelations) -> list[Binning]:
        mine, free = tables[session.party], Allowance(1, lambda _, bits: None)
        return await bin_columns(session, correlations, mine, configs(mine), options, rows, free)

    return (await coordinate(trio or Trio(), side))[Party.GRID]


def ids(rows: int) -> list[str]:
    return [f"F{k}" for k in range(rows)]


async def test_a_count_below_the_least_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column whose bins hold 0, 3, 5, 50, 97 ones of 100: the first two are merged, and the last with its neighbour."""
    opened: list[Any] = []
    original = BinCounts.open

    async def kept(self: BinCounts, groups: Any) -> Any:
        opened.append(await original(self, groups))
        return opened[-1]

    monkeypatch.setattr(BinCounts, "open", kept)
    ones = np.array([0, 3, 5, 50, 97])
    x = np.repeat(np.arange(5.0), 100)
    label = (np.tile(np.arange(100), 5) < np.repeat(ones, 100)).astype(np.float64)
    options = Preparation(coding="woe", bins=5)
    found = (await bins_of(table(ids(500), x=x), label, options))[0]
    assert found.ones is not None
    assert found.ones.tolist() == [8, 147]
    assert [found.label(k) for k in range(2)] == ["[-inf, 3)", "[3, inf)"]
    counts = next(values for values in opened if values is not None)
    assert sorted(counts.tolist()) == [0, 0, 0, 8, 147]


async def test_a_column_that_has_too_few_of_a_class_is_left_out_and_all_of_its_counts_with_it() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=600)
    label = np.zeros(600)
    label[:6] = 1.0
    found = await bins_of(table(ids(600), x=x, y=-x, z=rng.normal(size=600)), label, Preparation(coding="woe"))
    assert [b.ones for b in found] == [None] * 3
    assert all(b.left_out for b in found)


async def test_random_columns_agree_with_the_banks_own_way_of_counting() -> None:
    """Whatever is merged, counts are exact and every bin is large enough."""
    rng = np.random.default_rng(8)
    label = (rng.random(1500) < 0.04).astype(np.float64)
    columns = {f"c{k}": rng.normal(size=1500) + 0.6 * k * label for k in range(5)}
    found = await bins_of(table(ids(1500), **columns), label, Preparation(coding="woe"))
    used = [b for b in found if not b.left_out]
    assert len(used) >= 4
    for b in used:
        assert b.ones is not None
        assert b.ones.tolist() == np.bincount(b.group_codes, label).tolist()
        assert min(b.ones.min(), (b.group_rows - b.ones).min()) >= 5 and b.group_rows.min() >= 50
    assert len(binned_columns(found, Preparation(coding="woe"))) == len(used)


async def test_the_bank_sends_the_same_numbers_of_words_whatever_the_bins_hold() -> None:
    sent = []
    for rate in (0.02, 0.5):
        rng = np.random.default_rng(1)
        trio, label = Trio(), (rng.random(800) < rate).astype(np.float64)
        await bins_of(table(ids(800), x=rng.normal(size=800), y=rng.normal(size=800)), label, Preparation(coding="woe"), trio)
        sent.append([[(str(mark), values.shape) for mark, values in trio.peer[p].log] for p in Party])
    assert sent[0] == sent[1]


async def test_the_formulas_say_what_is_sent() -> None:
    trio, rng = Trio(), np.random.default_rng(1)
    label = (rng.random(900) < 0.2).astype(np.float64)
    options = Preparation(coding="woe", min_bin_class=4)
    await bins_of(table(ids(900), x=rng.normal(size=900), y=rng.normal(size=900)), label, options, trio)
    for party in Party:
        expected = bin_counts(party, CountsDemand(900, 20, 4, 4)) + Cost(dealt=DEALT_BYTES)
        assert measured(trio, party) == expected


def test_columns_whose_bins_differ_in_few_rows_are_not_both_counted() -> None:
    x = np.arange(1000.0)
    y = x.copy()
    y[[10, 990]] = 990.0, 10.0  # two rows change places
    options, every = Preparation(coding="woe", bins=4), np.ones(1000, np.bool_)
    data = table(ids(1000), x=x, same=2 * x, y=y, far=np.random.default_rng(0).permutation(1000))
    found = without_isolating(cut(data, configs(data), options, every), 50)
    assert [bool(b.left_out) for b in found] == [False, False, True, False]
    assert found[2].left_out == "its bins and those of 'x' combine to fewer than 50 rows"


def test_columns_that_combine_to_one_row_are_not_all_counted() -> None:
    """The bins of two are together that of a third, but for one company."""
    draw = np.random.default_rng(3)
    first, second = draw.permutation(1200) < 300, draw.permutation(1200) < 400
    second &= ~first
    third = first | second
    third[np.flatnonzero(~third)[7]] = True
    options, every = Preparation(coding="woe", bins=4), np.ones(1200, np.bool_)
    data = table(ids(1200), a=first, b=second, honest=draw.normal(size=1200), c=third)
    found = without_isolating(cut(data, configs(data), options, every), 50)
    assert [bool(b.left_out) for b in found] == [False, False, False, True]
    assert found[3].left_out == "its bins and those of 'a', 'b' combine to fewer than 50 rows"


async def test_counts_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    original = BinCounts.open

    async def wrong(self: BinCounts, groups: Any) -> Any:
        found = await original(self, groups)
        return None if found is None else found + 10_000

    monkeypatch.setattr(BinCounts, "open", wrong)
    label = np.tile([0.0, 1.0], 300)
    with pytest.raises(PeerProtocolError, match="impossible counts"):
        await bins_of(table(ids(600), x=np.random.default_rng(2).normal(size=600)), label, Preparation(coding="woe"))


# How much, and how often


async def test_a_bank_that_does_not_open_counts_refuses_the_plan(companies: Companies) -> None:
    plan = companies.plan(**WOE)
    closed = POLICY.model_copy(update={"may_open": tuple(o for o in Opened if o is not Opened.BIN_COUNTS)})
    with pytest.raises(PolicyError, match="opening 'bin_counts'"):
        closed.check(plan)
    Policy().check(companies.plan(limits={}, preparation={"coding": "woe"}))


async def test_too_many_bins_for_the_rows_are_refused_before_anything_is_counted(companies: Companies) -> None:
    with pytest.raises(PolicyError, match=r"bins of the grid's columns are too many .* 350 training rows.*at most 17"):
        await woe_job(companies, limits=FLOORS)
    assert not {Kind.MASKED_BINS, Kind.BIN_TESTS} & companies.trio.session[Party.BANK].traffic.sent.keys()


def told(companies: Companies) -> list[Charge]:
    book, _ = companies.opened_home(Party.BANK).standings()
    return [entry for entry in book.charges if entry.what == "counts by bin"]


async def test_counts_cost_what_they_can_tell_before_they_are_told(companies: Companies) -> None:
    plan, _ = await woe_job(companies)
    grid, _ = training(companies, plan)
    (cost,) = told(companies)
    bins = sum(len(b.groups) for b in cut(grid, configs(grid), plan.preparation, np.ones(grid.rows, np.bool_)))
    assert (cost.amount, cost.rows) == (count_bits(350, bins, 1), 350)


async def test_labels_are_counted_within_the_budget(companies: Companies) -> None:
    await woe_job(companies)
    (cost,) = told(companies)
    companies.own[Party.BANK] = {"label_bits": 1.9 * cost.amount / 350}
    with pytest.raises(PolicyError, match="counts by bin would tell") as caught:
        await woe_job(companies, "job-2")
    assert "of the labels of 350 rows" in str(caught.value) and "350" not in caught.value.public
    assert Kind.MASKED_BINS not in companies.trio.session[Party.BANK].traffic.sent
    await companies.run("job-3", companies.plan())  # linear coding counts nothing
    assert not (companies.home(Party.GRID) / "told.sqlite").exists() and len(told(companies)) == 1


async def test_a_job_that_fails_after_counting_has_counted(companies: Companies) -> None:
    with pytest.raises(PolicyError, match="columns of the grid are too few"):
        await woe_job(companies, grid={"dataset": "rows", "columns": ["peak", "late"]})
    assert [entry.user for entry in told(companies)] == ["job-1"]
