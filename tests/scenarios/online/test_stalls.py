"""A request that the grid never comes to an end with, a session that nobody asks anything of: what either costs is limited."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from common.trial import processes
from tests.scenarios.end_to_end.lab import eventually, make_tables
from tests.scenarios.online.conftest import Office, charged

STALL = 8.0  # seconds in which nothing happens of a request
STALLED = f"nothing has happened in this job for {STALL:.0f} s"
GRID = "tests.scenarios.online.stalling_grid"


def ended(office: Office, side: str, why: str) -> int:
    """How many sessions have ended at a company for this reason, by its log."""
    return sum(" ended: " in line and why in line for line in office.log(side).read_text().splitlines())


@pytest.fixture
def stalling(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """`office` with a grid that stalls at the first of `ids`; the real one is back after each test."""
    grid, bank = make_tables("S", 20, seed=13)
    office.write("new", grid, bank.drop(columns="y"))
    office.ids = sorted(map(str, grid["id"]))
    with monkeypatch.context() as patch:
        patch.setitem(processes._MODULES, "grid", GRID)
        patch.setenv("STALLS", office.ids[0])
        yield office
    for name in ("grid", "bank"):
        office.restart(name)


def test_a_request_that_always_stalls_costs_two_sessions_and_its_row_nothing_and_others_are_served(
    stalling: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, (bad, good) = stalling, stalling.ids[:2]
    monkeypatch.setenv("IDLE", "3600")
    office.deal(200, 4)
    for name in ("grid", "bank"):
        office.restart(name, stall_timeout=STALL)
    eventually(lambda: office.serving(), 30.0)
    before, lost = [charged(office, side) for side in ("grid", "bank")], ended(office, "bank", STALLED)
    with closing(office.caller()) as caller:

        def given_up() -> bool:
            status, answer = caller.score("stalls", id=bad)
            assert status == 503, "the grid comes to no end with it"
            return "have ended with rows" in str(answer)

        eventually(given_up, 60.0)
        assert ended(office, "bank", STALLED) == lost + 2
        status, answer = caller.score("stalls-again", id=bad)
        assert status == 503 and "2 sessions have ended with rows of this request" in answer["detail"]
        assert "Ask for other rows; for these from" in answer["remedy"]
        eventually(lambda: caller.score("other", id=good)[0] == 200, 30.0)
    assert ended(office, "bank", STALLED) == lost + 2, "what is refused costs no session"
    assert [charged(office, side) for side in ("grid", "bank")] == [had + 1 for had in before]


def test_a_session_that_nobody_asks_anything_of_ends_at_the_grid_and_the_next_one_serves(
    stalling: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = stalling
    monkeypatch.setenv("IDLE", "3")
    office.deal(200, 4)
    office.restart("grid", stall_timeout=2.0)
    with closing(office.caller()) as caller:
        for number in range(2):
            eventually(lambda: caller.score(f"idle-{time.monotonic_ns()}", id=office.ids[2])[0] == 200, 30.0)
            eventually(lambda: ended(office, "grid", "has asked for nothing in this session") > number, 60.0)  # noqa: B023
