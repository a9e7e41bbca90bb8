"""Files as programs write them: quotes, encodings, compression, titles, workbooks, folders; read whole, or refused by line."""

from __future__ import annotations

import gzip
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.errors import ConfigError, DataError
from common.rows.dataset import look_at
from common.rows.declare import DatasetConfig
from common.rows.formats.options import FileOptions
from common.rows.formats.parquet import ParquetColumns, _frequency, _of_periods
from common.rows.formats.paths import natural, parts_of
from common.rows.tablefile import TableFile
from tests.common.rows.columns import Made

HEAD = "id,month,kwh,name\n"
ROWS = [f"A{i:03d},2024-01,{i},n{i % 3}\n" for i in range(1000)]


def rows_of(path: Path, columns: tuple[str, ...] = (), **options: Any) -> list[dict[str, Any]]:
    file = TableFile.open(path, FileOptions(**options), "dataset t")
    data = file.read(columns or file.header)
    found = {c: data[c].to_pylist() for c in columns or file.header}
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        rows_of(path, **options)
    assert str(path) not in caught.value.public and caught.value.public.startswith("dataset t: ") and caught.value.remedy
    return str(caught.value)


def csv(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def put(at: int, row: str) -> str:
    return HEAD + "".join([*ROWS[:at], row, *ROWS[at + 1 :]])


@pytest.mark.parametrize(
    "row",
    [
        'A500,2024-01,500,"n1\n',  # never closed
        'A500,2024-01,500,n1"\n',  # within a value
        'A500,2024-01,500,n"1\n',
        'A500,2024-01,500,"n"1"\n',  # closed before the end
        'A500,2024-01,"500,n1\n',
        'A500,2024-01,500, "n1"\n',  # behind a blank
        'A500,2024-01,500,"n1\nA501,2024-01,501,n2"\n',  # swallows a row
        'A500,2024-01,500,"n1"",n2\n',
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_a_stray_quote_is_refused_with_the_line_where_it_opens(row: str, later: bool, tmp_path: Path) -> None:
    text = put(500, row) + ('B1,2024-01,7,"n"\n' if later else "")
    assert "line 502: a quote" in refused(csv(tmp_path, text))


def test_quotes_that_are_closed_are_read(tmp_path: Path) -> None:
    rows = 'a,2024-01,1,"x, ""y"""\nb,2024-01,2,""\nc,"2024-01",3,"two\nlines"\nd,2024-01,4,"""q"""\n'
    file = TableFile.open(csv(tmp_path, HEAD + rows))
    data = file.read(["name"])
    assert data["name"].to_pylist() == ['x, "y"', "", "two\nlines", '"q"']
    assert file.said == ["1 values hold line breaks (first: line 4)"] and file.places([3]) == {3: "line 6"}


def test_quotes_at_the_edge_of_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import common.rows.formats.quotes as module

    good = HEAD + "".join(f'"A{i}",2024-01,"{i}","a ""b""\nc"\n' for i in range(40))
    bad = good.replace('"A30",', '"A30,')
    for block in (1, 2, 3, 5, 7, 64):
        monkeypatch.setattr(module, "_BLOCK", block)
        assert len(rows_of(csv(tmp_path, good))) == 40
        assert "line 62" in refused(csv(tmp_path, bad))


def test_a_byte_of_zero_is_no_text(tmp_path: Path) -> None:
    assert "line 3: a byte of zero" in refused(csv(tmp_path, "id,x\na,1\nb,\x002\n"))


@pytest.mark.parametrize("name", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_told_by_their_bytes_are_read_and_said(name: str, packed: bool, tmp_path: Path) -> None:
    text = "编号,用电量\n" + "".join(f"企业{i},{i}\n" for i in range(50))
    raw = text.encode(name)
    path = csv(tmp_path, gzip.compress(raw) if packed else raw, "t.csv.gz" if packed else "t.csv")
    file = TableFile.open(path)
    data = file.read(file.header)
    assert file.header == ("编号", "用电量") and data["编号"].to_pylist()[49] == "企业49"
    assert file.places([49]) == {49: "line 51"}
    assert not file.said if name == "utf-8-sig" else file.said[0].startswith("read as ")  # a mark alone is nothing to look at
    assert rows_of(path, encoding=name) == rows_of(path)


def test_another_character_after_a_mebibyte_of_ascii(tmp_path: Path) -> None:
    text = "id,x\n" + "".join(f"A{i},{i}\n" for i in range(150_000)) + "企业,1\n"
    assert rows_of(csv(tmp_path, text.encode("gb18030")))[-1]["id"] == "企业"
    latin = text.replace("企业", "café").encode("latin-1")
    assert "its encoding cannot be told" in refused(csv(tmp_path, latin))
    assert rows_of(csv(tmp_path, latin), encoding="latin-1")[-1]["id"] == "café"


def test_what_is_cut_or_of_another_encoding_than_declared_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress((HEAD + "".join(ROWS)).encode())
    assert "damaged or incomplete" in refused(csv(tmp_path, packed[: len(packed) // 2], "t.csv.gz"))
    assert "not UTF-16 text" in refused(csv(tmp_path, "id,x\na,1\nb,é\n", "o.csv"), encoding="utf-16")
    with pytest.raises(ValueError, match="no encoding"):
        FileOptions(encoding="klingon")


def test_a_title_above_the_header_is_named_and_skipped(tmp_path: Path) -> None:
    text = "2024年用电量统计表,,\n单位：千瓦时\nid,kwh,name\na,1,x\n"
    said = refused(csv(tmp_path, text))
    assert "line 1 has one value where line 3 has several" in said and "skip_rows = 2" in said
    path = csv(tmp_path, text)
    assert rows_of(path, skip_rows=2) == [{"id": "a", "kwh": "1", "name": "x"}]
    assert TableFile.open(path, FileOptions(skip_rows=2)).places([0]) == {0: "line 4"}


@pytest.mark.parametrize("mark", [";", "\t", "|", "\x01"])
def test_another_separator_is_named_and_declared(mark: str, tmp_path: Path) -> None:
    path = csv(tmp_path, "id,kwh\na,1\n".replace(",", mark))
    assert "separator = " in refused(path)
    assert rows_of(path, separator=mark) == [{"id": "a", "kwh": "1"}]


def test_columns_without_a_name_are_called_by_their_place(tmp_path: Path) -> None:
    file = TableFile.open(csv(tmp_path, ",id,kwh,,\n0,a,1,,\n1,b,2,,\n"))
    assert file.header == ("(column 1)", "id", "kwh", "(column 4)", "(column 5)") and len(file.nameless) == 3


def workbook(path: Path, *sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for k, rows in enumerate(sheets):
        sheet = book.create_sheet(f"s{k + 1}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_by_what_its_cells_are(tmp_path: Path) -> None:
    from datetime import date, datetime

    path = workbook(
        tmp_path / "t.xlsx",
        [
            ["id", "m", "kwh", "flag", "mixed"],
            ["0012", datetime(2024, 1, 1), 1.5, True, 7],
            [],
            ["7", date(2024, 2, 1), 0.1, False, "x"],
        ],
    )
    found = rows_of(path)
    assert (
        found[0] == {"id": "0012", "m": date(2024, 1, 1), "kwh": 1.5, "flag": True, "mixed": "7"} and found[1]["mixed"] == "x"
    )
    assert TableFile.open(path).places([1]) == {1: "row 4 of the sheet"}


def test_durations_and_times_of_a_workbook_are_left_out_as_those_of_parquet_are(tmp_path: Path) -> None:
    off = [timedelta(hours=hours) for hours in (0, 5, 23.5, 24, 30.25, 100)]
    at = [time(hour, 30) for hour in range(6)]
    rows = [[f"E{k}", hours, when] for k, (hours, when) in enumerate(zip(off, at, strict=True))]
    book = workbook(tmp_path / "t.xlsx", [["id", "off", "at"], *rows, ["E6", None, None]])
    table = pa.table({"id": [f"E{k}" for k in range(7)], "off": pa.array([*off, None]), "at": pa.array([*at, None])})
    pq.write_table(table, tmp_path / "t.parquet")
    assert rows_of(book) == rows_of(tmp_path / "t.parquet") == table.to_pylist()
    for path in (book, tmp_path / "t.parquet"):
        seen = look_at(DatasetConfig(path=path, id="id"))
        assert {one.column: one.kind for one in seen} == {"off": "other", "at": "other"}


def test_a_workbook_asks_which_sheet_and_names_a_title(tmp_path: Path) -> None:
    table = [["id", "x"], ["a", 1]]
    two = workbook(tmp_path / "two.xlsx", table, [["id", "x"], ["b", 2]])
    assert "'s1', 's2'" in refused(two) and rows_of(two, sheet="s2") == [{"id": "b", "x": 2.0}]
    assert "no sheet 's9'" in refused(two, sheet="s9")
    titled = workbook(tmp_path / "t.xlsx", [["title"], *table])
    assert "skip_rows = 1" in refused(titled) and rows_of(titled, skip_rows=1) == [{"id": "a", "x": 1.0}]
    assert "workbook" in refused(csv(tmp_path, b"PK\x03\x04nonsense", "bad.xlsx"))


def test_without_the_library_a_workbook_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "t.xlsx", [["id"], ["a"]])
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    with pytest.raises(ConfigError, match=r"Excel workbook.*pip install python-calamine"):
        rows_of(path)


def test_parts_come_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    for name in ("m-10.csv", "m-2.csv", "m-1.csv", "_SUCCESS", ".m-1.csv.crc"):
        csv(tmp_path, "id\na\n", name)
    for given in (tmp_path, tmp_path / "m-*.csv"):
        assert [part.path.name for part in parts_of([given])] == ["m-1.csv", "m-2.csv", "m-10.csv"]
    assert sorted(["a10b2", "a2", "a10b1"], key=natural) == ["a2", "a10b1", "a10b2"]


def test_folders_of_hive_give_their_keys_as_columns(tmp_path: Path) -> None:
    root = tmp_path / "meters"
    for month in ("2024-01", "2024-02", "__HIVE_DEFAULT_PARTITION__"):
        (root / f"month={month}" / "area=A%2FB").mkdir(parents=True)
        pq.write_table(pa.table({"id": ["a"], "kwh": [1.0]}), root / f"month={month}" / "area=A%2FB" / "part-0.parquet")
    found = rows_of(root)
    assert [(row["month"], row["area"]) for row in found] == [("2024-01", "A/B"), ("2024-02", "A/B"), (None, "A/B")]
    assert rows_of(root / "month=2024-02") == [found[1]]  # the folder itself may be named
    assert rows_of(root / "month=*" / "area=*" / "*.parquet") == found


def test_tables_whose_log_names_their_files_are_refused(tmp_path: Path) -> None:
    """Of a Delta table, row b was deleted: a file without it is in force, and the file with it is still there."""
    for what, mark, files in (
        ("a Delta table", "_delta_log/00000000000000000001.json", "month=2024-01"),
        ("an Iceberg table", "metadata/v2.metadata.json", "data/month=2024-01"),
        ("a Hudi table", ".hoodie/hoodie.properties", "2024/01"),
    ):
        root = tmp_path / what
        folder = root / files
        folder.mkdir(parents=True)
        for name, ids in (("old", ["a", "b"]), ("new", ["a"])):
            pq.write_table(pa.table({"id": ids}), folder / f"{name}.parquet")
        assert len(rows_of(folder)) == 3
        (root / mark).parent.mkdir()
        (root / mark).write_text("{}")
        for given in (root, folder, folder / "new.parquet", folder / "*.parquet", root / "**" / "*.parquet"):
            assert f"{root}: {what}, whose files hold rows that were deleted or replaced too" in refused(given)
    assert len(rows_of(csv(tmp_path, "id\na\n"))) == 1  # beside such folders


def test_a_folder_without_files(tmp_path: Path) -> None:
    assert "there is no file" in refused(tmp_path)


def test_int96_of_spark_holds_instants_and_bytes_of_hive_text(tmp_path: Path) -> None:
    at = pa.array([1704038400 * 10**9], pa.timestamp("ns"))
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": pa.array([b"a"]), "at": at}), path, use_deprecated_int96_timestamps=True)
    data = TableFile.open(path).read(["id", "at"])
    assert data["at"].type == pa.timestamp("us", "UTC")


def test_intervals_and_uuids_of_parquet_are_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    uuid = "0987dc8e-dd88-4e51-a64d-2a4d2e4cd8f0"
    last = f"('{uuid}'::UUID, INTERVAL '2 months 3 seconds', '[]'::JSON)"
    rows = f"('{uuid}'::UUID, INTERVAL 49 DAY, '{{}}'::JSON), (NULL, NULL, NULL), {last}"
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT * FROM (VALUES {rows}) t(id, late, note)) TO '{path}'")
    data = TableFile.open(path).read(["id", "late", "note"])
    assert data["id"].to_pylist() == [uuid, None, uuid] and data["note"].to_pylist() == ["{}", None, "[]"]
    assert data["late"].type == pa.month_day_nano_interval()  # 49 days were 1, the byte that counts them as a digit
    assert data["late"].to_pylist() == [(0, 49, 0), None, (2, 0, 3 * 10**9)]


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_texts_of_parquet_2_stored_by_their_differences_are_read(encoding: str, tmp_path: Path) -> None:
    texts = [None if k % 7 == 3 else f"A{k:05d}" for k in range(3000)]
    path = tmp_path / "t.parquet"
    table, how = pa.table({"id": texts, "kwh": range(3000)}), {"id": encoding}
    pq.write_table(table, path, use_dictionary=False, column_encoding=how, data_page_version="2.0", row_group_size=700)
    assert TableFile.open(path).read(["id"])["id"].to_pylist() == texts
    for plain in (False, True):
        found = ParquetColumns(Made(), path, little=True)
        assert "id" in found.long
        pieces = list(found.pieces("id", plain=plain))
        assert [text for piece in pieces for text in piece.to_pylist()] == texts
        assert all(pa.types.is_dictionary(piece.type) is not plain for piece in pieces)


def test_duckdb_writes_parquet_2(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with duckdb.connect() as database:
        made = "SELECT printf('91530100MA6K%05d', i) AS id, i / 4 AS kwh FROM range(5000) t(i)"
        database.execute(f"COPY ({made}) TO '{path}' (FORMAT parquet, PARQUET_VERSION v2)")
    assert "DELTA_LENGTH_BYTE_ARRAY" in pq.read_metadata(path).row_group(0).column(0).encodings
    found = rows_of(path)
    assert found[4999] == {"id": "91530100MA6K04999", "kwh": 1249.75} and len(found) == 5000


@pytest.mark.parametrize(
    ("frequency", "first", "found"),
    [
        ("M", "2024-01", [datetime(2024, 1, 1), None, datetime(2024, 3, 1)]),
        ("D", "1969-12-31", [datetime(1969, 12, 31), None, datetime(1970, 1, 2)]),
        ("Q-DEC", "2023Q4", ["2023Q4", None, "2024Q2"]),
        ("2Y-MAR", "2023", ["2023", None, "2027"]),
        ("W-SUN", "2024-01-01", ["2024-01-01/2024-01-07", None, "2024-01-15/2024-01-21"]),
    ],
)
def test_periods_of_pandas_are_months_and_days_and_no_ordinals(
    frequency: str, first: str, found: list[object], tmp_path: Path
) -> None:
    periods = pd.period_range(first, periods=3, freq=frequency).to_series()
    periods.iloc[1] = pd.NaT
    path = tmp_path / "t.parquet"
    pd.DataFrame({"id": ["a", "b", "c"], "month": periods.array}).to_parquet(path)
    assert TableFile.open(path).read(["id", "month"])["month"].to_pylist() == found
    field = pq.read_schema(path).field("month")  # as where nothing has registered the type with Arrow
    beside = {b"ARROW:extension:name": b"pandas.period", b"ARROW:extension:metadata": field.type.__arrow_ext_serialize__()}
    stored = pa.array([None if text is None else 0 for text in found], pa.int64())
    assert _frequency(pa.field("month", pa.int64(), metadata=beside)) == _frequency(field) == frequency
    assert _of_periods(pa.chunked_array([stored]), frequency)[1].as_py() is None


@pytest.mark.parametrize(
    ("written", "ordinals", "found"),
    [
        ("A-DEC", [53, None], ["2023", None]),
        ("2A-MAR", [53, None], ["2023", None]),
        ("H", [473_352, None], [datetime(2024, 1, 1), None]),
        ("15T", [28_401_135, None], [datetime(2024, 1, 1, 0, 15), None]),
    ],
)
def test_periods_are_read_by_the_names_that_pandas_had_before_2_2(
    written: str, ordinals: list[int | None], found: list[object], tmp_path: Path
) -> None:
    """These came as damaged Parquet."""
    path = tmp_path / "t.parquet"
    beside = {"ARROW:extension:name": "pandas.period", "ARROW:extension:metadata": f'{{"freq": "{written}"}}'}
    fields = [pa.field("id", pa.string()), pa.field("month", pa.int64(), metadata=beside)]
    pq.write_table(pa.table({"id": ["a", "b"], "month": ordinals}, schema=pa.schema(fields)), path)
    assert TableFile.open(path).read(["id", "month"])["month"].to_pylist() == found


def test_a_column_that_is_not_what_it_says_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    late = pa.array([1, 25 * 3600 * 10**6], pa.time64("us"))  # as fastparquet writes spans of more than a day
    pq.write_table(pa.table({"id": ["a", "b"], "late": late}), path)
    assert "column 'late' of the file is not valid Parquet" in refused(path)


def test_a_sound_parquet_file_of_what_arrow_does_not_read_is_refused_by_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"id": ["a"], "account": [62220212345678900000]}, schema_overrides={"account": pl.Int128}).write_parquet(path)
    assert "Integers with more than 64 bits" in refused(path) and "not valid" not in refused(path)
