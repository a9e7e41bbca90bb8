"""A table in a CSV or Parquet file: header, columns as text or numbers, and errors that name line and column."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from common.disk.scratch import Scratch
from common.errors import DataError

Format = Literal["auto", "csv", "parquet"]
Mask = npt.NDArray[np.bool_]

_MISSING_NUMBERS = ("", "na", "n/a", "nan", "null", "none")  # compared in lower case
_EXPANSION = 4  # bytes of memory that reading a CSV file as text takes for each of the file
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def is_number(kind: Any) -> bool:
    """Whether a Parquet column of this Arrow type holds numbers (or booleans, read as 0 and 1)."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def unreadable(path: Path, name: str, error: OSError) -> DataError:
    return DataError(
        f"{path}: cannot be read ({error.strerror or error})",
        public=f"dataset {name}: the file cannot be read",
        remedy="Check the path and its permissions.",
    )


class Origin(Protocol):
    """The origin of columns, as far as reading one needs to know: how to say what is wrong."""

    def fault(self, what: str, *, local: str | None = None, remedy: str = "") -> DataError: ...


class Data(Protocol):
    """Columns of a file by name."""

    @property
    def num_rows(self) -> int: ...

    def __getitem__(self, column: str) -> pa.ChunkedArray: ...


class _ParquetColumns:
    """One column of a Parquet file at a time; text as a dictionary, so that a repeated value is held once."""

    def __init__(self, file: TableFile, source: Any) -> None:
        self._file, self._source = file, source
        schema = pa.parquet.read_schema(source)
        self._text = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        self.num_rows: int = pa.parquet.read_metadata(source).num_rows

    def __getitem__(self, column: str) -> pa.ChunkedArray:
        def read() -> pa.ChunkedArray:
            file = pa.parquet.ParquetFile(self._source, read_dictionary=self._text)
            return file.read(columns=[column]).column(0)

        values: pa.ChunkedArray = self._file._guard_parquet(read)
        return values


