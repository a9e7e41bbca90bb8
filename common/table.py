"""A party's own rows, as loaded: ids, periods, typed columns, at the bank a label. Never sent anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class FeatureTable:
    """n rows of one party.

    ids: n strings, normalised (object array).  periods: n months counted from year 0 (year * 12 + month - 1), or None.
    numeric: column name -> float64 (n,), missing as NaN.  categorical: column name -> object (n,) of str, missing as None.
    label: float64 (n,) of 0.0 and 1.0, at the bank only.  Columns keep the order of the file in `order`.
    """

    ids: npt.NDArray[np.object_]
    periods: npt.NDArray[np.int32] | None
    numeric: Mapping[str, npt.NDArray[np.float64]]
    categorical: Mapping[str, npt.NDArray[np.object_]]
    label: npt.NDArray[np.float64] | None = None
    order: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        return len(self.ids)

    def take(self, rows: Index) -> FeatureTable:
        """The table with these rows, in this order."""
        return FeatureTable(
            ids=self.ids[rows],
            periods=None if self.periods is None else self.periods[rows],
            numeric={name: values[rows] for name, values in self.numeric.items()},
            categorical={name: values[rows] for name, values in self.categorical.items()},
            label=None if self.label is None else self.label[rows],
            order=self.order,
        )

    def __repr__(self) -> str:
        return f"FeatureTable({self.rows} rows, {len(self.order)} columns)"
