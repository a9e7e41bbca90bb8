"""Records as flat arrays, and the rules over rows: duplicates, gaps; then the dense panel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import DataError
from common.records.config import Cleaning
from common.records.findings import Journal
from common.records.held import Held, Room, part, rows, stores
from common.records.panel import Panel
from common.rows.months import month_text
from common.rows.origin import Mask

Values = npt.NDArray[np.float64]
_SPARSE, _ALWAYS_FITS = 30, 5_000_000  # cells of a panel for each record, and cells that are no matter


@dataclass(frozen=True, repr=False)
class Records:
    """n records, by id and month; those of one id and month in the order of the source.

    row: integers (n,), of the source.  id: int32 (n,) into `ids`, ascending text.  month: int32 (n,), from year 0.
    numeric, codes: field -> (n,), NaN or -1 where missing; levels: field -> the texts of its codes.
    """

    ids: npt.NDArray[np.object_]
    row: npt.NDArray[np.integer[Any]]
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

    def part(self, low: int, high: int) -> Records:
        """The records from number `low` to before `high`, in memory."""
        return replace(
            self,
            row=self.row[low:high],
            id=self.id[low:high],
            month=self.month[low:high],
            numeric=part(self.numeric, low, high),
            codes=part(self.codes, low, high),
        )


class Refused(Exception):
    """What a rule over rows refuses, until it is known how often it does. error: the fault, of so many of them in all."""

    def __init__(self, rule: str, count: int, error: Callable[[int], DataError]) -> None:
        super().__init__(rule)
        self.rule, self.count, self.error = rule, count, error


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
            _note(records, journal, "alike", "sum", _alike(records, again, group), lambda i: "the same in all fields")
        records = _merged(records, again, group, several)
        _note(records, journal, "several", "merge", again, lambda i: ", ".join(several))
    unlike = {name: _unlike(values, again, group) for name, values in records.numeric.items()}
    unlike |= {name: _unlike(values, again, group) for name, values in records.codes.items()}
    conflict = np.logical_or.reduce(list(unlike.values()))[group]  # of each record, whether its group disagrees
    if not several:
        _note(records, journal, "duplicate", "drop", again & ~conflict, lambda i: "")
    if conflict.any():

        def fields(i: int) -> str:
            return ", ".join(name for name, differs in unlike.items() if differs[group[i]])

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
    import pandas as pd  # which takes 50 MiB, and few records need it

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


def _refuse(records: Records, journal: Journal, bad: Mask, fields: Callable[[int], str]) -> None:
    second = int(bad.argmax())
    rows = [int(records.row[second - 1]), int(records.row[second])]
    name, when, told = str(records.ids[records.id[second]])[:40], month_text(int(records.month[second])), fields(second)

    number = next((field for field in told.split(", ") if field in records.numeric), None)
    together = (
        f" Of several meters or loans: fields.{number} = {{ ..., several = 'sum' }}, or max, min, last." if number else ""
    )

    def error(count: int) -> DataError:
        places = journal.origin.places(rows)
        return journal.origin.fault(
            f"rows of the same id and month differ ({count} rows too many)",
            local=f"{places[rows[0]]} and {places[rows[1]]} are both of id {name!r} and {when}"
            f" and differ in {told} ({count} rows too many)",
            remedy="Keep one of them, or set cleaning.duplicates = 'first', 'last', 'null' or 'drop'." + together,
        )

    raise Refused("duplicates", int(bad.sum()), error)


def _nulled(records: Records, unlike: Mapping[str, Mask], group: npt.NDArray[np.intp]) -> Records:
    return replace(
        records,
        numeric={name: np.where(unlike[name][group], np.nan, values) for name, values in records.numeric.items()},
        codes={name: np.where(unlike[name][group], -1, values) for name, values in records.codes.items()},
    )


def _note(records: Records, journal: Journal, rule: str, action: str, which: Mask, value: Callable[[int], str]) -> None:
    at = np.flatnonzero(which)
    if len(at):
        journal.note(rule, "", "", action, records.row[at], lambda i: value(int(at[i])), lambda i: int(records.month[at[i]]))


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
        row, name, where = int(records.row[after[0]]), str(records.ids[records.id[after[0]]])[:40], between(0)

        def error(count: int) -> DataError:
            return journal.origin.fault(
                f"enterprises with gaps in their months ({count} gaps)",
                local=f"{journal.origin.places([row])[row]}: id {name!r} has no record within {where} ({count} gaps)",
                remedy="Add the records, or set cleaning.gaps = 'null' or 'drop', or cleaning.max_gap.",
            )

        raise Refused("gaps", len(after), error)
    journal.note("gap", "", "", rules.gaps, records.row[after], between, lambda i: int(records.month[after[i]]))
    if rules.gaps == "null":
        return records
    return records.take(~np.isin(records.id, records.id[after]))


def _ends(records: Records) -> npt.NDArray[np.intp]:
    """(ids + 1,): the first of the sorted records of each id, and how many there are. Of their ids no copy is made."""
    return np.searchsorted(records.id, np.arange(len(records.ids) + 1, dtype=records.id.dtype))


def settled(records: Records, rules: Cleaning, several: Mapping[str, str], journal: Journal, room: Room) -> Records:
    """`records` after the rules over rows, some enterprises at a time. Raises DataError for what a rule is to refuse."""
    ends = _ends(records)
    cuts = room.cuts(np.diff(ends))
    kept = _Kept(records) if len(cuts) > 1 else _Whole()
    refused, count = dict[str, Refused](), Counter[str]()
    for low, high in cuts:
        first, last = int(ends[low]), int(ends[high])
        if first == last:
            continue
        try:
            few = without_duplicates(records.part(first, last), rules.duplicates, several, journal)
            kept.add(without_gaps(few, rules, journal))
        except Refused as found:
            refused.setdefault(found.rule, found)
            count[found.rule] += found.count
    for rule in ("duplicates", "gaps"):
        if rule in refused:
            raise refused[rule].error(count[rule])
    return kept.records()


class _Whole:
    """Records that the rules over rows have kept, where they are one part."""

    def add(self, records: Records) -> None:
        self._only = records

    def records(self) -> Records:
        return self._only


class _Kept:
    """Records that the rules over rows have kept, part after part, where records were: there are never more of them."""

    def __init__(self, records: Records) -> None:
        self._all, self._count = records, 0

    def add(self, records: Records) -> None:
        own, at = self._all, slice(self._count, self._count + records.count)
        own.row[at], own.id[at], own.month[at] = records.row, records.id, records.month
        kept: Mapping[str, Any]
        for kept, given in ((own.numeric, records.numeric), (own.codes, records.codes)):
            for name, values in given.items():
                stores(kept)[name][at] = values
        self._count = at.stop

    def records(self) -> Records:
        own, n = self._all, self._count
        numeric, codes = Held(stores(own.numeric), count=n), Held(stores(own.codes), count=n)
        return replace(own, row=own.row[:n], id=own.id[:n], month=own.month[:n], numeric=numeric, codes=codes)


def to_panel(records: Records, label: str | None, label_month: int | None, journal: Journal, room: Room) -> Panel:
    """The dense arrays of sorted `records`, one for each id and month.

    label_month: where the label holds for an enterprise once, its month; it then is in no record's month.
    Raises DataError for months so far apart that the panel would be nearly empty.
    """
    counts = np.diff(_ends(records))
    used = np.flatnonzero(counts)
    place, sizes = (np.cumsum(counts > 0) - 1).astype(np.int32), counts[used]
    first = int(records.month.min())
    last = max(int(records.month.max()), label_month or 0)
    shape = len(used), last - first + 1
    _check_size(records, shape, first, last, journal)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    cuts = [(low, high, slice(int(ends[low]), int(ends[high]))) for low, high in room.cuts(np.full(shape[0], shape[1]))]
    present = np.zeros(shape, dtype=np.bool_)
    for _, _, own in cuts:
        present[place[records.id[own]], records.month[own] - first] = True

    def dense(given: Mapping[str, Any], name: str, missing: float, dtype: npt.DTypeLike, month: int | None = None) -> Any:
        """The field of all enterprises, (E * M,), made for some of them at a time; of the records' months, or all in one."""
        whole = room.scratch.empty((shape[0] * shape[1],), dtype)
        for low, high, own in cuts:
            block = np.full((high - low, shape[1]), missing, dtype)
            at = records.month[own] - first if month is None else month - first
            block[place[records.id[own]] - low, at] = rows(given, name, own.start, own.stop)
            whole[low * shape[1] : high * shape[1]] = block.ravel()
        return whole

    numeric = {name: dense(records.numeric, name, np.nan, np.float64) for name in records.numeric if name != label}
    codes = {name: dense(records.codes, name, -1, np.int16) for name in records.codes}
    outcome = None
    if label is not None:
        outcome = dense(records.numeric, label, np.nan, np.float64, label_month)[:].reshape(shape)
    held = Held(numeric, width=shape[1]), Held(codes, records.levels, width=shape[1])
    return Panel(records.ids[used], first, present, *held, outcome)


def _check_size(records: Records, shape: tuple[int, int], first: int, last: int, journal: Journal) -> None:
    cells = shape[0] * shape[1]
    if cells > max(_ALWAYS_FITS, _SPARSE * records.count):
        raise journal.origin.fault(
            f"months go from {month_text(first)} to {month_text(last)}, {cells} cells for {records.count} records",
            remedy="A month is likely wrong: narrow keys.first and keys.last.",
        )
