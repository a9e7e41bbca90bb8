"""A CSV file: its header, all of its rows as text, and the line on which each begins."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from common.disk.scratch import Scratch
from common.errors import DataError
from common.rows.formats.encoding import DAMAGED, Bytes, told, told_by_all
from common.rows.formats.lines import first_lines
from common.rows.formats.options import FileOptions
from common.rows.formats.parquet import ParquetColumns, copied
from common.rows.formats.quotes import Quotes
from common.rows.origin import Data, Note, Origin

_EXPANSION = 4  # bytes of memory that reading as text takes for each of the file
_COMPRESSION = 8  # bytes of text for each of a gzip file, about
_PEEK = 20  # rows in which a title above the header is looked for
_UNSEEN = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_MADE = re.compile(r"(\(column \d+\)|Unnamed: \d+(_level_\d+)?|__index_level_\d+__|\.\.\.\d+|)")
_SHORT = "Complete it; a note below the rows, or a line that was cut off, is to be removed."
_REMEDY = "Save it as comma-separated UTF-8 text, or declare its encoding."


@dataclass(frozen=True)
class Delimited:
    """header: names in order, `(column 3)` for one without. start: lines to skip before the first row."""

    path: Path
    origin: Origin
    options: FileOptions
    encoding: str
    header: tuple[str, ...]
    start: int
    kind = "csv"

    @classmethod
    def open(cls, path: Path, origin: Origin, options: FileOptions) -> Delimited:
        """Raises DataError for a file that has no header, or whose first rows are no table."""
        encoding = options.encoding or told(Bytes(path))
        if encoding is None:
            raise _no_encoding(origin)
        bare = cls(path, origin, options, encoding, (), 0)
        rows = bare._lines(options.skip_rows)
        first = next(rows, None)
        if first is None:
            raise origin.fault("the file is empty", remedy="Check what wrote it.")
        line, last, names = first
        bare._check_title(line, names, rows)
        return cls(path, origin, options, encoding, named(names), last)

    def _check_title(self, line: int, names: list[str], rows: Iterator[tuple[int, int, list[str]]]) -> None:
        """A first row with one value above wider ones is a title, and a separator other than the declared one is no name."""
        filled = [name for name in names if name.strip()]
        if len(filled) > 1:
            return
        try:
            wide = [(at, row) for (at, _, row), _ in zip(rows, range(_PEEK), strict=False) if sum(map(bool, row)) > 1]
        except DataError:
            return  # what is wrong further down is said when the rows are read
        others = [s for s in ";\t|\x01," if s != self.options.separator and any(s in name for name in filled)]
        if (wide and self.options.separator != ",") or (wide and not others):
            at = wide[0][0]
            what = f"line {line} has one value where line {at} has several: a title above the header"
            raise self.origin.fault(what, remedy=f"Set skip_rows = {at - 1}, or remove what is above the header.")
        if others:
            shown = {"\t": r"\t", "\x01": r"\u0001"}.get(others[0], others[0])  # the latter is Hive's
            what = f"the header has one column only, and {shown!r} in it"
            remedy = f'Separate the columns by commas, or set separator = "{shown}".'
            raise self.origin.fault(what, remedy=remedy)

    def read(self, columns: list[str], scratch: Scratch | None) -> tuple[Data, tuple[str, ...]]:
        """(these columns as text, what the owner should know). Raises DataError, by line, for what is no table."""
        encoding = self._whole_encoding()
        file = Bytes(self.path)
        quotes = Quotes(self.options.separator.encode(), len(self.header))
        try:
            with file.text(encoding) as stream:
                fault = quotes.check(stream)
        except (UnicodeError, *DAMAGED) as error:
            raise self._unreadable(error) from None
        if fault is not None:
            raise self.origin.fault(fault.what, local=f"line {fault.line}: {fault.what}", remedy=fault.remedy)
        said: list[str] = [] if encoding in ("utf-8", "utf-8-sig") else [Note(f"read as {encoding.upper()}")]
        if quotes.broken:
            said.append(f"{quotes.broken} values hold line breaks (first: line {quotes.first})")
        return self._parsed(file, encoding, columns, scratch), tuple(said)

    def _whole_encoding(self) -> str:
        if self.options.encoding or self.encoding != "utf-8":
            return self.encoding
        file = Bytes(self.path)
        try:
            with file.open() as stream:
                while block := stream.read(1 << 22):
                    if not block.isascii():
                        return told_by_all(file) or self._fail_encoding()
        except DAMAGED as error:
            raise self._unreadable(error) from None
        return "utf-8"

    def _fail_encoding(self) -> str:
        raise _no_encoding(self.origin)

    def _parsed(self, file: Bytes, encoding: str, columns: list[str], scratch: Scratch | None) -> Data:
        convert = pa.csv.ConvertOptions(
            include_columns=columns, column_types={c: pa.string() for c in columns}, strings_can_be_null=False
        )
        parse = pa.csv.ParseOptions(delimiter=self.options.separator, newlines_in_values=True)
        read = pa.csv.ReadOptions(column_names=list(self.header), skip_rows=self.start)
        options = {"read_options": read, "parse_options": parse, "convert_options": convert}
        size = self.path.stat().st_size * (_COMPRESSION if file.compressed else 1)
        try:
            with self._source(file, encoding) as source:
                if scratch is None or scratch.fits(_EXPANSION * size):
                    table: Data = pa.csv.read_csv(source, **options)
                    return table
                with pa.csv.open_csv(source, **options) as batches:
                    copy = copied(batches, scratch)
                pa.default_memory_pool().release_unused()  # who has little memory needs what reading took
                return ParquetColumns(self.origin, copy, little=True)
        except (pa.ArrowInvalid, UnicodeError, *DAMAGED) as error:
            if "Empty CSV file" in str(error):
                none: Data = pa.table({column: pa.array([], pa.string()) for column in columns})
                return none
            raise self._fault() from None

    def _source(self, file: Bytes, encoding: str) -> Any:
        return pa.OSFile(str(self.path)) if encoding == "utf-8" and not file.compressed else file.text(encoding)

    def _fault(self) -> DataError:
        """What keeps the file from being read: a row of another width, or something else."""
        for line, _, row in self._lines(self.options.skip_rows):
            if len(row) != len(self.header):
                what = f"a row has {len(row)} value{'s' * (len(row) != 1)} where the header has {len(self.header)}"
                remedy = "Quote values that hold a comma." if len(row) > len(self.header) else _SHORT
                return self.origin.fault(what, local=f"line {line}: {what}", remedy=remedy)
        return self.origin.fault("the file is not valid CSV", remedy=_REMEDY)

    def _unreadable(self, error: Exception) -> DataError:
        if isinstance(error, UnicodeError):
            what = f"the file is not {self.encoding.upper()} text throughout"
            return self.origin.fault(what, remedy="Declare its encoding, or save it as UTF-8.")
        what = "the compressed file is damaged or incomplete" if Bytes(self.path).compressed else "the file cannot be read"
        return self.origin.fault(what, remedy="Copy it again.")

    def places(self, rows: Collection[int]) -> dict[int, str]:
        """Lines of rows counted from 0, in one pass."""
        with Bytes(self.path).text(self.encoding) as stream:
            lines = first_lines(stream, rows, self.options.skip_rows)
        if lines is None:
            last = max(rows, default=-1)
            begun = enumerate(line for line, _, _ in self._lines(self.options.skip_rows))
            lines = {index - 1: line for index, line in takewhile(lambda one: one[0] <= last + 1, begun)}
        return {row: f"line {lines[row]}" if row in lines else f"row {row + 1}" for row in rows}

    def _lines(self, skip: int) -> Iterator[tuple[int, int, list[str]]]:
        """(line on which it starts, on which it ends, values) of the header and each row, without blank lines."""
        line = skip + 1
        try:
            with Bytes(self.path).text(self.encoding) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as stream:
                for _ in range(skip):
                    stream.readline()
                reader = csv.reader(stream, delimiter=self.options.separator)
                for row in reader:
                    if row:
                        yield line, skip + reader.line_num, row
                    line = skip + reader.line_num + 1
        except UnicodeError as error:
            raise (self._unreadable(error) if self.options.encoding else _no_encoding(self.origin)) from None
        except csv.Error:
            raise self.origin.fault("the file is not valid CSV", local=f"line {line}: not valid CSV", remedy=_REMEDY) from None
        except DAMAGED as error:
            raise self._unreadable(error) from None

    def estimated_rows(self) -> int:
        """By the length of the lines in the first mebibyte."""
        file = Bytes(self.path)
        with file.open() as stream:
            sample = stream.read(1 << 20)
        lines = sample.count(b"\n") + (not sample.endswith(b"\n"))
        length = self.path.stat().st_size * (_COMPRESSION if file.compressed else 1)
        return max(0, round(max(length, len(sample)) * lines / max(1, len(sample))) - 1 - self.options.skip_rows)


def named(names: list[str]) -> tuple[str, ...]:
    """Names of a header without spaces around them, and without what nobody sees; an empty one is called by its place."""
    trimmed = [_UNSEEN.sub("", name).strip() for name in names]
    return tuple(name or nameless(place) for place, name in enumerate(trimmed))


def is_nameless(name: str) -> bool:
    """Whether a program made this name for a column that has none: the index of pandas, of R's readr."""
    return _MADE.fullmatch(name.strip()) is not None


def nameless(place: int) -> str:
    return f"(column {place + 1})"


def _no_encoding(origin: Origin) -> DataError:
    what = "the file is not UTF-8 text, and its encoding cannot be told"
    return origin.fault(what, remedy="Declare its encoding, such as encoding = 'gb18030', or save it as UTF-8 or as Parquet.")
