"""Which enterprise-months are samples, and of which month their label is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import validate
from common.errors import ConfigError, DataError
from common.records.panel import Panel
from common.records.samples import Samples, chosen, left_out
from common.rows.months import month_number, month_text
from tests.common.records.panels import FIRST, panels


def pairs(panel: Panel, **options: Any) -> list[tuple[int, str]]:
    mask, _ = chosen(panel, Samples(**options))
    return [(int(e), month_text(panel.first + int(t))) for e, t in zip(*np.nonzero(mask), strict=True)]


@given(st.integers(0, 9999 * 12 + 11))
def test_months_are_written_and_read(month: int) -> None:
    assert month_number(month_text(month)) == month


@given(panel=panels(), history=st.integers(1, 6), ahead=st.integers(0, 3), every=st.sampled_from([1, 2, 3, 12]))
def test_samples_are_those_of_plain_loops(panel: Panel, history: int, ahead: int, every: int) -> None:
    expected, labels = [], []
    assert panel.label is not None
    for e in range(panel.enterprises):
        for t in range(panel.months):
            known = t + ahead < panel.months and not np.isnan(panel.label[e, t + ahead])
            calendar = (panel.first + t) % 12 + 1
            if known and panel.present[e, t] and panel.present[e, : t + 1].sum() >= history and calendar % every == 0:
                expected.append((e, month_text(panel.first + t)))
                labels.append(panel.label[e, t + ahead])
    options: dict[str, Any] = {"min_history": history, "ahead": ahead, "every": every}
    if not expected:
        with pytest.raises(DataError, match="no enterprise and month"):
            chosen(panel, Samples(**options))
        return
    assert pairs(panel, **options) == expected
    mask, label = chosen(panel, Samples(**options))
    assert label is not None and label[mask].tolist() == labels


def one(months: int = 14, label: bool = True) -> Panel:
    present = np.ones((1, months), bool)
    return Panel(np.array(["A"], object), FIRST, present, {}, {}, np.zeros((1, months)) if label else None)


def test_the_range_is_of_calendar_months() -> None:
    found = [month for _, month in pairs(one(), first="2024-01", last="2024-03", min_history=1)]
    assert found == ["2024-01", "2024-02", "2024-03"]
    assert [m for _, m in pairs(one(), every=3, min_history=1)] == ["2023-12", "2024-03", "2024-06", "2024-09", "2024-12"]


def test_the_last_months_have_no_later_label() -> None:
    assert pairs(one(), min_history=1, ahead=2)[-1] == (0, "2024-10")
    assert pairs(one(label=False), min_history=1, ahead=2)[-1] == (0, "2024-12")
    assert pairs(one(), min_history=1, ahead=2, labelled=False)[-1] == (0, "2024-12")


def test_what_is_left_out_for_want_of_a_label_is_said() -> None:
    assert left_out(one(), Samples(min_history=1, ahead=2)) == (["2024-11", "2024-12"], 0)
    assert left_out(one(), Samples(min_history=1)) == ([], 0)
    assert left_out(one(), Samples(min_history=1, ahead=2, labelled=False)) == ([], 0)
    assert left_out(one(label=False), Samples(ahead=2)) == ([], 0)
    gap = one()
    assert gap.label is not None
    gap.label[0, 5] = np.nan
    assert left_out(gap, Samples(min_history=1, ahead=1)) == (["2024-12"], 1)


def test_to_score_no_label_is_needed_and_none_is_given() -> None:
    unknown = replace(one(), label=np.full((1, 14), np.nan))
    with pytest.raises(DataError, match="labels are known"):
        chosen(unknown, Samples())
    mask, label = chosen(unknown, Samples(labelled=False))
    assert mask.sum() == 9 and label is None


@pytest.mark.parametrize(
    "raw", [{"first": "2024-13"}, {"first": "2024-02", "last": "2024-01"}, {"every": 0}, {"min_history": 0}]
)
def test_wrong_options_are_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"grid\.toml"):
        validate(Samples, raw, "grid.toml")
