"""The history page: what it names, in both languages, and that it loads nothing and runs nothing."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bank_party.monitor.config import BankMonitorConfig
from bank_party.monitor.matured import GradeRate, Matured
from common.disk.book import open_book
from common.monitor import drift
from common.monitor import page as module
from common.monitor.book import Book, Reading
from common.monitor.config import MonitorConfig
from common.monitor.drift import Alarm, alarms, observe
from common.monitor.history import History, make_history
from common.monitor.page import lines, make_page, moved
from common.monitor.reference import SCORE, describe
from common.report.texts import catalogue
from common.text.words import LANGS, Lang, read_words, words_in
from tests.common.monitor.worlds import party, since, split
from tests.source import ROOT

TEXTS = {lang: words_in(Path(module.__file__).with_name("texts.toml"), lang) for lang in LANGS}
ALARMS = {*drift.ALARMS}  # named by what an alarm is of


def history() -> History:
    table = party(300, 15, 3)
    before, after = split(since(table, 14, amount=table.numeric["amount"] * 3), 12)
    known = describe(before, before.rows - 900, before.numeric["steady"][-900:])
    readings = observe("score-1", "job-1", known, after, after.numeric["steady"])
    return History(readings, [], alarms(readings, MonitorConfig()))


def test_every_page_that_lists_alarms_has_a_word_for_each_kind() -> None:
    console = read_words(ROOT / "common" / "console" / "words.toml")
    for kind in drift.ALARMS:
        assert f"alarm.{kind}" in console and f"index.alarm_{kind}" in catalogue() and kind in TEXTS["zh"], kind


def test_every_word_is_there_in_both_languages_and_used() -> None:
    folder = Path(module.__file__).parent
    page = (folder / "page.html.j2").read_text(encoding="utf-8")
    for key, (en, zh) in read_words(folder / "texts.toml").items():
        assert en.strip() and zh.strip(), key
        assert f"t.{key}" in page or key in ALARMS, key
    assert set(re.findall(r"\bt\.(\w+)", page)) | ALARMS == TEXTS["en"].keys()


@pytest.mark.parametrize("lang", LANGS)
def test_a_page_names_the_alarm_and_is_whole_by_itself(lang: Lang) -> None:
    text = make_page(history(), MonitorConfig(), title="grid", when="2026-01-01", lang=lang)
    assert text.count('class="bad">amount</td>') == 2 and "2024-03" in text
    assert TEXTS[lang]["alarms"] in text and TEXTS[lang]["none"] not in text
    assert text.count("<polyline") == 8 and text.count("#c0392b'") == 0 and text.count('fill="#c0392b"') == 1
    for outside in ("://", "<script", "<link", "<img", "url("):
        assert outside not in text


@pytest.mark.parametrize("lang", LANGS)
def test_a_column_with_an_alarm_shows_its_shares_then_and_now(lang: Lang) -> None:
    (reading,) = moved(history())
    then, now = (np.array([bin[k] for bin in reading.bins]) for k in (1, 2))
    assert reading.feature == "amount" and then.sum() == pytest.approx(1, abs=1e-3) == now.sum()
    assert now[-2] > 2 * then[-2]  # three times the amount: more rows are above the last bound of then
    text = make_page(history(), MonitorConfig(), title="grid", when="2026-01-01", lang=lang)
    assert text.count('<section class="pair">') == 1 and TEXTS[lang]["thennow"] in text and TEXTS[lang]["absentbin"] in text
    assert f"{100 * now[-2]:.1f} %" in text and f"{reading.bins[-2][0].replace('>', '&gt;')}</td>" in text


def test_a_reading_of_an_earlier_release_has_no_shares_and_is_shown_without(tmp_path: Path) -> None:
    book = Book(tmp_path / "monitor.sqlite")
    found = history().readings
    book.enter("score-1", found)
    assert sorted(book.readings(), key=lambda r: (r.month, r.feature)) == sorted(found, key=lambda r: (r.month, r.feature))
    with open_book(tmp_path / "monitor.sqlite") as opened:
        opened.execute("delete from bins")
    old = History(book.readings(), [], alarms(book.readings(), MonitorConfig()))
    assert not moved(old) and '<section class="pair">' not in make_page(old, MonitorConfig(), title="g", when="now", lang="en")


def test_jobs_of_rows_without_months_stand_as_they_came_whatever_they_are_called(tmp_path: Path) -> None:
    book = Book(tmp_path / "monitor.sqlite")
    one = Reading("train-1", "", "tax", 0.9, 0.1, 0.0, 0.0, 1000, 2000, (("a", 0.5, 0.5),))
    for job in ("score-20260102-b", "score-20260102-a", "2026-01", "score-20260103-c", "2025-12"):
        book.enter(job, [replace(one, month=job)])
    found = make_history(book.readings(), MonitorConfig(), entered=book.entered())
    order = ["2025-12", "2026-01", "score-20260102-b", "score-20260102-a", "score-20260103-c"]
    assert [r.month for r in found.readings] == [alarm.month for alarm in found.alarms] == order
    assert [r.month for r in moved(found)] == order[::-1]
    assert [r.month for r in lines(found, "train-1", MonitorConfig())[0].months] == order


def test_a_rate_of_few_rows_is_a_dash_and_a_dataset_that_could_not_be_read_is_named() -> None:
    grades = GradeRate(1, 700, 0.01, None), GradeRate(2, 300, 0.2, 0.254)
    month = Matured("job-1", "2024-01", 1000, None, math.nan, 0.7, 0.01, None, 0.067, 0.008, None, grades)
    text = make_page(History([], [month], [], ["loans"]), MonitorConfig(), title="bank", when="2026-01-01", lang="en")
    assert "1: – (1.0) %, 700 · 2: 25.4 (20.0) %, 300" in text
    assert re.search(r'6\.7 %</td><td data-l="[^"]+" class="n">–</td>', text)
    assert TEXTS["en"]["hidden"] in text and f"{TEXTS['en']['unread']}: loans" in text


def test_the_score_stands_first_then_what_has_an_alarm() -> None:
    found = lines(history(), "job-1", MonitorConfig())
    assert [line.feature for line in found[:2]] == [SCORE, "amount"]
    rest = [line.worst.psi for line in found[2:]]
    assert rest == sorted(rest, reverse=True) and not any(line.alarmed for line in found[2:])
    assert all(0 <= y <= 36 for line in found for _, y, _ in line.dots)


def test_an_empty_history_says_so_and_names_are_escaped() -> None:
    empty = make_page(History([], [], []), MonitorConfig(), title="<b>", when="now", lang="en")
    assert TEXTS["en"]["nothing"] in empty and "<b>" not in empty
    odd = History([], [], [Alarm("psi", "job-1", "2024-01", "<script>", 1.0, 0.2)])
    assert "<script>" not in make_page(odd, MonitorConfig(), title="grid", when="now", lang="en")


def test_the_limits_of_known_outcomes_are_on_the_banks_page_alone() -> None:
    grid, bank = (make_page(history(), c, title="x", when="now", lang="en") for c in (MonitorConfig(), BankMonitorConfig()))
    assert "AUC −0.05" in bank and "AUC −" not in grid
