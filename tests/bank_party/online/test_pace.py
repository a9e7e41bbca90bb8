"""Until when stocks last: at the pace of a day, and one a session at least."""

from __future__ import annotations

import pytest

from bank_party.online.pace import Pace


class Clock:
    hours = 0.0

    def __call__(self) -> float:
        return 3600.0 * self.hours


def test_a_pace_is_that_of_the_last_day() -> None:
    clock = Clock()
    pace = Pace(clock)
    for hour in range(48):
        clock.hours = hour + 0.5
        pace.add(1000 if hour < 24 else 10)
    clock.hours = 48.0
    assert pace.an_hour == pytest.approx(10.0)
    clock.hours = 100.0
    assert pace.an_hour == 0.0


def test_a_moment_is_no_pace() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.hours = 0.001
    pace.add(10)
    assert pace.an_hour == 40.0  # as if in a quarter of an hour


@pytest.mark.parametrize(
    ("an_hour", "rows", "behind", "hours"),
    [
        (0, 100, [], 4.0),  # the session's end takes it
        (0, 100, [50, 50], 52.0),  # and each session one
        (10, 20, [], 2.0),
        (10, 20, [10], 3.0),  # both in the first session
        (10, 20, [100, 10], 4.0),  # the larger one is begun in its last hour, and lost
        (10, 1000, [100, 10], 15.0),  # the first is lost in four hours; then 1 and 10
    ],
)
def test_stocks_last_until_used_or_lost(an_hour: int, rows: int, behind: list[int], hours: float) -> None:
    clock = Clock()
    pace = Pace(clock)
    for hour in range(24):
        clock.hours = float(hour)
        pace.add(an_hour)
    clock.hours = 24.0
    assert pace.lasts(rows, behind, 4.0, 24.0) == pytest.approx(hours)
