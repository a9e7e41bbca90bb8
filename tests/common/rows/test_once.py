"""Each column of a file is read once, though it is looked at before it is read; text that memory has no room for in pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.disk.scratch import Scratch
from common.party import Party
from common.rows import numbers
from common.rows.dataset import DatasetConfig, look_at, read_table
from common.rows.formats.parquet import ParquetColumns
from common.rows.origin import Once


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each column was read from a file as a whole."""
    found = Counter[str]()
    real = ParquetColumns.__getitem__

    def counted(self: ParquetColumns, column: str) -> pa.ChunkedArray:
        found[column] += 1
        return real(self, column)

    monkeypatch.setattr(ParquetColumns, "__getitem__", counted)
    return found


@pytest.fixture
def config(tmp_path: Path) -> DatasetConfig:
    n = 60
    columns: dict[str, Any] = {
        "id": [f"E{k}" for k in range(n)],
        "kwh": [k / 7 for k in range(n)],
        "as_text": [f"{k},5" for k in range(n)],
        "region": ["north", "south"] * (n // 2),
        "code": [f"{k % 4:03d}" for k in range(n)],
        "empty": pa.nulls(n),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    return DatasetConfig(path=tmp_path / "t.parquet", id="id")


def test_a_column_that_is_looked_at_and_read_is_read_once(read: Counter[str], config: DatasetConfig) -> None:
    loaded = read_table(config, name="t", party=Party.GRID)
    assert loaded.table.order == ("kwh", "as_text", "region", "code", "empty")
    assert read == dict.fromkeys(["id", *loaded.table.order], 1)
    assert loaded.table.numeric["as_text"][3] == 3.5 and loaded.table.categorical["code"][3] == "003"
    read.clear()
    assert [seen.column for seen in look_at(config)] == list(loaded.table.order)
    assert read == dict.fromkeys(loaded.table.order, 1)
    read.clear()
    declared = config.model_copy(update={"columns": loaded.columns})
    read_table(declared, name="t", party=Party.GRID)
    assert read == dict.fromkeys(["id", *loaded.table.order], 1)


def test_numbers_that_are_looked_at_are_made_once_and_are_the_readers_own(
    config: DatasetConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = list[int](), numbers.floats

    def counted(values: Any) -> Any:
        made.append(len(values))
        return real(values)

    monkeypatch.setattr(numbers, "floats", counted)
    loaded = read_table(config, name="t", party=Party.GRID)
    assert made == [60]
    kwh = loaded.columns["kwh"].model_copy(update={"max": 5.0, "malformed": "null"})
    declared = config.model_copy(update={"columns": {**loaded.columns, "kwh": kwh}, "missing": ("1",)})
    cut = read_table(declared, name="t", party=Party.GRID).table.numeric["kwh"]
    assert np.isnan(cut).sum() == 24 + 1 and not np.isnan(loaded.table.numeric["kwh"]).any()
    again = read_table(config.model_copy(update={"missing": ("1",)}), name="t", party=Party.GRID).table.numeric["kwh"]
    assert np.isnan(again).sum() == 1 and again[8] == 8 / 7


def test_text_that_memory_has_no_room_for_is_not_read_as_a_whole(
    read: Counter[str], config: DatasetConfig, tmp_path: Path
) -> None:
    whole = read_table(config, name="t", party=Party.GRID)
    read.clear()
    loaded = read_table(config, name="t", party=Party.GRID, scratch=Scratch(tmp_path, 0))
    assert (loaded.columns, loaded.warnings) == (whole.columns, whole.warnings)
    assert read.keys().isdisjoint({"id", "code"})  # words and numbers in other forms are told by all of a column


def test_one_column_is_held_at_a_time() -> None:
    class Data:
        num_rows, long = 2, frozenset({"text"})
        asked: list[str]

        def __getitem__(self, column: str) -> Any:
            self.asked.append(column)
            return pa.chunked_array([[1, 2]])

        def pieces(self, column: str, *, plain: bool = False) -> Iterator[Any]:
            self.asked.append(f"pieces of {column}")
            yield pa.chunked_array([["a", "b"]])

    data = Data()
    data.asked = []
    once = Once(data)
    for column in ("x", "x", "y", "x", "text", "text"):
        assert once[column] is not None
    assert list(once.pieces("text")) and once.num_rows == 2
    assert data.asked == ["x", "y", "x", "text", "text", "pieces of text"]
