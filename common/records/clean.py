"""Raw records into a clean panel: keys, then each field, then rules over rows. Every rule that touches a row is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.records.columns import At, Values, bound_outliers, categories, numbers, outlier_bounds
from common.records.config import FieldConfig, RecordsConfig
from common.records.findings import Finding, Journal
from common.records.held import Held, Room
from common.records.origin import Raw
from common.records.panel import Panel
from common.records.rows import Records, settled, to_panel
from common.rows.ids import are_credit_codes, read_ids
from common.rows.months import TAKEN, month_number, month_text, read_months
from common.rows.origin import Mask, printed
from common.rows.text import said_of_zeros

_BLOCK = 1 << 20  # records moved at once
_MONTHS = 10_000 * 12  # no month's number is above
_QUIET, _MANY = ("empty", "unit", "format", "gap", "duplicate", "several"), 0.05
"""A rule, other than these, that touches more than this share of the records is worth a warning."""


@dataclass(frozen=True, repr=False)
class Cleaned:
    """A panel and how it came about. rows: of the source. records: (id, month) pairs looked at. bounds: of outliers."""

    panel: Panel
    rows: int
    records: int
    findings: tuple[Finding, ...]
    bounds: Mapping[str, tuple[float, float]]
    said: tuple[str, ...] = ()

    @property
    def loud(self) -> tuple[Finding, ...]:
        """The findings worth a look: rules that touched many records."""
        return tuple(f for f in self.findings if f.rule not in _QUIET and f.rows > _MANY * self.records)

    @property
    def absent(self) -> tuple[str, ...]:
        """Months between the first and the last record in which nobody has one."""
        months = np.flatnonzero(self.panel.present.any(axis=0))
        inner = np.setdiff1d(np.arange(months[-1]), months)
        return tuple(month_text(self.panel.first + int(m)) for m in inner)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The things the owner should look at, as text: counts, no values."""
        texts = [f"{f.field or 'rows'}: {f.rule} ({f.action}) in {f.rows / self.records:.1%} of records" for f in self.loud]
        return (*self.said, *texts, *([f"no record of anybody in {', '.join(self.absent)}"] if self.absent else []))


def clean(config: RecordsConfig, raw: Raw, room: Room | None = None) -> Cleaned:
    """The panel, the same in whatever room it is made. Raises DataError for what a rule refuses, and where nothing is left."""
    return _Cleaner(config, raw, Journal(raw.origin), room or Room()).run()


