"""A table in one file or many: its header, columns by name, and errors that name file and line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from common.disk.scratch import Scratch
from common.errors import DataError
from common.rows.formats.delimited import Delimited, is_nameless
from common.rows.formats.encoding import Bytes
from common.rows.formats.excel import SIGNATURES, Excel
from common.rows.formats.foreign import foreign
from common.rows.formats.logged import logged
from common.rows.formats.options import DEFAULT, FileOptions
from common.rows.formats.parquet import Parquet
from common.rows.formats.paths import Part, parts_of
from common.rows.join import joined
from common.rows.near import there_are
from common.rows.origin import Data, Origin

File = Delimited | Parquet | Excel


def unreadable(path: Path, name: str, error: OSError) -> DataError:
    return DataError(
        f"{path}: cannot be read ({error.strerror or error})",
        public=f"{name}: the file cannot be read",
        remedy="Check the path and its permissions.",
    )


@dataclass(frozen=True)
class _Named(Origin):
    """One file, as its reader names it."""

    label: str
    name: str

    def places(self, rows: Collection[int]) -> dict[int, str]:
        return {row: f"row {row + 1}" for row in rows}


@dataclass
class TableFile(Origin):
    """Files whose headers have been read. Every method raises DataError for what cannot be read.

    header: the columns that all files have, in the order of the first; folders' keys behind them. partial: those that
    only some have. said: what the owner should know of how they were read, once they are.
    """

    label: str
    name: str
    parts: tuple[Part, ...]
    files: tuple[File, ...]
    header: tuple[str, ...]
    partial: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)
    _starts: tuple[int, ...] = (0,)

    @classmethod
    def open(cls, paths: Path | Sequence[str | Path], options: FileOptions = DEFAULT, name: str = "table") -> TableFile:
        """paths: files, folders, patterns. name: for anybody ("dataset loans"). Raises ConfigError for a library that lacks."""
        given = [paths] if isinstance(paths, Path) else list(paths)
        parts = parts_of(given)
        if not parts:
            return cls._nothing(given, name)
        _check_logged(parts, name)
        files = tuple(_open(part.path, options, name) for part in parts)
        label = str(parts[0].path) if len(parts) == 1 else f"{len(parts)} files"
        columns = [
            dict.fromkeys([*file.header, *(key for key, _ in part.keys)]) for file, part in zip(files, parts, strict=True)
        ]
        header = tuple(c for c in columns[0] if all(c in other for other in columns[1:]))
        partial = tuple(dict.fromkeys(c for other in columns for c in other if c not in header))
        return cls(label, name, tuple(parts), files, header, partial)

    @staticmethod
    def _nothing(paths: Sequence[str | Path], name: str) -> TableFile:
        path = Path(paths[0])
        if path.is_dir():
            raise DataError(
                f"{path}: cannot be read (there is no file in the folder)",
                public=f"{name}: no file",
                remedy="Check the path.",
            )
        try:
            path.open("rb").close()
        except OSError as error:
            raise unreadable(path, name, error) from None
        raise DataError(f"{path}: cannot be read", public=f"{name}: no file", remedy="Check the path.")

    @property
    def nameless(self) -> frozenset[str]:
        """Columns without a name, as they are called here."""
        return frozenset(filter(is_nameless, self.header))

    @property
    def is_text(self) -> bool:
        """Whether all of it comes as text, whatever it is."""
        return all(file.kind == "csv" for file in self.files)

    def estimated_rows(self) -> int:
        return sum(file.estimated_rows() for file in self.files)

    def places(self, rows: Collection[int]) -> dict[int, str]:
        """`line 17` of a CSV file, `row 16` of another; with the file's name where there are many."""
        found: dict[int, str] = {}
        owner = (np.searchsorted(self._starts, list(rows), side="right") - 1).tolist()
        for index in sorted(set(owner)):
            file, start = self.files[index], self._starts[index]
            own = file.places([row - start for row, o in zip(rows, owner, strict=True) if o == index])
            which = f"{file.path}, " if len(self.files) > 1 else ""
            found |= {row + start: which + place for row, place in own.items()}
        return found

    def coded(self) -> frozenset[str]:
        """The columns that a Parquet file holds as dictionaries: categories, by the word of who wrote it."""
        return frozenset(c for file in self.files if isinstance(file, Parquet) for c in file.coded)

    def require(self, columns: Sequence[str]) -> None:
        """Raises DataError, with close names, unless every file has these columns."""
        for file, part in zip(self.files, self.parts, strict=True):
            there = list(_columns(file, part))
            if missing := [c for c in columns if c not in there]:
                raise self._lacks(file, there, missing)

    def _lacks(self, file: File, there: list[str], missing: list[str]) -> DataError:
        what = f"no column {', '.join(map(repr, missing))}"
        return file.origin.fault(what, local=what + there_are(missing, there, "the file"), remedy="Check the declared names.")

    def read(self, columns: Sequence[str], scratch: Scratch | None = None) -> Data:
        """These columns, each read when asked for; of a CSV file as text, so that a malformed value can be found and named.

        A CSV file that does not fit in memory is first copied to `scratch`, a column after the other.
        """
        found, self.said = [], []
        for file in self.files:
            data, said = file.read([c for c in columns if c in file.header], scratch)
            said = said if data.num_rows else (*said, "a header and no rows")
            self.said += [text if len(self.files) == 1 else type(text)(f"{file.path}: {text}") for text in said]
            found.append(data)
        for file, part in zip(self.files, self.parts, strict=True):
            twice = [key for key, _ in part.keys if key in file.header]
            self.said += [f"column {key!r} is in {file.path} and in its folder's name: the file's is taken" for key in twice]
        sizes = [data.num_rows for data in found]
        self._starts = (0, *accumulate(sizes[:-1]))
        if not sum(sizes):
            raise self.fault("the file has a header and no rows", remedy="Check what wrote it.")
        if len(found) == 1 and not self.parts[0].keys:
            return found[0]
        return _Joined(self, found, sizes)


