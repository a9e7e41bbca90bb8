"""Records as flat arrays, and the rules over rows: duplicates, gaps; then the dense panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.records.config import Cleaning
from common.records.findings import Journal
from common.records.panel import Codes, Panel
from common.rows.months import month_text
from common.rows.origin import Mask

Values = npt.NDArray[np.float64]
_SPARSE, _ALWAYS_FITS = 30, 5_000_000  # cells of a panel for each record, and cells that are no matter


@dataclass(frozen=True, repr=False)
class Records:
    """n records.  row: int64 (n,), of the source.  id: int32 (n,) into `ids`, ascending text.  month: int32 (n,), from year 0.

    numeric, codes: field -> (n,), NaN or -1 where missing; levels: field -> the texts of its codes.
    """

    ids: npt.NDArray[np.object_]
    row: npt.NDArray[np.int64]
    id: npt.NDArray[np.int32]
    month: npt.NDArray[np.int32]
    numeric: Mapping[str, Values]
    codes: Mapping[str, npt.NDArray[np.int32]]
    levels: Mapping[str, tuple[str, ...]]

    @property
    def count(self) -> int:
        return len(self.row)

    def take(self, which: npt.NDArray[np.int64] | Mask) -> Records:
        return replace(
            self,
            row=self.row[which],
            id=self.id[which],
            month=self.month[which],
            numeric={name: values[which] for name, values in self.numeric.items()},
            codes={name: values[which] for name, values in self.codes.items()},
        )

    def sorted(self) -> Records:
        """By id and month; those of one id and month in the order of the source."""
        return self.take(np.lexsort((self.row, self.month, self.id)))


def without_duplicates(records: Records, rule: str, several: Mapping[str, str], journal: Journal) -> Records:
    """One record for each id and month, of sorted ones. Raises DataError where the rule is to refuse those that differ.

    several: field -> how the values of such rows become one, as of several meters of one enterprise.
    """
    again = np.zeros(records.count, dtype=np.bool_)
    again[1:] = (records.id[1:] == records.id[:-1]) & (records.month[1:] == records.month[:-1])
    if not again.any():
        return records
    group = np.cumsum(~again) - 1
    if several:
        if "sum" in several.values():
            _note(records, journal, "alike", "sum", _alike(records, again, group), "the same in all fields")
        records = _merged(records, again, group, several)
        _note(records, journal, "several", "merge", again, ", ".join(several))
    unlike = {name: _unlike(values, again, group) for name, values in records.numeric.items()}
    unlike |= {name: _unlike(values, again, group) for name, values in records.codes.items()}
    conflict = np.logical_or.reduce(list(unlike.values()))[group]  # of each record, whether its group disagrees
    if not several:
        _note(records, journal, "duplicate", "drop", again & ~conflict, "")
    if conflict.any():
        fields = ", ".join(name for name, differs in unlike.items() if differs.any())
        if rule == "refuse":
            _refuse(records, journal, again & conflict, fields)
        _note(records, journal, "conflict", rule, conflict if rule == "drop" else again & conflict, fields)
    if rule == "null":
        records = _nulled(records, unlike, group)
    last = np.append(~again[1:], True)
    keep = np.where(conflict & (rule == "last"), last, ~again) & ~(conflict & (rule == "drop"))
    return records.take(keep)


def _alike(records: Records, again: Mask, group: npt.NDArray[np.intp]) -> Mask:
    """Rows that are in all fields as an earlier one of their id and month: two meters by chance, or one exported twice."""
    shared = np.flatnonzero(again | np.append(again[1:], False))
    numbers = {f"n{k}": values[shared] for k, values in enumerate(records.numeric.values())}
    codes = {f"c{k}": values[shared] for k, values in enumerate(records.codes.values())}
    found = np.zeros(records.count, dtype=np.bool_)
    found[shared] = pd.DataFrame({"group": group[shared], **numbers, **codes}).duplicated().to_numpy()
    return found


def _merged(records: Records, again: Mask, group: npt.NDArray[np.intp], several: Mapping[str, str]) -> Records:
    """Each row of a group holds what its rows are together, of the fields that have a rule."""
    starts = np.flatnonzero(~again)
    ends = np.append(starts[1:], records.count) - 1
    numeric = {
        name: _together(values, starts, ends, several[name])[group] if name in several else values
        for name, values in records.numeric.items()
    }
    codes = {name: values[ends][group] if name in several else values for name, values in records.codes.items()}
    return replace(records, numeric=numeric, codes=codes)


def _together(values: Values, starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp], rule: str) -> Values:
    """One value for each group of consecutive ones. A sum of which a part is unknown is unknown."""
    if rule == "sum":
        return np.add.reduceat(values, starts)
    if rule == "last":
        place = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))[ends]
        return np.where(place >= starts, values[place], np.nan)
    if rule == "any":
        some = np.fmax.reduceat(values, starts)
        return np.where(some == 1, 1.0, np.maximum.reduceat(values, starts))  # 0 only where all are known
    return (np.fmin if rule == "min" else np.fmax).reduceat(values, starts)


def _unlike(values: npt.NDArray[np.generic], again: Mask, group: npt.NDArray[np.intp]) -> Mask:
    """Whether values differ within each group of records of one id and month, (groups,)."""
    differs = np.zeros(len(values), dtype=np.bool_)
    differs[1:] = again[1:] & (values[1:] != values[:-1])
    if values.dtype.kind == "f":
        differs[1:] &= ~(np.isnan(values[1:].astype(np.float64)) & np.isnan(values[:-1].astype(np.float64)))
    result = np.zeros(int(group[-1]) + 1, dtype=np.bool_)
    result[group[differs]] = True
    return result


def _refuse(records: Records, journal: Journal, bad: Mask, fields: str) -> None:
    second = int(bad.argmax())
    rows = [int(records.row[second - 1]), int(records.row[second])]
    places, name = journal.origin.places(rows), str(records.ids[records.id[second]])[:40]
    count = int(bad.sum())
    what = "rows of the same id and month differ"
    raise journal.origin.fault(
        f"{what} ({count} rows too many)",
        local=f"{places[rows[0]]} and {places[rows[1]]} are both of id {name!r} and {month_text(int(records.month[second]))}"
        f" and differ in {fields} ({count} rows too many)",
        remedy="Keep one of them, or set cleaning.duplicates = 'first', 'last', 'null' or 'drop'.",
    )


def _nulled(records: Records, unlike: Mapping[str, Mask], group: npt.NDArray[np.intp]) -> Records:
    return replace(
        records,
        numeric={name: np.where(unlike[name][group], np.nan, values) for name, values in records.numeric.items()},
        codes={name: np.where(unlike[name][group], -1, values) for name, values in records.codes.items()},
    )


def _note(records: Records, journal: Journal, rule: str, action: str, which: Mask, value: str) -> None:
    at = np.flatnonzero(which)
    if len(at):
        journal.note(rule, "", "", action, records.row[at], lambda i: value, lambda i: int(records.month[at[i]]))


def without_gaps(records: Records, rules: Cleaning, journal: Journal) -> Records:
    """Settles gaps in the months of enterprises; `records` are sorted and without duplicates."""
    after = np.flatnonzero((records.id[1:] == records.id[:-1]) & (np.diff(records.month) > 1)) + 1
    lost = records.month[after] - records.month[after - 1] - 1
    if rules.gaps != "null":
        long = lost > rules.max_gap
        after, lost = after[long], lost[long]
    if not len(after):
        return records

    def between(i: int) -> str:
        return f"{month_text(int(records.month[after[i] - 1]))} ... {month_text(int(records.month[after[i]]))}"

    if rules.gaps == "refuse":
        row, name = int(records.row[after[0]]), str(records.ids[records.id[after[0]]])[:40]
        raise journal.origin.fault(
            f"enterprises with gaps in their months ({len(after)} gaps)",
            local=f"{journal.origin.places([row])[row]}: id {name!r} has no record within {between(0)} ({len(after)} gaps)",
            remedy="Add the records, or set cleaning.gaps = 'null' or 'drop', or cleaning.max_gap.",
        )
    journal.note("gap", "", "", rules.gaps, records.row[after], between, lambda i: int(records.month[after[i]]))
    if rules.gaps == "null":
        return records
    return records.take(~np.isin(records.id, records.id[after]))


def to_panel(records: Records, label: str | None, label_month: int | None, journal: Journal) -> Panel:
    """The dense arrays of sorted `records`, one for each id and month.

    label_month: where the label holds for an enterprise once, its month; it then is in no record's month.
    Raises DataError for months so far apart that the panel would be nearly empty.
    """
    used, id = np.unique(records.id, return_inverse=True)
    first = int(records.month.min())
    last = max(int(records.month.max()), label_month or 0)
    shape = len(used), last - first + 1
    _check_size(records, shape, first, last, journal)
    at = id, records.month - first
    present = np.zeros(shape, dtype=np.bool_)
    present[at] = True
    numeric = {name: _dense(values, at, shape) for name, values in records.numeric.items() if name != label}
    codes = {name: _codes(values, records.levels[name], at, shape) for name, values in records.codes.items()}
    outcome = None
    if label is not None:
        columns = at if label_month is None else (id, np.full(records.count, label_month - first))
        outcome = _dense(records.numeric[label], columns, shape)
    return Panel(records.ids[used], first, present, numeric, codes, outcome)


def _check_size(records: Records, shape: tuple[int, int], first: int, last: int, journal: Journal) -> None:
    cells = shape[0] * shape[1]
    if cells > max(_ALWAYS_FITS, _SPARSE * records.count):
        raise journal.origin.fault(
            f"months go from {month_text(first)} to {month_text(last)}, {cells} cells for {records.count} records",
            remedy="A month is likely wrong: narrow keys.first and keys.last.",
        )


def _dense(values: Values, at: tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]], shape: tuple[int, int]) -> Values:
    dense = np.full(shape, np.nan)
    dense[at] = values
    return dense


def _codes(
    values: npt.NDArray[np.int32],
    levels: tuple[str, ...],
    at: tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]],
    shape: tuple[int, int],
) -> Codes:
    dense = np.full(shape, -1, dtype=np.int16)
    dense[at] = values
    return Codes(dense, levels)
