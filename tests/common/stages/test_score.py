"""Joint scores: what the bank gets is both parts of u on a fixed grid, one message, within the grid's budget."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.disclosure import Opened
from common.errors import PolicyError
from common.features.options import Preparation
from common.learn.learner import Telling
from common.learn.linear.design import prepare
from common.learn.linear.half import PartyModel
from common.mpc.fixedpoint import Reals
from common.mpc.session import Kind
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from common.stages.score import open_scores
from grid_party.ledger import Ledger
from grid_party.role import Account
from tests.common.stages.tables import table
from tests.peers import Trio

COUNT, BITS = 60, 5
COLUMNS = {name: ColumnConfig(kind="numeric") for name in ("a", "b", "c", "d")}


def rows(party: Party) -> FeatureTable:
    rng = np.random.default_rng(party.index)
    return table([f"F{k}" for k in range(COUNT)], **{name: rng.normal(size=COUNT) for name in COLUMNS})


def model(party: Party, job: str = "job-1") -> PartyModel:
    made, _ = prepare(rows(party), COLUMNS, Preparation(min_binary=0), COUNT, 1e-4, party)
    weights = np.random.default_rng(9).normal(size=len(made.columns))
    return PartyModel(job, party, made.fitted, weights, COLUMNS, {})


async def score(
    kind: Kind = Kind.SCORES, book: Any = None, job: str = "job-1", trio: Trio | None = None, at: Any = slice(None)
) -> dict[Party, Any]:
    """What each party got; both work on the rows `at`. Raises the grid's error first."""
    trio = trio or Trio()
    take = np.arange(COUNT)[at]
    calls = {
        party: asyncio.create_task(
            open_scores(
                trio.session[party],
                None,  # type: ignore[arg-type]  # an opened model consumes none
                model(party, job),
                rows(party).take(take),
                Telling(kind, BITS),
                book if party is Party.GRID else None,
            )
        )
        for party in Party
    }
    try:
        return {party: await call for party, call in calls.items()}
    finally:
        for call in calls.values():
            call.cancel()


def parts() -> dict[Party, Reals]:
    return {party: model(party).partial_scores(rows(party)) for party in Party}


@pytest.mark.parametrize("kind", [Kind.SCORES, Kind.TEST_SCORES])
async def test_the_bank_gets_both_parts_and_the_grid_nothing(kind: Kind) -> None:
    trio = Trio()
    result = await score(kind, trio=trio)
    assert result[Party.GRID] is None
    both = parts()
    np.testing.assert_allclose(result[Party.BANK], both[Party.GRID] + both[Party.BANK], rtol=0, atol=2.0 ** -(BITS + 1))
    assert trio.session[Party.GRID].traffic.sent == {kind: 8 * COUNT}
    assert trio.session[Party.BANK].traffic.sent == {}
    opened = Opened.SCORES if kind is Kind.SCORES else Opened.TEST_SCORES
    assert trio.session[Party.GRID].opened == trio.session[Party.BANK].opened == {opened}


async def test_the_grids_part_crosses_on_a_fixed_grid_and_no_finer() -> None:
    trio = Trio()
    await score(trio=trio)
    ((_, words),) = trio.peer[Party.GRID].log
    np.testing.assert_array_equal(words.view(np.int64), np.rint(parts()[Party.GRID] * 2**BITS).astype(np.int64))


async def test_scores_are_not_sent_when_the_plan_does_not_open_them() -> None:
    trio = Trio(frozenset({Opened.TEST_SCORES}))
    with pytest.raises(PolicyError, match="scores"):
        await score(trio=trio)
    assert trio.peer[Party.GRID].log == []


async def test_a_row_beyond_its_budget_is_not_sent(tmp_path: Path) -> None:
    book = Account(Ledger(tmp_path / "ledger"), 2)
    for job in ("job-1", "job-2"):
        await score(book=book, job=job)
    trio = Trio()
    with pytest.raises(PolicyError, match="60 of 60 rows have been scored by 2 models already"):
        await score(book=book, job="job-3", trio=trio)
    assert trio.peer[Party.GRID].log == []
    await score(book=book, job="job-2")


async def test_the_policys_budget_binds_when_it_is_smaller(tmp_path: Path) -> None:
    book = Account(Ledger(tmp_path / "ledger"), 1)
    await score(book=book, at=slice(10))
    await score(book=book, job="job-2", at=slice(10, 20))
    with pytest.raises(PolicyError, match="by 1 models"):
        await score(book=book, job="job-2", at=slice(5, 15))


async def test_test_scores_count_too(tmp_path: Path) -> None:
    book = Account(Ledger(tmp_path / "ledger"), 1)
    await score(Kind.TEST_SCORES, book=book)
    await score(Kind.SCORES, book=book)
    with pytest.raises(PolicyError):
        await score(Kind.SCORES, book=book, job="job-2")
