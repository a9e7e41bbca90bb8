"""A party's dataset: what its configuration declares, and reading a CSV or Parquet file into a checked FeatureTable."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from common.config import StrictModel
from common.disk.scratch import Scratch
from common.errors import ConfigError
from common.party import Party
from common.rows.keys import month_text, months, normal_ids
from common.rows.table import Coded, Columns, FeatureTable, Ids
from common.rows.tablefile import Data, Format, Mask, TableFile, read_coded, read_numbers, unreadable

Kind = Literal["numeric", "categorical"]
Missing = Literal["median", "mean", "zero", "mode", "category", "drop", "refuse"]

_ALLOWED_MISSING: dict[str, tuple[str, ...]] = {
    "numeric": ("median", "mean", "zero", "mode", "drop", "refuse"),
    "categorical": ("category", "mode", "drop", "refuse"),
}
_STRAY = 9  # numbers for each value that is none, above which an inferred column is numeric with errors in it


_REASON = 60  # characters of a reason's text: at most 240 bytes


def is_reason(text: str) -> bool:
    """Whether `text` may stand in a list of reasons, whoever wrote it: nothing a terminal or a spreadsheet would run."""
    return 0 < len(text) <= _REASON and text[0].isalnum() and text.isprintable() and ";" not in text


class ColumnConfig(StrictModel):
    """How one feature column is read and prepared."""

    kind: Kind = Field(description="numeric, or categorical (one-hot encoded later).")
    min: float | None = Field(default=None, description="Smallest allowed value of a numeric column.")
    max: float | None = Field(default=None, description="Largest allowed value of a numeric column.")
    categories: tuple[str, ...] | None = Field(default=None, description="The allowed categories; any category when absent.")
    missing: Missing = Field(
        default="median",
        description="What replaces an empty value: median, mean, zero or mode of a numeric column (default median);"
        " category (one of its own) or mode of a categorical column (default category). drop leaves the row out;"
        " refuse raises.",
    )
    malformed: Literal["refuse", "null"] = Field(
        default="refuse",
        description="What happens to text in a numeric column, a value out of range or an unknown category: refuse"
        " raises, null reads it as missing.",
    )
    transform: Literal["auto", "none", "signed_log"] = Field(
        default="none",
        description="signed_log maps x to sign(x) * log(1 + |x|); auto does so for a heavy-tailed numeric column only.",
    )
    reason: str | None = Field(
        default=None,
        description="What to tell an applicant against whom this column speaks; columns of one text count as one."
        " The grid never names a column without it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_by_kind(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("kind") == "categorical" and "missing" not in raw:
            return {**raw, "missing": "category"}
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> ColumnConfig:
        if self.missing not in _ALLOWED_MISSING[self.kind]:
            raise ValueError(f"missing = {self.missing!r} does not suit a {self.kind} column")
        if self.kind == "categorical" and (self.min is not None or self.max is not None):
            raise ValueError("min and max are for numeric columns")
        if self.kind == "categorical" and self.transform == "signed_log":
            raise ValueError("transform is for numeric columns")
        if self.kind == "numeric" and self.categories is not None:
            raise ValueError("categories are for categorical columns")
        if self.reason is not None and not is_reason(self.reason):
            raise ValueError("reason must be at most 60 printable characters, the first a letter or digit, without ';'")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        return self


class DatasetConfig(StrictModel):
    """A declared dataset: where its table is and what its columns mean."""

    path: Path = Field(description="The CSV (UTF-8, comma separated, with a header) or Parquet file.")
    format: Format = Field(default="auto", description="csv, parquet, or auto: told by the file's first bytes.")
    id: str = Field(description="The column of enterprise ids, by which the two companies' rows are matched.")
    period: str | None = Field(
        default=None, description="The column of months (YYYY-MM, YYYYMM or YYYY-MM-DD); absent for one row a company."
    )
    label: str | None = Field(default=None, description="The column of 0/1 outcomes; at the bank only.")
    columns: dict[str, ColumnConfig] = Field(
        default_factory=dict, description="The feature columns to read; when empty, all others of the file, inferred."
    )

    @model_validator(mode="after")
    def _one_role_a_column(self) -> DatasetConfig:
        keys = [key for key in (self.id, self.period, self.label) if key is not None]
        if len(set(keys)) < len(keys):
            raise ValueError("id, period and label must be different columns")
        for key in keys:
            if key in self.columns:
                raise ValueError(f"column {key!r} is the id, period or label and cannot be a feature")
        return self


@dataclass(frozen=True)
class Loaded:
    """A table as read, the columns as declared or inferred, and what its owner should know (counts, no values)."""

    table: FeatureTable
    columns: dict[str, ColumnConfig]
    warnings: tuple[str, ...] = ()


def read_table(
    config: DatasetConfig, *, name: str, party: Party, require_label: bool = False, scratch: Scratch | None = None
) -> Loaded:
    """The file of `config`, checked; `name` is the dataset's name in messages.

    The label is read where it is declared. With `require_label` (training at the bank) it must be declared, be in the
    file and hold both classes; without, a file lacking the label column gives a table without label.
    Columns that do not fit in memory go to `scratch`; each is read, checked and put there by itself.
    Raises ConfigError for a label at the grid or none declared where required, DataError for what is wrong in the file.
    """
    _check_roles(config, name, party, require_label)
    file = TableFile.open(config.path, config.format, name)
    label = config.label if require_label or config.label in file.header else None
    keys = [key for key in (config.id, config.period, label) if key is not None]
    features = list(config.columns) or [c for c in file.header if c not in (*keys, config.label)]
    file.require([*keys, *features])
    where = scratch or Scratch()
    data = file.read([*keys, *features], where)
    warnings: list[str] = []
    columns = dict(config.columns) or _infer(file, data, features, warnings)
    ids = _ids(file, config.id, data)
    periods = None if config.period is None else _periods(file, config.period, data)
    _check_unique(file, ids, periods)
    table = FeatureTable(
        ids=ids,
        periods=periods,
        numeric=Columns(
            {c: where.keep(_numeric(file, c, columns[c], data, warnings)) for c in features if columns[c].kind == "numeric"}
        ),
        categorical=Columns(
            {c: _categories(file, c, columns[c], data, warnings, where) for c in features if columns[c].kind != "numeric"}
        ),
        label=None if label is None else _label(file, label, data, both=require_label),
        order=tuple(c for c in file.header if c in columns),
    )
    return Loaded(_drop_missing(table, columns, file, warnings, where), columns, tuple(warnings))


def check_declared(config: DatasetConfig, *, name: str, party: Party) -> TableFile:
    """The file of `config`, its header held against the declaration; no row is read. A label may be lacking: see there.

    Raises ConfigError for a label at the grid, DataError for a file that cannot be read or lacks another column.
    """
    _check_roles(config, name, party, require_label=False)
    file = TableFile.open(config.path, config.format, name)
    file.require([config.id, *([config.period] if config.period else []), *config.columns])
    return file


def infer_columns(
    path: Path, format: Format, id: str, period: str | None = None, label: str | None = None
) -> dict[str, ColumnConfig]:
    """Every column but id, period and label: numeric if all present values parse, else categorical; transform auto."""
    file = TableFile.open(path, format, path.name)
    features = [c for c in file.header if c not in (id, period, label)]
    return _infer(file, file.read(features), features, [])


def read_labels(config: DatasetConfig, *, name: str) -> pd.DataFrame:
    """id, period (YYYY-MM, if one is declared) and label of the rows whose outcome is known: an empty label is not yet.

    No rows if the file lacks the label's column or is not there. Raises DataError as `read_table` does.
    """
    if config.label is None or not config.path.exists():
        return pd.DataFrame()
    file = TableFile.open(config.path, config.format, name)
    if config.label not in file.header:
        return pd.DataFrame()
    keys = [config.id, *([config.period] if config.period is not None else [])]
    file.require(keys)
    data = file.read([*keys, config.label])
    found = {"id": _ids(file, config.id, data).tolist()}
    if config.period is not None:
        found["period"] = [month_text(p) for p in _periods(file, config.period, data).tolist()]
    label = _known_labels(file, config.label, data)
    return pd.DataFrame({**found, "label": label})[~np.isnan(label)]


def fingerprint(path: Path) -> str:
    """The SHA-256 of the file, in hexadecimal; raises DataError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, path.name, error) from None


