"""Final decisions beside the model's: counted by direction and month, and how the overridden fared; few rows are not shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bank_party.monitor.config import BankMonitorConfig
from bank_party.monitor.doctor import check_overrides
from bank_party.monitor.history import read_history
from bank_party.monitor.overrides import OverridesConfig, alarms, measure, read_finals
from common.doctor.finding import Status
from common.errors import DataError
from common.monitor.book import Book
from common.monitor.history import Overrides
from common.monitor.page import make_page
from common.rows.dataset import DatasetConfig
from common.stats.proportion import interval

ROWS, MONTHS = 600, ("2026-01", "2026-02")
VERDICTS = np.array(["approve"] * 300 + ["refer"] * 100 + ["decline"] * 200, object)
P = np.select([VERDICTS == "approve", VERDICTS == "refer"], [0.02, 0.1], 0.3)


def scores() -> pd.DataFrame:
    n, ids = len(MONTHS), [f"F{k:04d}" for k in range(ROWS)]
    months = np.repeat(MONTHS, ROWS)
    columns = {"id": ids * n, "period": months, "month": months, "u": 0.0, "probability": np.tile(P, n), "grade": 1}
    return pd.DataFrame(columns | {"decision": np.tile(VERDICTS, n), "model": "job-1"})


def finals(low: int = 40, high: int = 30) -> pd.DataFrame:
    """Of the second month: the model's decision but for so many; referred ones approved; the last 50 approved ones are open."""
    final = np.where(VERDICTS == "decline", "decline", "approve").astype(object)
    final[400 : 400 + low], final[:high] = "approve", "decline"
    reason = np.full(ROWS, None, object)
    reason[400 : 400 + low], reason[:high] = "collateral", "owner"
    found = pd.DataFrame({"id": [f"F{k:04d}" for k in range(ROWS)], "period": MONTHS[1], "final": final, "reason": reason})
    return found.drop(index=range(250, 300))


def labels(**rates: float) -> pd.DataFrame:
    """Of the second month: by verdict the share overdue, the first rows of each."""
    label = np.zeros(ROWS)
    for verdict, rate in rates.items():
        at = np.flatnonzero(verdict == VERDICTS)
        label[at[np.arange(len(at)) % 20 < round(20 * rate)]] = 1.0
    return pd.DataFrame({"id": [f"F{k:04d}" for k in range(ROWS)], "period": MONTHS[1], "label": label})


def cells(of: Overrides) -> dict[tuple[str, str], tuple[int | None, int | None, float | None]]:
    return {(f.verdict, f.final): (f.rows, f.ended, f.observed) for f in of.fates}


def test_overrides_are_counted_by_direction_and_month_and_meet_their_outcomes() -> None:
    (of,) = measure(scores(), finals(), labels(approve=0.2, refer=0.1, decline=0.3))
    assert of.model == "job-1" and of.undecided == ROWS + 50
    (month,) = of.months
    assert (month.month, month.decided, month.judged, month.low, month.high) == ("2026-02", 450, 100, 40, 30)
    assert month.share == pytest.approx(70 / 450) and month.band is not None and month.band[0] < 70 / 450 < month.band[1]
    found = cells(of)
    assert found["decline", "approve"] == (40, 40, pytest.approx(0.3)) and found["decline", "decline"][0] == 160
    assert found["refer", "decline"] == (0, None, None) and found["refer", "approve"] == (100, 100, pytest.approx(0.1))
    low = next(f for f in of.fates if (f.verdict, f.final) == ("decline", "approve"))
    assert low.expected == pytest.approx(0.3) and low.band is not None and low.band[0] < 0.3 < low.band[1]
    assert [(f.verdict, f.rows) for f in of.reasons] == [("collateral", 40), ("owner", 30)]


def test_a_month_with_more_overrides_than_the_limit_and_chance_is_an_alarm() -> None:
    config = OverridesConfig(path=Path("x.csv"), id="id", decision="final")
    assert [a.what for a in alarms(measure(scores(), finals(70, 60), None), config)] == ["overrides"]
    assert alarms(measure(scores(), finals(), None), config) == []  # 15.6 % of 450: within four errors of 10 %
    (loose,) = measure(scores(), finals(70, 60), None)
    assert alarms([loose], config.model_copy(update={"limit": 0.3})) == []


