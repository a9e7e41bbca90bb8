"""Ids and months in their common form, credit codes by their check digit, masking."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rows.keys import CODE_ALPHABET, are_credit_codes, credit_code_check_digit, masked, month_text, months, normal_ids

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


@given(st.integers(1, 9999), st.integers(1, 12), st.sampled_from(["{:04d}-{:02d}", "{:04d}{:02d}", "{:04d}-{:02d}-28"]))
def test_months_count_from_year_0(year: int, month: int, form: str) -> None:
    counted, bad = months(pa.chunked_array([[form.format(year, month)]]))
    assert (counted.tolist(), bad.tolist()) == ([year * 12 + month - 1], [False])
    assert counted.dtype == np.int32 and month_text(int(counted[0])) == f"{year:04d}-{month:02d}"


@pytest.mark.parametrize("text", ["", None, "2024-13", "2024", "24-01", "2024/01", "202400", "2024-01-32", "Jan 2024"])
def test_what_is_no_month(text: str | None) -> None:
    assert months(pa.chunked_array([["2024-01", text]], pa.string()))[1].tolist() == [False, True]


def test_masking_hides_most_of_an_id() -> None:
    assert masked(REAL[2]) == "9135****43"
    assert masked("12345678901") == "1****" and masked("A") == "A****" and masked("") == "****"