@dataclass
class _Cleaner:
    """State of one cleaning. A source of R rows has P places: 1, or the months of a wide one; arrays are (P, R) or (1, R)."""

    config: RecordsConfig
    raw: Raw
    journal: Journal
    room: Room
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def run(self) -> Cleaned:
        ids, of_row, alive = self._ids()
        when, alive = self._months(alive)
        shape = len(when), self.raw.data.num_rows
        keep = np.broadcast_to(alive, shape).copy()
        numeric, codes, levels = self._fields(when, alive, keep)
        del alive
        at = _sorted(of_row, when, keep)
        row = at if len(when) == 1 else at % shape[1]
        id, month = of_row[row], when[0][row] if len(when) == 1 else when[at // shape[1], 0]
        del of_row, when, keep
        pa.default_memory_pool().release_unused()  # also what sorting took from holes between others
        for fields in (numeric, codes):
            for name, values in fields.items():
                fields[name] = self._taken(values, at if len(values) == shape[0] * shape[1] else row)
        records = Records(ids, row, id, month, Held(numeric), Held(codes), levels)
        del at, row, id, month, numeric, codes
        self._check_left(records)
        several = {name: f.several for name, f in self.config.fields.items() if f.several is not None}
        records = settled(records, self.config.cleaning, several, self.journal, self.room)
        self._check_left(records)
        self.journal.ids = Journal.ids  # nothing is noted any more: what finds each row's id goes before there is a panel
        panel = to_panel(records, self.config.label, self._label_month(), self.journal, self.room)
        said = tuple(dict.fromkeys([*self.raw.said, *self.said]))
        return Cleaned(panel, shape[1], shape[0] * shape[1], self.journal.findings(), self.bounds, said)

    def _taken(self, values: Any, at: npt.NDArray[np.integer[Any]]) -> Any:
        whole, taken = values[:], self.room.scratch.empty((len(at),), values.dtype)
        for low in range(0, len(at), _BLOCK):
            taken[low : low + _BLOCK] = whole[at[low : low + _BLOCK]]
        return taken

    def _check_left(self, records: Records) -> None:
        if not records.count:
            raise self.raw.origin.fault("no record is left after cleaning", remedy="Look at rules that say 'drop'.")

    def _label_month(self) -> int | None:
        name = self.config.label
        month = self.config.fields[name].label_month if name else None
        return month_number(month) if month else None

    def _ids(self) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int32], Mask]:
        """(distinct ids ascending, (R,) each row's place among them, negative where it has none, (R,) whether it has)."""
        keys, found = self.config.keys, read_ids(self.raw.origin, self.config.keys.id, self.raw.data)
        self.raw.forget()
        good, at = np.append(~found.bad, False), found.codes
        self.said += [f"column {keys.id!r}: {said}" for said in found.said]
        wrong = {at_text: what for at_text, (what, _) in found.why.items()} | {-1: "the id is empty"}
        for what in dict.fromkeys(wrong.values()):
            bad = np.isin(at, [place for place, why in wrong.items() if why == what])
            remedy = next((remedy for why, remedy in found.why.values() if why == what), "Remove the row or give it an id.")
            self._settle_key("id", keys.id, keys.bad_id, bad, what, "keys.bad_id = 'drop'", remedy)
        if keys.id_check == "uscc":
            right = good & np.append(are_credit_codes(found.texts), False)
            what = "not a unified social credit code with a right check digit"
            self._settle_key("id", keys.id, keys.bad_id, (good & ~right)[at], what, "keys.bad_id = 'drop'")
            good = right
        texts = np.append(found.texts.to_numpy(zero_copy_only=False).astype(object), "")[good]
        _, first, place = np.unique(texts.astype(str), return_index=True, return_inverse=True)
        ids, code = texts[first], -1 - np.arange(len(good), dtype=np.int32)
        code[good] = place
        of_row, given = code[at], found.texts

        def id_of(row: int) -> str:
            place = int(of_row[row])
            if place >= 0:
                return str(ids[place])
            return given[-1 - place].as_py() or "" if -1 - place < len(given) else ""

        self.journal.ids = id_of
        return ids, of_row, good[at]

    def _settle_key(
        self, rule: str, column: str, action: str, bad: Mask, what: str, set_to: str, remedy: str = "Correct it."
    ) -> None:
        if not bad.all():  # what loses all rows is no remedy
            remedy = f"{remedy.rstrip('.')}, or set {set_to}."
        self.journal.settle(rule, "", column, action, bad, what, remedy, lambda row: printed(self.raw.data[column][row]))

    def _months(self, alive: Mask) -> tuple[npt.NDArray[np.int32], Mask]:
        """(months (1, R), or (P, 1) of a wide source; (R,) which rows are left)."""
        keys, places = self.config.keys, self.config.source.months
        if keys.month is None:
            return np.array([[month_number(text)] for text in places], dtype=np.int32), alive
        found = read_months(self.raw.origin, keys.month, self.raw.data, keys.month_format, keys.zone)
        when, bad = found.counted, found.bad
        self._settle_key("month", keys.month, keys.bad_month, bad & alive, "not a month", "keys.bad_month = 'drop'", TAKEN)
        early, late = when < month_number(keys.first), when > month_number(keys.last)
        out = (early | late) & ~bad
        what = f"out of keys.first to keys.last, {keys.first} to {keys.last}"
        self._settle_key("month", keys.month, keys.bad_month, out & alive, what, "keys.bad_month = 'drop'")
        return when[None, :], alive & ~bad & ~out

    def _fields(
        self, when: npt.NDArray[np.int32], alive: Mask, keep: Mask
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, tuple[str, ...]]]:
        """(field -> values, (P * R,) or (R,), field -> codes, field -> levels); `keep` (P, R) loses what rules drop."""
        numeric, codes, levels = dict[str, Any](), dict[str, Any](), dict[str, tuple[str, ...]]()
        for name, config in self.config.fields.items():
            columns = self._columns(name, config, when, alive)
            if config.kind == "categorical":
                coded, levels[name] = self._categorical(columns, keep)
                self.said += said_of_zeros(f"field {name!r}", levels[name])
                known, codes[name] = coded >= 0, self.room.scratch.keep(coded.ravel())
                del coded
            else:
                values = self._numeric(columns, keep)
                known, numeric[name] = ~np.isnan(values), self.room.scratch.keep(values.ravel())
                del values
            if keep.any() and not (known & keep).any():
                self._nothing_left(name, config)
            del columns, known
            pa.default_memory_pool().release_unused()
        return numeric, codes, levels

    def _nothing_left(self, name: str, config: FieldConfig) -> None:
        """A column may be empty; one of which rules took all that was there is not read right."""
        what = f"field {name!r} (column {config.columns[0]!r}): nothing of it is left"
        if self.journal.lost(name):
            raise self.raw.origin.fault(what, remedy="Correct the column, declare how it is written, or leave the field out.")
        self.said.append(f"field {name!r}: its column is empty")

    def _columns(self, name: str, config: FieldConfig, when: npt.NDArray[np.int32], alive: Mask) -> list[At]:
        """One `At` for each column; a column that holds for all months of a wide source is of the last one."""
        many = not isinstance(config.column, str)
        month = when if many or len(when) == 1 else when.max(axis=0, keepdims=True)
        return [
            At(self.raw, self.journal, name, config, column, alive, month[place]) for place, column in enumerate(config.columns)
        ]

    def _numeric(self, columns: list[At], keep: Mask) -> Values:
        parts = [numbers(at) for at in columns]
        self.raw.forget()
        drop = np.stack([d for _, d in parts])
        values = parts[0][0][None] if len(parts) == 1 else np.stack([v for v, _ in parts])
        del parts
        keep &= ~drop
        config = columns[0].field
        if config.outliers.rule != "keep":
            bounds = outlier_bounds(values, self._until(columns) & columns[0].alive & ~drop, config.outliers)
            if bounds is not None:
                self.bounds[columns[0].name] = bounds
                keep &= ~np.stack([bound_outliers(at, row, bounds) for at, row in zip(columns, values, strict=True)])
        return values

    def _until(self, columns: list[At]) -> Mask:
        """Which values outliers' bounds are made from: (P, 1) or (1, R)."""
        until = self.config.cleaning.outliers_until
        last = month_number(until) if until else month_number("9999-12")
        return np.stack([at.months <= last for at in columns])

    @staticmethod
    def _categorical(columns: list[At], keep: Mask) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
        parts = [categories(at) for at in columns]
        keep &= ~np.stack([drop for _, _, drop in parts])
        levels = sorted({level for _, names, _ in parts for level in names})
        place = {level: code for code, level in enumerate(levels)}
        coded = [np.append([place[level] for level in names], -1).astype(np.int32)[codes] for codes, names, _ in parts]
        return np.stack(coded), tuple(levels)


def _sorted(of_row: npt.NDArray[np.int32], when: npt.NDArray[np.int32], keep: Mask) -> npt.NDArray[np.integer[Any]]:
    """The places in `keep` (P, R), flat, of what it keeps: by id, by month, then in the order of the source."""
    at = np.flatnonzero(keep)
    if keep.size < 1 << 31:
        at = at.astype(np.int32)
    id = of_row if keep.all() and len(keep) == 1 else of_row[at % keep.shape[1]]
    found, done = np.empty_like(at), 0
    for low, high in Room(cells=_BLOCK).cuts(np.bincount(id)):  # so that little is sorted at once
        some = at[(id >= low) & (id < high)]
        row = some % keep.shape[1]
        month = when[0][row] if len(when) == 1 else when[some // keep.shape[1], 0]
        order = np.argsort(of_row[row].astype(np.int64) * _MONTHS + month, kind="stable")
        found[done : done + len(some)] = some[order]
        done += len(some)
    return found