def _check_roles(config: DatasetConfig, name: str, party: Party, require_label: bool) -> None:
    if party is Party.GRID and config.label is not None:
        raise ConfigError(f"dataset {name}: the grid has no label", remedy="Remove `label`; only the bank's dataset has one.")
    if party is Party.BANK and require_label and config.label is None:
        raise ConfigError(f"dataset {name}: no label is declared", remedy="Set `label` to the column of 0/1 outcomes.")


def _infer(file: TableFile, data: Data, features: list[str], warnings: list[str]) -> dict[str, ColumnConfig]:
    columns, coded = {}, file.coded()
    for column in features:
        if column in coded:  # who wrote the file says that these are categories
            columns[column] = ColumnConfig(kind="categorical", transform="auto")
            continue
        values, malformed = read_numbers(file, column, data)
        numeric = not malformed.any()
        if not numeric and np.isfinite(values).sum() > _STRAY * malformed.sum():
            raise file.bad_rows(
                column,
                malformed,
                "not a number, though nearly all values of this column are",
                "Correct it or leave the cell empty; if these are categories, declare the column so.",
                data[column],
            )
        if not numeric and np.isfinite(values).sum() > malformed.sum():
            where = file.where(int(malformed.argmax()))
            warnings.append(
                f"column {column!r} is read as categories: {int(malformed.sum())} of its values are not numbers (first:"
                f" {where}); to read these as missing, declare the column numeric with malformed = 'null'"
            )
        columns[column] = ColumnConfig(
            kind="numeric" if numeric else "categorical", transform="auto", missing="median" if numeric else "category"
        )
    return columns


