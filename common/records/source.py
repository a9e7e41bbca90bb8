"""Reads a party's raw records: one file, many, or a database."""

from __future__ import annotations

import glob
from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa

from common.errors import DataError
from common.records.config import RecordsConfig
from common.records.origin import Origin, Raw, joined
from common.rows.tablefile import Format, TableFile, plain


@dataclass(frozen=True)
class Files(Origin):
    """Rows of files, one after the other; `starts` is the first row of each."""

    files: tuple[TableFile, ...]
    starts: tuple[int, ...]

    def places(self, rows: Collection[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        owner = np.searchsorted(self.starts, list(rows), side="right") - 1
        for index in sorted(set(owner.tolist())):
            file, start = self.files[index], self.starts[index]
            own = file.places([row - start for row, o in zip(rows, owner.tolist(), strict=True) if o == index])
            which = f"{file.path}, " if len(self.files) > 1 else ""
            found |= {row + start: which + place for row, place in own.items()}
        return found


def read(config: RecordsConfig) -> Raw:
    """The columns that `config` names. Raises DataError for what cannot be read, ConfigError for a URL not given."""
    if config.source.sql is None:
        return _read_files(config.source.path, config.source.format, config.party, config.columns, config.keys.id)
    from common.records.sql import read_sql  # SQLAlchemy is loaded only by those who need it

    data, origin = read_sql(config.source.sql, config.party, config.columns, config.keys.id)
    return Raw(data, origin)


def _read_files(paths: tuple[str, ...], format: Format, party: str, columns: list[str], id: str) -> Raw:
    files = [TableFile.open(path, format, f"{party} records") for path in _found(paths, party)]
    tables = []
    for file in files:
        file.require(columns)
        data = file.read(columns)
        table = pa.table({column: plain(data[column]) for column in columns})
        if pa.types.is_floating(table[id].type):
            raise file.fault(f"column {id!r}: ids are stored as floating-point numbers", remedy="Store ids as text.")
        tables.append(table)
    starts = (0, *accumulate(table.num_rows for table in tables[:-1]))
    label = str(files[0].path) if len(files) == 1 else f"{len(files)} files"
    return Raw(joined(tables), Files(label, party, tuple(files), starts))


def _found(paths: tuple[str, ...], party: str) -> list[Path]:
    """The files that paths and globs name, each once, in order."""
    found: dict[Path, None] = {}
    for path in paths:
        matches = [path] if Path(path).exists() else sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (a whole path, absolute or not)
        if not matches:
            raise DataError(
                f"source.path: no file at {path}",
                public=f"{party} records: no file",
                remedy="Check the path; a relative one starts from the folder of the configuration.",
            )
        found |= dict.fromkeys(Path(match) for match in matches)
    return list(found)
