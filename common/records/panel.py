"""Cleaned monthly records of one party as dense arrays: a row an enterprise, a column a month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.records import held
from common.records.held import Codes

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Panel:
    """E enterprises over M consecutive months.

    ids: E strings, normalised, ascending (object array).  first: the first month, counted from year 0
    (year * 12 + month - 1).  present: bool (E, M), whether there is a record.  numeric: field -> float64 (E, M), missing
    as NaN.  categorical: field -> Codes, int16 (E, M).  label: float64 (E, M) of 0.0 and 1.0, NaN where not known; at the
    bank only.
    """

    ids: npt.NDArray[np.object_]
    first: int
    present: npt.NDArray[np.bool_]
    numeric: Mapping[str, Values]
    categorical: Mapping[str, Codes]
    label: Values | None = None

    @property
    def enterprises(self) -> int:
        return int(self.present.shape[0])

    @property
    def months(self) -> int:
        return int(self.present.shape[1])

    def part(self, low: int, high: int) -> Panel:
        """The enterprises from number `low` to before `high`, in memory."""
        return Panel(
            ids=self.ids[low:high],
            first=self.first,
            present=self.present[low:high],
            numeric=held.part(self.numeric, low, high),
            categorical=held.part(self.categorical, low, high),
            label=None if self.label is None else self.label[low:high],
        )

    def __repr__(self) -> str:
        fields = len(self.numeric) + len(self.categorical)
        return f"Panel({self.enterprises} enterprises, {self.months} months, {fields} fields)"
