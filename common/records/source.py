"""Reads a party's raw records: one file, many, or a database."""

from __future__ import annotations

import pyarrow as pa

from common.errors import DataError
from common.records.config import RecordsConfig, Source
from common.records.origin import Raw
from common.rows.formats.paths import parts_of
from common.rows.tablefile import TableFile
from common.rows.text import plain


def read(config: RecordsConfig) -> Raw:
    """The columns that `config` names. Raises DataError for what cannot be read, ConfigError for a URL not given."""
    if config.source.sql is None:
        return _read_files(config.source, config.party, config.columns)
    from common.records.sql import read_sql  # SQLAlchemy is loaded only by those who need it

    data, origin = read_sql(config.source.sql, config.party, config.columns)
    return Raw(data, origin)


def _read_files(source: Source, party: str, columns: list[str]) -> Raw:
    for path in source.path:
        if not parts_of([path]):
            raise DataError(
                f"source.path: no file at {path}",
                public=f"{party} records: no file",
                remedy="Check the path; a relative one starts from the folder of the configuration.",
            )
    file = TableFile.open(source.path, source, f"{party} records")
    file.require(columns)
    data = file.read(columns)
    return Raw(pa.table({column: plain(data[column]) for column in columns}), file, tuple(file.said))
