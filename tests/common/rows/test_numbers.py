"""One printed number is one float, whatever carried it; every way in which text writes numbers; what is in doubt is said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rows import numbers
from common.rows.floats import floats
from common.rows.numbers import PLAIN, Style, read_numbers
from tests.common.rows.columns import Made, text

NAN = np.nan


def told(*values: str | None, words: tuple[str, ...] = ()) -> Any:
    table = text(*values)
    return read_numbers(table, "x", table, None, words)


@pytest.mark.parametrize("scale", [0, 1, 2, 6, 10, 18])
def test_a_decimal_is_the_float_of_its_text(scale: int) -> None:
    cents = [Decimal(k).scaleb(-scale) for k in (*range(0, 100_000, 7), -1, -435, 2**53 - 1, 2**53 + 1, 10**17 + 1)]
    values = pa.chunked_array(
        [pa.array([*cents, None], pa.decimal128(38, scale)).slice(3), pa.array(cents, pa.decimal128(38, scale))]
    )
    expected = [float(f"{d:f}") for d in cents[3:]] + [NAN] + [float(f"{d:f}") for d in cents]
    np.testing.assert_array_equal(floats(values), expected)


def test_the_last_bit_that_a_cast_gets_wrong() -> None:
    values = pa.chunked_array([pa.array([Decimal(k) / 100 for k in range(100_000)], pa.decimal128(12, 2))])
    assert (values.cast(pa.float64()).to_numpy() != floats(values)).sum() > 0  # what a cast would do
    assert floats(values).tolist() == [float(f"{k // 100}.{k % 100:02d}") for k in range(100_000)]


@pytest.mark.parametrize("kind", [pa.decimal32(7, 2), pa.decimal64(12, 2), pa.decimal256(60, 2), pa.decimal128(20, -2)])
def test_decimals_of_any_width(kind: Any) -> None:
    values = pa.chunked_array([pa.array([Decimal("4300"), Decimal("-100"), None], kind)])
    np.testing.assert_array_equal(floats(values), [4300.0, -100.0, NAN])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_single_precision_is_the_number_it_prints(values: list[float]) -> None:
    single = np.array(values, np.float32)
    assert floats(pa.chunked_array([pa.array(single)])).tolist() == [float(str(x)) for x in single]


@given(st.lists(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70)), min_size=1))
def test_text_is_the_nearest_float(values: list[float]) -> None:
    assert told(*map(repr, values)).values.tolist() == [float(repr(v)) for v in values]


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("last", ["4.5", " n/a ", "inf", "1,250.5", "?"])
def test_text_read_some_rows_at_a_time_is_what_it_is_at_once(last: str, coded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows over the bounds of chunks and of what is read at once; the last one may be no plain number."""
    texts = pa.chunked_array([pa.array(["1.25", None, "-7", "", "3e2"]), pa.array([], pa.string()), pa.array(["0.1", last])])
    table = Made({"x": texts.dictionary_encode() if coded else texts})
    whole = read_numbers(table, "x", table, PLAIN)
    for rows in (1, 2, 3):
        monkeypatch.setattr(numbers, "_ROWS", rows)
        few = read_numbers(table, "x", table, PLAIN)
        np.testing.assert_array_equal(few.values, whole.values)
        np.testing.assert_array_equal(few.malformed, whole.malformed)
    expected = [1.25, NAN, -7, NAN, 300, 0.1, 4.5 if last == "4.5" else NAN]
    np.testing.assert_array_equal(whole.values, expected)
    assert whole.malformed.tolist() == [False] * 6 + [last in ("inf", "1,250.5", "?")]


@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        (["1,234.50", "999.5", "2"], [1234.5, 999.5, 2], "commas between thousands"),
        (["1,234,567", "12"], [1234567, 12], "commas between thousands"),
        (["1.234,50", "7,5"], [1234.5, 7.5], "points between thousands, a decimal comma"),
        (["1.234.567,5", "1.234"], [1234567.5, 1234], "points between thousands, a decimal comma"),
        (["1 234,5", "2\u00a0000\u202f000,1"], [1234.5, 2000000.1], "spaces between thousands, a decimal comma"),
        (["1'234.5", "2’000"], [1234.5, 2000], "apostrophes between thousands"),
        (["12%", "13.5 %", "\\N"], [0.12, 0.135, NAN], "the unit %, a hundredth"),
        (["12kWh", "13 KWH"], [12, 13], "the unit kwh"),
        (["12kW·h", "13 kWh", "14kW⋅h"], [12, 13, 14], "the unit kwh"),
        (["1.5万kWh", "2 万 kW·h", "300kWh"], [15000, 20000, 300], "the unit kwh"),
        (["315kV·A", "1.6万kVA"], [315, 16000], "the unit kva"),
        (["$1,234.56", "-$5.00", "($7.10)"], [1234.56, -5, -7.1], "commas between thousands, the unit $"),
        (["￥1,234.5", "RMB 3"], [1234.5, 3], "commas between thousands, the unit ¥"),
        (["12万元", "3,000.5元", "1.5亿元"], [120000, 3000.5, 150000000], "commas between thousands, the unit 元"),
        (["１２", "１３．５", '="5"', "'6"], [12, 13.5, 5, 6], ""),
        (["1,23,456.50", "12,34,567", "999.1"], [123456.5, 1234567, 999.1], "commas between thousands"),
        (["₹1,23,456", "₹7"], [123456, 7], "commas between thousands, the unit ₹"),
        (["CHF 1’234.50", "CHF 7.00"], [1234.5, 7], "apostrophes between thousands, the unit chf"),
        (["1.234,50-", "(12,00)", "7,00"], [-1234.5, -12, 7], "points between thousands, a decimal comma"),
        (["1 day", "2 days", "365 days"], [1, 2, 365], "the unit days"),
        (["12‰", "7.5‰"], [0.012, 0.0075], "the unit ‰, a thousandth"),
        (["١٢٣", "۴۵۶", "७८९"], [123, 456, 789], ""),
        (["(null)", "[NULL]", "1.#QNAN", "-nan", "5"], [NAN, NAN, NAN, NAN, 5], ""),
        (["−3", "4-", "+5", ".5", "6.", "1.2E+05"], [-3, -4, 5, 0.5, 6, 120000], ""),
        (["\ufeff7", "8\u200b", "\x009"], [7, 8, 9], ""),
        (["#DIV/0!", "#N/A", "NULL", "<NA>", "1"], [NAN, NAN, NAN, NAN, 1], ""),
    ],
)  # fmt: skip
def test_what_is_certain_is_read(values: list[str], expected: list[float], said: str) -> None:
    found = told(*values)
    np.testing.assert_array_equal(found.values, expected)
    assert not found.malformed.any() and not found.doubt and found.style.words == said


