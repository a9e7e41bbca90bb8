"""Origins of raw records, and how an error names the place; tables of the same columns joined."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from common.errors import DataError

_SHOWN = 40


@dataclass(frozen=True)
class Origin(ABC):
    """The origin of a table. `label` names it to its owner, `name` to anybody."""

    label: str
    name: str

    @abstractmethod
    def places(self, rows: Collection[int]) -> dict[int, str]:
        """The place under `label` of each of these rows, counted from 0."""

    def fault(self, what: str, *, local: str | None = None, remedy: str = "") -> DataError:
        """`what` holds no value; `local`, which may, replaces it for the owner."""
        return DataError(f"{self.label}: {local or what}", public=f"{self.name} records: {what}", remedy=remedy)

    def bad_row(self, column: str, row: int, count: int, what: str, remedy: str, value: str | None = None) -> DataError:
        """The error that names the first of `count` bad rows, and the value it holds."""
        quoted = "" if value is None else f" {value[:_SHOWN]!r}:"
        text = f"{self.places([row])[row]}, column {column!r}:{quoted} {what}" + (f" ({count} such rows)" if count > 1 else "")
        return self.fault(f"column {column!r}: {what} ({count} rows)", local=text, remedy=remedy)


@dataclass(frozen=True)
class Raw:
    """A table of text or typed columns, as read, and where its rows came from."""

    data: pa.Table
    origin: Origin


def joined(tables: list[pa.Table]) -> pa.Table:
    """Tables of the same columns, one after the other; a column whose types cannot be brought together becomes text."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        columns = {name: pa.chunked_array(_as_one([t[name] for t in tables])) for name in tables[0].column_names}
        return pa.table(columns)


def _as_one(parts: list[Any]) -> list[Any]:
    kinds = {part.type for part in parts if not pa.types.is_null(part.type)}
    kind = kinds.pop() if len(kinds) == 1 else pa.string()
    return [chunk for part in parts for chunk in pc.cast(part, kind).chunks]
