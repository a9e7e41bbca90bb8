"""Sessions of a console: how long they last, and what keeps them."""

from __future__ import annotations

from common.web.login import Sessions

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_after_half_an_hour_without_a_page_and_after_eight_hours_with_them() -> None:
    sessions = Sessions(clock := Clock())
    idle, busy = sessions.open("li"), sessions.open("wang")
    for _ in range(24):
        clock.now += HOUR / 3
        assert sessions.find(busy) is not None
    assert sessions.find(idle) is None
    clock.now += 1
    assert sessions.find(busy) is None


def test_a_page_that_keeps_itself_up_to_date_keeps_nobody_logged_in() -> None:
    sessions = Sessions(clock := Clock())
    cookie = sessions.open("li")
    for _ in range(3):
        clock.now += HOUR / 6
        assert sessions.find(cookie, asked=False) is not None
    clock.now += 1
    assert sessions.find(cookie, asked=False) is None


def test_of_very_many_sessions_the_one_seen_longest_ago_gives_way() -> None:
    sessions = Sessions(clock := Clock())
    first = sessions.open("li")
    clock.now += 1
    rest = [sessions.open("wang") for _ in range(64)]
    assert sessions.find(first) is None and all(sessions.find(cookie) is not None for cookie in rest)


def test_two_sessions_share_neither_cookie_nor_the_secret_of_forms() -> None:
    sessions = Sessions()
    one, two = (sessions.find(sessions.open("li")) for _ in range(2))
    assert one is not None and two is not None and one.form != two.form and one.form not in repr(one)
