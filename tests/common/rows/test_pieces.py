"""Text of a Parquet file read some rows after the other is what it is read at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError
from common.rows.formats import parquet
from common.rows.ids import read_ids
from common.rows.months import read_months
from common.rows.numbers import read_numbers
from common.rows.origin import is_long
from common.rows.tablefile import TableFile
from common.rows.text import read_words

ORIGIN = TableFile("a table", "a table", (), (), ())
WORDS = st.lists(st.sampled_from([None, "", "a", "b", " c", "7", "1,5", "2024-01", "2024/02", "x" * 40]), max_size=60)


def stored(path: Path, column: pa.Array, rows: int) -> parquet.ParquetColumns:
    """The column in a file of groups of so many rows."""
    pq.write_table(pa.table({"a": column}), path, row_group_size=rows)
    return parquet.ParquetColumns(ORIGIN, path, little=True)


@pytest.mark.parametrize("piece", [1, 7, 1000])
@given(texts=WORDS, rows=st.integers(1, 9))
def test_words_are_coded_alike(
    piece: int, texts: list[str | None], rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "words.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_PIECE", piece)
        column = pa.array(texts, pa.string())
        data, whole = stored(path, column, rows), pa.table({"a": column})
        assert is_long(data, "a") and not is_long(whole, "a")
        codes, found = read_words(ORIGIN, "a", data)
        expected, known = read_words(ORIGIN, "a", whole)
        assert codes.tolist() == expected.tolist() and found.to_pylist() == known.to_pylist()
        ids, whole_ids = read_ids(ORIGIN, "a", data), read_ids(ORIGIN, "a", whole)
        assert ids.codes.tolist() == whole_ids.codes.tolist() and ids.why == whole_ids.why and ids.said == whole_ids.said
        months, whole_months = read_months(ORIGIN, "a", data), read_months(ORIGIN, "a", whole)
        assert months.counted.tolist() == whole_months.counted.tolist() and months.bad.tolist() == whole_months.bad.tolist()


def test_numbers_are_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_PIECE", 16)
    for texts in (["1.5", " 2", None, "NA"] * 30, ["1.5", "x", "3"] * 40, ["1,234.5", "2"] * 20):
        column = pa.array(texts, pa.string())
        found = read_numbers(ORIGIN, "a", stored(tmp_path / "n.parquet", column, 10), None)
        whole = read_numbers(ORIGIN, "a", pa.table({"a": column}), None)
        assert np.array_equal(found.values, whole.values, equal_nan=True)
        assert found.malformed.tolist() == whole.malformed.tolist() and found.style == whole.style


def test_what_is_damaged_behind_the_first_piece_is_an_error_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_PIECE", 16)
    data = stored(tmp_path / "d.parquet", pa.array([f"text {n}" for n in range(4000)]), 1000)
    at = pq.read_metadata(tmp_path / "d.parquet").row_group(3).column(0).dictionary_page_offset
    raw = bytearray((tmp_path / "d.parquet").read_bytes())
    raw[at : at + 400] = bytes(400)
    (tmp_path / "d.parquet").write_bytes(raw)
    with pytest.raises(DataError, match="not valid Parquet"):
        read_words(ORIGIN, "a", data)
