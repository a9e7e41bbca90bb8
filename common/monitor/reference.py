"""How a party's columns, and at the bank the score, were distributed when a model was trained: `reference.json` beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from common.config import StrictModel
from common.disk.files import make_folder, write_private
from common.errors import DataError
from common.rows.table import FeatureTable

FILE, SCORE = "reference.json", "(score)"
OTHER, MISSING = "(other)", "(missing)"  # labels of bins
_BINS, _LEVELS = 10, 20
_ROWS = 1 << 18  # placed at a time

Places = npt.NDArray[np.int64]


class Distribution(StrictModel):
    """Rows by bin. Numeric: cut at `edges`, rising, of a constant below it and above; categorical: `levels`, then all others.

    Missing values come last.

    seasons: the same by month of the year, 1 to 12, where rows have periods.
    """

    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] | None = None
    counts: tuple[int, ...]
    seasons: dict[int, tuple[int, ...]] = Field(default_factory=dict)

    @property
    def bins(self) -> int:
        return 2 + len(self.edges if self.levels is None else self.levels)

    def labels(self) -> tuple[str, ...]:
        """What each bin holds, for people: bounds at three figures, levels as they are, then `OTHER` and `MISSING`."""
        if self.levels is not None:
            return (*self.levels, OTHER, MISSING)
        if not self.edges:
            return "", MISSING
        cuts = [f"{float(f'{edge:.3g}'):,.0f}" if abs(edge) >= 1000 else f"{edge:.3g}" for edge in self.edges]
        if self.edges == _around(self.edges[-1]):
            return f"< {cuts[-1]}", cuts[-1], f"> {cuts[-1]}", MISSING
        return (f"≤ {cuts[0]}", *(f"{low} – {high}" for low, high in pairwise(cuts)), f"> {cuts[-1]}", MISSING)

    def places(self, values: npt.NDArray[Any]) -> Places:
        """The bin of each value, (n,)."""
        if self.levels is not None:
            place = {level: k for k, level in enumerate(self.levels)} | {None: self.bins - 1}
            return np.array([place.get(value, self.bins - 2) for value in values.tolist()], np.int64)
        found = np.searchsorted(np.array(self.edges), values, side="left")
        return np.where(np.isnan(values), self.bins - 1, found)


class Reference(StrictModel):
    """By column of the dataset, as read; the score's under `SCORE`."""

    version: Literal[1] = 1
    columns: dict[str, Distribution]


def describe(table: FeatureTable, train_rows: int, score: npt.NDArray[np.float64] | None = None) -> Reference:
    """Distributions of the first `train_rows` rows, and of the scores of the others; numbers cut at deciles, 20 levels kept."""
    periods = None if table.periods is None else table.periods[:train_rows]
    columns = {name: _distribution(values, periods) for name, values in named(table, slice(train_rows))}
    held = None if table.periods is None else table.periods[train_rows:]
    return Reference(columns=columns | ({} if score is None else {SCORE: _distribution(score, held)}))


def named(table: FeatureTable, at: slice = slice(None)) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Each column's values, one column in memory at a time."""
    for columns in (table.numeric, table.categorical):
        for name in columns:
            yield name, columns[name][at]


def _distribution(values: npt.NDArray[Any], periods: npt.NDArray[np.int32] | None) -> Distribution:
    if values.dtype == object:
        levels, counts = np.unique([str(value) for value in values if value is not None], return_counts=True)
        frequent = sorted(levels[np.argsort(-counts, kind="stable")][:_LEVELS].tolist())
        bare = Distribution(levels=tuple(frequent), counts=())
    else:
        present = values[~np.isnan(values)]
        inner, greatest = np.arange(1, _BINS) / _BINS, float(present.max(initial=-np.inf))
        edges, constant = np.empty(0), greatest == present.min(initial=np.inf)
        if present.size:
            edges = np.unique(np.quantile(present, inner, method="inverted_cdf", overwrite_input=True))
        del present
        # The last edge at the greatest value would leave a bin above it that nothing fills; of a constant it is all there is.
        cuts = _around(greatest) if constant else tuple(edges[edges < greatest].tolist())
        bare = Distribution(edges=cuts, counts=())
    counts = np.zeros((13, bare.bins), np.int64)  # by month of the year from 1; 0 where there are no months
    for low in range(0, len(values), _ROWS):
        rows = slice(low, low + _ROWS)
        month = 0 if periods is None else periods[rows].astype(np.int64) % 12 + 1
        counts += np.bincount(bare.places(values[rows]) + bare.bins * month, minlength=counts.size).reshape(counts.shape)
    seasons = {month: _told(counts[month]) for month in range(1, 13) if counts[month].any()}
    return bare.model_copy(update={"counts": _told(counts.sum(axis=0)), "seasons": seasons})


def _around(constant: float) -> tuple[float, float]:
    """Edges with nothing but `constant` between them."""
    return math.nextafter(constant, -math.inf), constant


def _told(counts: Places) -> tuple[int, ...]:
    return tuple(counts.tolist())


def save(reference: Reference, folder: Path) -> None:
    make_folder(folder)
    write_private(folder / FILE, reference.model_dump_json().encode())


def load(job: str, folder: Path) -> Reference | None:
    """None for a model that was trained without; raises DataError for a file that is not what was written."""
    try:
        return Reference.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        message = f"the stored reference distributions of job {job} are damaged"
        raise DataError(message, public=message, remedy="Restore them from a back-up, or train again.") from None
