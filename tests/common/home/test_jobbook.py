"""The book of offered jobs: what is entered, that nobody fills it, that an end belongs to an accepted job."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from common.home import jobbook
from common.home.jobbook import JobBook, Offered


def test_a_job_from_its_offer_to_its_end(tmp_path: Path) -> None:
    book = JobBook(tmp_path / "jobs.sqlite")
    asked = Offered("train-1", "train", "overdue", "wattscore://acme/client", "loans", "ab12")
    book.enter(asked)
    book.enter(Offered("train-2", state="refused", cause="no dataset 'x'"))
    book.end("train-1", "done", counts={"own_rows": 7})
    book.end("train-2", "done")
    first, second = JobBook(tmp_path / "jobs.sqlite").jobs()
    assert (first.job, first.client, first.dataset, first.plan) == ("train-1", asked.client, "loans", "ab12")
    assert (first.state, first.counts) == ("done", {"own_rows": 7}) and first.ended >= first.at > 0
    assert (second.state, second.cause, second.ended) == ("refused", "no dataset 'x'", 0.0)
    assert [one.job for one in book.jobs(last=1)] == ["train-2"] and book.jobs(job="train-1") == [first]


def test_a_name_has_run_once_it_was_accepted(tmp_path: Path) -> None:
    book = JobBook(tmp_path / "jobs.sqlite")
    for job, state in (("a", "accepted"), ("b", "refused"), ("c", "held"), ("d", "accepted"), ("e", "accepted")):
        book.enter(Offered(job, state=state))
    book.end("d", "done")
    book.end("e", "failed")
    assert [job for job in "abcdef" if book.ran(job)] == ["a", "d", "e"]


def test_whoever_offers_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobbook, "_MOST", 2)
    monkeypatch.setattr(jobbook, "_MOST_REFUSED", 3)
    book = JobBook(tmp_path / "jobs.sqlite")
    assert book.position == 0
    for number in range(3):
        book.enter(Offered(f"train-{number}", at=1.0))
    for number in range(3, 9):
        book.enter(Offered(f"train-{number}", state="refused", cause="x" * 10_000))
    kept = book.jobs()
    assert [one.job for one in kept] == [f"train-{number}" for number in (1, 2, 6, 7, 8)] and len(kept[-1].cause) == 500
    assert book.position == 9


def test_a_name_is_known_for_two_days_however_many_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client's rates count a name once a day: one that is forgotten before would be a job that is not counted."""
    monkeypatch.setattr(jobbook, "_MOST", 2)
    book, hour = JobBook(tmp_path / "jobs.sqlite"), 3600.0
    for number, hours in enumerate((50, 47, 1, 0.5, 0.1, 0)):
        book.enter(Offered(f"score-{number}", at=time.time() - hours * hour))
    assert [number for number in range(6) if book.ran(f"score-{number}")] == [1, 2, 3, 4, 5]
    assert book.position == 6


def test_the_grants_of_a_job_are_kept_and_a_book_from_before_them_is_read(tmp_path: Path) -> None:
    file = tmp_path / "jobs.sqlite"
    JobBook(file).enter(Offered("train-1"))
    with closing(sqlite3.connect(file)) as book:
        book.execute("alter table jobs drop column grants")  # as the last release made it
    book_now = JobBook(file)
    book_now.enter(Offered("train-2", grants={"grid meters": "ab" * 32}))
    JobBook(file)
    assert [one.grants for one in book_now.jobs()] == [{}, {"grid meters": "ab" * 32}]
    for job in ("train-1", "train-2"):
        assert book_now.again(job, {"grid meters": "cd"}) and book_now.again(job)
    assert [one.grants for one in book_now.jobs()] == [{"grid meters": "cd"}, {"grid meters": "ab" * 32}]
