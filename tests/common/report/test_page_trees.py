"""The page about boosted trees: which of its columns each company's trees are split by, counted, and nothing of leaves."""

from __future__ import annotations

import pytest

from bank_party.report import page as bank
from common.learn.trees.half import TreesHalf
from common.party import Party
from common.report.tables import Table
from grid_party import report as grid
from tests.common.report.conftest import JOB, Job
from tests.common.report.test_page import Outline

TREES = {"kind": "trees", "trees": 12, "depth": 2, "rate": 0.4, "bins": 6, "candidates": 12}
MAKE = {Party.GRID: grid.make_report, Party.BANK: bank.make_report}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return Job(tmp_path_factory.mktemp("trees"), model=TREES)


def halves(trees: Job) -> dict[Party, TreesHalf]:
    found = {party: trees.companies.models(party).load(JOB) for party in Party}
    assert all(isinstance(half, TreesHalf) for half in found.values())
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("party", list(Party))
def test_each_company_sees_how_often_each_of_its_columns_splits_and_of_the_other_the_sum(trees: Job, party: Party) -> None:
    found = MAKE[party](trees.data(party), JOB, "en")
    tables: list[Table] = [table for table in found.tables if "levels split" in table.columns]
    rows = {row[0]: int(row[1]) for row in tables[0].rows}
    both = halves(trees)
    assert sum(rows.values()) == 24 and rows.pop("all columns of the other company") == int((both[party].splits < 0).sum())
    assert rows == both[party].split_counts and set(rows) == set(both[party].fitted.sources)
    theirs = set(both[party.other].fitted.sources) - set(rows)
    assert theirs and not [name for name in theirs if f">{name}<" in found.page]
    assert [int(row[1]) for row in tables[0].rows[:-1]] == sorted(rows.values(), reverse=True)


@pytest.mark.parametrize("party", list(Party))
def test_words_are_of_trees_in_both_languages(trees: Job, party: Party) -> None:
    sections = Outline(MAKE[party](trees.data(party), JOB, "both").page).sections
    assert "cut at thresholds" in sections["features"] and "设阈值" in sections["features"]
    assert "the leaves of its trees stay shared" in sections["model"] and "叶值" in sections["model"]
    assert "There is no learning curve" in sections["model"]
    if party is Party.GRID:
        assert "kwh<" not in sections["model"] and "Weights" not in sections["model"]
