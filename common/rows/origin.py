"""Where columns came from, and how an error names the place: to their owner in full, to others without a value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.errors import DataError

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
_SHOWN = 40


class Note(str):
    """What the owner may know of how rows were read, and need not look at: nothing is lost, and nothing is in doubt."""


def printed(value: Any) -> str:
    """An Arrow scalar as text; of a date or time outside all calendars, such as PostgreSQL's infinity, its type."""
    try:
        return str(value.as_py())
    except (OverflowError, ValueError):
        return f"a {value.type} of no calendar"


class Data(Protocol):
    """Columns by name, each read when asked for."""

    @property
    def num_rows(self) -> int: ...

    def __getitem__(self, column: str) -> pa.ChunkedArray: ...


@dataclass(frozen=True)
class One:
    """One column under any name."""

    values: pa.ChunkedArray

    @property
    def num_rows(self) -> int:
        return len(self.values)

    def __getitem__(self, column: str) -> Any:
        return self.values


@runtime_checkable
class Long(Protocol):
    """Data of which `long` columns, all text, need not be in memory as a whole: `pieces` reads some rows after the other."""

    long: Collection[str]

    def pieces(self, column: str, *, plain: bool = False) -> Iterator[pa.ChunkedArray]: ...


class Once:
    """Data of which the column asked for last stays in memory: it is looked at and then read. No `long` one does."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._last: tuple[str, Any] = ("", None)
        self._numbers: tuple[str, Numbers | None] = ("", None)
        self.long: Collection[str] = data.long if isinstance(data, Long) else ()
        self.again = False  # whether the next column will be read once it was looked at

    @property
    def num_rows(self) -> int:
        return self._data.num_rows

    def __getitem__(self, column: str) -> Any:
        if column in self.long:
            return self._data[column]
        if self._last[1] is None or self._last[0] != column:
            self._last = ("", None)  # before another one is read: two at once need not be held
            self._last = (column, self._data[column])
        return self._last[1]

    def numbers(self, column: str, make: Callable[[Any], Numbers]) -> Numbers:
        """The column as numbers, what `make` makes of it: once where it comes `again`, and until then not to be changed."""
        if self._numbers[1] is not None and self._numbers[0] == column:
            found, self._numbers = self._numbers[1], ("", None)
            return found
        self._numbers = ("", None)
        found = make(self[column])
        if self.again:
            self._numbers = (column, found)
        return found

    def pieces(self, column: str, *, plain: bool = False) -> Iterator[pa.ChunkedArray]:
        return pieces(self._data, column, plain=plain)


def is_long(data: Data, column: str) -> bool:
    return isinstance(data, Long) and column in data.long


def pieces(data: Data, column: str, *, plain: bool = False) -> Iterator[pa.ChunkedArray]:
    """The column some rows after the other; all of them at once where it is not long.

    plain: whether nothing is gained by a dictionary of each piece: hardly a text comes again.
    """
    if isinstance(data, Long) and column in data.long:
        yield from data.pieces(column, plain=plain)
    else:
        yield data[column]


class Origin(ABC):
    """Where a table came from. `label` names it to its owner, `name` to anybody ("dataset loans", "grid records")."""

    label: str
    name: str

    @abstractmethod
    def places(self, rows: Collection[int]) -> dict[int, str]:
        """Where, under `label`, each of these rows, counted from 0, is found: `line 17`, `row 16`."""

    def where(self, row: int) -> str:
        return self.places([row])[row]

    def fault(self, what: str, *, local: str | None = None, remedy: str = "") -> DataError:
        """`what` holds no value and crosses the network; `local`, which may, replaces it for the owner."""
        return DataError(f"{self.label}: {local or what}", public=f"{self.name}: {what}", remedy=remedy)

    def bad_row(self, column: str, row: int, count: int, what: str, remedy: str, value: str | None = None) -> DataError:
        """The error that names the first of `count` bad rows, and the value it holds."""
        quoted = "" if value is None else f" {value[:_SHOWN]!r}:"
        text = f"{self.where(row)}, column {column!r}:{quoted} {what}" + (f" ({count} such rows)" if count > 1 else "")
        return self.fault(f"column {column!r}: {what} ({count} row{'s' * (count > 1)})", local=text, remedy=remedy)

    def bad_rows(self, column: str, bad: Mask, what: str, remedy: str, values: Any = None) -> DataError:
        """The error that names the first of the `bad` rows, and what `values` hold there."""
        row = int(bad.argmax())
        value = None if values is None else printed(values[row])
        return self.bad_row(column, row, int(bad.sum()), what, remedy, value)
