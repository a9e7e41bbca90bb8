"""What a client may have in a day: counted across processes, refused with when it frees, lifted by a person's word."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.disk.elapsed import Times
from common.errors import PolicyError
from common.home.rates import DAY, Rates, Word
from common.rows.table import FeatureTable, Ids

ONE, TWO = "wattscore://acme/one", "wattscore://acme/two"
NOON = 1_767_268_800.0  # 2026-01-01 12:00 UTC


@dataclass
class Limits:
    jobs_per_day: int = 2
    rows_per_day: int = 100
    models_per_day: int = 2


@dataclass
class Clock:
    """What time it is, a clock that is set wrong by so much, and which start of the machine it is."""

    at: float = NOON
    wrong: float = 0.0
    start: str = "first"

    def __call__(self) -> float:
        return self.at + self.wrong

    @property
    def times(self) -> Times:
        return Times(self, lambda: (self.start, self.at - NOON + 1000.0))


@dataclass
class Desk:
    folder: Path
    clock: Clock = field(default_factory=Clock)
    limits: Limits = field(default_factory=Limits)
    _begun: int = 0

    @property
    def rates(self) -> Rates:
        """The book, opened anew each time, as a process that starts does."""
        return Rates(self.folder / "rates.sqlite", "grid-party", self.clock.times)

    def begin(self, client: str = ONE, job: str = "") -> None:
        self._begun += 1
        self.rates.begin(client, job or f"train-{self._begun}", self.limits)

    def charge(self, rows: range, model: str, client: str = ONE) -> None:
        self.rates.charge(client, table(rows), model, self.limits)

    def allow(self, **more: int) -> None:
        word = {"jobs": 0, "rows": 0, "models": 0} | more
        self.rates.allow(Word(ONE, "ann", self.clock(), self.clock() + 3600, **word))


def table(rows: range) -> FeatureTable:
    return FeatureTable(Ids.of([f"E{k}" for k in rows]), None, {}, {})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_jobs_of_one_client_are_counted_for_a_day_and_those_of_another_apart(desk: Desk) -> None:
    for hour in (0, 5):
        desk.clock.at = NOON + 3600 * hour
        desk.begin()
    with pytest.raises(PolicyError) as refused:
        desk.begin()
    text = str(refused.value)
    assert f"client {ONE} asks for more jobs than it may have in 24 hours" in text
    assert "at most 2 (jobs_per_day), of which 0 are left, got 1" in text
    assert "Wait until 2026-01-02 12:00 UTC" in text and f"`grid-party allow {ONE} --jobs N`" in text
    desk.begin(TWO)
    desk.clock.at = NOON + DAY
    desk.begin()
    with pytest.raises(PolicyError, match="Wait until 2026-01-02 17:00 UTC"):
        desk.begin()


def test_a_name_serves_once_a_day_where_nobody_goes_on_with_it(desk: Desk) -> None:
    desk.rates.begin(ONE, "score-1", desk.limits, new=True)
    with pytest.raises(PolicyError, match=f"client {ONE} has had a job score-1 in the last 24 hours"):
        desk.rates.begin(ONE, "score-1", desk.limits, new=True)
    desk.rates.begin(ONE, "score-1", desk.limits)  # as one that was interrupted
    assert [usage.jobs for usage in desk.rates.usage()] == [1]
    desk.rates.begin(TWO, "score-1", desk.limits, new=True)  # another client's is counted for that one
    desk.clock.at += DAY + 1
    desk.rates.begin(ONE, "score-1", desk.limits, new=True)
    assert [usage.jobs for usage in desk.rates.usage()] == [1]


def test_rows_are_counted_until_enough_of_them_are_a_day_old(desk: Desk) -> None:
    desk.charge(range(40), "a")
    desk.clock.at += 3600
    desk.charge(range(100, 150), "a")
    desk.charge(range(40), "a")  # the same again
    with pytest.raises(PolicyError, match=r"at most 100 \(rows_per_day\), of which 10 are left, got 50"):
        desk.charge(range(200, 250), "b")


def test_rows_that_were_refused_are_not_counted(desk: Desk) -> None:
    desk.charge(range(90), "a")
    for _ in range(3):
        with pytest.raises(PolicyError, match="of which 10 are left, got 11"):
            desk.charge(range(100, 111), "a")
    desk.charge(range(100, 110), "a")


def test_when_rows_free_is_said_and_true(desk: Desk) -> None:
    for hour in range(4):
        desk.clock.at = NOON + 3600 * hour
        desk.charge(range(25 * hour, 25 * hour + 25), "a")
    with pytest.raises(PolicyError, match="Wait until 2026-01-02 13:00 UTC"):
        desk.charge(range(500, 540), "a")
    desk.clock.at = NOON + DAY + 3600 - 1
    with pytest.raises(PolicyError):
        desk.charge(range(500, 540), "a")
    desk.clock.at += 1
    desk.charge(range(500, 540), "a")


def test_more_rows_than_a_day_allows_are_worth_no_waiting(desk: Desk) -> None:
    with pytest.raises(PolicyError) as refused:
        desk.charge(range(101), "a")
    assert "Wait" not in str(refused.value) and "or ask for less" in str(refused.value)


def test_few_models_of_one_client_score_a_row_in_a_day(desk: Desk) -> None:
    desk.charge(range(10), "a")
    desk.clock.at += 3600
    desk.charge(range(5, 15), "b")
    desk.charge(range(5, 15), "b")
    with pytest.raises(
        PolicyError,
        match=r"at most 2 \(models_per_day\), of which 0 are left, got 1.*2026-01-02 12:00 UTC, or take rows that are new",
    ):
        desk.charge(range(9, 12), "c")
    desk.charge(range(10, 12), "c")
    desk.charge(range(9), "c", TWO)
    desk.clock.at = NOON + DAY
    desk.charge(range(9, 12), "c")


def test_a_persons_word_holds_at_once_for_its_client_and_its_time(desk: Desk) -> None:
    for _ in range(2):
        desk.begin()
    open_already = desk.rates
    desk.allow(jobs=1)
    for _ in range(2):  # a job that is offered again is one job
        open_already.begin(ONE, "train-a", desk.limits)
    with pytest.raises(PolicyError, match="at most 3"):
        desk.begin()
    desk.charge(range(100), "a")
    desk.allow(rows=50, models=1)
    desk.charge(range(200, 250), "a")
    for model in "bc":
        desk.charge(range(0), model)
    (usage,) = desk.rates.usage()
    assert (usage.jobs, usage.rows, usage.models, len(usage.words)) == (3, 150, 1, 2)
    desk.clock.at += 3600
    with pytest.raises(PolicyError, match="at most 2"):
        desk.begin()
    assert [word.person for word in desk.rates.words()] == ["ann", "ann"] and desk.rates.usage()[0].words == ()


def test_nothing_at_all_may_be_allowed(desk: Desk) -> None:
    desk.limits = Limits(0, 0, 0)
    for refused in (desk.begin, lambda: desk.charge(range(1), "a")):
        with pytest.raises(PolicyError, match="at most 0"):
            refused()


@pytest.mark.untraced
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(1, 20)), max_size=12))
def test_no_row_is_ever_scored_by_more_models_than_allowed(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int, int]]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("rates"))
    rates = desk.rates
    scored = {model: set[int]() for model in range(4)}
    for model, low, count in asked:
        rows = range(low, low + count)
        new = set(rows) - scored[model]
        most = max((sum(row in had for had in scored.values()) for row in new), default=0)
        fits = most < 2 and len(new) + sum(map(len, scored.values())) <= 100
        try:
            rates.charge(ONE, table(rows), str(model), desk.limits)
        except PolicyError:
            assert not fits
        else:
            assert fits or not new
            scored[model] |= set(rows)
    rates.close()
    times = np.array([sum(row in had for had in scored.values()) for row in range(40)])
    assert times.max() <= 2


def test_what_is_forgotten_after_a_day_is_still_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.rates.begin(ONE, "job-1", desk.limits)
    desk.clock.at += 2 * DAY
    desk.rates.begin(ONE, "job-2", desk.limits)
    assert desk.rates.usage()[0].jobs == 1 and desk.rates.position == 2


def test_rows_had_before_are_free_though_the_policy_has_become_stricter(desk: Desk) -> None:
    desk.charge(range(50), "m1")
    desk.limits.rows_per_day = 10
    desk.charge(range(50), "m1")
    with pytest.raises(PolicyError, match="rows_per_day"):
        desk.charge(range(51), "m1")


def test_rows_asked_for_one_by_one_are_one_entry_which_counts_from_the_last(desk: Desk) -> None:
    for k in range(60):
        desk.clock.at = NOON + k
        desk.charge(range(k, k + 1), "m1")
    desk.clock.at = NOON + 59
    with pytest.raises(PolicyError, match="of which 40 are left") as refused:
        desk.charge(range(60, 101), "m1")
    assert "2026-01-02 12:00 UTC" in str(refused.value)
    desk.clock.at = NOON + 30 + DAY  # half of them are older than a day
    with pytest.raises(PolicyError, match="of which 40 are left"):
        desk.charge(range(60, 101), "m1")
    desk.clock.at = NOON + 60 + DAY
    desk.charge(range(60, 101), "m1")


def test_what_is_a_day_old_counts_no_more_by_a_book_that_forgets_once_a_minute(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    rates = desk.rates
    rates.charge(ONE, table(range(60)), "m1", desk.limits)
    for at in (NOON + DAY - 20, NOON + DAY - 1):
        desk.clock.at = at
        with pytest.raises(PolicyError, match="of which 40 are left"):
            rates.charge(ONE, table(range(60, 120)), "m1", desk.limits)
    desk.clock.at = NOON + DAY  # looked through 20 s ago
    rates.charge(ONE, table(range(60, 120)), "m1", desk.limits)
    assert [usage.rows for usage in rates.usage()] == [60]
    with closing(sqlite3.connect(tmp_path / "rates.sqlite")) as book:
        count = "select count(*) from scored"
        assert book.execute(count).fetchone() == (2,)
        desk.clock.at += 60
        rates.charge(ONE, table(range(60, 61)), "m1", desk.limits)
        assert book.execute(count).fetchone() == (1,)
    desk.clock.wrong -= 2 * DAY
    rates.charge(TWO, table(range(10)), "m1", desk.limits)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("wrong", [-60.0, -400 * DAY, 3599.0, 400 * DAY])
def test_a_clock_that_is_set_and_set_right_again_lets_no_row_count_for_less_than_a_day_or_more(
    desk: Desk, wrong: float, restarts: bool
) -> None:
    """Forward by a year it let a client have a day's rows again, and what was had meanwhile counted for that year."""
    desk.charge(range(50), "m1")
    desk.clock.at += 3600
    desk.clock.wrong = wrong
    desk.charge(range(50, 60), "m1")
    desk.charge(range(10), "m2")
    desk.begin()
    desk.clock.at += 120
    desk.charge(range(1), "m1")  # so that the book looks what is a day old
    with pytest.raises(PolicyError, match="of which 30 are left"):
        desk.charge(range(60, 100), "m1")
    desk.clock.wrong = 0.0
    if restarts and wrong > 0:  # else the machine was off for a year, by all that its book can tell
        desk.clock.start = "second"
    with pytest.raises(PolicyError, match="of which 30 are left"):
        desk.charge(range(60, 100), "m1")
    assert [(usage.rows, usage.models, usage.jobs) for usage in desk.rates.usage()] == [(70, 2, 1)]
    desk.clock.at = NOON + DAY - 1
    with pytest.raises(PolicyError, match="of which 30 are left"):
        desk.charge(range(60, 100), "m1")
    desk.clock.at = NOON + 3720 + DAY
    desk.charge(range(60, 160), "m1")


