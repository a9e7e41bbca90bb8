"""What programs do to files on their way: each is read with the right value, or refused by name with what to do."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import math
import struct
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.errors import DataError
from common.party import Party
from common.rows.dataset import Loaded, read_table
from common.rows.declare import DatasetConfig
from common.rows.months import month_text

BODY = "id,month,x\nA1,2024-01,1.5\nA2,2024-01,2.5\nA3,2024-02,3.5\n"


def load(path: Path, **keys: Any) -> Loaded:
    keys = {"period": "month", **keys}
    return read_table(DatasetConfig(path=path, id="id", **keys), name="t", party=Party.GRID)


def refused(path: Path, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **keys)
    assert caught.value.remedy and str(path.parent) not in caught.value.public
    return str(caught.value)


def put(folder: Path, data: bytes | str, name: str = "t.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def months(loaded: Loaded) -> list[str]:
    assert loaded.table.periods is not None
    return [month_text(int(m)) for m in loaded.table.periods]


ID_ACCIDENTS = [
    ("总计", "a line of totals"), ("Grand Total", "a line of totals"), ("合计：", "a line of totals"),
    ("ID", "the header stands here again"),
    ("5-Jan", "a date"), ("Mar-01", "a date"), ("1月5日", "a date"), ("2024/1/5", "a date"), ("b'A1'", "as Python prints"),
    ("['A1']", "as Python prints"), ("DBNull", "a word that means there is no id"), ("(空)", "a word that means"),
    ("9.15E+17", "scientific notation"), ("#REF!", "an error of a spreadsheet"), ("#####", "too narrow"),
    ("FALSE", "a truth value"), ("91****0X", "masked"), ("**", "masked"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "cause"), ID_ACCIDENTS)
def test_what_is_no_id_is_refused_by_line_and_cause(id: str, cause: str, tmp_path: Path) -> None:
    said = refused(put(tmp_path, f"{BODY}{id},2024-02,9\n"))
    assert "line 5, column 'id': " in said and cause in said


def test_ids_that_a_spreadsheet_cut_to_fifteen_digits_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"91530100719401{k}000,2024-01,{k}\n" for k in range(1, 6))
    assert "last digits are lost" in refused(put(tmp_path, "id,month,x\n" + rows))


@pytest.mark.parametrize(
    ("given", "common"),
    [
        ("`00123", "00123"),
        ("'00123", "00123"),
        ("‘A123", "A123"),
        ("“A123”", "A123"),
        ('="00123"', "00123"),
        ("{6f9619ff-8b86-d011-b42d-00cf4fc964ff}", None),
        ("A\u00ad1", "A1"),
    ],
)
def test_signs_around_ids_are_taken_off(given: str, common: str | None, tmp_path: Path) -> None:
    quoted = '"' + given.replace('"', '""') + '"'
    loaded = load(put(tmp_path, f"id,month,x\n{quoted},2024-01,1\n"))
    assert loaded.table.ids.tolist() == [common or given.strip("{}").upper()]


@pytest.mark.parametrize("id", ["9153E17", "1E5", "SEP2", "SUMMIT", "TOTALFINA", "2024-1-5", "0", "A.B"])
def test_what_may_be_an_id_is_one(id: str, tmp_path: Path) -> None:
    assert id in load(put(tmp_path, f"{BODY}{id},2024-02,9\n")).table.ids.tolist()


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([b"17  ", b"18  "], pa.binary(4)), pa.array(["17", "18"], pa.large_string()),
        pa.array(["17", "18"], pa.string_view()), pa.array([Decimal(17), Decimal(18)], pa.decimal256(60, 10)),
        pa.array([17, 18], pa.uint64()), pa.array([17.0, 18.0]), pa.array(["17", "18"]).dictionary_encode(),
    ],
)  # fmt: skip
def test_ids_of_any_type_that_holds_them(ids: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ids, "x": [1, 2]}), tmp_path / "t.parquet")
    assert load(tmp_path / "t.parquet", period=None).table.ids.tolist() == ["17", "18"]


@pytest.mark.parametrize("header", [" id ,month,x", "id\u00a0,month,x", "\u200bid,month,x", "\ufeffid,month, x"])
def test_what_nobody_sees_around_a_name_is_no_part_of_it(header: str, tmp_path: Path) -> None:
    data = codecs.BOM_UTF8 + header.encode() + b"\nA1,2024-01,7\n"
    assert load(put(tmp_path, data)).table.numeric["x"].tolist() == [7]


def _zip(body: str) -> bytes:
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr("t.csv", body)
    return stream.getvalue()


FOREIGN: list[tuple[bytes, str]] = [
    (bz2.compress(BODY.encode()), "compressed by bzip2"), (lzma.compress(BODY.encode()), "compressed by xz"),
    (b"\x28\xb5\x2f\xfd\x00", "compressed by zstd"), (_zip(BODY), "a ZIP archive"),
    (b"ARROW1\x00\x00", "an Arrow or Feather file"),
    (b"ORC\x01\x02", "an ORC file"), (b"Obj\x01", "an Avro file"), (b"SQLite format 3\x00", "an SQLite database"),
    (b"<stata_dta>", "a Stata file"), (b"\x6f\x01\x01\x00\x00\x03", "a Stata file"), (b"$FL3@(#) SPSS", "an SPSS file"),
    (gzip.compress(b"X\n" + bytes([0, 0, 0, 3, 0, 4, 3, 1])), "an R file"), (b"X\n\x00\x00\x00\x03", "an R file"),
    (gzip.compress(b"RDX3\nX\n\x00"), "an R file"), (b"\x89HDF\r\n\x1a\n\x00", "an HDF5 file"),
    (b"FEA1\x00", "an Arrow or Feather file"),
    (b"\x00\x01\x00\x00Standard ACE DB\x00", "an Access database"), (b"\x00" * 12 + b"\xc2\xea\x81\x60", "a SAS file"),
    (b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!", "a SAS transport file"), (b"%PDF-1.7", "a PDF file"),
    (b"<html><table>", "HTML or XML"), (b'\xef\xbb\xbf<?xml version="1.0"?>', "HTML or XML"), (b'[{"id": 1}]', "JSON"),
    (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"), (b"PARE\x00\x01", "an encrypted Parquet file"),
    (gzip.compress(b"PAR1" + bytes(9)), "compressed by gzip around Parquet"),
    (gzip.compress(bytes(257) + b"ustar"), "a tar archive"),
    (b"\x03\x7c\x01\x1f" + bytes(4) + b"\x61\x00\x1d\x00" + bytes(52), "a dBase or FoxPro table"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "what"), FOREIGN, ids=[what for _, what in FOREIGN])
def test_a_file_that_is_no_table_is_named_for_what_it_is(data: bytes, what: str, tmp_path: Path) -> None:
    assert f"the file is {what}" in refused(put(tmp_path, data))


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (pd.DataFrame.to_stata, "a Stata file"),
        (pd.DataFrame.to_pickle, "a Python pickle"),
        (lambda frame, path: duckdb.connect(str(path)).close(), "a DuckDB database"),
    ],
)
def test_what_pandas_and_duckdb_write_unless_told_otherwise(write: Callable[..., object], what: str, tmp_path: Path) -> None:
    write(pd.DataFrame({"id": ["A1", "A2"], "month": "2024-01", "x": [1.5, 2.5]}), tmp_path / "t.csv")
    assert f"the file is {what}" in refused(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["ORC", "FEA1", "sRGB"])
def test_a_column_named_like_a_format_is_no_such_file(name: str, tmp_path: Path) -> None:
    assert load(put(tmp_path, f"{name},id,month\n1,A1,2024-01\n")).table.order == (name,)


def test_gzip_members_one_after_another_are_one_file_and_a_cut_one_is_refused(tmp_path: Path) -> None:
    one, two = gzip.compress(BODY.encode()), gzip.compress(b"A4,2024-03,9\n")
    assert load(put(tmp_path, one + two)).table.rows == 4
    for cut in (one[:-9], one[: len(one) // 2], one + two[:-5], one + b"rubbish"):
        assert "the compressed file is damaged or incomplete" in refused(put(tmp_path, cut))


FOLDERS: list[tuple[dict[str, str], list[str]]] = [
    ({"month=2024-01/a.csv": "id,x\nA1,1\n", "month=2024-02/a.csv": "id,x\nA1,2\n"}, ["2024-01", "2024-02"]),
    ({"year=2024/month=1/a.csv": "id,x\nA1,1\n", "year=2024/month=12/a.csv": "id,x\nA1,2\n"}, ["2024-01", "2024-12"]),
    ({"Year=2024/month=02/day=29/a.csv": "id,x\nA1,1\n", "Year=2023/month=02/a.csv": "id,x\nA1,2\n"}, ["2023-02", "2024-02"]),
    ({"month=2024%2F01/a.csv": "id,x\nA1,1\n"}, ["2024-01"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), FOLDERS)
def test_months_of_hives_folders(files: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    for name, body in files.items():
        put(tmp_path, body, f"t/{name}")
    assert months(load(tmp_path / "t")) == expected


def test_what_desktops_and_writers_leave_in_a_folder_is_no_part_of_a_table(tmp_path: Path) -> None:
    for name in (
        "a.csv",
        "_SUCCESS",
        ".a.csv.crc",
        "Thumbs.db",
        "desktop.ini",
        "~$a.xlsx",
        "a.csv~",
        "a.csv.md5",
        "_tmp/b.csv",
    ):
        put(tmp_path, BODY if name == "a.csv" else "?", f"t/{name}")
    assert load(tmp_path / "t").table.rows == 3


def test_parts_without_rows_lose_nothing_and_are_said(tmp_path: Path) -> None:
    put(tmp_path, BODY, "t/p-1.csv")
    empty = put(tmp_path, "id,month,x\n", "t/p-2.csv")
    loaded = load(tmp_path / "t")
    assert loaded.table.rows == 3 and loaded.warnings == (f"{empty}: a header and no rows",)
    assert "a header and no rows" in refused(empty)


def test_a_key_in_a_file_and_in_its_folders_name_is_said(tmp_path: Path) -> None:
    put(tmp_path, BODY, "t/month=2023-01/a.csv")
    loaded = load(tmp_path / "t")
    assert (
        months(loaded) == ["2024-01", "2024-01", "2024-02"]
        and "in its folder's name: the file's is taken" in loaded.warnings[0]
    )


PARTS: list[tuple[list[Any], list[float]]] = [
    ([pa.array([True, False]), pa.array(["yes", "no"])], [1, 0, 1, 0]),
    ([pa.array([1, 0]), pa.array(["是", "否"])], [1, 0, 1, 0]),
    ([pa.array([4, 5]), pa.array([4.35, 0.1]), pa.array(["4.35", "0.1"])], [4, 5, 4.35, 0.1, 4.35, 0.1]),
    ([pa.array([Decimal("4.35")]), pa.array([4.35], pa.float32()), pa.array([4.35]).cast(pa.float16())], [4.35] * 3),
    ([pa.nulls(1), pa.array([2.5])], [float("nan"), 2.5]),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "expected"), PARTS)
def test_parts_of_differing_types_are_joined_by_what_they_print(
    parts: list[Any], expected: list[float], tmp_path: Path
) -> None:
    for k, values in enumerate(parts):
        (tmp_path / "t").mkdir(exist_ok=True)
        ids = pa.array([f"A{k}{j}" for j in range(len(values))])
        pq.write_table(pa.table({"id": ids, "x": values}), tmp_path / "t" / f"p-{k}.parquet")
    assert str(load(tmp_path / "t", period=None).table.numeric["x"].tolist()) == str([float(v) for v in expected])


@pytest.mark.parametrize("moment", [datetime(9999, 12, 31), datetime(1, 1, 1), date(9999, 12, 1)])
def test_a_month_that_stands_for_none_is_refused(moment: Any, tmp_path: Path) -> None:
    array = pa.array([moment, type(moment)(2024, 1, 1)], pa.timestamp("us") if isinstance(moment, datetime) else pa.date32())
    pq.write_table(pa.table({"id": ["A1", "A2"], "month": array, "x": [1, 2]}), tmp_path / "t.parquet")
    assert "row 1, column 'month'" in (said := refused(tmp_path / "t.parquet")) and "which stands for none" in said


def test_a_date_of_no_calendar_is_refused_by_its_row(tmp_path: Path) -> None:
    """As DuckDB and PostgreSQL hold infinity."""
    array = pa.array([2**31 - 1, 19723], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"id": ["A1", "A2"], "month": array, "x": [1, 2]}), tmp_path / "t.parquet")
    assert "row 1, column 'month': 'a date32[day] of no calendar': a month outside" in refused(tmp_path / "t.parquet")


@pytest.mark.parametrize("index", [pa.int8(), pa.uint8(), pa.int32(), pa.uint32(), pa.int64()])
def test_categories_coded_by_numbers_of_any_width(index: Any, tmp_path: Path) -> None:
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], index), pa.array(["n", "s"]))
    pq.write_table(pa.table({"id": ["A1", "A2", "A3"], "x": coded}), tmp_path / "t.parquet")
    assert load(tmp_path / "t.parquet", period=None).table.categorical["x"].tolist() == ["n", "s", None]


# Workbooks, as openpyxl writes them


def workbook(folder: Path, fill: Callable[[Any, Any], object]) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["id", "month", "x"], ["A1", "2024-01", 1.5], ["A2", "2024-02", 2]):
        book.active.append(row)
    fill(book, book.active)
    book.save(folder / "t.xlsx")
    return folder / "t.xlsx"


def computed(folder: Path, changes: list[tuple[str, bytes, bytes]]) -> Path:
    """A workbook whose last two x are formulas. changes: (part, what goes, what comes in the place of its first)."""
    path = workbook(folder, lambda book, sheet: [sheet.append([f"A{k}", "2024-02", "=1+1"]) for k in (3, 4)])
    with ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    for part, old, new in changes:
        (name,) = (name for name in parts if name.endswith(f"/{part}.xml"))
        assert old in parts[name]
        parts[name] = parts[name].replace(old, new, 1)
    with ZipFile(path, "w") as book:
        for name, data in parts.items():
            book.writestr(name, data)
    return path


def test_a_formula_whose_value_is_an_empty_text_is_a_missing_value(tmp_path: Path) -> None:
    """Excel writes it as text, `t="str"`, of no characters, where a formula that nothing has computed has no type."""
    for empty in (b"<v></v>", b"<v/>"):
        cell = [("sheet1", b'<c r="C4">', b'<c r="C4" s="1" t="str">'), ("sheet1", b"<v />", empty)]
        other = [("sheet1", b"<v />", b"<v>7</v>")]
        found = load(computed(tmp_path, [*cell, *other])).table.numeric["x"].tolist()
        assert found == pytest.approx([1.5, 2, math.nan, 7], nan_ok=True)
        assert "1 cells hold a formula that nothing has computed (first: C5 of 'Sheet')" in refused(computed(tmp_path, cell))


def test_a_workbook_behind_a_password_says_so(tmp_path: Path) -> None:
    """A compound file of a header, a table of its sectors and a directory that names the encrypted package."""

    def entry(name: str, kind: int, child: int) -> bytes:
        text = name.encode("utf-16-le") + bytes(2)
        return struct.pack("<64sHBBiii36xii4x", text, len(text), kind, 1, -1, -1, child, -2, 0)

    head = struct.pack("<16xHHHHH6xIIiIIiIiI", 62, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, -2, 0, -2, 0)
    sectors = struct.pack("<109i", 0, *[-1] * 108) + struct.pack("<128i", -3, -2, *[-1] * 126)
    directory = entry("Root Entry", 5, 1) + entry("EncryptedPackage", 2, -1) + bytes(256)
    said = refused(put(tmp_path, bytes.fromhex("d0cf11e0a1b11ae1") + head + sectors + directory, "t.xlsx"))
    assert "protected by a password" in said and "Save a copy without one" in said


def test_a_formula_that_was_never_computed_is_refused_by_its_cell(tmp_path: Path) -> None:
    path = workbook(tmp_path, lambda book, sheet: sheet.append(["A3", "2024-02", "=1+1"]))
    assert "1 cells hold a formula that nothing has computed (first: C4 of 'Sheet')" in refused(path)


@pytest.mark.parametrize("zero", ["0", "0.0"])
def test_a_formula_that_was_never_computed_is_no_0(zero: str, tmp_path: Path) -> None:
    """XlsxWriter, by which pandas and Polars write workbooks, gives each formula that value: such a column was constant."""

    def saved(values: list[str], *, marked: bool = True) -> Path:
        changes = [("sheet1", b"<v />", f"<v>{value}</v>".encode()) for value in values]
        return computed(tmp_path, changes if marked else [*changes, ("workbook", b' fullCalcOnLoad="1"', b"")])

    assert "2 cells hold a formula that nothing has computed (first: C4 of 'Sheet')" in refused(saved([zero, zero]))
    assert load(saved([zero, "2"])).table.numeric["x"].tolist() == [1.5, 2, 0, 2]  # computed: another program's mark
    assert load(saved([zero, zero], marked=False)).table.numeric["x"].tolist() == [1.5, 2, 0, 0]


def test_errors_of_a_sheet_are_missing_values_that_are_said(tmp_path: Path) -> None:
    path = workbook(
        tmp_path, lambda book, sheet: [sheet.append([f"A{k}", "2024-02", word]) for k, word in ((3, "#N/A"), (4, "#REF!"))]
    )
    found = load(path)
    assert [str(x) for x in found.table.numeric["x"]] == ["1.5", "2.0", "nan", "nan"]
    assert "2 cells hold an error, such as #N/A, and are read as empty (first: C4)" in " ".join(found.warnings)


def test_a_hidden_sheet_is_no_choice(tmp_path: Path) -> None:
    def hide(book: Any, sheet: Any) -> None:
        other = book.create_sheet("lookup")
        other.append(["k"])
        other.sheet_state = "hidden"

    assert load(workbook(tmp_path, hide)).table.rows == 2


def test_dates_of_1904_and_truth_values_among_numbers(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")

    def fill(book: Any, sheet: Any) -> None:
        book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
        for row, month in ((2, 1), (3, 2)):
            sheet.cell(row, 2).value = date(2024, month, 1)
        sheet["C2"], sheet["C3"] = True, 0

    loaded = load(workbook(tmp_path, fill))
    assert months(loaded) == ["2024-01", "2024-02"] and loaded.table.numeric["x"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([None, "2024-02", 3], "row 4 of the sheet, column 'id'"),
        (["合计", None, 3], "totals"),
        (["A3", None, 3], "not a month"),
    ],
)
def test_merged_cells_and_totals_are_refused_by_row(cells: list[Any], said: str, tmp_path: Path) -> None:
    assert said in refused(workbook(tmp_path, lambda book, sheet: sheet.append(cells)))


@pytest.mark.parametrize("end", ["A4,2024-02\n", "Source: the grid\n", "\x1a"])
def test_what_stands_below_the_rows_is_refused_by_its_line_with_a_remedy_that_fits(end: str, tmp_path: Path) -> None:
    (path := tmp_path / "t.csv").write_text(BODY + end)
    said = refused(path)
    assert "line 5: a row has" in said and "Complete it; a note below the rows" in said


def test_a_byte_of_zero_is_no_matter_of_quotes(tmp_path: Path) -> None:
    (path := tmp_path / "t.csv").write_bytes(BODY.encode() + bytes(16))
    assert "line 5: a byte of zero" in (said := refused(path)) and "quote" not in said


@pytest.mark.parametrize("word", ["缺失", "空值", "n.a."])
def test_further_words_for_no_id(word: str, tmp_path: Path) -> None:
    (path := tmp_path / "t.csv").write_text(BODY.replace("A2", word))
    assert "line 3, column 'id'" in refused(path)