def _check_logged(parts: Sequence[Part], name: str) -> None:
    if (found := logged([part.path for part in parts])) is None:
        return
    folder, what = found
    raise DataError(
        f"{folder}: {what}, whose files hold rows that were deleted or replaced too",
        public=f"{name}: its files are those of {what}, which hold rows that were deleted or replaced too",
        remedy="Write the present rows as Parquet, by what reads such tables, to a folder outside it and name that.",
    )


def _columns(file: File, part: Part) -> dict[str, None]:
    return dict.fromkeys([*file.header, *(key for key, _ in part.keys)])


def _open(path: Path, options: FileOptions, name: str) -> File:
    origin = _Named(str(path), name)
    try:
        with Bytes(path).open() as stream:
            magic = stream.read(4)
        if options.format == "auto" and (fault := foreign(path)) is not None:
            raise origin.fault(fault.what, remedy=fault.remedy)
        file = _reader(magic, options).open(path, origin, options)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise origin.fault("the compressed file is damaged or incomplete", remedy="Copy it again.") from None
    except OSError as error:
        raise unreadable(path, name, error) from None
    twice = sorted({c for c in file.header if file.header.count(c) > 1})
    if twice:
        raise origin.fault(f"the header names {', '.join(map(repr, twice))} more than once", remedy="Give each column a name.")
    if not file.header:
        raise origin.fault("the file is empty", remedy="Check what wrote it.")
    return file


def _reader(magic: bytes, options: FileOptions) -> type[File]:
    if options.format != "auto":
        return {"csv": Delimited, "parquet": Parquet, "excel": Excel}[options.format]
    if magic == b"PAR1":
        return Parquet
    return Excel if magic in SIGNATURES else Delimited


@dataclass(frozen=True)
class _Joined:
    """Columns of many files, one after the other; a folder's key is a column of one value."""

    table: TableFile
    data: Sequence[Data]
    sizes: Sequence[int]

    @property
    def num_rows(self) -> int:
        return sum(self.sizes)

    def __getitem__(self, column: str) -> pa.ChunkedArray:
        parts = [self._part(k, column) for k in range(len(self.data))]
        return joined(self.table, column, parts, lambda k: str(self.table.files[k].path))

    def _part(self, k: int, column: str) -> Any:
        if column in self.table.files[k].header:
            return self.data[k][column]
        value = dict(self.table.parts[k].keys)[column]
        codes = pa.array(np.zeros(self.sizes[k], np.int32), mask=np.full(self.sizes[k], value is None))
        return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, pa.array([value or ""]))])