def test_a_day_goes_by_while_the_machine_is_off(desk: Desk) -> None:
    desk.charge(range(100), "m1")
    desk.clock.at, desk.clock.start = NOON + DAY - 60, "second"
    with pytest.raises(PolicyError, match=r"Wait until 2026-01-02 12:00 UTC"):
        desk.charge(range(100, 110), "m1")
    desk.clock.at, desk.clock.start = NOON + DAY, "third"
    desk.charge(range(100, 110), "m1")


def test_a_book_of_an_earlier_release_goes_on_from_its_last_entry(desk: Desk) -> None:
    desk.clock.wrong = 1800.0
    desk.charge(range(100), "m1")
    with closing(sqlite3.connect(desk.folder / "rates.sqlite")) as book:
        book.execute("drop table elapsed")
    desk.clock.wrong = 0.0
    desk.clock.at += 600
    with pytest.raises(PolicyError, match=r"of which 0 are left[\s\S]*Wait until 2026-01-02 12:10 UTC"):
        desk.charge(range(100, 101), "m1")


def test_a_word_given_after_a_clock_was_set_back_holds_for_as_long_as_it_says(desk: Desk) -> None:
    desk.charge(range(100), "m1")
    for _ in range(2):
        desk.begin()
    desk.clock.wrong -= 3000
    desk.rates.allow(Word(ONE, "ann", desk.clock(), desk.clock() + 1800, jobs=1, rows=10, models=0))
    desk.clock.at += 1799
    desk.charge(range(100, 110), "m1")
    desk.begin()
    desk.clock.at += 1
    with pytest.raises(PolicyError, match=r"at most 100 \(rows_per_day\), of which 0 are left"):
        desk.charge(range(110, 111), "m1")
    with pytest.raises(PolicyError, match=r"at most 2 \(jobs_per_day\)"):
        desk.begin()


