"""A party's own rows, as loaded: ids, periods, typed columns, at the bank a label. Never sent anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.disk.scratch import Scratch, Stored
from common.errors import LocalProtocolError

Index = npt.NDArray[np.int64]
Places = Index | slice

_SOME = 1 << 20  # rows at a time
_FEW = 64  # rows are few among so many times as many


@dataclass(frozen=True, repr=False)
class Kept:
    """Hashes of levels under one key, uint64 (levels,), as far as they are known, (levels,)."""

    values: npt.NDArray[np.uint64]
    known: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, ids: Ids) -> Kept:
        """None is known."""
        return cls(np.zeros(len(ids.levels), np.uint64), np.zeros(len(ids.levels), np.bool_))


class Ids:
    """n ids, each a number among the distinct ones: `codes` int32 (n,) into `levels`, an Arrow array of strings."""

    def __init__(self, codes: npt.NDArray[np.int32], levels: pa.StringArray, kept: dict[bytes, Kept] | None = None) -> None:
        """kept: hashes of these levels by key, which all that have the levels share."""
        self.codes, self.levels, self._kept = codes, levels, {} if kept is None else kept

    def hashes(self, key: bytes) -> Kept:
        """What is kept of the levels' hashes under this key, to be added to."""
        if key not in self._kept:
            self._kept[key] = Kept.of(self)
        return self._kept[key]

    @classmethod
    def of(cls, values: Sequence[str] | pa.Array | pa.ChunkedArray) -> Ids:
        """Distinct ids are numbered as they come."""
        array = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([pa.array(values, pa.string())])
        coded = array.dictionary_encode().combine_chunks()
        if isinstance(coded, pa.ChunkedArray):  # of no rows
            return cls(np.empty(0, np.int32), pa.array([], pa.string()))
        return cls(coded.indices.to_numpy().astype(np.int32, copy=False), coded.dictionary)

    def texts(self, numbers: Index) -> pa.StringArray:
        """The ids of these numbers, ascending and distinct; the levels themselves if these are all."""
        return self.levels if len(numbers) == len(self.levels) else self.levels.take(pa.array(numbers))

    def used(self) -> Index:
        """The numbers of the ids that occur, ascending."""
        return np.flatnonzero(self.occurring())

    def occurring(self) -> npt.NDArray[np.bool_]:
        """Whether each level occurs, (levels,)."""
        there = np.zeros(len(self.levels), np.bool_)
        for low in range(0, len(self.codes), _SOME):  # an index is cast to 8 bytes a row
            there[self.codes[low : low + _SOME]] = True
        return there

    def runs(self, count: int) -> Iterator[Index]:
        """The same numbers in parts, each of which are among `count` levels that follow one another."""
        there = self.occurring()
        for low in range(0, len(there), count):
            if len(part := low + np.flatnonzero(there[low : low + count])):
                yield part

    def each(self) -> tuple[Ids, npt.NDArray[np.int32]]:
        """Each id that occurs, once, ascending by number; and of each of the n, its place among these."""
        used, place = self.used(), np.zeros(len(self.levels), np.int32)
        place[used] = np.arange(len(used))
        return Ids(used.astype(np.int32), self.levels, self._kept), place[self.codes]

    def alone(self) -> Ids:
        """The same, with no levels but those that occur: what few of many ids take is then a matter of these alone."""
        if len(self.codes) == 1:  # as of a row that is asked for: a tenth of what the general way costs
            return Ids(np.zeros(1, np.int32), self.levels.slice(int(self.codes[0]), 1))
        used, codes = np.unique(self.codes, return_inverse=True)
        return Ids(codes.astype(np.int32), self.levels.take(pa.array(used)))

    def tolist(self) -> list[str]:
        found: list[str] = self.levels.take(pa.array(self.codes)).to_pylist()
        return found

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tolist())

    def __getitem__(self, at: Any) -> Any:
        """One id by number, or the `Ids` at these places."""
        if isinstance(at, (int, np.integer)):
            return self.levels[int(self.codes[at])].as_py()
        return Ids(self.codes[at], self.levels, self._kept)

    def __repr__(self) -> str:
        return f"Ids({len(self)})"


class Coded:
    """A categorical column: `codes` int32 (n,) into `levels`, an object array whose last entry is None, for missing."""

    def __init__(self, codes: Any, levels: npt.NDArray[np.object_]) -> None:
        self.codes, self.levels = codes, levels

    def __getitem__(self, at: Places) -> npt.NDArray[np.object_]:
        found: npt.NDArray[np.object_] = self.levels[self.codes[at]]
        return found

    def __len__(self) -> int:
        return len(self.codes)


Held = npt.NDArray[Any] | Stored | Coded


class Columns(Mapping[str, Any]):
    """Columns by name, each read as an array when asked for: in memory, in a file, or as codes."""

    def __init__(self, held: Mapping[str, Held]) -> None:
        self.held = dict(held)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.held[name][:]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def part(self, at: slice) -> Columns:
        return Columns({name: values[at] for name, values in self.held.items()})

    def take(self, at: Index, scratch: Scratch | None) -> Columns:
        """One column at a time."""
        if scratch is not None:
            return Columns({name: _take(values, at, scratch) for name, values in self.held.items()})
        memory = Scratch()
        return Columns({k: v[at] if type(v) is np.ndarray else _take(v, at, memory) for k, v in self.held.items()})

    def move(self, at: Index, scratch: Scratch) -> Columns:
        """As `take`; each column is let go once its rows are taken, so that two tables of them are never held."""
        return Columns({name: _take(self.held.pop(name), at, scratch) for name in list(self.held)})


