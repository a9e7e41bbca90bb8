"""Months in every form that can mean one thing only; what may mean two is declared or refused; instants need a zone."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError
from common.rows.months import TAKEN, month_number, month_text, read_months
from tests.common.rows.columns import Made, text

SHANGHAI = "Asia/Shanghai"
LATE = datetime(2023, 12, 31, 16)  # midnight of 2024 in Shanghai, as UTC


def months(table: Made, form: str | None = None, zone: str | None = None) -> list[str | None]:
    found = read_months(table, "x", table, form, zone)
    return [None if bad else month_text(int(m)) for m, bad in zip(found.counted, found.bad, strict=True)]


def typed(values: list[Any], kind: Any) -> Made:
    return Made({"x": pa.array(values, kind)})


@pytest.mark.parametrize(
    "written",
    [
        "2024-01", "202401", "2024-01-31", "2024-1", "2024-1-5", "2024/1/1", "2024/01", "2024/1", "2024.01.05", "20240131",
        "2024年1月", "2024年01月", "2024年1月5日", "202401.0", "2024M01", "Jan 2024", "January 2024", "Jan-2024", "31-Jan-2024",
        "1 jan 2024", "January 5, 2024", "2024-01-01 00:00:00", "2024-01-31T23:59:59.999", "2024/1/5 8:00", " 2024-01 ",
        "２０２４－０１", "2024-01\u200b",
    ],
)  # fmt: skip
def test_what_means_one_month_is_read(written: str) -> None:
    assert months(text(written, "2024-02")) == ["2024-01", "2024-02"]


@pytest.mark.parametrize(
    "written",
    [
        "45292", "Jan-24", "24-01", "24-Jan", "2024-13", "202400", "2024.1", "soon", "", None, "122010", "240131", "01/02/2024",
        "2024-01-32", "202401-05", "2024", "1704067200", "2024Q1", "0", "NULL",
    ],
)  # fmt: skip
def test_what_does_not_is_none(written: str | None) -> None:
    assert months(text("2024-01", written)) == ["2024-01", None]


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("excel", "45292"), ("excel", "45322.5"), ("excel1904", "43830"), ("%b-%y", "Jan-24"), ("%d/%m/%Y", "02/01/2024"),
        ("%m/%d/%Y", "01/02/2024"), ("%y%m", "2401"), ("%d-%m月 -%y", "31-1月 -24"),
    ],
)  # fmt: skip
def test_a_declared_form_decides(form: str, written: str) -> None:
    assert months(text(written, "x"), form) == ["2024-01", None]


@pytest.mark.parametrize("hour", ["24:00", "24:00:00", "24:00:00.000"])
def test_the_end_of_a_day_is_in_its_month(hour: str) -> None:
    """As meters write what they froze at the end of a month's last day."""
    assert months(text(f"2024-01-31 {hour}", f"2024-02-29T{hour}")) == ["2024-01", "2024-02"]
    assert months(text(f"2024-01-31 {hour}", "2024-01-31 08:15")) == ["2024-01", "2024-01"]
    assert months(text(f"2024-01-31T{hour}+08:00", f"2024/2/29 {hour}+08"), zone=SHANGHAI) == ["2024-01", "2024-02"]
    assert months(text(f"2024-01-31T{hour}Z"), zone=SHANGHAI) == ["2024-02"]
    assert months(text("2024-01-31T24:01Z", "2024-01-31T16:00Z"), zone=SHANGHAI) == [None, "2024-02"]


def test_a_name_that_begins_like_another_months_is_none() -> None:
    assert months(text("Mars 2024", "marzo 2024", "mar. 2024")) == ["2024-03"] * 3
    assert months(text("Mar 2024", "marraskuu 2024", "maaliskuu 2024")) == ["2024-03", None, None]


