"""The rows of the months that a scoring plan asks for; others are neither matched, nor scored, nor charged to a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from common.disk.scratch import Scratch
from common.errors import DataError
from common.plan.score import NEWEST
from common.rows.dataset import Loaded
from common.rows.months import month_number, month_text


def in_months(loaded: Loaded, months: Sequence[str], *, name: str, scratch: Scratch) -> Loaded:
    """`loaded` with the rows of these months alone, all rows where none is asked for; `name` is the dataset's.

    newest: the last month of this dataset. Raises DataError for a table without such a row.
    """
    if not months:
        return loaded
    periods = loaded.table.periods
    if periods is None or not len(periods):
        what = f"dataset {name}: months are asked for, and no row has one"
        raise DataError(what, public=what, remedy="Declare its period column.")
    wanted = [int(periods.max()) if month == NEWEST else month_number(month) for month in months]
    keep = np.isin(periods, wanted)
    if lacks := [month_text(month) for month in wanted if not (periods == month).any()]:
        what = f"dataset {name}: no row of the month {lacks[0]}"
        there = f"its months are {month_text(int(periods.min()))} to {month_text(int(periods.max()))}"
        raise DataError(f"{what}: {there}", public=what, remedy="Make the dataset of newer records, or name a month it has.")
    if keep.all():
        return loaded
    aside = {column: values[keep] for column, values in loaded.aside.items()}
    return replace(loaded, table=loaded.table.take(np.flatnonzero(keep), scratch), aside=aside)