def test_who_is_told_that_a_charge_is_allowed_is_told_before_it_is_on_disk_and_of_no_other(tmp_path: Path) -> None:
    desk, seen = Desk(tmp_path), list[int]()
    rates = desk.rates

    def look() -> None:
        seen.append(sum(usage.rows for usage in desk.rates.usage()))  # as another process sees it by now

    rates.charge(ONE, table(range(60)), "m1", desk.limits, look)
    with pytest.raises(PolicyError):
        rates.charge(ONE, table(range(60, 120)), "m1", desk.limits, look)
    assert seen == [0] and [usage.rows for usage in desk.rates.usage()] == [60]


def test_what_is_not_allowed_after_all_is_not_counted(desk: Desk) -> None:
    def refuse() -> None:
        raise PolicyError("the budget of columns")

    with pytest.raises(PolicyError, match="the budget of columns"):
        desk.rates.charge(ONE, table(range(60)), "m1", desk.limits, refuse)
    assert desk.rates.usage() == [] and desk.rates.position == 0


def test_a_check_raises_as_charges_one_after_another_would_and_enters_nothing(desk: Desk) -> None:
    rates = desk.rates
    rates.check(ONE, table(range(60)), ["m1"], desk.limits)
    rates.check(ONE, table(range(101)), [], desk.limits)
    with pytest.raises(PolicyError, match="more rows to be scored"):
        rates.check(ONE, table(range(60)), ["m1", "m2"], desk.limits)
    assert rates.usage() == [] and rates.position == 0
    rates.charge(ONE, table(range(60)), "m1", desk.limits)
    rates.check(ONE, table(range(60)), ["m1", "m1"], desk.limits)
    assert [usage.rows for usage in rates.usage()] == [60]