@pytest.mark.parametrize("others", [[], ["2024.01", "2024.09"], ["2024.2", "2024.11"]])
def test_a_month_behind_a_point_may_have_lost_its_zero(others: list[str]) -> None:
    """As a number October is 2024.1: of a spreadsheet, a Parquet file of doubles, or a CSV of either."""
    numbers = pa.chunked_array([pa.array([*map(float, others), 2024.1])])
    for table in (text(*others, "2024.1"), Made({"x": numbers})):
        with pytest.raises(DataError, match="January, or October") as caught:
            months(table, "%Y.%m")
        assert "2024-01" in caught.value.remedy
    assert months(text("2024.1", "2024.10", "2024.11"), "%Y.%m") == ["2024-01", "2024-10", "2024-11"]
    assert months(text("2024.01", "2024.10"), "%Y.%m") == ["2024-01", "2024-10"]


@pytest.mark.parametrize(
    ("form", "written"), [("epoch_s", "1704038400"), ("epoch_ms", "1704038400000"), ("%Y-%m-%d %H %z", "2023-12-31 16 +0000")]
)
def test_text_that_is_an_instant_by_its_declared_form_needs_a_zone_too(form: str, written: str) -> None:
    with pytest.raises(DataError, match="holds instants"):
        months(text(written), form)
    assert months(text(written, "x"), form, SHANGHAI) == ["2024-01", None]
    assert months(text(written), form, "UTC") == ["2023-12"]


@pytest.mark.parametrize(
    "written",
    [
        "01/2024",
        "1/2024",
        "01-2024",
        "2024-Jan",
        "JAN2024",
        "01JAN2024",
        "31JAN2024:00:00:00",
        "'2024-01",
        '="2024-01"',
        "1-JAN-2024",
    ],
)  # fmt: skip
def test_forms_of_other_programs_that_can_mean_one_month_only(written: str) -> None:
    assert months(text(written)) == ["2024-01"]


@pytest.mark.parametrize("written", [["31/01/2024", "02/01/2024"], ["1/31/2024", "01/02/2024"], ["31.01.2024"], ["01-31-2024"]])
def test_days_above_twelve_tell_which_is_the_month(written: list[str]) -> None:
    assert months(text(*written)) == ["2024-01"] * len(written)


@pytest.mark.parametrize(
    "written", [["01/02/2024"], ["31/01/2024", "01/31/2024"], ["31/01/2024", "2024-01"], ["31/13/2024"], ["32/01/2024"]]
)
def test_where_nothing_tells_which_is_the_month_it_is_refused(written: list[str]) -> None:
    assert None in months(text(*written))


@pytest.mark.parametrize("kind", ["s", "ms", "us", "ns"])
def test_midnights_of_a_zone_whose_clocks_change_are_seen_too(kind: str) -> None:
    """Of Berlin, in UTC: 23:00 in winter and 22:00 in summer, both of the month before."""
    berlin = [datetime(2023, 12, 31, 23), datetime(2024, 6, 30, 22)]
    written = text(*(f"{moment:%Y-%m-%d %H:%M:%S}" for moment in berlin))
    for table in (typed(berlin, pa.timestamp(kind)), written):
        with pytest.raises(DataError, match="another time zone"):
            months(table)
        assert months(table, zone="Europe/Berlin") == ["2024-01", "2024-07"]


@pytest.mark.parametrize("written", ["2024-06-31", "20230229", "2024/2/30", "31 Apr 2024", "2024年11月31日", "2100-02-29"])
def test_a_day_that_no_month_has_is_a_slip(written: str) -> None:
    assert months(text("2024-02-29", "20240131", written)) == ["2024-02", "2024-01", None]


@pytest.mark.parametrize("kind", ["s", "us", "ns"])
def test_the_last_second_of_a_month_is_no_midnight_of_another_zone(kind: str) -> None:
    ends = [datetime(2024, 1, 31, 23, 59, 59), datetime(2024, 2, 29, 23, 59, 59)]
    for table in (typed(ends, pa.timestamp(kind)), text(*(f"{moment:%Y-%m-%d %H:%M:%S}" for moment in ends))):
        assert months(table) == ["2024-01", "2024-02"]


def test_a_day_that_no_month_has_is_refused_where_its_hour_counts() -> None:
    assert months(text("2024-02-30T16:00:00", "2024-01-31T16:00:00"), zone=SHANGHAI) == [None, "2024-02"]