def _ids(file: TableFile, column: str, data: Data) -> Ids:
    """Ids in the form in which both companies compare them: full width to ASCII (NFKC), upper case, no spaces."""
    if pa.types.is_floating(data[column].type):
        raise file.fault(f"column {column!r}: ids are stored as floating-point numbers", remedy="Store ids as text.")
    codes, texts = read_coded(file, column, data)
    normal = normal_ids(texts)
    empty_text = np.append(np.asarray(pc.equal(normal, "").fill_null(True)), True)  # code -1 is missing
    if empty_text.any() and (empty := empty_text[codes]).any():
        raise file.bad_rows(column, empty, "the id is empty", "Remove the row or give it an id.")
    distinct = Ids.of(pa.chunked_array([normal]))
    return Ids(distinct.codes[codes], distinct.levels)


def _periods(file: TableFile, column: str, data: Data) -> npt.NDArray[np.int32]:
    """Months counted from year 0: year * 12 + month - 1."""
    values = data[column]
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        counted, bad = months(values)
    else:
        codes, texts = read_coded(file, column, data)
        of_text, wrong = months(texts)
        bad, counted = np.append(wrong, True)[codes], np.append(of_text, 0)[codes].astype(np.int32)
    if bad.any():
        raise file.bad_rows(column, bad, "not a month", "Write periods as YYYY-MM, YYYYMM or YYYY-MM-DD.", data[column])
    return counted


def _label(file: TableFile, column: str, data: Data, *, both: bool) -> npt.NDArray[np.float64]:
    values = _known_labels(file, column, data)
    if (missing := np.isnan(values)).any():
        raise file.bad_rows(column, missing, "the label is missing", "Remove rows whose outcome is not known.")
    if both and values.min() == values.max():
        raise file.fault(f"column {column!r}: every label is the same", remedy="Training needs rows of both classes.")
    return values


def _known_labels(file: TableFile, column: str, data: Data) -> npt.NDArray[np.float64]:
    """0.0, 1.0, or NaN where it is missing."""
    values, malformed = read_numbers(file, column, data)
    bad = malformed | ~(np.isnan(values) | (values == 0) | (values == 1))
    if bad.any():
        raise file.bad_rows(column, bad, "the label is not 0 or 1", "Write 1 for overdue and 0 for not.", data[column])
    return values


