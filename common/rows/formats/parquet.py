"""A Parquet file: its header, and one column at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from common.disk.scratch import Scratch
from common.rows.formats.options import FileOptions
from common.rows.origin import Data, Origin
from common.rows.text import is_text, uuid_text

T = TypeVar("T")

_PIECE = 1 << 18  # rows of text that are read at once where memory is little
_BUFFER = 1 << 18  # bytes of a column that are read at once there
_MANY = 1 << 18  # rows, from which on text is read so in any case
_DIFFERENCES = frozenset({"DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"})
_PERIOD = "pandas.period"
_LONGER = frozenset({"W", "Q", "QE", "QS", "Y", "YE", "YS"})  # pandas' names of periods longer than a month, or across two
_BEFORE = {"A": "Y", "H": "h", "T": "min", "S": "s", "L": "ms", "U": "us", "N": "ns"}  # pandas' names of before 2.2
_EXPANSION = 4  # memory that a file takes for each of its bytes


@dataclass(frozen=True)
class Parquet:
    """A file whose footer has been read. coded: columns held as dictionaries: categories, by the word of who wrote it."""

    path: Path
    origin: Origin
    options: FileOptions
    header: tuple[str, ...]
    coded: frozenset[str]
    kind = "parquet"

    @classmethod
    def open(cls, path: Path, origin: Origin, options: FileOptions) -> Parquet:
        schema = guarded(origin, lambda: pa.parquet.read_schema(path))
        coded = frozenset(field.name for field in schema if pa.types.is_dictionary(field.type))
        return cls(path, origin, options, tuple(schema.names), coded)

    def read(self, columns: list[str], scratch: Scratch | None) -> tuple[Data, tuple[str, ...]]:
        size = self.path.stat().st_size
        return ParquetColumns(self.origin, self.path, little=scratch is not None and not scratch.fits(_EXPANSION * size)), ()

    def places(self, rows: Collection[int]) -> dict[int, str]:
        return {row: f"row {row + 1}" for row in rows}

    def estimated_rows(self) -> int:
        return int(guarded(self.origin, lambda: pa.parquet.read_metadata(self.path)).num_rows)


class ParquetColumns:
    """One column of a Parquet file at a time; text as a dictionary, so that a repeated value is held once.

    INT96, in which Spark, Hive and Impala write timestamps, holds instants: it comes as UTC, so that they need a zone.
    INTERVAL comes as intervals: Arrow has its 12 bytes as they stand, and those of 48 days are a 0 in text.
    UUID comes as text, as in any other format, and a period of pandas as its first day, or as text where it is longer than a
    month; of other types of an extension comes what stores them.
    little: memory is; text is then read in pieces, which costs a little time, as it is of very many rows.
    """

    def __init__(self, origin: Origin, source: Any, little: bool) -> None:
        self._origin, self._source, self._little = origin, source, little
        schema = guarded(origin, lambda: pa.parquet.read_schema(source))
        metadata = guarded(origin, lambda: pa.parquet.read_metadata(source))
        self.num_rows: int = metadata.num_rows
        stored = [metadata.schema.column(k) for k in range(metadata.num_columns)]
        self._spans = {column.path for column in stored if column.converted_type == "INTERVAL"}
        self._text = [f.name for f in schema if is_text(f.type) and f.name not in self._spans]
        self._plain = _never_coded(metadata, self._text)
        self._periods = {f.name: freq for f in schema if (freq := _frequency(f)) is not None}
        self.long = frozenset(self._text if little or self.num_rows > _MANY else ())
        self._instants = {column.path for column in stored if column.physical_type == "INT96"}

    def __getitem__(self, column: str) -> pa.ChunkedArray:
        def read() -> pa.ChunkedArray:
            found = self._file(self._text).read(columns=[column]).column(0)
            found.validate(full=True)  # of a damaged file, not all of which is noticed before
            self._check(len(found))
            return found.dictionary_encode() if column in self._plain else found

        values: pa.ChunkedArray = guarded(self._origin, read, column)
        if column in self._periods:
            return guarded(self._origin, lambda: _of_periods(values, self._periods[column]), column)
        if isinstance(values.type, pa.BaseExtensionType):
            stored, kind = [part.storage for part in values.chunks], values.type.storage_type
            if isinstance(values.type, pa.UuidType):
                stored, kind = [uuid_text(part) for part in stored], pa.string()
            return pa.chunked_array(stored, kind)
        if column in self._spans:
            return pa.chunked_array([_spans(part) for part in values.chunks], pa.month_day_nano_interval())
        return values.cast(pa.timestamp("us", "UTC")) if column in self._instants else values

    def pieces(self, column: str, *, plain: bool = False) -> Iterator[pa.ChunkedArray]:
        """One of the `long` columns. plain: as text and not as dictionaries, which cost much where no text repeats."""
        batches = guarded(self._origin, lambda: self._file([] if plain else self._text).iter_batches(_PIECE, columns=[column]))
        count, rows, held = 0, 0, list[Any]()
        while batch := guarded(self._origin, lambda: next(batches, None), column):
            guarded(self._origin, partial(batch.validate, full=True), column)
            values = batch.column(0)
            held.append(values.dictionary_encode() if column in self._plain and not plain else values)
            count, rows = count + len(batch), rows + len(batch)
            if rows >= _PIECE:  # what was written in small groups comes in small batches
                yield pa.chunked_array(held)
                rows, held = 0, []
        guarded(self._origin, lambda: self._check(count))
        if held or not count:
            yield pa.chunked_array(held, held[0].type if held else pa.string())

    def _file(self, coded: list[str]) -> Any:
        coded = [column for column in coded if column not in self._plain]
        read = {"pre_buffer": False, "buffer_size": _BUFFER} if self._little else {}  # else a group's whole column at once
        return pa.parquet.ParquetFile(self._source, read_dictionary=coded, coerce_int96_timestamp_unit="us", **read)

    def _check(self, rows: int) -> None:
        if rows != self.num_rows:
            raise pa.ArrowInvalid("a column has other rows than the file")


def _never_coded(metadata: Any, columns: list[str]) -> frozenset[str]:
    """Those of `columns` whose texts are stored by their differences or lengths, as DuckDB and Spark do in Parquet 2.

    Arrow reads them, but not as dictionaries.
    """
    places, asked = {metadata.schema.column(k).path: k for k in range(metadata.num_columns)}, range(metadata.num_row_groups)
    return frozenset(
        column
        for column in columns
        if column in places
        and any(not _DIFFERENCES.isdisjoint(metadata.row_group(group).column(places[column]).encodings) for group in asked)
    )


def _frequency(field: Any) -> str | None:
    """How long the periods are of a column that pandas wrote as such; None of any other.

    That type is known to Arrow by its name once pandas has registered it, and stands beside the column before.
    """
    kind, beside = field.type, field.metadata or {}
    if isinstance(kind, pa.BaseExtensionType):
        told = kind.__arrow_ext_serialize__() if kind.extension_name == _PERIOD else None
    else:
        told = beside.get(b"ARROW:extension:metadata") if beside.get(b"ARROW:extension:name") == _PERIOD.encode() else None
    try:
        return None if told is None else str(json.loads(told)["freq"])
    except (ValueError, KeyError, TypeError):
        return None


def _of_periods(values: pa.ChunkedArray, frequency: str) -> pa.ChunkedArray:
    """Ordinals since 1970 as first days (microseconds); of quarters, years and weeks as the text that pandas prints of them."""
    name = frequency.partition("-")[0].lstrip("0123456789")
    frequency = frequency.replace(name, _BEFORE.get(name, name), 1)
    stored = pa.chunked_array([part.storage if hasattr(part, "storage") else part for part in values.chunks], pa.int64())
    given = stored.fill_null(0).to_numpy()
    try:
        periods = pd.PeriodIndex(pd.arrays.PeriodArray(given, dtype=pd.PeriodDtype(frequency)))
        longer = periods.freqstr.split("-")[0].lstrip("0123456789") in _LONGER
        found = pa.array(list(map(str, periods))) if longer else pa.array(periods.start_time.to_numpy("datetime64[us]"))
    except (ValueError, OverflowError) as error:
        raise pa.ArrowInvalid(str(error)) from None
    return pa.chunked_array([pc.if_else(stored.is_valid().combine_chunks(), found, None)])


def _spans(values: Any) -> Any:
    """INTERVAL, three 32-bit counts of months, days and milliseconds, as Arrow's intervals."""
    months, days, thousandths = np.frombuffer(b"".join(values.fill_null(bytes(12)).to_pylist()), "<i4").reshape(-1, 3).T
    found = np.zeros(len(values), np.dtype([("months", "<i4"), ("days", "<i4"), ("nanoseconds", "<i8")]))
    found["months"], found["days"], found["nanoseconds"] = months, days, thousandths.view("<u4").astype("<i8") * 10**6
    whole = pa.Array.from_buffers(pa.month_day_nano_interval(), len(found), [None, pa.py_buffer(found)])
    return pc.if_else(values.is_valid(), whole, None)


def copied(batches: Any, scratch: Scratch) -> Any:
    """The same columns as a nameless Parquet file."""
    file = scratch.file()
    with pa.parquet.ParquetWriter(file, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return file


def guarded(origin: Origin, read: Callable[[], T], column: str | None = None) -> T:
    """Raises DataError where the file is no Parquet file, or a damaged one, or does not hold what it says of `column`."""
    try:
        return read()
    except pa.ArrowNotImplementedError as error:  # its words are about types and codecs
        raise origin.fault(
            "the Parquet file holds what is not read here",
            local=f"the Parquet file holds what is not read here: {str(error).split(chr(10))[0]}",
            remedy="Write it without such a column or codec; whole numbers of more than 64 bits (Int128 of Polars) as text.",
        ) from None
    except (pa.ArrowException, OSError, MemoryError, UnicodeError):
        what = "the file is not valid Parquet" if column is None else f"column {column!r} of the file is not valid Parquet"
        remedy = (
            "Write it again, or set `format`." if column is None else "Write it again, by another program if it comes so again."
        )
        raise origin.fault(what, remedy=remedy) from None
