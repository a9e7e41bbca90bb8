"""Ids in their common form, what programs do to them, credit codes by their check digit, masking."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError
from common.rows.ids import (
    CODE_ALPHABET,
    are_credit_codes,
    credit_code_check_digit,
    masked,
    normal_ids,
    read_ids,
    unmatched_forms,
)
from tests.common.rows.columns import Made

_WIDE = {ord(c): ord(c) + 0xFEE0 for c in CODE_ALPHABET}
WAYS = [str.lower, lambda c: f"  {c}\t", lambda c: f"{c[:4]}\u3000{c[4:]}", lambda c: c.translate(_WIDE)]
CODE = st.text(CODE_ALPHABET, min_size=17, max_size=17).map(lambda body: body + credit_code_check_digit(body))
REAL = ["914403001922038216", "91330100799655058B", "91350100M000100Y43"]  # published, and the standard's example


@given(st.lists(CODE, min_size=1, max_size=20))
def test_right_codes_are_accepted_and_any_one_wrong_character_is_not(codes: list[str]) -> None:
    assert are_credit_codes(pa.array(codes)).all()
    for at in range(18):
        other = [CODE_ALPHABET[(CODE_ALPHABET.index(c[at]) + 1) % 31] for c in codes]
        wrong = [c[:at] + o + c[at + 1 :] for c, o in zip(codes, other, strict=True)]
        assert not are_credit_codes(pa.array(wrong)).any()


@pytest.mark.parametrize("bad", ["", None, REAL[0][:17], REAL[0] + "1", REAL[0].replace("9", "I", 1), "企" * 18])
def test_what_is_no_code(bad: str | None) -> None:
    assert are_credit_codes(pa.array([REAL[0], bad, *REAL], pa.string())).tolist() == [True, False, True, True, True]


def test_no_ids_at_all() -> None:
    assert are_credit_codes(pa.array([], pa.string())).tolist() == []


@given(CODE, st.sampled_from(WAYS))
def test_one_id_however_written(code: str, written: Callable[[str], str]) -> None:
    assert normal_ids(pa.array([written(code)])).to_pylist() == [code]


def test_masking_hides_most_of_an_id() -> None:
    assert masked(REAL[2]) == "9135****43"
    assert masked("12345678901") == "1****" and masked("A") == "A****" and masked("") == "****"


def ids(*values: Any, kind: Any = None) -> Any:
    table = Made({"x": pa.array(values, kind or pa.string())})
    found = read_ids(table, "x", table)
    return found, [None if code < 0 else found.texts[int(code)].as_py() for code in found.codes]


@pytest.mark.parametrize(
    ("written", "kind", "meant"),
    [
        (["1001.0", "1002", None], pa.string(), ["1001", "1002", None]),
        (["915301007194012345.00"], pa.string(), ["915301007194012345"]),
        (['="00123"', "'00124", '"00125"'], pa.string(), ["00123", "00124", "00125"]),
        (["a\u200bb", "c\x00d", "\ufeffe", "f\u00ad"], pa.string(), ["AB", "CD", "E", "F"]),
        ([1001.0, None], pa.float64(), ["1001", None]),
        ([Decimal("1001"), None], pa.decimal128(38, 10), ["1001", None]),
        ([Decimal("915301007194012345.00")], pa.decimal128(20, 2), ["915301007194012345"]),
        ([91530100719401234], pa.int64(), ["91530100719401234"]),
        ([b"ab"], pa.binary(), ["AB"]),
        (["1.2", "1.20"], pa.string(), ["1.2", "1.20"]),  # codes, for all one knows
        (["12E4"], pa.string(), ["12E4"]),
    ],
)
def test_what_programs_do_to_ids_is_undone_where_that_is_certain(written: list[Any], kind: Any, meant: list[Any]) -> None:
    found, texts = ids(*written, kind=kind)
    assert texts == meant and not found.bad.any()


@pytest.mark.parametrize("word", ["NULL", "nan", r"\N", "None", "n/a", "", "-", "--", "无", "#N/A", "<NA>", "NaT", "(null)"])
def test_a_word_for_nothing_is_no_id(word: str) -> None:
    found, _ = ids("A1", word)
    assert found.bad[found.codes].tolist() == [False, True]


@pytest.mark.parametrize(
    ("written", "cause"),
    [
        (["9.15301E+17"], "scientific notation"), (["9.15301007194012e+17"], "scientific notation"),
        (["#######"], "too narrow"),
        (["TRUE"], "truth value"), (["1,001", "12"], "commas between thousands"),
        (["2024", "1,001"], "commas between thousands"),
        ([str(915301007194012416 + 128 * k) for k in range(5)], "floating-point"),
    ],
)  # fmt: skip
def test_what_is_lost_is_refused_with_the_cause(written: list[str], cause: str) -> None:
    found, _ = ids(*written)
    assert found.bad.any() and cause in next(iter(found.why.values()))[0]


def test_long_ids_that_happen_to_be_exact_are_not_all() -> None:
    assert not ids("915301007194012416", *(f"9153010071940123{k:02d}" for k in range(20)))[0].bad.any()


@pytest.mark.parametrize(
    ("value", "kind", "cause"),
    [
        (9.15e17, pa.float64(), "lost digits"), (1.5, pa.float64(), "lost digits"), (33554432.0, pa.float32(), "lost digits"),
        (Decimal("1.5"), pa.decimal128(10, 2), "with decimals"), (True, pa.bool_(), "truth values"),
    ],
)  # fmt: skip
def test_types_that_hold_no_ids_are_refused(value: Any, kind: Any, cause: str) -> None:
    with pytest.raises(DataError, match=cause):
        ids(value, kind=kind)


def test_forms_tell_why_ids_are_not_matched_and_no_id() -> None:
    matched, lost = [f"{k:08d}" for k in range(1280)], [str(k) for k in range(1000, 1320)]
    said = unmatched_forms(matched, lost)
    assert said == ("320 of 320 unmatched ids have 4 digits (320); matched ids have 8 digits (1280): leading zeros may be lost")
    assert unmatched_forms(matched, [f"{k:08d}" for k in range(9000, 9320)]) == "" and unmatched_forms([], lost) == ""
    assert "may be lost" not in unmatched_forms([*matched, "123456789"], lost)  # ids are of several lengths
    assert "may be lost" not in unmatched_forms(matched, lost, lambda ids: sorted(ids) != sorted(lost))
    assert "may be lost" in unmatched_forms([*matched, "123456789"], lost, lambda ids: sorted(ids) == sorted(lost))
    assert unmatched_forms([*matched, *(f"E{k:06d}" for k in range(700))], [f"E{k:06d}" for k in range(900, 1100)]) == ""
    assert "18 digits and letters" in unmatched_forms(matched, [f"91{k:015d}X" for k in range(50)])


def test_a_comma_of_another_kind_is_part_of_an_id() -> None:
    found, _ = ids("12,345", "7,8", "A,1")
    assert not found.bad.any()
