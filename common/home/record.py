"""Records that a training job leaves for those who review it, beside its model: counts by month, columns, fingerprints, refits.

`record.json`, mode 0600. Aggregates of the party's own rows only, for itself: nothing of it is sent.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from common.config import StrictModel
from common.disk.files import make_folder, write_private
from common.errors import DataError, JobNotFound
from common.features import collinearity, univariate
from common.features.collinearity import Block, Collinear
from common.features.pieces import is_piece
from common.features.univariate import Feature
from common.learn.learner import Half
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

FILE = "record.json"
_PACKAGES, _DECIDES = ("common", "grid_party", "bank_party"), (".py", ".j2", ".toml")


class Month(StrictModel):
    """Matched rows of a period (None: the plan knows none), in months from year 0; overdue ones at the bank only."""

    period: int | None
    train: int
    held: int
    train_bad: int | None
    held_bad: int | None


class Refit(StrictModel):
    """A coefficient fitted again: on all sampled held-out rows, its standard error, and on each part by itself.

    The error is a sandwich over enterprises, as months of one are not independent. parts: () where they would be too small.
    """

    name: str
    rows: int  # looked at
    value: float
    error: float | None
    parts: tuple[float, ...]


class Record(StrictModel):
    """One training job as one party saw it."""

    version: Literal[1] = 1
    job: str
    party: Literal["grid", "bank"]
    finished: datetime  # UTC
    code_sha256: str
    counts: dict[str, int]
    seconds: dict[str, float]
    opened: tuple[str, ...]
    months: tuple[Month, ...]
    features: tuple[Feature, ...]
    refits: tuple[Refit, ...] = ()
    both_sides: int | None = None  # enterprises with rows in training and among the held-out; None: an older record
    collinear: tuple[Collinear, ...] = ()


@dataclass(frozen=True)
class Seen:
    """The part of a record that the job's outcome knows: counts, seconds of each stage, names of what was opened."""

    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    opened: tuple[str, ...]


def make_record(
    model: Half,
    table: FeatureTable,
    train_rows: int,
    seen: Seen,
    refits: tuple[Refit, ...],
    now: datetime | None = None,
    block: Block | None = None,
) -> Record:
    """table: all matched rows, training rows first, `train_rows` of them; block: their prepared columns, the model's."""
    return Record(
        job=model.job,
        party="grid" if model.party is Party.GRID else "bank",
        finished=now or datetime.now(UTC).replace(microsecond=0),
        code_sha256=code_fingerprint(),
        counts=dict(seen.counts),
        seconds=dict(seen.seconds),
        opened=seen.opened,
        months=_months(table, train_rows),
        features=_features(model, table, train_rows),
        refits=refits,
        both_sides=int((table.ids[:train_rows].occurring() & table.ids[train_rows:].occurring()).sum()),
        collinear=() if block is None else _collinear(model, block, train_rows),
    )


def _collinear(model: Half, block: Block, train_rows: int) -> tuple[Collinear, ...]:
    """Of all columns but pieces, which are meant to say much of what their line says."""
    pieces = {column.name for column in model.fitted.fitted if is_piece(column, model.columns)}
    places = [k for k, name in enumerate(model.columns) if name not in pieces]
    names = [model.columns[k] for k in places]
    return collinearity.describe(names, lambda low, high: block(low, high)[:, places], train_rows)


def save_record(record: Record, folder: Path) -> None:
    """Into `folder`, made if need be; whole or not at all."""
    make_folder(folder)
    write_private(folder / FILE, record.model_dump_json(indent=1).encode())


def load_record(job: str, folder: Path) -> Record:
    """Raises JobNotFound if the job left none, DataError for a file that is not what was written."""
    try:
        record = Record.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        message = f"no record of job {job} is stored here"
        raise JobNotFound(message, remedy="Train it again: a training job leaves one since this version.") from None
    except (OSError, ValidationError):
        record = None
    if record is None or record.job != job:
        message = f"the stored record of job {job} is damaged or of another format"
        raise DataError(message, public=message, remedy="Restore it from a back-up, or train again.")
    return record


@functools.cache
def code_fingerprint() -> str:
    """SHA-256 of what, in the folder that holds the three packages, this prints: `find common grid_party bank_party -name
    '*.py' -o -name '*.j2' -o -name '*.toml' | LC_ALL=C sort | xargs sha256sum`.
    """
    root = Path(__file__).parents[2]
    files = (file for package in _PACKAGES for file in (root / package).rglob("*") if file.suffix in _DECIDES)
    names = sorted(file.relative_to(root).as_posix() for file in files)
    lines = (f"{hashlib.sha256((root / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _months(table: FeatureTable, train_rows: int) -> tuple[Month, ...]:
    if table.periods is None:
        return (_month(table, train_rows, None),)
    return tuple(_month(table, train_rows, period) for period in np.unique(table.periods).tolist())


def _month(table: FeatureTable, train_rows: int, period: int | None) -> Month:
    here = np.ones(table.rows, np.bool_) if period is None or table.periods is None else table.periods == period
    train, held = here[:train_rows], here[train_rows:]
    return Month(
        period=period,
        train=int(train.sum()),
        held=int(held.sum()),
        train_bad=None if table.label is None else int(table.label[:train_rows][train].sum()),
        held_bad=None if table.label is None else int(table.label[train_rows:][held].sum()),
    )


def _features(model: Half, table: FeatureTable, train_rows: int) -> tuple[Feature, ...]:
    """Every column that the dataset gave, in its order, whether trained or left out."""
    made = Counter(column.source for column in model.fitted.fitted)
    label = None if table.label is None else table.label[:train_rows]

    def one(name: str, column: ColumnConfig) -> Feature:
        values = table.numeric[name] if column.kind == "numeric" else table.categorical[name]
        return univariate.describe(name, column.kind, values, train_rows, label, made[name])

    return tuple(one(name, column) for name, column in model.source.items())
