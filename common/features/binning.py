"""Cutting columns into bins, merging bins, and weights of evidence. Statistics of training rows only; no label but as counts.

A column's bins are runs of neighbouring cells, so that counts of merged bins are sums. Levels of a categorical column
stand in order of frequency, missing values after the last range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.errors import DataError
from common.features.bins import BinnedColumn, Cells, Codes, Missing
from common.features.column import MISSING_LEVEL, Vector, absent
from common.features.options import Preparation, least_rows
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

Groups = tuple[tuple[int, ...], ...]  # cells of each bin, in order
Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
ONE_BIN = "it has one bin only"


@dataclass(frozen=True, repr=False)
class Binning:
    """One column cut and grouped: codes (n_train,) cells of its training rows, rows (cells,) how many each has.

    ones: training rows labelled 1 in each group, where known. left_out: why the column is not used, if so.
    """

    cells: Cells
    codes: Codes
    rows: Counts
    groups: Groups
    ones: Counts | None = None
    left_out: str = ""

    @property
    def group_rows(self) -> Counts:
        return grouped(self.rows, self.groups)

    @property
    def group_codes(self) -> Codes:
        """The group of each training row."""
        place = np.zeros(self.cells.count, np.int16)
        for index, members in enumerate(self.groups):
            place[list(members)] = index
        return place[self.codes]

    def label(self, k: int) -> str:
        """Group k for people; cells without training rows are not named."""
        return self.cells.label(tuple(cell for cell in self.groups[k] if self.rows[cell]))

    def regrouped(self, groups: Groups) -> Binning:
        return replace(self, groups=groups)


def grouped(counts: Counts, groups: Groups) -> Counts:
    """Sums of `counts` over the members of each group."""
    return np.array([counts[list(members)].sum() for members in groups], np.int64)


def cut(
    table: FeatureTable, columns: Mapping[str, ColumnConfig], options: Preparation, train: Flags, levels: int | None = None
) -> list[Binning]:
    """Each column in at most `options.bins` bins, and one of missing values, of at least `least_rows` training rows each.

    levels: of a category at most, in place of `options.bins`.
    """
    known, most = table.take(np.flatnonzero(train)), options.bins if levels is None else levels
    return [_cut_one(known, name, config, options, most) for name, config in columns.items()]


def _cut_one(train: FeatureTable, name: str, config: ColumnConfig, options: Preparation, most: int) -> Binning:
    least = least_rows(options)
    if config.kind == "numeric":
        if name not in train.numeric:
            raise absent(name, "numeric")
        cells, home = _ranges(name, train.numeric[name], config.missing, options.bins)
    else:
        if name not in train.categorical:
            raise absent(name, "categorical")
        cells, home = _levels(name, train.categorical[name], config.missing, most, least)
    codes = cells.of(train)
    counts = np.bincount(codes, minlength=cells.count)
    groups = merge_until(_occupied(counts, home), lambda groups: grouped(counts, groups) < least, counts)
    return Binning(cells, codes, counts, groups, left_out="" if len(groups) > 1 else ONE_BIN)


def _ranges(name: str, values: Vector, missing: str, bins: int) -> tuple[Cells, int]:
    """Cells of about equally many values, and the cell of the median (or of zero, if declared so).

    Missing values go there if training rows have none.
    """
    present = values[~np.isnan(values)]
    edges = quantile_edges(present, bins)
    cells = Cells(source=name, edges=edges, missing="refuse" if missing in ("drop", "refuse") else "bin")
    middle = 0.0 if missing == "zero" or not present.size else float(np.median(present))
    return cells, int(np.searchsorted(edges, middle, side="right"))


def quantile_edges(values: Vector, bins: int) -> tuple[float, ...]:
    """Rising edges, at most bins - 1, that part `values` into bins as equal as ties allow; none for a constant."""
    distinct, counts = np.unique(values, return_counts=True)
    below = np.cumsum(counts)
    edges: list[float] = []
    done = 0
    for left in range(bins, 1, -1):
        target = done + (len(values) - done) / left
        at = int(np.searchsorted(below, target))
        if at and below[at - 1] > done and target - below[at - 1] < below[min(at, len(below) - 1)] - target:
            at -= 1
        if at + 1 >= len(distinct):
            break
        done = int(below[at])
        edges.append(float(distinct[at + 1]))
    return tuple(edges)


def _levels(name: str, values: npt.NDArray[np.object_], missing: str, bins: int, least: int) -> tuple[Cells, int]:
    """A cell for each of the most frequent levels, and one of all others; unseen levels go with the most frequent one."""
    fill = MISSING_LEVEL if missing == "category" else None
    counts = pd.Series(values).value_counts()
    if missing == "mode" and len(counts):
        fill = min(str(level) for level in counts.index[counts == counts.max()])
    filled = values if fill is None else np.where(np.asarray(pd.isna(values)), fill, values)
    ranked = sorted((-int(count), str(level)) for level, count in pd.Series(filled).value_counts().items())
    levels = tuple(level for count, level in ranked if -count >= least)[:bins]
    refuse: Missing = "refuse" if missing in ("drop", "refuse") else "bin"
    return Cells(source=name, levels=levels, missing=refuse, fill_level=fill), 0


def _occupied(counts: Counts, home: int) -> Groups:
    """A group for each cell that has rows; cells without any join that of cell `home`, or the first."""
    groups = [[int(k)] for k in np.flatnonzero(counts)] or [[home]]
    into = next((g for g in groups if g[0] == home), groups[0])
    into += [k for k in range(len(counts)) if not any(k in g for g in groups)]
    return tuple(tuple(g) for g in groups)


def merge_until(groups: Groups, small: Callable[[Groups], Flags], rows: Counts) -> Groups:
    """Merged until none is small, or one is left."""
    while len(groups) > 1 and (found := small(groups)).any():
        groups = merge(groups, found, rows)
    return groups


def merge(groups: Groups, small: Flags, rows: Counts) -> Groups:
    """Each small group joined with the one after it if that is small too, else with its neighbour of fewer rows."""
    out: list[tuple[int, ...]] = []
    sizes = grouped(rows, groups)
    k = 0
    while k < len(groups):
        members, last = groups[k], k + 1 == len(groups)
        if not small[k]:
            out.append(members)
        elif not last and (small[k + 1] or not out or sizes[k + 1] <= rows[list(out[-1])].sum()):
            out.append(members + groups[k + 1])
            k += 1
        elif out:
            out[-1] += members
        else:
            out.append(members)
        k += 1
    return tuple(out)


def halvings(bins: int) -> int:
    """How often `merge` may need to run on a column of that many bins, one of missing values on top, to leave two."""
    return max(1, int(bins).bit_length())


def count_own(binning: Binning, label: Vector, options: Preparation) -> Binning:
    """With the label at hand: bins of fewer than min_bin_class of either class merged, and counted."""
    ones = np.bincount(binning.codes, label, binning.cells.count).astype(np.int64)

    def small(groups: Groups) -> Flags:
        bad = grouped(ones, groups)
        few: Flags = np.minimum(bad, grouped(binning.rows, groups) - bad) < options.min_bin_class
        return few

    groups = merge_until(binning.groups, small, binning.rows)
    return finish(binning.regrouped(groups), grouped(ones, groups), options)


def finish(binning: Binning, ones: Counts, options: Preparation) -> Binning:
    """With counts: made monotone if asked for, and left out if one bin remains."""
    if options.monotone and binning.cells.levels is None:
        groups, ones = monotone(binning.groups, binning.group_rows, ones, binning.cells.count - 1)
        binning = binning.regrouped(groups)
    reason = binning.left_out or ("" if len(binning.groups) > 1 else ONE_BIN)
    return replace(binning, ones=ones, left_out=reason)


def monotone(groups: Groups, rows: Counts, ones: Counts, missing: int) -> tuple[Groups, Counts]:
    """Neighbours pooled until the rate of ones rises throughout, or falls: what keeps more information value.

    A bin of missing values alone (cell `missing`) has no place in the order and stays as it is.
    """
    apart = [k for k, members in enumerate(groups) if members == (missing,)]
    order = [k for k in range(len(groups)) if k not in apart]

    def value(runs: list[list[int]]) -> float:
        bad = np.array([ones[r].sum() for r in [*runs, *([k] for k in apart)]])
        size = np.array([rows[r].sum() for r in [*runs, *([k] for k in apart)]])
        return information_value(bad, size - bad)

    runs = max((_pooled(order, rows, ones, sign) for sign in (1, -1)), key=value) + [[k] for k in apart]
    merged = tuple(tuple(cell for k in run for cell in groups[k]) for run in runs)
    return merged, np.array([ones[run].sum() for run in runs], np.int64)


def _pooled(order: list[int], rows: Counts, ones: Counts, sign: int) -> list[list[int]]:
    """Pool adjacent violators: runs of `order` whose rates strictly rise (sign 1) or fall."""
    runs: list[list[int]] = []
    for k in order:
        runs.append([k])
        while len(runs) > 1 and sign * (_cross(runs[-2], runs[-1], rows, ones)) <= 0:
            last = runs.pop()
            runs[-1] = runs[-1] + last
    return runs


def _cross(a: list[int], b: list[int], rows: Counts, ones: Counts) -> int:
    """A number with the sign of rate(b) - rate(a): the cross product in whole numbers, hence exact."""
    return int(ones[b].sum()) * int(rows[a].sum()) - int(ones[a].sum()) * int(rows[b].sum())


def woe(ones: Counts, zeros: Counts) -> Vector:
    """ln of (share of all ones) over (share of all zeros), of each bin: high means risky. Each must have one of each.

    No smoothing: bins of fewer than min_bin_class >= 1 of a class have been merged. Raises DataError if one is left.
    """
    if min(ones.min(), zeros.min()) < 1:
        message = "a bin without one of both classes has no weight of evidence"
        raise DataError(message, public=message, remedy="Set min_bin_class to 1 or more.")
    result: Vector = np.log(ones / ones.sum()) - np.log(zeros / zeros.sum())
    return result


def information_value(ones: Counts, zeros: Counts) -> float:
    """Sum over bins of (share of ones - share of zeros) * woe."""
    return float((ones / ones.sum() - zeros / zeros.sum()) @ woe(ones, zeros))


def binned_columns(binnings: Sequence[Binning], options: Preparation) -> list[BinnedColumn]:
    """The columns to train on: for each binning one of weights of evidence, or an indicator a bin but the largest."""
    used = [b for b in binnings if not b.left_out]
    if options.coding == "woe":
        return [column for b in used if (column := _weighted(b)) is not None]
    return [_indicator(b, k) for b in used for k in range(len(b.groups)) if k != int(b.group_rows.argmax())]


def _weighted(binning: Binning) -> BinnedColumn | None:
    assert binning.ones is not None  # noqa: S101
    values = woe(binning.ones, binning.group_rows - binning.ones)
    return _column(binning.cells.source, binning, values)


def _indicator(binning: Binning, k: int) -> BinnedColumn:
    values = np.zeros(len(binning.groups))
    values[k] = 1.0
    made = _column(f"{binning.cells.source}={binning.label(k)}", binning, values)
    assert made is not None  # noqa: S101
    return made


def _column(name: str, binning: Binning, values: Vector) -> BinnedColumn | None:
    """None if the values are alike, so that nothing could be learnt from them."""
    rows = binning.group_rows
    centre = float(rows @ values / rows.sum())
    spread = float(np.sqrt(rows @ (values - centre) ** 2 / rows.sum()))
    if not spread > 1e-9:
        return None
    cells = np.zeros(binning.cells.count)
    for value, members in zip(values, binning.groups, strict=True):
        cells[list(members)] = value
    return BinnedColumn(name=name, cells=binning.cells, values=tuple(cells.tolist()), centre=centre, spread=spread)