def _copy(batches: Any, scratch: Scratch) -> Any:
    """The same columns as a nameless Parquet file."""
    file = scratch.file()
    with pa.parquet.ParquetWriter(file, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return file


@dataclass(frozen=True)
class TableFile:
    """An input file whose header has been read. Every method raises DataError for a file that cannot be read."""

    path: Path
    name: str
    parquet: bool
    header: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, format: Format, name: str) -> TableFile:
        try:
            with path.open("rb") as stream:
                magic = stream.read(4)
        except OSError as error:
            raise unreadable(path, name, error) from None
        parquet = magic == b"PAR1" if format == "auto" else format == "parquet"
        file = cls(path, name, parquet, ())
        header: tuple[str, ...] = file._parquet_header() if parquet else tuple(next(file._rows(), (0, []))[1])
        if not header:
            raise file.fault("the file is empty")
        twice = sorted({c for c in header if header.count(c) > 1})
        if twice:
            raise file.fault(f"the header names {', '.join(map(repr, twice))} more than once")
        return cls(path, name, parquet, header)

    def fault(self, what: str, *, local: str | None = None, remedy: str = "") -> DataError:
        """`what` holds no value and crosses the network; `local` replaces it on this side."""
        return DataError(f"{self.path}: {local or what}", public=f"dataset {self.name}: {what}", remedy=remedy)

    def bad_rows(self, column: str, bad: Mask, what: str, remedy: str, values: Any = None) -> DataError:
        """The error naming the first of the `bad` rows, and the value it holds."""
        row, count = int(bad.argmax()), int(bad.sum())
        quoted = "" if values is None else f" {str(values[row].as_py())[:40]!r}:"
        local = f"{self.where(row)}, column {column!r}:{quoted} {what}" + (f" ({count} such rows)" if count > 1 else "")
        return self.fault(f"column {column!r}: {what} ({count} rows)", local=local, remedy=remedy)

    def where(self, row: int) -> str:
        """`line 17` of a CSV file, `row 16` (from 1) of a Parquet file, for a data row counted from 0."""
        return self.places([row])[row]

    def places(self, rows: Collection[int]) -> dict[int, str]:
        """`where` of many rows in one pass."""
        found = {row: f"row {row + 1}" for row in rows}
        if self.parquet or not rows:
            return found
        last = max(rows)
        for index, (line, _) in enumerate(self._rows()):
            if index - 1 in found:
                found[index - 1] = f"line {line}"
            if index > last:
                break
        return found

    def coded(self) -> frozenset[str]:
        """The columns that a Parquet file holds as dictionaries: categories, by the word of who wrote it."""
        if not self.parquet:
            return frozenset()
        schema = self._guard_parquet(lambda: pa.parquet.read_schema(self.path))
        return frozenset(field.name for field in schema if pa.types.is_dictionary(field.type))

    def require(self, columns: list[str]) -> None:
        """Raises DataError, with close names, unless the file has these columns."""
        missing = [c for c in columns if c not in self.header]
        if not missing:
            return
        what = f"no column {', '.join(map(repr, missing))}"
        close = [match for c in missing for match in difflib.get_close_matches(c, self.header, n=3)]
        names = f"; close names in the file: {', '.join(map(repr, dict.fromkeys(close)))}" if close else ""
        remedy = "Check the declared names."
        if not close and not self.parquet and len(self.header) == 1:
            remedy = "The header has one column only: separate the columns by commas."
        raise self.fault(what, local=what + names, remedy=remedy)

    def read(self, columns: list[str], scratch: Scratch | None = None) -> Data:
        """These columns, each read when asked for; of a CSV file as text, so that a malformed value can be found and named.

        A CSV file that does not fit in memory is first copied to `scratch`, a column after the other.
        """
        data: Data
        if self.parquet:
            data = self._guard_parquet(lambda: _ParquetColumns(self, self.path))
        else:
            data = self._read_csv(columns, scratch)
        if not data.num_rows:
            raise self.fault("the file has a header and no rows")
        return data

    def _read_csv(self, columns: list[str], scratch: Scratch | None) -> Data:
        convert = pa.csv.ConvertOptions(
            include_columns=columns, column_types={c: pa.string() for c in columns}, strings_can_be_null=False
        )
        parse = pa.csv.ParseOptions(newlines_in_values=True)
        try:
            if scratch is None or scratch.fits(_EXPANSION * self.path.stat().st_size):
                table: Data = pa.csv.read_csv(self.path, parse_options=parse, convert_options=convert)
                return table
            with pa.csv.open_csv(self.path, parse_options=parse, convert_options=convert) as batches:
                return _ParquetColumns(self, _copy(batches, scratch))
        except (pa.ArrowInvalid, OSError, UnicodeDecodeError):
            raise self._csv_fault() from None

    def _csv_fault(self) -> DataError:
        """What keeps the file from being read: a row of another width, another encoding, or something else."""
        for line, row in self._rows():
            if len(row) != len(self.header):
                what = f"a row has {len(row)} values where the header has {len(self.header)}"
                return self.fault(what, local=f"line {line}: {what}", remedy="Quote values that hold a comma.")
        return self.fault("the file is not valid CSV", remedy="Save it as comma-separated UTF-8 text.")

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line on which it starts, values) of the header and each row of a CSV file, without blank lines."""
        line = 1
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.reader(stream)
                for row in reader:
                    if row:
                        yield line, row
                    line = reader.line_num + 1
        except UnicodeDecodeError:
            raise self.fault("the file is not UTF-8 text", remedy="Save it as UTF-8 (a CSV) or as Parquet.") from None
        except csv.Error:
            raise self.fault("the file is not valid CSV", local=f"line {line}: not valid CSV") from None

    def _parquet_header(self) -> tuple[str, ...]:
        names: list[str] = self._guard_parquet(lambda: pa.parquet.read_schema(self.path).names)
        return tuple(names)

    def _guard_parquet(self, read: Any) -> Any:
        try:
            return read()
        except (pa.ArrowException, OSError):
            raise self.fault("the file is not valid Parquet", remedy="Write it again, or set `format`.") from None


def read_text(file: Origin, column: str, data: Data) -> Any:
    """The column as trimmed text (a chunked array), missing as null."""
    values = plain(data[column])
    if not (is_number(values.type) or pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise file.fault(f"column {column!r}: its type, {values.type}, is neither text nor number")
    return pc.utf8_trim_whitespace(values.cast(pa.string()))


def read_coded(file: Origin, column: str, data: Data) -> tuple[npt.NDArray[np.int32], Any]:
    """The column as text, coded: (int32 (n,), -1 where missing; the distinct texts as an Arrow array)."""
    values = data[column]
    if not pa.types.is_dictionary(values.type):
        values = read_text(file, column, data)
    coded = values.unify_dictionaries() if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    whole = coded.combine_chunks()
    codes: npt.NDArray[np.int32] = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return codes, pc.utf8_trim_whitespace(whole.dictionary.cast(pa.string()))


def plain(values: Any) -> Any:
    """A column (a chunked array) without coding; one of which nothing is known is text, since nothing is wrong with it."""
    values = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    return values.cast(pa.string()) if pa.types.is_null(values.type) else values


def read_numbers(file: Origin, column: str, data: Data) -> tuple[npt.NDArray[np.float64], Mask]:
    """(values as float64 (n,), NaN where missing or malformed; where malformed (n,)).

    Missing is an empty value, or na, n/a, nan, null, none in any case; malformed is other text, or an infinite number.
    """
    given = plain(data[column])
    if is_number(given.type):
        given = given.cast(pa.int8()) if pa.types.is_boolean(given.type) else given
        given = given.cast(pa.float64(), safe=False)
        missing = np.asarray(given.is_null(nan_is_null=True))
    else:
        text = read_text(file, column, data)
        absent = pc.or_(text.is_null(), pc.is_in(pc.utf8_lower(text), value_set=pa.array(_MISSING_NUMBERS)))
        given, missing = _cast(pc.if_else(absent, None, text)), np.asarray(absent)
    values = given.to_numpy().astype(np.float64)
    malformed = ~missing & ~np.isfinite(values)
    values[malformed] = np.nan
    return values, malformed


def _cast(text: Any) -> Any:
    """Text as float64, null where it is not a number."""
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid:
        return pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None).cast(pa.float64())