def test_an_hour_of_one_digit_is_read_where_it_counts() -> None:
    """Midnights of New York in UTC, as a spreadsheet writes them, are of the month before in Chicago."""
    assert months(text("2024/2/1 5:00", "2024/3/1 5:00"), zone="America/Chicago") == ["2024-01", "2024-02"]


@given(st.integers(1, 9999), st.integers(1, 12), st.sampled_from(["{:04d}-{:02d}", "{:04d}/{:02d}", "{:04d}-{:02d}-28"]))
def test_months_count_from_year_0(year: int, month: int, form: str) -> None:
    found = read_months(text(form.format(year, month)), "x", text(form.format(year, month)))
    assert found.counted.tolist() == [year * 12 + month - 1] and found.counted.dtype == "int32"
    assert month_number(month_text(int(found.counted[0]))) == found.counted[0]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (202401, pa.int64()), (202401.0, pa.float64()), (Decimal("202401.00"), pa.decimal128(10, 2)), (20240115, pa.int32()),
        (date(2024, 1, 31), pa.date32()), (datetime(2024, 1, 1), pa.timestamp("ns")),
        (datetime(2024, 1, 5, 3), pa.timestamp("us")),
    ],
)  # fmt: skip
def test_types_hold_months(value: Any, kind: Any) -> None:
    other = datetime(2024, 1, 7, 9) if pa.types.is_timestamp(kind) else value
    assert months(typed([value, other, None], kind)) == ["2024-01", "2024-01", None]


@pytest.mark.parametrize(
    "table",
    [
        typed([LATE], pa.timestamp("us", "UTC")),
        typed([LATE, datetime(2024, 1, 31, 16)], pa.timestamp("ns")),  # whose zone a writer has lost
        text("2023-12-31T16:00:00Z", "2024-01-31T16:00:00Z"),
        text("2023-12-31 16:00:00+00", "2024-01-31 16:00:00+00"),
        text("2024-01-01 00:00:00+08:00"),
        text("2023-12-31 16:00:00", "2024-01-31 16:00:00"),
    ],
)
def test_instants_are_never_shifted_silently(table: Made) -> None:
    with pytest.raises(DataError, match=r"column 'x' .*Declare zone, such as zone = 'Asia/Shanghai'") as caught:
        months(table)
    assert "2023" not in caught.value.public
    assert months(table, zone=SHANGHAI)[0] == "2024-01"


def test_a_zone_that_the_writer_names_holds_and_utc_takes_them_as_they_stand() -> None:
    assert months(typed([LATE], pa.timestamp("us", SHANGHAI))) == ["2024-01"]
    assert months(typed([LATE], pa.timestamp("us", "UTC")), zone="UTC") == ["2023-12"]
    assert months(typed([1704038400000], pa.int64()), "epoch_ms", SHANGHAI) == ["2024-01"]
    assert months(typed([datetime(2024, 1, 1)], pa.timestamp("ns")), zone=SHANGHAI) == ["2024-01"]  # local by its hour


@pytest.mark.parametrize(
    ("form", "kind"), [(None, pa.timestamp("ms")), (None, pa.timestamp("ms", SHANGHAI)), ("epoch_ms", pa.int64())]
)
def test_stamps_of_another_unit_are_no_months_of_1970(form: str | None, kind: Any) -> None:
    of_today = [1704038400, None, 1706716800]  # seconds that count as thousandths: 20 January 1970
    with pytest.raises(DataError, match="no other moments than of January 1970") as caught:
        months(typed(of_today, kind), form, SHANGHAI)
    assert "epoch_s" in caught.value.remedy
    assert months(typed([1, 1707000000000], kind), form, SHANGHAI) == ["1970-01", "2024-02"]  # one of which is none
    assert months(typed([None, None], kind), form, SHANGHAI) == [None, None]


def test_the_remedy_lists_what_is_taken() -> None:
    assert all(form in TAKEN for form in ("YYYY-MM", "YYYYMM", "年", "month_format", "excel", "epoch_s"))
