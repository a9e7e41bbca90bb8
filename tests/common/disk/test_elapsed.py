"""What a book counts time by: the same in every process of a machine, from one start of it to the next."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from common.disk.elapsed import MACHINE, Elapsed, Times


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="another system than Linux counts for each process")
def test_processes_of_one_machine_count_alike() -> None:
    before = MACHINE.ran()
    code = "from common.disk.elapsed import MACHINE; print(*MACHINE.ran())"
    start, ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    after = MACHINE.ran()
    assert before[0] == start == after[0] and before[1] < float(ran) < after[1]


def test_who_opens_a_book_goes_on_where_it_is() -> None:
    clock, ran = [5e8], [100.0]
    times = Times(lambda: clock[0], lambda: ("start", ran[0]))
    with closing(sqlite3.connect(":memory:")) as book:
        first = Elapsed(book, times)
        clock[0], ran[0] = 9e8, 130.0  # a clock that is set
        assert first() == Elapsed(book, times)() == 5e8 + 30 and first.clock(first() + 7) == 9e8 + 7
        ran[0] = 40.0  # of another space of times that has the same start
        assert Elapsed(book, times)() == 5e8 + 4e8


@pytest.mark.parametrize(("stood", "is_", "off"), [(0.0, 60.0, 60.0), (-9e7, 60.0, 60.0), (9e7, 60.0, 0.0), (0.0, -9e7, 0.0)])
def test_of_the_time_in_which_the_machine_was_off_the_clock_is_believed_for_no_more_than_went_by(
    stood: float, is_: float, off: float
) -> None:
    """stood: how wrong the clock was when the machine ended; is_: what it says at the next start, from then on."""
    state = [5e8, 100.0, "first"]
    times = Times(lambda: float(state[0]), lambda: (str(state[2]), float(state[1])))
    with closing(sqlite3.connect(":memory:")) as book:
        first = Elapsed(book, times)
        state[:2] = [5e8 + 60 + stood, 160.0]
        assert first.keep(book)
        state[:] = [5e8 + 60 + is_, 5.0, "second"]
        assert Elapsed(book, times)() == 5e8 + 60 + off