def _check_unique(file: TableFile, ids: Ids, periods: npt.NDArray[np.int32] | None) -> None:
    keys = ids.codes.astype(np.int64) << 32
    if periods is not None:
        keys |= periods
    duplicate = pd.Series(keys, copy=False).duplicated().to_numpy()
    if not duplicate.any():
        return
    second = int(duplicate.argmax())
    first = int((keys == keys[second]).argmax())
    what = "more than one row for the same id" + ("" if periods is None else " and period")
    raise file.fault(
        f"{what} ({int(duplicate.sum())} rows too many)",
        local=f"{file.where(first)} and {file.where(second)} are both of id {str(ids[second])[:40]!r}: {what}",
        remedy="Keep one of them." + ("" if periods is not None else " If the rows are months, declare `period`."),
    )


def _numeric(file: TableFile, column: str, config: ColumnConfig, data: Data, warnings: list[str]) -> npt.NDArray[np.float64]:
    values, malformed = read_numbers(file, column, data)
    low = -np.inf if config.min is None else config.min
    high = np.inf if config.max is None else config.max
    outside = (values < low) | (values > high)
    _settle(file, column, config, malformed, "not a number", data, warnings)
    _settle(file, column, config, outside, "out of the declared range", data, warnings)
    values[outside] = np.nan
    _refuse_missing(file, column, config, np.isnan(values))
    return values


def _categories(file: TableFile, column: str, config: ColumnConfig, data: Data, warnings: list[str], scratch: Scratch) -> Coded:
    codes, texts = read_coded(file, column, data)
    known = ~np.asarray(pc.equal(texts, ""))
    if config.categories is not None:
        declared = np.asarray(pc.is_in(texts, value_set=pa.array(config.categories, pa.string())))
        unknown = np.append(known & ~declared, False)[codes]
        _settle(file, column, config, unknown, "not a declared category", data, warnings)
        known &= declared
    levels, level_of = np.unique(np.asarray(texts.to_numpy(zero_copy_only=False), dtype=object)[known], return_inverse=True)
    place = np.full(len(texts) + 1, len(levels), np.int32)  # missing, at the end
    place[np.flatnonzero(known)] = level_of
    coded = place[codes]
    _refuse_missing(file, column, config, coded == len(levels))
    return Coded(scratch.keep(coded), np.append(levels, [None]))


def _settle(file: TableFile, column: str, config: ColumnConfig, bad: Mask, what: str, data: Data, warnings: list[str]) -> None:
    """Raises for malformed values, or reports that they are read as missing."""
    if not bad.any():
        return
    if config.malformed == "refuse":
        remedy = "Correct the file, or set malformed = 'null' for the column to read such values as missing."
        raise file.bad_rows(column, bad, what, remedy, data[column])
    warnings.append(f"column {column!r}: {int(bad.sum())} values are {what} and read as missing")


def _refuse_missing(file: TableFile, column: str, config: ColumnConfig, missing: Mask) -> None:
    if config.missing == "refuse" and missing.any():
        raise file.bad_rows(column, missing, "a value is missing", "Fill it, or declare how `missing` is imputed.")


def _drop_missing(
    table: FeatureTable, columns: dict[str, ColumnConfig], file: TableFile, warnings: list[str], scratch: Scratch
) -> FeatureTable:
    """The table without the rows that miss a value of a column declared missing = "drop"."""
    keep = np.ones(table.rows, dtype=np.bool_)
    for column in (c for c in table.order if columns[c].missing == "drop"):
        missing = np.asarray(pd.isna(table.numeric[column] if column in table.numeric else table.categorical[column]))
        if missing.any():
            warnings.append(f"{int(missing.sum())} rows dropped: column {column!r} is missing")
        keep &= ~missing
    if not keep.any():
        raise file.fault("every row misses a value of a column declared missing = 'drop'")
    return table if keep.all() else table.take(np.flatnonzero(keep), scratch)
