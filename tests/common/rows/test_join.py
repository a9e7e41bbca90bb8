"""Parts whose types differ, joined by what they mean; what cannot be one column is refused by file and column."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.errors import DataError
from common.rows.ids import read_ids
from common.rows.months import month_text, read_months
from common.rows.numbers import read_numbers
from common.rows.tablefile import TableFile


def parts(folder: Path, *columns: Any) -> tuple[TableFile, Any]:
    for k, column in enumerate(columns):
        path = folder / f"p-{k}"
        if isinstance(column, list):
            path.write_text("x\n" + "".join(f"{value}\n" for value in column))
        else:
            pq.write_table(pa.table({"x": column}), path)
    file = TableFile.open(folder, name="dataset t")
    return file, file.read(["x"])


@pytest.mark.parametrize(
    "columns",
    [
        (pa.array([True, False]), pa.array([1, 0])),
        (pa.array([True, False]), pa.array([1.0, 0.0])),
        (pa.array([True, False]), ["1", "0"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([1, 0], pa.int8()), pa.array([Decimal("1.00"), Decimal("0.00")], pa.decimal128(8, 2))),
        (pa.array([1, 0], pa.uint64()), pa.array([1, 0], pa.int32()), pa.array([True, False])),
        (pa.array([None, None], pa.null()), pa.array([1.0, 0.0]), ["1.0", "0e0"]),
    ],
)
def test_flags_and_numbers_of_any_type(columns: tuple[Any, ...], tmp_path: Path) -> None:
    file, data = parts(tmp_path, *columns)
    found = read_numbers(file, "x", data, None)
    rows = [1.0, 0.0] * len(columns)
    if columns[0] == pa.array([None, None], pa.null()):
        rows[:2] = [np.nan] * 2
    np.testing.assert_array_equal(found.values, rows)
    assert not found.malformed.any()


def test_a_number_is_the_same_in_every_type(tmp_path: Path) -> None:
    price = Decimal("0.57")
    singles = pa.array([0.57], pa.float32())
    file, data = parts(tmp_path, pa.array([0.57]), pa.array([price], pa.decimal128(6, 2)), singles, ["0.57"])
    assert read_numbers(file, "x", data).values.tolist() == [0.57] * 4


def test_ids_keep_all_their_digits(tmp_path: Path) -> None:
    number = 915301007194012345
    file, data = parts(tmp_path, pa.array([number]), pa.array([Decimal(number)], pa.decimal128(38, 10)), [str(number)])
    found = read_ids(file, "x", data)
    assert {found.texts[int(code)].as_py() for code in found.codes} == {str(number)}


def test_months_of_any_type(tmp_path: Path) -> None:
    day, second = date(2024, 1, 1), datetime(2024, 1, 1)
    file, data = parts(tmp_path, pa.array([day]), pa.array([second], pa.timestamp("ns")), pa.array([second], pa.timestamp("s")))
    assert [month_text(int(m)) for m in read_months(file, "x", data).counted] == ["2024-01"] * 3
    file, data = parts(tmp_path / ".", pa.array([day]), pa.array([second], pa.timestamp("ns")), ["2024-01"])
    assert [month_text(int(m)) for m in read_months(file, "x", data).counted] == ["2024-01"] * 3


def test_instants_beside_local_times_and_numbers_beside_dates_are_refused(tmp_path: Path) -> None:
    second = datetime(2024, 1, 1)
    file, data = parts(tmp_path, pa.array([second], pa.timestamp("us")), pa.array([second], pa.timestamp("us", "UTC")))
    with pytest.raises(DataError, match=r"'x' holds instants in .*p-1 and local times or dates in .*p-0") as caught:
        read_months(file, "x", data)
    assert "p-1" not in caught.value.public
    file, data = parts(tmp_path, pa.array([second], pa.timestamp("us")), pa.array([202401]))
    with pytest.raises(DataError, match=r"'x' is timestamp\[us\] in .*p-0 and int64 in .*p-1"):
        read_months(file, "x", data)