def test_a_check_before_a_request_waits_for_nobody_who_writes(desk: Desk) -> None:
    desk.charge(range(100), "champion")
    rates = desk.rates
    with closing(sqlite3.connect(desk.folder / "rates.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")  # as a charge that is on its way to the disk, or another process
        rates.check(ONE, table(range(100)), ["champion"], desk.limits)
        with pytest.raises(PolicyError, match="rows to be scored"):
            rates.check(ONE, table(range(99, 101)), ["champion"], desk.limits)


def test_rows_that_came_to_nothing_count_no_more_unless_anything_was_counted_since(desk: Desk) -> None:
    rates = desk.rates
    rates.charge(ONE, table(range(10)), "m", desk.limits)
    counted = rates.charge(ONE, table(range(5, 20)), "m", desk.limits)
    assert rates.give_back(counted, table(range(8, 13))) == 3  # of 8 to 12 two were counted before
    assert rates.usage()[0].rows == 17 and rates.position == 3
    rates.charge(ONE, table(range(20)), "m", desk.limits)
    assert rates.usage()[0].rows == 20
    counted = rates.charge(ONE, table(range(20, 30)), "m", desk.limits)
    rates.charge(ONE, table(range(25, 30)), "m", desk.limits)  # free: they were counted
    assert rates.give_back(counted, table(range(20, 30))) == 0
    assert desk.rates.usage()[0].rows == 30
