"""Files as sources: one, many, by glob, of both formats, wide; errors that name file, line, column and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.config import validate
from common.errors import DataError
from common.records.clean import clean
from common.records.config import RecordsConfig
from common.records.panel import Panel
from common.records.source import read


def config(path: Any, **changes: Any) -> RecordsConfig:
    paths = [str(p) for p in path] if isinstance(path, list) else str(path)
    raw: dict[str, Any] = {
        "party": "grid",
        "source": {"path": paths},
        "keys": {"id": "id", "month": "month"},
        "fields": {"consumption": {"column": "kwh", "malformed": "refuse"}},
    }
    return validate(RecordsConfig, raw | changes, "records.toml")


def panel(settings: RecordsConfig) -> Panel:
    return clean(settings, read(settings)).panel


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_many_files_are_one_source_whatever_their_format_and_column_order(tmp_path: Path) -> None:
    write(tmp_path, "m-1.csv", "id,month,kwh\na,2024-01,1\nb,2024-01,2\n")
    write(tmp_path, "m-2.csv", "kwh,id,month\n3,a,2024-02\n")
    pd.DataFrame({"id": ["b"], "month": pd.to_datetime(["2024-02-01"]).date, "kwh": [4.5]}).to_parquet(tmp_path / "m-3.pq")
    glob = panel(config(tmp_path / "m-*.csv"))
    np.testing.assert_array_equal(glob.numeric["consumption"], [[1, 3], [2, np.nan]])
    both = [tmp_path / "m-*.csv", tmp_path / "m-3.pq", tmp_path / "m-1.csv"]
    np.testing.assert_array_equal(panel(config(both)).numeric["consumption"], [[1, 3], [2, 4.5]])


def test_a_bad_value_in_one_of_many_files_is_found_there(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "id,month,kwh\na,2024-01,1\nb,2024-01,2\n")
    bad = write(tmp_path, "b.csv", 'id,month,kwh\na,2024-02,1\n"b\n",2024-02,oops\n')
    with pytest.raises(DataError) as caught:
        panel(config(tmp_path / "?.csv"))
    assert str(caught.value).startswith(f"2 files: {bad}, line 3, column 'kwh': 'oops': not a number. Correct it")
    assert caught.value.public == "grid records: column 'kwh': not a number (1 row)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("id,month,kwh\n", "a header and no rows"),
        ("id,month,kWh\na,2024-01,1\n", "no column 'kwh'; close names in the file: 'kWh'"),
        ("id;month;kwh\na;2024-01;1\n", "Separate the columns by commas"),
        ("id,month,kwh\na,2024-01,1,2\n", "line 2: a row has 4 values where the header has 3"),
        ("id,month,kwh,kwh\na,2024-01,1,2\n", "'kwh' more than once"),
    ],
)
def test_files_that_are_no_tables(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"bad\.csv") as caught:
        read(config(write(tmp_path, "bad.csv", text)))
    assert message in str(caught.value)


def test_no_file_another_encoding_and_ids_that_lost_digits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file at .*none-\*\.csv"):
        read(config(tmp_path / "none-*.csv"))
    path = tmp_path / "gbk.csv"
    path.write_bytes("id,month,kwh\né,2024-01,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        read(config(path))
    pd.DataFrame({"id": [9.144e17], "month": ["2024-01"], "kwh": [1]}).to_parquet(tmp_path / "f.parquet")
    with pytest.raises(DataError, match="floating-point"):
        panel(config(tmp_path / "f.parquet"))


WIDE = "ID,SIZE,SEX,PAY_0,PAY_2,PAY_3,Y\n1,10,f,2,1,0,1\n2,,m,-1,oops,,0\n"
FIELDS = {
    "size": "SIZE",
    "sex": {"column": "SEX", "kind": "categorical"},
    "pay": ["PAY_0", "PAY_2", "PAY_3"],
    "overdue": {"column": "Y", "label_month": "2005-10"},
}


def wide(path: Path, months: list[str], **fields: Any) -> RecordsConfig:
    source = {"path": str(path), "months": months}
    return config(path, party="bank", source=source, keys={"id": "ID"}, fields=FIELDS | fields)


def test_a_wide_source_newest_month_first(tmp_path: Path) -> None:
    path = write(tmp_path, "uci.csv", WIDE)
    settings = wide(path, ["2005-09", "2005-08", "2005-07"])
    out = clean(settings, read(settings))
    made = out.panel
    assert made.first == 2005 * 12 + 6 and made.months == 4 and (out.rows, out.records) == (2, 6)
    assert made.present.tolist() == [[True, True, True, False]] * 2
    np.testing.assert_array_equal(made.numeric["pay"], [[0, 1, 2, np.nan], [np.nan, np.nan, -1, np.nan]])
    np.testing.assert_array_equal(made.numeric["size"], [[10, 10, 10, np.nan], [np.nan] * 4])
    assert made.categorical["sex"].codes.tolist() == [[0, 0, 0, -1], [1, 1, 1, -1]]
    assert made.label is not None and made.label[:, 3].tolist() == [1, 0] and np.isnan(made.label[:, :3]).all()
    found = {(f.rule, f.field): (f.rows, f.columns) for f in out.findings}
    assert found["malformed", "pay"] == (1, ("PAY_2",)) and found["empty", "size"] == (1, ("SIZE",))
    (example,) = next(f for f in out.findings if f.rule == "malformed").examples
    assert (example.place, example.id, example.month, example.value) == ("line 3", "2****", "2005-08", "oops")


def test_a_rule_that_drops_in_a_wide_source_drops_the_month(tmp_path: Path) -> None:
    months = ["2005-09", "2005-08", "2005-07"]
    dropping = wide(write(tmp_path, "uci.csv", WIDE), months, pay={"column": FIELDS["pay"], "malformed": "drop"})
    assert panel(dropping).present.tolist() == [[True, True, True, False], [True, False, True, False]]
    label = wide(write(tmp_path, "bad.csv", WIDE.replace(",0\n", ",2\n")), months)
    with pytest.raises(DataError, match="line 3, column 'Y': '2': impossible: neither 0 nor 1"):
        panel(label)
