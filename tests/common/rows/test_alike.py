"""Texts of many rows numbered by keyed hashes are those that a dictionary of them has."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rows import alike, cmac, ids
from common.rows.alike import changed, read_alike, same, told
from common.rows.formats import parquet
from common.rows.formats.parquet import ParquetColumns
from common.rows.ids import read_ids
from common.rows.origin import One
from common.rows.tablefile import TableFile

ORIGIN = TableFile("a table", "a table", (), (), ())
TEXTS = st.lists(st.sampled_from([None, "", "a", "b", " b", "企业", "x" * 40, "7"]), max_size=60)


def as_said(codes: np.ndarray, texts: Any) -> list[str | None]:
    return [None if code < 0 else texts[int(code)].as_py() for code in codes]


def columns(texts: list[str | None]) -> list[Any]:
    """The same column whole, in chunks, and as dictionaries of its own for each chunk."""
    whole, half = pa.array(texts, pa.string()), len(texts) // 2
    parts = pa.chunked_array([whole[:half], whole[half:]], pa.string())
    return [pa.chunked_array([whole]), parts, parts.dictionary_encode()]


@pytest.mark.parametrize("some", [1, 7, 1000])
@given(texts=TEXTS)
def test_rows_are_numbered_as_their_texts_come(some: int, texts: list[str | None]) -> None:
    distinct = list(dict.fromkeys(text for text in texts if text is not None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alike, "_SOME", some)
        for column in columns(texts):
            codes, found = read_alike(ORIGIN, "a", One(column))
            assert codes.dtype == np.int32 and as_said(codes, found) == texts
            assert found.to_pylist() == distinct


def test_texts_with_one_first_half_of_their_hashes_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def halved(texts: pa.StringArray, key: bytes) -> np.ndarray:
        return np.array([[5, len(text.as_py() or "")] for text in texts], np.uint64).reshape(-1, 2)

    monkeypatch.setattr(alike, "cmac", halved)
    texts = ["a", "bb", "a", "ccc", "bb", "a"]
    codes, found = read_alike(ORIGIN, "a", One(pa.chunked_array([texts])))
    assert codes.tolist() == [0, 1, 0, 2, 1, 0] and found.to_pylist() == ["a", "bb", "ccc"]


@given(texts=TEXTS, other=TEXTS)
def test_some_at_a_time_is_all_at_once(texts: list[str | None], other: list[str | None]) -> None:
    whole = pa.array(texts, pa.string())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alike, "_SOME", 3)
        for column in (whole, columns(texts)[1]):
            assert changed(column, pa.compute.utf8_upper).equals(pa.compute.utf8_upper(whole))
            assert told(column, lambda part: pa.compute.equal(part, "b")).tolist() == [text == "b" for text in texts]
            assert same(column, whole)
            assert same(column, pa.array(other, pa.string())) == (texts == other)


@given(texts=st.lists(st.sampled_from([None, "", "a", "A", "ａ", '="1"', "1", "1.0", "1,234", "nan", "b c"]), max_size=40))
def test_ids_of_many_rows_are_those_of_few(texts: list[str | None]) -> None:
    column = One(pa.chunked_array([pa.array(texts, pa.string())]))
    few = read_ids(ORIGIN, "a", column)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "MANY", -1)
        many = read_ids(ORIGIN, "a", column)
    assert as_said(many.codes, many.texts) == as_said(few.codes, few.texts) and many.said == few.said
    assert [bool(np.append(many.bad, False)[code]) for code in many.codes] == [
        bool(np.append(few.bad, False)[code]) for code in few.codes
    ]
    assert not many.distinct or len(set(many.texts.to_pylist())) == len(many.texts)


def test_ids_are_no_objects_of_python_and_no_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 200_000
    pq.write_table(pa.table({"a": [f"E{k:09d}" for k in range(rows)]}), tmp_path / "ids.parquet")
    for module, name in ((alike, "_SOME"), (cmac, "_TEXTS"), (cmac, "_PASS"), (parquet, "_PIECE")):
        monkeypatch.setattr(module, name, 1 << 13)
    monkeypatch.setattr(ids, "MANY", 1000)
    data = ParquetColumns(ORIGIN, tmp_path / "ids.parquet", little=True)
    tracemalloc.start()  # what numpy and Python hold; an id as text would be 59 bytes more, and 8 for its place in a list
    try:
        found = read_ids(ORIGIN, "a", data)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.distinct and len(found.texts) == rows
    assert most < 60 * rows
