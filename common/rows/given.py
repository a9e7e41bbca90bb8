"""Rows whose columns come as values, not from a file: read as the model's own files were, each error with row and column."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.rows.declare import ColumnConfig
from common.rows.numbers import read_numbers
from common.rows.origin import One, Origin
from common.rows.table import FeatureTable, Ids
from common.rows.text import read_coded

_REFUSED = ("refuse", "drop")


class BadValue(Exception):
    """What is wrong with a value. It holds none."""

    def __init__(self, row: int, column: str, what: str, remedy: str) -> None:
        super().__init__(what)
        self.row, self.column, self.what, self.remedy = row, column, what, remedy


class _Request(Origin):
    label = name = "request"

    def places(self, rows: Collection[int]) -> dict[int, str]:
        return {row: f"row {row}" for row in rows}


@dataclass(frozen=True)
class Given:
    """The columns of which each row has a value: null where nothing is known. words: further ones for missing."""

    columns: Mapping[str, ColumnConfig]
    words: tuple[str, ...] = ()

    def table(self, ids: Sequence[str], periods: Sequence[int] | None, rows: Sequence[Mapping[str, Any]]) -> FeatureTable:
        """The rows (n,), as a file of them would be read. ids: as both parties compare them; periods: months from year 0.

        Numbers are numbers or true and false, categories text. Raises BadValue for a column that is unknown or lacking, a value
        of another type, out of the declared range or no declared category, and for null where the model has nothing instead.
        """
        for at, row in enumerate(rows):
            self._check_columns(at, row)
        read = {name: self._read(name, config, [row[name] for row in rows]) for name, config in self.columns.items()}
        numeric = {name: values for name, values in read.items() if self.columns[name].kind == "numeric"}
        return FeatureTable(
            ids=Ids.of(list(ids)),
            periods=None if periods is None else np.array(periods, np.int32),
            numeric=numeric,
            categorical={name: values for name, values in read.items() if name not in numeric},
            order=tuple(self.columns),
        )

    def _check_columns(self, at: int, row: Mapping[str, Any]) -> None:
        named = f"The columns are: {', '.join(self.columns)}."
        for name in row:
            if name not in self.columns:
                raise BadValue(at, name, "the model has no such column", named)
        for name in self.columns:
            if name not in row:
                raise BadValue(at, name, "a column of the model is lacking", f"Give null if nothing is known. {named}")

    def _read(self, name: str, config: ColumnConfig, values: list[Any]) -> npt.NDArray[Any]:
        right, what, remedy = (
            (_is_number, "not a number", "Give a number, true or false, or null.")
            if config.kind == "numeric"
            else (_is_text, "not text", "Give the category as text, or null.")
        )
        for at, value in enumerate(values):
            if value is not None and not right(value):
                raise BadValue(at, name, what, remedy)
        found, wrong, how = self._numbers(config, values) if config.kind == "numeric" else self._texts(config, values)
        missing = np.array([value is None or value != value for value in found.tolist()], np.bool_)
        if config.malformed == "refuse" and wrong.any():
            raise BadValue(int(wrong.argmax()), name, *how)
        if config.missing in _REFUSED and missing.any():
            raise BadValue(int(missing.argmax()), name, "a value is missing, and the model has nothing instead", "Give it.")
        return found

    def _numbers(
        self, config: ColumnConfig, values: list[Any]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], tuple[str, str]]:
        column = pa.chunked_array([pa.array([None if v is None else float(v) for v in values], pa.float64())])
        found = read_numbers(_Request(), "", One(column), config.style, self.words).values
        low = -np.inf if config.min is None else config.min
        high = np.inf if config.max is None else config.max
        wrong = (found < low) | (found > high)
        found[wrong] = np.nan
        return found, wrong, ("out of the declared range", f"Give a number from {low:g} to {high:g}, or null.")

    def _texts(
        self, config: ColumnConfig, values: list[Any]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], tuple[str, str]]:
        column = pa.chunked_array([pa.array(values, pa.string())])
        codes, levels = read_coded(_Request(), "", One(column), self.words)
        found = np.append(np.asarray(levels.to_numpy(zero_copy_only=False), dtype=object), [None])[codes]
        allowed = config.categories
        known = [value is None or allowed is None or value in allowed for value in found.tolist()]
        wrong = ~np.array(known, np.bool_)
        found[wrong] = None
        return found, wrong, ("not a declared category", f"Give one of {', '.join(allowed or ())}, or null.")


def _is_number(value: object) -> bool:
    return (isinstance(value, (bool, int)) and abs(value) < 1 << 1000) or (isinstance(value, float) and math.isfinite(value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)