@pytest.mark.parametrize("low", [1, 4])
def test_few_overrides_are_not_shown_nor_what_tells_of_them(low: int) -> None:
    (of,) = measure(scores(), finals(low), labels(approve=0.2, refer=0.1, decline=0.3))
    (month,) = of.months
    assert month.low is None and month.high is None and month.share is None
    found = cells(of)
    assert found["decline", "approve"] == (None, None, None)
    assert sum(rows is None for rows, *_ in found.values()) > 1  # or the totals less the others told of it
    assert len(of.reasons) == 2 and of.reasons[1].verdict == "" and of.reasons[1].rows is None


def test_final_decisions_are_read_by_their_words_and_what_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "final.csv"
    config = OverridesConfig(
        path=file, id="id", period="m", decision="d", words={"通过": "approve", "补件": "open"}, reason="r"
    )
    file.write_text("id,m,d,r\nF1,2026-01,通过,x\nF2,2026-01,补件,\nF3,2026/2,decline,\nF4,2026-01,,\n", encoding="utf-8")
    found = read_finals(config)
    assert found["final"].tolist() == ["approve", "decline"] and found["period"].tolist() == ["2026-01", "2026-02"]
    assert [one.found for one in check_overrides(config)] == ["2 rows decided"] and list(check_overrides(None)) == []
    assert found["reason"].dropna().tolist() == ["x"]
    file.write_text("id,m,d,r\nF1,2026-01,yes,\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2, column 'd'.*overrides\.words") as refused:
        read_finals(config)
    assert "yes" not in refused.value.public
    (wrong,) = check_overrides(config)
    assert wrong.status is Status.FAIL and "overrides.words" in wrong.remedy
    file.write_text("id,m,d,r\nF1,2026-01,decline,\nF1,2026-01,approve,\n", encoding="utf-8")
    with pytest.raises(DataError, match="second decision on the same row"):
        read_finals(config)


def test_the_history_of_a_bank_has_its_overrides_and_the_page_shows_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "scores").mkdir()
    scores().drop(columns=["month", "model"]).to_csv(tmp_path / "scores" / "score-1.csv", index=False)
    Book(tmp_path / "monitor.sqlite").enter_scores("score-1", "job-1", tmp_path / "scores" / "score-1.csv")
    finals().to_csv(tmp_path / "final.csv", index=False)
    labels(approve=0.1, refer=0.1, decline=0.05).to_csv(tmp_path / "loans.csv", index=False)
    loans = DatasetConfig(path=tmp_path / "loans.csv", id="id", period="period", label="label")
    config = OverridesConfig(path=tmp_path / "final.csv", id="id", period="period", decision="final", reason="reason")
    history = read_history(tmp_path, {"loans": loans}, BankMonitorConfig(), config)
    (of,) = history.overrides
    assert of.months[0].low == 40 and history.as_dict()["overrides"][0]["fates"][0]["rows"] == 220
    for lang, low, high in (("en", "low-side", "owner"), ("zh", "下行改判", "collateral")):
        page = make_page(history, BankMonitorConfig(), title="bank", when="now", lang=lang)  # type: ignore[arg-type]
        assert low in page and high in page and "70" not in page.split("<table>")[0]
    undated = config.model_copy(update={"period": None})
    assert read_history(tmp_path, {"loans": loans}, BankMonitorConfig(), undated).overrides == []
    assert "none on a row that was scored" in caplog.text
    assert read_history(tmp_path, {"loans": loans}, BankMonitorConfig()).overrides == []


def test_an_interval_of_grouped_rows_is_that_of_their_groups_and_holds_the_truth() -> None:
    rng, held = np.random.default_rng(3), 0
    for _ in range(300):
        firm = (rng.random(120) < 0.1).astype(float)
        y, who = np.repeat(firm, 6), np.repeat(np.arange(120), 6)
        assert interval(y, who) == pytest.approx(interval(firm, np.arange(120))) or firm.sum() == 0
        low, high = interval(y, who)
        held += low <= 0.1 <= high
    assert held / 300 > 0.9
    low, high = interval(np.zeros(50), np.arange(50))
    assert low == 0.0 and high == pytest.approx(3.8416 / 53.8416, rel=1e-3)
