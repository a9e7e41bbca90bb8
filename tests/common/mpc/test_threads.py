"""Work in threads, given in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from common.mpc.threads import AHEAD_BYTES, in_order, within
from tests.patience import patience


class Lost(Exception):
    pass


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_come_in_order_and_no_more_are_made_than_that_ahead(workers: int) -> None:
    begun: list[int] = []

    def work() -> Iterator[Callable[[], int]]:
        for place in range(20):
            begun.append(place)
            yield partial(int, place)

    for taken, result in enumerate(in_order(work(), workers)):
        assert result == taken
        assert len(begun) <= taken + 1 + workers


@pytest.mark.parametrize("workers", [2, 3])
def test_so_many_run_at_a_time(workers: int) -> None:
    meeting = threading.Barrier(workers)  # each waits for all the others
    waits = partial(meeting.wait, patience(30))
    assert sorted(in_order([waits] * workers, workers)) == list(range(workers))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_an_error_comes_in_its_place_and_ends_the_rest(workers: int) -> None:
    begun: list[int] = []

    def one(place: int) -> int:
        begun.append(place)
        if place == 3:
            raise Lost
        return place

    results = in_order((partial(one, place) for place in range(100)), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Lost):
        next(results)
    assert max(begun) < 3 + workers


def test_what_was_not_begun_never_is_once_nobody_takes_it() -> None:
    begun: list[int] = []
    results = in_order((partial(begun.append, place) for place in range(100)), 2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 3


def test_fewer_work_at_a_time_where_each_holds_much() -> None:
    assert [within(8, each) for each in (0, 1, AHEAD_BYTES // 8, AHEAD_BYTES // 8 + 1, AHEAD_BYTES // 3, 2 * AHEAD_BYTES)] == [
        8,
        8,
        8,
        7,
        3,
        1,
    ]
