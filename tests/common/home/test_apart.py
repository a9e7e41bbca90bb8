"""Which trainings of several banks would together tell of one bank, and which bank has agreed to that."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.home.apart import Together, told_apart
from common.home.setbook import SetBook
from tests.common.home.test_setbook import firms, months


def of(banks: str, *, alone: bool = False, agreed: bool = False) -> Together:
    """A training of banks of one letter each."""
    return Together(frozenset(banks), alone, agreed)


@pytest.mark.parametrize(
    ("past", "job", "told"),
    [
        ([], of("AB"), ""),  # each bank of two has taken part in that
        ([], of("ABC"), ""),
        ([of("ABC")], of("ABC"), ""),
        ([of("ABC")], of("AB"), "C"),
        ([of("AB")], of("ABC"), "C"),
        ([of("ABC", agreed=True)], of("AB"), ""),
        ([of("AB")], of("ABC", agreed=True), ""),
        ([of("AB", agreed=True)], of("ABC"), "C"),  # it was not asked
        ([of("ABCD")], of("ABC"), "D"),
        ([of("ABCDE")], of("ABC"), ""),  # of two it tells the sum
        ([of("ABC"), of("ADE")], of("ABCDE"), ""),  # which is their sum
        ([of("ABCDE"), of("ABC")], of("ABCD"), "DE"),
        ([of("ABC"), of("ABD")], of("ACD"), "BCD"),
        ([of("ABC"), of("AB")], of("ABC"), ""),  # it tells nothing that was not told
        ([of("ABCD", alone=True)], of("ABC", alone=True), "D"),
        ([of("ABCD", agreed=True)], of("ABC", alone=True), ""),  # but for columns, to which it has agreed
        ([of("ABCD", alone=True)], of("ABC"), "D"),
    ],
)
def test_what_a_training_tells_of_a_bank_beside_earlier_ones(past: list[Together], job: Together, told: str) -> None:
    assert told_apart(past, job, "A") == frozenset(told)


@given(st.lists(st.sets(st.sampled_from("BCDE"), min_size=1), min_size=1, max_size=4))
def test_as_by_trying_all_combinations_of_sums(others: list[set[str]]) -> None:
    """No training agreed to: none is refused exactly where no sum, with whole factors, is one bank's part."""
    trainings = [of("A" + "".join(sorted(names))) for names in others]
    found = frozenset[str]()
    for place, job in enumerate(trainings):
        found |= told_apart(trainings[:place], job, "A") | {b for b in job.banks - {"A"} if len(job.banks) == 2}
    factors = np.stack(np.meshgrid(*[np.arange(-3, 4)] * len(others)), -1).reshape(-1, len(others))
    sums = factors @ np.array([[name in names for name in "BCDE"] for names in others], np.int64)
    single = {name for row in sums for name in "BCDE" if (row != 0).sum() == 1 and row["BCDE".index(name)]}
    assert found | {b for one in trainings for b in one.consents - {"A"}} >= single
    assert found <= single


def test_a_book_holds_trainings_of_several_banks_against_each_other_by_rows(tmp_path: Path) -> None:
    book, differ = SetBook(tmp_path / "sets.sqlite"), 100
    three, two = of("ABC"), of("AB")
    for job, rows in (("first", firms(0, 1000)), ("other rows", firms(5000, 6000))):
        book.enter(rows, job, differ)
        assert not book.told_apart(rows, job, three, "A")
        book.enter_together(rows, job, three)
        book.enter_together(rows, job, three)  # an attempt later
    again = SetBook(tmp_path / "sets.sqlite")
    assert again.position == 4
    assert again.told_apart(firms(0, 1000), "next", two, "A") == {"C"}
    assert again.told_apart(firms(400, 1400), "next", two, "A") == {"C"}, "most of the rows are the same"
    assert not again.told_apart(firms(600, 1600), "next", two, "A")
    assert again.told_apart(months(range(1000), 2), "next", two, "A") == {"C"}, "months of the same enterprises"
    assert not again.told_apart(firms(0, 1000), "first", two, "A"), "nothing was told before, or it would not be asked"
    assert not again.told_apart(firms(0, 1000), "next", three, "A")
    assert not again.told_apart(firms(0, 1000), "next", two, "A", counted=True), "no scores were counted"
    again.enter_counted("first", frozenset("AB"))
    assert again.told_apart(firms(0, 1000), "next", three, "A", counted=True) == {"C"}
    assert not again.told_apart(firms(0, 1000), "next", two, "A", counted=True)


def test_no_pair_of_sets_of_banks_is_let_through_that_differs_by_one() -> None:
    names = [frozenset(c) | {"A"} for size in (2, 3, 4) for c in combinations("BCDE", size)]
    for one in names:
        for two in names:
            told = told_apart([Together(one)], Together(two), "A")
            assert bool(told) == (len(one ^ two) == 1)
