"""The audit log: every change to it is found, by itself or by what the other party was told."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError, PolicyError
from common.home.audit import BEHIND, ORIGIN, AuditLog, Entry, Head, What


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    """Six entries of two jobs, a second apart."""
    now = iter(range(1_000_000, 1_000_100))
    log = AuditLog(tmp_path / "audit.sqlite", lambda: float(next(now)))
    for job in ("train-a", "train-b"):
        log.add(What.OFFER, job, client="wattscore://acme/client", plan="00" * 32)
        log.add(What.OPEN, job, value="scores", rows=3, bits=192)
        log.add(What.END, job, error="", books={"seeds.sqlite": 4})
    return log


def change(log: AuditLog, statement: str, *values: object) -> None:
    with sqlite3.connect(log._file) as book:
        book.execute(statement, values)


def test_it_outlasts_a_restart_and_each_entry_follows_from_the_one_before(log: AuditLog) -> None:
    again = AuditLog(log._file)
    assert again.head == log.verify() == again.at(6) and again.head.number == 6
    assert [entry.what for entry in again.entries("train-a")] == ["offer", "open", "end"]
    assert again.at(0) == Head(0, ORIGIN) and again.at(7) is None
    assert log._file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("column", ["at", "job", "what", "detail", "head"])
@pytest.mark.parametrize("number", range(1, 7))
def test_any_changed_entry_is_found(log: AuditLog, number: int, column: str) -> None:
    value: object = {"at": 0.5, "head": bytes(32)}.get(column, '{"rows": 1}')
    change(log, f"update entries set {column} = ? where number = ?", value, number)
    with pytest.raises(DataError, match=f"entry {number} does not follow"):
        log.verify()


@pytest.mark.parametrize("number", range(1, 6))
def test_an_entry_that_is_gone_is_found(log: AuditLog, number: int) -> None:
    change(log, "delete from entries where number = ?", number)
    with pytest.raises(DataError, match=f"entry {number + 1} does not follow"):
        log.verify()


def test_two_that_changed_places_are_found(log: AuditLog) -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        change(log, "update entries set number = ? where number = ?", new, old)
    with pytest.raises(DataError, match="entry 2 does not follow"):
        log.verify()


def test_a_log_cut_short_or_made_anew_is_found_by_what_the_other_was_told(log: AuditLog, tmp_path: Path) -> None:
    told = {3: log.at(3), 6: log.head}
    heads = {number: head.digest for number, head in told.items() if head is not None}
    assert log.verify_against(heads) == log.head
    change(log, "delete from entries where number > 4")
    assert log.verify().number == 4  # by itself it cannot know
    with pytest.raises(DataError, match=r"told a head of 6 entries, and this log has fewer entries"):
        log.verify_against(heads)
    forged = AuditLog(tmp_path / "forged.sqlite")
    for _ in range(9):
        forged.add(What.ACCEPT, "train-a")
    assert forged.verify().number == 9
    with pytest.raises(DataError, match="a head of 3 entries, and this log was another one"):
        forged.verify_against(heads)


@given(
    st.lists(st.tuples(st.text(max_size=8), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2)), max_size=6),
    st.lists(st.tuples(st.text(max_size=8), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2)), max_size=6),
)
def test_two_histories_have_one_head_only_if_they_are_one(
    one: list[tuple[str, dict[str, int]]], two: list[tuple[str, dict[str, int]]]
) -> None:
    def head(history: list[tuple[str, dict[str, int]]]) -> bytes:
        found = ORIGIN
        for number, (job, detail) in enumerate(history, 1):
            found = Entry(number, 0.0, job, "offer", json.dumps(detail, sort_keys=True), b"").follows(found)
        return found

    assert (head(one) == head(two)) == (one == two)


def test_the_other_s_head_is_the_last_one_told_until_a_person_lets_it_go(log: AuditLog) -> None:
    assert log.held() == Head() and log.heard() == {}
    for number in (3, 5):
        log.add(What.PEER, "train-b", number=number, head=bytes([number] * 32).hex())
    assert log.held() == Head(5, bytes([5] * 32)) and set(log.heard()) == {3, 5}
    log.add(What.OVERRIDE, rule="rates", person="li")  # another rule
    assert log.held().number == 5
    log.add(What.OVERRIDE, rule=BEHIND, person="li", note="restored on Monday")
    assert log.held() == Head() and set(log.heard()) == {3, 5}  # what was told stays told


def test_a_book_that_holds_less_is_noticed_until_a_person_lets_it_pass(log: AuditLog) -> None:
    log.check_books(lambda: {"seeds.sqlite": 4, "new.sqlite": 0}, "grid-party")
    log.check_books(lambda: {"seeds.sqlite": 9}, "grid-party")
    for now in ({"seeds.sqlite": 3}, {}):
        with pytest.raises(PolicyError, match=r"seeds\.sqlite holds less .*expected at least 4.*`grid-party audit accept`"):
            log.check_books(now.copy, "grid-party")
    log.add(What.OVERRIDE, rule=BEHIND, person="li")
    log.check_books(dict, "grid-party")


def test_a_book_that_another_job_has_charged_meanwhile_is_not_taken_for_a_restored_one(log: AuditLog) -> None:
    held = {"seeds.sqlite": 4}

    def books() -> dict[str, int]:
        found = dict(held)
        held["seeds.sqlite"] += 1  # of a job that ends right after it was asked
        log.add(What.END, "other", books=held)
        return found

    for _ in range(3):
        log.check_books(books, "grid-party")


def test_of_jobs_that_end_at_one_moment_the_last_entry_has_the_most(tmp_path: Path) -> None:
    """As nobody makes another entry from when books are looked at until that is entered."""
    log, at_once = AuditLog(tmp_path / "audit.sqlite"), list[bool]()

    def books() -> dict[str, int]:
        locked = pytest.raises(sqlite3.OperationalError, match="locked")
        with closing(sqlite3.connect(tmp_path / "audit.sqlite", timeout=0)) as other, locked:
            other.execute("begin immediate")
        at_once.append(True)
        return {"rates.sqlite": len(at_once)}

    for number in (1, 2):
        log.end(f"train-{number}", books, error="")
        assert log.books() == {"rates.sqlite": number}
    assert [json.loads(entry.detail)["error"] for entry in log.entries()] == ["", ""] and log.verify() == log.head


def test_what_is_heard_late_of_the_other_log_does_not_go_behind_what_was_heard_before(log: AuditLog) -> None:
    heads = {number: Head(number, bytes([number] * 32)) for number in (3, 5, 7)}
    assert log.hear("train-1", heads[5]) == heads[5] and log.hear("train-2", heads[3]) == heads[5] == log.held()
    assert log.hear("train-3", heads[3], "wattscore://north/bank") == heads[3] and log.held() == heads[5]
    log.add(What.OVERRIDE, rule=BEHIND, person="li")
    assert log.hear("train-4", heads[3]) == heads[3] and log.hear("train-5", heads[7]) == heads[7] == log.held()
    assert set(log.heard()) == {3, 5, 7} and log.verify() == log.head
    assert [entry.job for entry in log.entries() if entry.what == "peer"] == [f"train-{k}" for k in (1, 2, 3, 4, 5)]


def test_a_head_cannot_be_tried_against_what_an_entry_might_say(tmp_path: Path) -> None:
    """The other party is told heads, and could else find out by hashing guesses how a job ended, or how much a book holds."""
    logs = [AuditLog(tmp_path / name, clock=lambda: 1.0) for name in ("one", "two")]
    heads = [log.add(What.END, "j", error="PolicyError") for log in logs]
    assert heads[0].number == heads[1].number == 1 and heads[0].digest != heads[1].digest
