"""What people said of held jobs: who, how many, of which plan, in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import JobNotFound, JobStateError
from common.home.approvals import DAY, Approvals, Verdict

CLIENT = "wattscore://acme/analyst"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(folder: Path, clock: Clock, needed: int = 1) -> Approvals:
    return Approvals(folder / "approvals.sqlite", needed, 7.0, clock)


def hold(book: Approvals, job: str = "train-1", digest: str = "d1") -> None:
    book.hold(job, "train", "name", CLIENT, digest, "{}")


def verdict(book: Approvals, job: str = "train-1") -> Verdict:
    return book.ruling(book.find(job)).verdict


def test_one_persons_word_decides_and_outlasts_the_process(tmp_path: Path, clock: Clock) -> None:
    book = opened(tmp_path, clock)
    hold(book)
    assert verdict(book) is Verdict.WAITS and not book.decided()
    assert book.say("train-1", "d1", "li", yes=True).approvers == ["li"]
    again = opened(tmp_path, clock)
    assert verdict(again) is Verdict.APPROVED and [held.job for held in again.decided()] == ["train-1"]
    assert again.forget("train-1") and not again.forget("train-1")
    assert [word.person for word in again.words()] == ["li"] and again.position == 1


def test_two_words_of_one_person_are_one(tmp_path: Path, clock: Clock) -> None:
    book = opened(tmp_path, clock, needed=2)
    hold(book)
    book.say("train-1", "d1", "li", yes=True)
    with pytest.raises(JobStateError, match=r"li has approved job train-1 already.*2 different people"):
        book.say("train-1", "d1", "li", yes=True)
    assert verdict(book) is Verdict.WAITS
    assert book.say("train-1", "d1", "wang", yes=True).verdict is Verdict.APPROVED
    with pytest.raises(JobStateError, match="approved already"):
        book.say("train-1", "d1", "zhao", yes=True)


def test_who_has_approved_may_still_deny_and_one_denial_is_enough(tmp_path: Path, clock: Clock) -> None:
    book = opened(tmp_path, clock, needed=2)
    hold(book)
    book.say("train-1", "d1", "li", yes=True)
    assert book.say("train-1", "d1", "li", yes=False, note="too many columns").verdict is Verdict.DENIED
    with pytest.raises(JobStateError, match="denied already"):
        book.say("train-1", "d1", "wang", yes=True)


def test_a_word_is_of_the_plan_that_was_shown(tmp_path: Path, clock: Clock) -> None:
    book = opened(tmp_path, clock)
    hold(book)
    book.say("train-1", "d1", "li", yes=True)
    book.forget("train-1")
    hold(book, digest="d2")
    assert verdict(book) is Verdict.WAITS
    with pytest.raises(JobNotFound, match="another plan"):
        book.say("train-1", "d1", "wang", yes=True)
    with pytest.raises(JobNotFound, match="no job 'train-9' is held here"):
        book.say("train-9", "d1", "wang", yes=True)


def test_what_nobody_approves_expires_and_held_again_it_does_not_begin_anew(tmp_path: Path, clock: Clock) -> None:
    book = opened(tmp_path, clock)
    hold(book)
    clock.now += 7 * DAY
    hold(book)
    assert verdict(book) is Verdict.WAITS
    clock.now += 1
    assert verdict(book) is Verdict.EXPIRED
    with pytest.raises(JobStateError, match="expired already"):
        book.say("train-1", "d1", "li", yes=True)