@pytest.mark.parametrize(
    ("values", "doubt", "first"),
    [
        (["12", "1,234"], "a comma that may stand between thousands or before decimals", 1),
        (["12kWh", "13"], "a unit in some cells and none in others", 0),
        (["12%", "0.5"], "a unit in some cells and none in others", 0),
        (["12kWh", "13MWh"], "more than one unit", 1),
        ([f"{k}Foo" for k in range(30)], "the same letters behind each number, which may be a unit", 0),
        (
            [f"{k}.50 {'CR' if k % 2 else 'DR'}" for k in range(30)],
            "letters of several kinds behind the numbers, which may be units or signs",
            0,
        ),
    ],
)
def test_what_is_not_certain_is_said_with_the_first_row(values: list[str], doubt: str, first: int) -> None:
    found = told(*values)
    assert (found.doubt, found.first) == (doubt, first)


@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        (["(1,234.50)", "7"], [-1234.5, 7], "numbers in brackets are negative"),
        (["4.5-", "7"], [-4.5, 7], "a minus behind a number is its sign"),
        (["1.5万", "2000"], [15000, 2000], "万 is 10,000"),
        (["1.5亿元", "3万元"], [150000000, 30000], "万 is 10,000, 亿 is 100,000,000"),
        (["1.5亿kWh", "3万kWh"], [150000000, 30000], "万 is 10,000, 亿 is 100,000,000"),
        (["-4.5", "7%"], [NAN, 0.07], ""),
    ],
)
def test_what_stands_for_a_sign_or_a_power_of_ten_is_said(values: list[str], expected: list[float], said: str) -> None:
    found = told(*values)
    np.testing.assert_array_equal(found.values, expected)
    assert found.said == said


@pytest.mark.parametrize("word", ["0x10", "1_000", "--1", "oops", "1e999", "1,23,4", "12A", "(3", "1.2.3"])
def test_a_stray_among_numbers_is_malformed(word: str) -> None:
    found = told("1.5", "2.5", "3", word)
    assert found.malformed.tolist() == [False, False, False, True] and np.isnan(found.values[3])


def test_pairs_of_words_are_flags_only_as_a_whole() -> None:
    pairs = (
        "false True",
        "F t",
        "NO yes",
        "n Y",
        "否 是",
        "non OUI",
        "nein Ja",
        "no sí",
        "não sim",
        "нет да",
        "没有 有",
        "× √",
    )
    for no, yes in (pair.split() for pair in pairs):
        np.testing.assert_array_equal(told(no, yes, None, no).values, [0, 1, NAN, 0])
    assert told("1", "true").malformed.tolist() == [False, True]


def test_words_for_missing_in_any_type() -> None:
    np.testing.assert_array_equal(told("-", "-9999", "-9999.0", "3", words=("-", "-9999")).values, [NAN, NAN, NAN, 3])
    numbers = Made({"x": pa.array([-9999, 3])})
    np.testing.assert_array_equal(read_numbers(numbers, "x", numbers, None, ("-", "-9999")).values, [NAN, 3])


@pytest.mark.parametrize(
    ("style", "value", "expected"),
    [
        (PLAIN, "1,234", NAN), (Style(thousands=","), "1,234", 1234), (Style(","), "1,234", 1.234), (Style(","), "1.5", NAN),
        (Style(unit="kWh"), "12 kWh", 12), (Style(unit="kWh"), "12", 12), (Style(unit="kWh"), "12MWh", NAN),
        (Style(unit="%"), "12%", 0.12), (Style(unit="%"), "12", NAN), (Style(unit="USD"), "$5", 5),
    ],
)  # fmt: skip
def test_a_declared_style_holds(style: Style, value: str, expected: float) -> None:
    table = text(value, "x")
    np.testing.assert_array_equal(read_numbers(table, "x", table, style).values, [expected, NAN])


def test_half_precision_is_the_number_that_it_prints() -> None:
    table = Made({"x": pa.array(np.array([0.1, 4.35, 1000, np.nan], np.float16))})
    np.testing.assert_array_equal(read_numbers(table, "x", table).values, [0.1, 4.35, 1000, NAN])
