"""Processes end at once while programs ask: who sends its request again gets one answer to it, and each row is charged once."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from contextlib import closing
from types import TracebackType
from typing import Any, Self

from tests.patience import patience
from tests.scenarios.end_to_end.lab import command, eventually, make_tables, own
from tests.scenarios.online.conftest import Office, charged, in_ledger

_AGAIN = 0.1  # seconds until a program asks again


class Programs:
    """Three programs of the bank, each asking for one row after another until told to end, and again until it is answered."""

    def __init__(self, office: Office, ids: list[str], name: str = "restarts", pause: float = 0.0) -> None:
        """name: what their requests' keys begin with. pause: seconds that each waits after an answer; without, all are busy."""
        self._office, self._ids, self._name, self._turn, self._pause = office, ids, name, itertools.count(), pause
        self._over, self._lock = threading.Event(), threading.Lock()
        self.answers: dict[int, dict[str, Any]] = {}
        self.wrong: list[Any] = []
        self.again = 0  # requests sent once more
        self._threads = [threading.Thread(target=self._work) for _ in range(3)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(patience(30))

    def id(self, number: int) -> str:
        return self._ids[number % len(self._ids)]

    def await_more(self, count: int) -> None:
        """Until so many more are answered."""
        enough = len(self.answers) + count
        eventually(lambda: bool(self.wrong) or len(self.answers) >= enough, 30.0)
        assert not self.wrong

    def await_again(self) -> None:
        """Until somebody has asked for something once more."""
        sent = self.again
        eventually(lambda: self.again > sent, 30.0)

    def _work(self) -> None:
        while not self._over.is_set() and not self.wrong:
            number = next(self._turn)
            while (answer := self._try(number)) is None and not self._over.is_set():
                time.sleep(_AGAIN)
            if answer is not None:
                with self._lock:
                    self.answers[number] = answer
                time.sleep(self._pause)

    def _try(self, number: int) -> dict[str, Any] | None:
        try:
            with closing(self._office.caller()) as caller:
                status, answer = caller.score(f"{self._name}-{number}", id=self.id(number))
        except (OSError, http.client.HTTPException, ValueError):  # ended, or cut off in the middle of an answer
            status, answer = 503, None
        if status == 200:
            found: dict[str, Any] = answer
            return found
        with self._lock:
            self.again += 1
            if status != 503:
                self.wrong.append(answer)
        return None


def test_no_request_is_lost_and_no_row_charged_twice_whichever_process_ends_under_load(office: Office) -> None:
    grid, bank = make_tables("R", 60, seed=11)
    office.deal(200, 6)
    office.write("new", grid, bank.drop(columns="y"))
    before = charged(office, "grid"), charged(office, "bank"), in_ledger(office)
    with closing(office.caller()) as caller:
        eventually(lambda: caller.score(f"R-{time.monotonic_ns()}", id=str(grid["id"].iloc[0]))[0] == 200, 30.0)
    with Programs(office, sorted(map(str, grid["id"]))) as programs:
        programs.await_more(5)
        office.kill("coordinator")
        programs.await_more(20)
        for name in ("grid", "bank"):
            office.kill(name)
            programs.await_again()
            office.start(name)
            programs.await_more(20)
        assert not office.alive()["coordinator"]
    assert not programs.wrong and programs.again
    assert {programs.id(number) for number in programs.answers} == set(grid["id"])
    for company, had in zip(("grid", "bank"), before, strict=False):
        assert charged(office, company) - had == len(grid)
    assert in_ledger(office) - before[2] == len(grid)
    with closing(office.caller()) as caller:
        for number, answer in sorted(programs.answers.items())[::9]:
            assert caller.score(f"restarts-{number}", id=programs.id(number)) == (200, answer)
            assert caller.headers["idempotent-replayed"] == "true"


def test_while_the_coordinator_is_gone_one_session_after_another_serves_from_stock_and_stocks_are_filled_up_after(
    office: Office,
) -> None:
    grid, bank = make_tables("C", 40, seed=19)
    office.deal(200, 8)
    office.write("new", grid, bank.drop(columns="y"))
    brief = {"renew_hours": 3.0 / 3600, "wait_seconds": 300.0}  # a day's end each 3 s
    office.restart("bank", online=office.extra["bank"]["online"] | brief)
    eventually(office.serving, 30.0)
    office.kill("coordinator")
    with Programs(office, sorted(map(str, grid["id"])), "alone", pause=0.05) as programs:
        eventually(lambda: bool(programs.wrong) or len({a["session"] for a in [*programs.answers.values()]}) > 3, 60.0)
        assert not programs.wrong and not programs.again and not office.alive()["coordinator"]
    office.restart("bank")
    refused = command(office, "bank", "refill", "--now")
    assert refused.exit_code != 0 and "no connection to" in refused.output
    office.start("coordinator")
    assert "of 8 wanted" in own(office, "bank", "refill", "--now")