class Abreast(Mapping[str, Any]):
    """Numeric columns side by side, float64 (n, m) row by row: a row that is asked for is read at one place, not at m.

    names: of the columns, the same tuple in all that is taken of these.
    """

    __slots__ = ("cells", "names")

    def __init__(self, names: tuple[str, ...], cells: npt.NDArray[np.float64]) -> None:
        self.names, self.cells = names, cells

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        try:
            return self.cells[:, self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def part(self, at: slice) -> Abreast:
        return Abreast(self.names, self.cells[at])

    def take(self, at: Index, scratch: Scratch | None) -> Abreast | Columns:
        return Abreast(self.names, self.cells[at]) if scratch is None else Columns(self).take(at, scratch)

    def move(self, at: Index, scratch: Scratch) -> Columns:
        return Columns(self).move(at, scratch)


def _take(values: Held, at: Index, scratch: Scratch) -> Held:
    if isinstance(values, Coded):
        return Coded(scratch.keep(_at(values.codes, at)), values.levels)
    kept: Held = scratch.keep(_at(values, at))
    return kept


def _at(values: Any, at: Index) -> npt.NDArray[Any]:
    """The values at these places; of a file only these are read, where they are few."""
    if isinstance(values, Stored) and len(at) * _FEW < len(values):
        return np.concatenate([values[:0], *(values[place : place + 1] for place in at.tolist())])
    found: npt.NDArray[Any] = values[:][at]
    return found


@dataclass(frozen=True, repr=False)
class FeatureTable:
    """n rows of one party.

    ids: n strings, normalised.  periods: n months counted from year 0 (year * 12 + month - 1), or None.
    numeric: column name -> float64 (n,), missing as NaN.  categorical: column name -> object (n,) of str, missing as None.
    label: float64 (n,) of 0.0 and 1.0, at the bank only.  Columns keep the order of the file in `order`.
    """

    ids: Ids
    periods: npt.NDArray[np.int32] | None
    numeric: Mapping[str, npt.NDArray[np.float64]]
    categorical: Mapping[str, npt.NDArray[np.object_]]
    label: npt.NDArray[np.float64] | None = None
    order: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        return len(self.ids)

    @property
    def outcomes(self) -> npt.NDArray[np.float64]:
        """The label of each row, (n,), for what only the bank runs. Raises LocalProtocolError for rows without labels."""
        if self.label is None:
            raise LocalProtocolError("only the bank has labels, and these rows have none")
        return self.label

    def take(self, at: Index, scratch: Scratch | None = None) -> FeatureTable:
        """The rows at these places, in this order; columns that do not fit in memory go to `scratch`."""
        return self._with(at, _columns(self.numeric).take(at, scratch), _columns(self.categorical).take(at, scratch))

    def move(self, at: Index, scratch: Scratch) -> FeatureTable:
        """As `take`, of a table that was read: after it this one has no columns."""
        return self._with(at, _columns(self.numeric).move(at, scratch), _columns(self.categorical).move(at, scratch))

    def _with(self, at: Index, numeric: Columns | Abreast, categorical: Columns | Abreast) -> FeatureTable:
        ids = self.ids[at]
        if len(at) * _FEW < len(ids.levels):
            ids = ids.alone()
        periods = None if self.periods is None else self.periods[at]
        label = None if self.label is None else self.label[at]
        return FeatureTable(ids, periods, numeric, categorical, label, self.order)

    def part(self, low: int, high: int) -> FeatureTable:
        """Rows low to high, in memory."""
        at = slice(low, high)
        return replace(
            self.keys(at),
            numeric=_columns(self.numeric).part(at),
            categorical=_columns(self.categorical).part(at),
            order=self.order,
        )

    def keys(self, at: Places = slice(None)) -> FeatureTable:
        """The rows at these places without their features: ids, periods, label."""
        periods = None if self.periods is None else self.periods[at]
        return FeatureTable(self.ids[at], periods, {}, {}, None if self.label is None else self.label[at])

    def abreast(self, scratch: Scratch) -> FeatureTable:
        """The same with numeric columns side by side, where all are in memory and fit once more; this one then has none."""
        if not isinstance(held := _columns(self.numeric), Columns):
            return self
        columns = {name: values for name, values in held.held.items() if isinstance(values, np.ndarray)}
        if len(columns) < len(held) or not scratch.fits(8 * self.rows * len(columns)):
            return self
        names, cells = tuple(columns), scratch.empty((len(columns), self.rows), np.float64).T
        for k, name in enumerate(names):
            cells[:, k] = columns.pop(name)
            del held.held[name]
        return replace(self, numeric=Abreast(names, cells))

    def __repr__(self) -> str:
        return f"FeatureTable({self.rows} rows, {len(self.order)} columns)"


def _columns(columns: Mapping[str, npt.NDArray[Any]]) -> Columns | Abreast:
    return columns if isinstance(columns, (Columns, Abreast)) else Columns(columns)
