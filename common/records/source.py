"""Reads a party's raw records: one file, many, or a database."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from common.disk.scratch import Scratch
from common.errors import DataError
from common.records.config import RecordsConfig, Source
from common.records.origin import Raw
from common.rows.formats.paths import parts_of
from common.rows.origin import Data, Long, pieces
from common.rows.tablefile import TableFile


def read(config: RecordsConfig, scratch: Scratch | None = None) -> Raw:
    """The columns that `config` names; text that does not fit in the memory of `scratch` is copied to a file of it first.

    Raises DataError for what cannot be read, ConfigError for a URL not given.
    """
    if config.source.sql is None:
        return _read_files(config.source, config.party, config.columns, scratch)
    from common.records.sql import read_sql  # SQLAlchemy is loaded only by those who need it

    data, origin = read_sql(config.source.sql, config.party, config.columns)
    return Raw(data, origin)


def _read_files(source: Source, party: str, columns: list[str], scratch: Scratch | None) -> Raw:
    for path in source.path:
        if not parts_of([path]):
            raise DataError(
                f"source.path: no file at {path}",
                public=f"{party} records: no file",
                remedy="Check the path; a relative one starts from the folder of the configuration.",
            )
    file = TableFile.open(source.path, source, f"{party} records")
    file.require(columns)
    data = _Last(file.read(columns, scratch))
    return Raw(data, file, tuple(file.said), data.forget)


class _Last:
    """Columns of which the one read last is at hand, unless it was read in pieces."""

    def __init__(self, data: Data) -> None:
        self._data, self.num_rows = data, data.num_rows
        self.long = data.long if isinstance(data, Long) else frozenset[str]()
        self._name, self._column = "", pa.chunked_array([], pa.string())

    def __getitem__(self, column: str) -> pa.ChunkedArray:
        if self._name != column:
            self.forget()  # what is not needed any more goes back before the next comes
            self._name, self._column = column, self._data[column]
        return self._column

    def pieces(self, column: str, *, plain: bool = False) -> Iterator[pa.ChunkedArray]:
        if self._name == column:
            yield self._column
        else:
            self.forget()
            yield from pieces(self._data, column, plain=plain)

    def forget(self) -> None:
        self._name, self._column = "", pa.chunked_array([], pa.string())
        pa.default_memory_pool().release_unused()
