"""The rows of the months that a plan asks for: others are neither matched, nor used, nor charged to a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from common.disk.scratch import Scratch
from common.errors import DataError
from common.plan.score import NEWEST, ScorePlan
from common.plan.train import TrainPlan
from common.rows.dataset import Loaded
from common.rows.declare import DatasetConfig
from common.rows.months import month_number, month_text, read_months
from common.rows.tablefile import TableFile


def in_months(loaded: Loaded, months: Sequence[str], *, name: str, scratch: Scratch) -> Loaded:
    """`loaded` with the rows of these months alone, all rows where none is asked for; `name` is the dataset's.

    newest: the last month of this dataset. Raises DataError for a table without such a row.
    """
    if not months:
        return loaded
    periods = _periods(loaded, name)
    wanted = _wanted(months, periods)
    for month in wanted:
        _require(periods, month, name)
    return _only(loaded, np.isin(periods, wanted), scratch)


def up_to(loaded: Loaded, month: str | None, *, name: str, scratch: Scratch) -> Loaded:
    """`loaded` with the rows of `month` and of those before it, all for None. Raises DataError for one without that month."""
    if month is None:
        return loaded
    periods, last = _periods(loaded, name), month_number(month)
    _require(periods, last, name)
    return _only(loaded, periods <= last, scratch)


def _periods(loaded: Loaded, name: str) -> npt.NDArray[np.int32]:
    periods = loaded.table.periods
    if periods is None or not len(periods):
        what = f"dataset {name}: months are asked for, and no row has one"
        raise DataError(what, public=what, remedy="Declare its period column.")
    return periods


def _require(periods: npt.NDArray[np.int32], month: int, name: str) -> None:
    if not (periods == month).any():
        what = f"dataset {name}: no row of the month {month_text(month)}"
        there = f"its months are {month_text(int(periods.min()))} to {month_text(int(periods.max()))}"
        raise DataError(f"{what}: {there}", public=what, remedy="Make the dataset of newer records, or name a month it has.")


def _only(loaded: Loaded, keep: npt.NDArray[np.bool_], scratch: Scratch) -> Loaded:
    if keep.all():
        return loaded
    aside = {column: values[keep] for column, values in loaded.aside.items()}
    return replace(loaded, table=loaded.table.move(np.flatnonzero(keep), scratch), aside=aside)


def _wanted(months: Sequence[str], periods: npt.NDArray[np.int32]) -> list[int]:
    return [int(periods.max()) if month == NEWEST else month_number(month) for month in months]


def rows_in(plan: TrainPlan | ScorePlan, file: TableFile, config: DatasetConfig) -> int:
    """How many rows of a dataset are in the months that a plan asks for; its column of months alone is read.

    config: as `declared`. Raises DataError for a dataset without months.
    """
    if config.period is None:
        what = "months are asked for, and the dataset declares none"
        raise DataError(f"{file.label}: {what}", public=what, remedy="Declare its period column.")
    found = read_months(file, config.period, file.read([config.period]), config.month_format, config.zone)
    counted = found.counted[~found.bad]
    if isinstance(plan, TrainPlan):
        return int((counted <= month_number(plan.until or "9999-12")).sum())
    return int(np.isin(counted, _wanted(plan.months, counted)).sum()) if len(counted) else 0
