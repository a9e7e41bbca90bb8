"""A bank holds a training against those of one bank more or fewer on its rows, before it sums and before it counts scores."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.errors import PolicyError
from common.home.setbook import SetBook
from common.stages.several import apart
from tests.banks import several_plan
from tests.common.home.test_setbook import firms

ROWS = firms(0, 300)


def job(book: SetBook, name: str) -> Any:
    """Of the first bank of all plans."""
    book.enter(ROWS, name, 100)
    return SimpleNamespace(home=SimpleNamespace(sets=book), id=name, place=0)


async def run(asked: Any, banks: int, **more: Any) -> bool:
    """A training as far as its sums go: whether scores are counted too."""
    plan = several_plan(banks, **more)
    await apart.check(asked, plan, ROWS)
    await apart.enter(asked, plan, ROWS)
    return apart.counts(asked, plan, ROWS)


async def test_what_tells_of_a_bank_that_has_not_agreed_is_refused_and_named_here_alone(tmp_path: Path) -> None:
    book = SetBook(tmp_path / "sets")
    assert await run(job(book, "first"), 4) and await run(job(book, "again"), 4) and await run(job(book, "two"), 2)
    with pytest.raises(PolicyError, match="wattscore://bank-3/bank-party") as caught:
        await run(job(book, "less"), 3)
    assert "bank-3" not in caught.value.public + caught.value.remedy and "differ_by_one" in caught.value.remedy
    assert await run(job(book, "again, and agreed"), 4, differ_by_one=True) and await run(job(book, "less now"), 3)


async def test_scores_are_not_counted_over_one_bank_less_though_columns_were_summed_over_all(tmp_path: Path) -> None:
    """As where the other bank was left out in between."""
    book = SetBook(tmp_path / "sets")
    assert await run(job(book, "first"), 4)
    left, plan = job(book, "left out"), several_plan(4)
    await apart.check(left, plan, ROWS)
    await apart.enter(left, plan, ROWS)
    assert not apart.counts(left, several_plan(3), ROWS)
    assert apart.counts(left, several_plan(2), ROWS)


async def test_a_job_that_was_refused_before_its_sums_counts_for_nothing(tmp_path: Path) -> None:
    book = SetBook(tmp_path / "sets")
    await apart.check(job(book, "ended before"), several_plan(4), ROWS)
    assert await run(job(book, "less"), 3)
