"""A client that leaves one id out learns nothing of its label: not from what fails, nor from what is said, in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_party.classes import Floors, check_classes
from common.errors import PolicyError
from common.home.setbook import SetBook
from common.mpc.session import Kind
from common.party import Party
from tests.common.stages.companies import COMMON, Companies, frames
from tests.common.stages.tables import table

IDS = [f"F{k}" for k in range(1000)]
OWN: dict[Party, dict[str, Any]] = {
    Party.GRID: {"least_difference": 100},
    Party.BANK: {"least_difference": 100, "min_test_per_class": 20},
}


def said(book: SetBook, ids: list[str]) -> str:
    try:
        book.enter(table(ids), "job", 100)
    except PolicyError as error:
        return str(error)
    return ""


def test_of_200_sets_that_lack_one_id_each_every_one_has_the_same_answer_before_a_label_is_looked_at(tmp_path: Path) -> None:
    book = SetBook(tmp_path / "whole first")
    assert not said(book, IDS)
    answers = {said(book, IDS[:k] + IDS[k + 1 :]) for k in range(200)}
    assert len(answers) == 1 and "" not in answers and not any(digit in str(answers) for digit in "0123456789")
    for k in range(0, 200, 20):
        book = SetBook(tmp_path / f"lacking {k} first")
        assert not said(book, IDS[:k] + IDS[k + 1 :])
        assert {said(book, IDS), said(book, IDS[:999])} == answers


@pytest.mark.parametrize("order", ["whole first", "whole last"])
@pytest.mark.parametrize("label", [0, 1])
async def test_jobs_say_the_same_whatever_the_label_of_the_id_that_is_left_out(label: int, order: str, tmp_path: Path) -> None:
    whole = frames(seed=1, monthly=False)
    bank, firm = whole[Party.BANK], common_firm(whole)
    bank.loc[bank["firm"] == firm, "overdue"] = label
    lacking = {**whole, Party.GRID: whole[Party.GRID][whole[Party.GRID]["id"] != firm]}
    companies = Companies(tmp_path, own=OWN)
    first, second = (whole, lacking) if order == "whole first" else (lacking, whole)
    companies.write(first)
    await companies.run("job-1", companies.plan())
    spent = {party: companies.opened_home(party).standings()[0].charges for party in Party}
    companies.write(second)
    with pytest.raises(PolicyError) as caught:
        await companies.run("job-2", companies.plan())
    assert caught.value.public.startswith("the matched rows differ in few enterprises") and not caught.value.got
    assert Kind.SPLIT not in companies.trio.session[Party.BANK].traffic.sent, "the bank drew nothing of its labels"
    assert spent == {party: companies.opened_home(party).standings()[0].charges for party in Party}


def test_who_knows_all_labels_but_one_hardly_ever_finds_a_floor_that_turns_on_it() -> None:
    """By a floor that a plan chooses it would, every time. Here the count lies where the bank's floor may be."""
    secret, turns = bytes(range(32)), 0
    held = np.arange(len(IDS)) < 300

    def refused(ids: list[str], label: Any) -> bool:
        rows = table(ids, label=label)
        try:
            check_classes(rows, held, Floors(100, 20).moved(rows, secret))
        except PolicyError:
            return True
        return False

    label = (np.arange(len(IDS)) % 7 == 0).astype(float)
    train = np.flatnonzero(~held)
    label[train] = 0.0
    label[train[:112]] = 1.0
    for k in range(200):
        ids = [f"{k}-{name}" for name in IDS]  # another set of rows each time
        other = label.copy()
        other[train[k]] = 1.0 - other[train[k]]
        turns += refused(ids, label) != refused(ids, other)
    assert turns <= 200 * 3 / 26


async def test_a_job_that_fails_for_its_labels_was_of_its_rows_and_is_charged(tmp_path: Path) -> None:
    data = frames(seed=1, monthly=False)
    data[Party.BANK]["overdue"] = (np.arange(len(data[Party.BANK])) % 25 == 0).astype(int)
    companies = Companies(tmp_path, own=OWN)
    companies.write(data)
    with pytest.raises(PolicyError, match="hold fewer labels of one class than this bank trains on") as caught:
        await companies.run("job-1", companies.plan())
    assert "too few for the columns or for a party's floors, or hold too few labels" in caught.value.public
    book, _ = companies.opened_home(Party.BANK).standings()
    assert [(charge.amount, charge.rows) for charge in book.charges] == [(1.0, COMMON)]
    grid = data[Party.GRID]
    companies.write({**data, Party.GRID: grid[grid["id"] != common_firm(data)]})
    with pytest.raises(PolicyError, match="differ in few enterprises"):
        await companies.run("job-2", companies.plan())


def common_firm(data: dict[Party, pd.DataFrame]) -> str:
    return sorted(set(data[Party.GRID]["id"]) & set(data[Party.BANK]["firm"]))[0]
