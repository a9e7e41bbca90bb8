"""A company ends, or its disk is full, at each point of a charge: who asks again is answered, and charged once at both."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from common.trial import processes
from tests.patience import patience
from tests.scenarios.end_to_end.lab import eventually, make_tables
from tests.scenarios.online.conftest import ROWS, Office, charged, in_ledger

DYING = "tests.scenarios.online.dying"
POINTS = [
    ("grid", "once asked"),
    ("grid", "before rates.sqlite"),
    ("grid", "after rates.sqlite"),
    ("grid", "after ledger.sqlite"),
    ("grid", "once told"),
    ("bank", "once asked"),
    ("bank", "before rates.sqlite"),
    ("bank", "after rates.sqlite"),
    ("bank", "before answers.sqlite"),
    ("bank", "after answers.sqlite"),
]
FULL = [("grid", "rates.sqlite"), ("grid", "ledger.sqlite"), ("bank", "rates.sqlite"), ("bank", "answers.sqlite")]
ROWS_ASKED = len(POINTS) + len(FULL)


@pytest.fixture(scope="module")
def dying(shared: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Office, Path]]:
    """The office by daemons that end where the file says; the real ones are back afterwards."""
    shared.heal()
    grid, bank = make_tables("D", ROWS_ASKED, seed=17)
    shared.write("new", grid, bank.drop(columns="y"))
    shared.ids = sorted(map(str, grid["id"]))
    shared.deal(200, ROWS_ASKED + 4)  # each end costs a session's
    file = tmp_path_factory.mktemp("dies") / "point"
    with pytest.MonkeyPatch.context() as patch:
        for side in ("grid", "bank"):
            patch.setitem(processes._MODULES, side, DYING)
        patch.setenv("DIES", str(file))
        for side in ("grid", "bank"):
            shared.restart(side)
        yield shared, file
    grid, bank = make_tables("W", ROWS, seed=5)  # as other tests know it
    shared.write("new", grid, bank.drop(columns="y"))
    for side in ("grid", "bank"):
        shared.restart(side)


def asked(office: Office, key: str, id: str) -> tuple[dict[str, Any], bool]:
    """The answer to a program that sends its request until it has one; whether that was given before."""
    end = time.monotonic() + patience(90)
    while time.monotonic() < end:
        try:
            with closing(office.caller()) as caller:
                status, answer = caller.score(key, id=id)
                if status == 200:
                    return answer, caller.headers.get("idempotent-replayed") == "true"
        except (OSError, http.client.HTTPException, ValueError):
            status = 503
        assert status == 503, answer
        time.sleep(0.1)
    raise AssertionError("it was not answered")


def books(office: Office) -> list[int]:
    return [charged(office, "grid"), charged(office, "bank"), in_ledger(office)]


def tell(file: Path, point: str) -> None:
    file.with_suffix(".part").write_text(point, encoding="utf-8")
    file.with_suffix(".part").replace(file)


@pytest.mark.parametrize(("side", "point"), POINTS)
def test_a_row_is_answered_and_charged_once_wherever_a_company_ends(side: str, point: str, dying: tuple[Office, Path]) -> None:
    (office, file), number = dying, POINTS.index((side, point))
    id, key = office.ids[number], f"dies-{number}"
    eventually(office.serving, 60.0)
    before = books(office)
    tell(file, f"{side} {point}")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(asked, office, key, id)
        eventually(lambda: not office.alive()[side] or (asking.done() and file.exists()), 60.0)
        assert not file.exists(), "it ended there"
        assert not asking.done() or (side, point) == ("grid", "once told"), "nothing left before it was charged"
        office.start(side)
        answer, replayed = asking.result()
    assert replayed == (point == "after answers.sqlite")
    assert books(office) == [had + 1 for had in before]
    assert answer["results"][0]["decision"] and asked(office, key, id) == (answer, True)


@pytest.mark.parametrize(("side", "book"), FULL)
def test_a_row_is_answered_and_charged_once_whichever_book_the_disk_refuses(
    side: str, book: str, dying: tuple[Office, Path]
) -> None:
    (office, file), number = dying, len(POINTS) + FULL.index((side, book))
    id, key = office.ids[number], f"full-{number}"
    eventually(office.serving, 60.0)
    before = books(office)
    tell(file, f"{side} full at {book}")
    answer, _ = asked(office, key, id)
    assert not file.exists() and office.alive()[side], "the disk was full there, and the daemon goes on"
    assert books(office) == [had + 1 for had in before]
    assert answer["results"][0]["decision"] and asked(office, key, id) == (answer, True)
