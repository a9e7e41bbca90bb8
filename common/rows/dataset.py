"""Reading a dataset as its configuration declares it: files into a checked FeatureTable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from common.disk.scratch import Scratch
from common.errors import ConfigError, DataError
from common.party import Party
from common.rows.alike import read_alike
from common.rows.declare import ColumnConfig, DatasetConfig, is_reason
from common.rows.featurefile import declared
from common.rows.formats.paths import parts_of, unchanged
from common.rows.ids import MANY, read_ids
from common.rows.kind import Seen, look
from common.rows.labels import read_labels, with_outcome
from common.rows.months import FIRST, LAST, TAKEN, days_of, month_text, read_months
from common.rows.numbers import read_numbers
from common.rows.origin import Data, Mask, Note, Once, One
from common.rows.table import Coded, Columns, FeatureTable, Ids
from common.rows.tablefile import TableFile, unreadable
from common.rows.text import read_coded, said_of_zeros

__all__ = ["ColumnConfig", "DatasetConfig", "is_reason"]


@dataclass(frozen=True)
class Loaded:
    """A table as read, the columns as declared or inferred, and what its owner should know (counts, no values).

    notes: how it was read, where nothing is lost and nothing in doubt. seen: of each column that was not declared, what it is
    and what was done with it. aside: of those that are left out beside a label, days of dates, and 0 where another is known,
    NaN where it is missing: (n,) each.
    """

    table: FeatureTable
    columns: dict[str, ColumnConfig]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()
    aside: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


def read_table(
    config: DatasetConfig,
    *,
    name: str,
    party: Party,
    require_label: bool = False,
    scratch: Scratch | None = None,
    faults: list[DataError] | None = None,
) -> Loaded:
    """The files of `config`, checked; `name` is the dataset's name in messages.

    The label is read where it is declared. With `require_label` (training at the bank) it must be declared, be in the
    file and hold both classes, and rows whose outcome is not known yet are left out and counted; without, such rows have
    the label NaN, and a file lacking the label column gives a table without label.

    faults: takes what is wrong in a column that cannot be read, which is then left out, so that its owner hears of all at once.
    Columns that do not fit in memory go to `scratch`; each is read, checked and put there by itself.
    Raises ConfigError for a label at the grid or none declared where required, DataError for what is wrong in the file.
    """
    config = declared(config)
    _check_roles(config, name, party, require_label)
    with unchanged(config.path, f"dataset {name}"):
        return _read(config, name, require_label, scratch or Scratch(), faults)


def _read(config: DatasetConfig, name: str, require_label: bool, where: Scratch, faults: list[DataError] | None) -> Loaded:
    file = _opened(config, name)
    label = config.label if require_label or config.label in file.header else None
    keys = [key for key in (config.id, config.period, label) if key is not None]
    features = list(config.columns) or [c for c in file.header if c not in (*keys, config.label)]
    file.require([*keys, *features])
    data = Once(file.read([*keys, *features], where))
    of_ids, of_columns = list[str](), list[str]()
    ids = read_own_ids(file, config.id, data, of_ids)
    periods = None if config.period is None else _periods(file, config, config.period, data)
    _check_unique(file, ids, periods)
    outcomes = None if label is None else read_labels(file, config, label, data)
    seen, columns = list[Seen](), dict(config.columns)
    numeric, categorical, looked = dict[str, npt.NDArray[np.float64]](), dict[str, Coded](), _looking(file, data, config)
    for column in features:  # looked at and read one after the other, so that a file's column is read once
        data.again = column not in config.columns
        try:
            if data.again:
                seen.append(found := looked(column))
                if found.config is None:
                    continue
                columns[column] = found.config
            if columns[column].kind == "numeric":
                numeric[column] = where.keep(_numeric(file, column, columns[column], data, config.missing, of_columns))
            else:
                categorical[column] = _categories(file, column, columns[column], data, config.missing, of_columns, where)
        except DataError as error:
            columns.pop(column, None)
            seen = [*(s for s in seen if s.column != column), _wrong(column, error, faults)]
        if data.num_rows > MANY:  # Arrow keeps what is freed, of one column while the next is read
            pa.default_memory_pool().release_unused()
    told = [s.text if s.loud else Note(s.text) for s in seen if s.loud or s.noted]
    said = [*file.said, *_partial(file, config), *told, *of_ids, *of_columns]
    order = tuple(c for c in file.header if c in columns)
    table = FeatureTable(ids, periods, Columns(numeric), Columns(categorical), outcomes, order)
    del numeric, categorical  # which would hold what moves from the table
    keep = _kept(table, columns, file, said)
    if outcomes is not None and label is not None and require_label:
        keep &= with_outcome(file, label, outcomes, keep, said)
    aside = {} if label is None else {s.column: days_of(file, s.column, data)[keep] for s in seen if s.config is None}
    table = table if keep.all() else table.move(np.flatnonzero(keep), where)
    warnings = tuple(text for text in said if not isinstance(text, Note))
    notes = tuple(text for text in said if isinstance(text, Note))
    return Loaded(table, columns, warnings, notes, tuple(seen), aside)


def _opened(config: DatasetConfig, name: str) -> TableFile:
    return TableFile.open(config.path, config, f"dataset {name}")


def check_declared(config: DatasetConfig, *, name: str, party: Party) -> TableFile:
    """The file of `config`, its header held against the declaration; no row is read. A label may be lacking: see there.

    Raises ConfigError for a label at the grid, DataError for a file that cannot be read or lacks another column.
    """
    config = declared(config)
    _check_roles(config, name, party, require_label=False)
    file = _opened(config, name)
    file.require([config.id, *([config.period] if config.period else []), *config.columns])
    return file


def infer_columns(config: DatasetConfig) -> dict[str, ColumnConfig]:
    """Every column but id, period and label that is a feature, by all of its values; transform auto."""
    return {s.column: s.config for s in look_at(config) if s.config is not None}


def _wrong(column: str, error: DataError, faults: list[DataError] | None) -> Seen:
    """The column as one that cannot be read. Raises `error` where nobody asked for all faults."""
    if faults is None:
        raise error
    faults.append(error)
    return Seen(column, "wrong", "cannot be read as it is", None, loud=True)


def look_at(config: DatasetConfig, faults: list[DataError] | None = None) -> tuple[Seen, ...]:
    """What each column but id, period and label is. faults: as of `read_table`. Raises DataError."""
    file = _opened(config, config.path.name)
    features = [c for c in file.header if c not in (config.id, config.period, config.label)]
    looked, seen = _looking(file, Once(file.read(features)), config), list[Seen]()
    for column in features:
        try:
            seen.append(looked(column))
        except DataError as error:
            seen.append(_wrong(column, error, faults))
    return tuple(seen)


def read_outcomes(config: DatasetConfig, *, name: str) -> FeatureTable | None:
    """Ids, months and labels of all rows, NaN where an outcome is not known yet; None if the files have no such column.

    Raises DataError as `read_table` does, but for labels that are missing.
    """
    config = declared(config)
    with unchanged(config.path, f"dataset {name}"):
        if config.label is None or config.label not in (file := _opened(config, name)).header:
            return None
        keys = [config.id, *([config.period] if config.period is not None else [])]
        file.require(keys)
        data = file.read([*keys, config.label])
        periods = None if config.period is None else _periods(file, config, config.period, data)
        label = read_labels(file, config, config.label, data)
        return FeatureTable(read_own_ids(file, config.id, data, []), periods, {}, {}, label)


def fingerprint(path: Path) -> str:
    """The SHA-256 of the file, in hexadecimal; of a folder, of its files' in order. Raises DataError if it cannot be read."""
    try:
        parts = [part.path for part in parts_of([path])] if path.is_dir() else [path]
        digests = [_digest(part) for part in parts]
    except OSError as error:
        raise unreadable(path, f"dataset {path.name}", error) from None
    if path.is_dir() and not digests:
        raise unreadable(path, f"dataset {path.name}", OSError("no file in the folder"))
    return digests[0] if not path.is_dir() else hashlib.sha256("".join(digests).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_roles(config: DatasetConfig, name: str, party: Party, require_label: bool) -> None:
    if party is Party.GRID and config.label is not None:
        raise ConfigError(f"dataset {name}: the grid has no label", remedy="Remove `label`; only the bank's dataset has one.")
    if party is Party.BANK and require_label and config.label is None:
        raise ConfigError(f"dataset {name}: no label is declared", remedy="Set `label` to the column of 0/1 outcomes.")


def _looking(file: TableFile, data: Data, config: DatasetConfig) -> Callable[[str], Seen]:
    """What a column is, by its name."""
    coded = file.coded()
    return lambda column: look(file, column, data, config.missing, coded=column in coded, decimal=config.decimal)


def _partial(file: TableFile, config: DatasetConfig) -> list[str]:
    """Columns that only some of the files have; declared ones are required of each."""
    return [] if config.columns else [f"column {c!r}: not in every file: left out" for c in file.partial]


def read_own_ids(file: TableFile, column: str, data: Data, warnings: list[str]) -> Ids:
    """Ids in the form in which both companies compare them."""
    found = read_ids(file, column, data)
    warnings += [f"column {column!r}: {said}" for said in found.said]
    bad = np.append(found.bad, True)  # code -1 is missing
    if bad.any() and (wrong := bad[found.codes]).any():
        first = int(found.codes[int(wrong.argmax())])
        what, remedy = found.why.get(first, ("the id is empty", "Remove the row or give it an id."))
        raise file.bad_rows(column, wrong, what, remedy, data[column])
    if found.distinct:
        return Ids(found.codes, found.texts)
    if len(found.texts) > MANY:
        codes, texts = read_alike(file, column, One(pa.chunked_array([found.texts])))
        return Ids(codes[found.codes], texts.combine_chunks())
    few = Ids.of(pa.chunked_array([found.texts]))
    return Ids(few.codes[found.codes], few.levels)


def _periods(file: TableFile, config: DatasetConfig, column: str, data: Data) -> npt.NDArray[np.int32]:
    """Months counted from year 0: year * 12 + month - 1."""
    found = read_months(file, column, data, config.month_format, config.zone)
    if found.bad.any():
        raise file.bad_rows(column, found.bad, "not a month", TAKEN, data[column])
    if (beyond := (found.counted < FIRST) | (found.counted > LAST)).any():
        what = f"a month outside {month_text(FIRST)} to {month_text(LAST)}, which stands for none"
        raise file.bad_rows(column, beyond, what, "Correct it, or remove the row.", data[column])
    return found.counted


def _check_unique(file: TableFile, ids: Ids, periods: npt.NDArray[np.int32] | None) -> None:
    if periods is None and len(ids.used()) == len(ids):
        return
    keys = ids.codes.astype(np.int64) << 32
    if periods is not None:
        keys |= periods
    ordered = np.sort(keys)
    if (ordered[1:] != ordered[:-1]).all():
        return
    del ordered
    duplicate = pd.Series(keys, copy=False).duplicated().to_numpy()
    second = int(duplicate.argmax())
    first = int((keys == keys[second]).argmax())
    what = "more than one row for the same id" + ("" if periods is None else " and period")
    surplus = int(duplicate.sum())
    many = f"{what} ({surplus:,} {'row' if surplus == 1 else 'rows'} too many)"
    raise file.fault(
        many,
        local=f"{file.where(first)} and {file.where(second)} are both of id {str(ids[second])[:40]!r}: {many}",
        remedy="Keep one of them; of monthly records `wattscore features` drops rows that are alike."
        + ("" if periods is not None else " If the rows are months, declare `period`."),
    )


def _numeric(
    file: TableFile, column: str, config: ColumnConfig, data: Data, words: Collection[str], warnings: list[str]
) -> npt.NDArray[np.float64]:
    found = read_numbers(file, column, data, config.style, words)
    values = found.values
    low = -np.inf if config.min is None else config.min
    high = np.inf if config.max is None else config.max
    outside = (values < low) | (values > high)
    _settle(file, column, config, found.malformed, "not a number", data, warnings, _how(config))
    _settle(file, column, config, outside, "out of the declared range", data, warnings)
    values[outside] = np.nan
    if np.isnan(values).all() and (found.malformed.any() or outside.any()):
        raise file.bad_rows(column, found.malformed | outside, "nothing is left of this column", _how(config), data[column])
    _refuse_missing(file, column, config, np.isnan(values))
    return values


def _how(config: ColumnConfig) -> str:
    """What could make numbers of its text."""
    return "" if config.style.words else "Commas between thousands, or a unit, are declared by thousands, decimal, unit."


def _categories(
    file: TableFile,
    column: str,
    config: ColumnConfig,
    data: Data,
    words: Collection[str],
    warnings: list[str],
    scratch: Scratch,
) -> Coded:
    codes, texts = read_coded(file, column, data, words)
    known = np.asarray(texts.is_valid())
    if config.categories is not None:
        declared = np.asarray(pc.is_in(texts, value_set=pa.array(config.categories, pa.string())))
        unknown = np.append(known & ~declared, False)[codes]
        _settle(file, column, config, unknown, "not a declared category", data, warnings)
        known &= declared
    levels, level_of = np.unique(np.asarray(texts.to_numpy(zero_copy_only=False), dtype=object)[known], return_inverse=True)
    warnings += said_of_zeros(f"column {column!r}", levels)
    place = np.full(len(texts) + 1, len(levels), np.int32)  # missing, at the end
    place[np.flatnonzero(known)] = level_of
    coded = place[codes]
    _refuse_missing(file, column, config, coded == len(levels))
    return Coded(scratch.keep(coded), np.append(levels, [None]))


def _settle(
    file: TableFile,
    column: str,
    config: ColumnConfig,
    bad: Mask,
    what: str,
    data: Data,
    warnings: list[str],
    more: str = "",
) -> None:
    """Raises for malformed values, or reports that they are read as missing."""
    if not bad.any():
        return
    if config.malformed == "refuse":
        remedy = "Correct the file, or set malformed = 'null' for the column to read such values as missing."
        remedy = f"{remedy} {more}".strip()
        raise file.bad_rows(column, bad, what, remedy, data[column])
    warnings.append(f"column {column!r}: {int(bad.sum())} values are {what} and read as missing")


def _refuse_missing(file: TableFile, column: str, config: ColumnConfig, missing: Mask) -> None:
    if config.missing == "refuse" and missing.any():
        raise file.bad_rows(column, missing, "a value is missing", "Fill it, or declare how `missing` is imputed.")


def _kept(table: FeatureTable, columns: dict[str, ColumnConfig], file: TableFile, warnings: list[str]) -> Mask:
    """The rows that miss no value of a column declared missing = "drop"."""
    keep = np.ones(table.rows, dtype=np.bool_)
    for column in (c for c in table.order if columns[c].missing == "drop"):
        missing = np.asarray(pd.isna(table.numeric[column] if column in table.numeric else table.categorical[column]))
        if missing.any():
            warnings.append(f"{int(missing.sum())} rows dropped: column {column!r} is missing")
        keep &= ~missing
    if not keep.any():
        raise file.fault("every row misses a value of a column declared missing = 'drop'")
    return keep
