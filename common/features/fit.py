"""Preparing a party's columns: impute, signed log, one-hot, standardise, clip, and leave out what must not be trained.

Every statistic comes from training rows. Only the counts behind `min_binary` are over all rows of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.config import StrictModel, validate
from common.errors import DataError, PolicyError
from common.features import few
from common.features.bins import BinnedColumn, Column
from common.features.column import MISSING_LEVEL, FittedColumn, Vector, check_imputed, impute, signed_log, squash
from common.features.options import Preparation
from common.features.pieces import deviation, is_piece, make_pieces, within
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

Mask = npt.NDArray[np.bool_]

_HEAVY_TAIL = 10.0  # deviations: transform "auto" takes the signed log of a column reaching further
_CONSTANT = 1e-12  # deviation over magnitude: below, a column's variation is rounding error
_BLOCK = 1 << 16  # rows transformed at a time
_NAMED = 20  # names a warning lists


class FittedPreparation(StrictModel):
    """A fitted preparation: the same table always gives the same bytes, also after a JSON round trip."""

    version: Literal[1] = 1
    fitted: tuple[Column, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names as trained, in the matrix's order: `income`, or `region=north` for a category."""
        return tuple(column.name for column in self.fitted)

    @property
    def sources(self) -> frozenset[str]:
        """The table's columns that are used."""
        return frozenset(column.source for column in self.fitted)

    def transform(self, table: FeatureTable, into: Vector | None = None) -> Vector:
        """float64 (n, m), column-major; of mean 0 and deviation 1 on training rows, pieces of a smaller one. into: its place.

        A category not seen in them has the indicator 0 in each of its columns, as the reference category has.
        Raises DataError if the table lacks a column, or a value that is not imputed.
        """
        if into is None and table.rows <= few.MOST:
            return self._few.transform(table)
        matrix = np.empty((table.rows, len(self.fitted)), dtype=np.float64, order="F") if into is None else into
        if table.rows <= few.MOST:
            matrix[:] = self._few.transform(table)
            return matrix
        cells, codes = None, np.empty(0, np.intp)
        for index, column in enumerate(self.fitted):
            if not isinstance(column, BinnedColumn):
                matrix[:, index] = column.apply(table)
                continue
            if column.cells != cells:  # thresholds of one column stand one after the other
                cells, codes = column.cells, column.cells.of(table).astype(np.intp)
            matrix[:, index] = column.placed(codes)
        return matrix

    @cached_property
    def _few(self) -> few.Few:
        return few.Few(self.fitted)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe; floats keep every bit through `json`."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> FittedPreparation:
        """Raises ConfigError unless `raw` is what `to_dict` gives."""
        return validate(cls, raw, "preparation")


@dataclass
class _Found:
    """Candidates in order, and the names of columns left out, by reason."""

    kept: list[Column] = field(default_factory=list)
    constant: list[str] = field(default_factory=list)
    rare: list[str] = field(default_factory=list)
    rare_sources: dict[str, int] = field(default_factory=dict)
    pieces: list[list[Column]] = field(default_factory=list)

    def add_rare(self, name: str, source: str) -> None:
        self.rare.append(name)
        self.rare_sources[source] = self.rare_sources.get(source, 0) + 1


def fit(
    table: FeatureTable,
    columns: Mapping[str, ColumnConfig],
    options: Preparation,
    train: Mask,
    binned: Sequence[BinnedColumn] = (),
    room: int = 0,
    least: float = 0.0,
) -> tuple[FittedPreparation, list[str]]:
    """The preparation of `columns` fitted on the rows where `train` (n,), and warnings naming the columns left out.

    binned: the candidates when `options.coding` is bins or woe. room: the most columns that "auto" may make, where the lines
    are fewer. least: see `pieces.deviation`. Raises PolicyError for rare columns if `options.rare` is refuse, DataError if no
    column is left.
    """
    found, shy = _Found(list(binned)), deviation(int(train.sum()), least)
    for name, config in columns.items() if options.coding in ("linear", "auto") else ():
        if config.kind == "numeric":
            _fit_numeric(found, name, _column(table.numeric, name), config, options, train, shy)
        else:
            _fit_levels(found, name, _column(table.categorical, name), config, options, train)
    if found.rare and options.rare == "refuse":
        raise _too_rare(found, options)
    candidates = found.kept + within(found.pieces, max(0, room - len(found.kept)))
    kept, dependent = _independent(candidates, table, train, options.collinear)
    if not kept:
        message = "no column is left to train on: each is constant, rare or collinear"
        raise DataError(message, public=message, remedy="Declare other columns, or more rows.")
    return FittedPreparation(fitted=tuple(kept)), _warnings(found, dependent, options)


def _column(columns: Mapping[str, Any], name: str) -> Any:
    if name in columns:
        return columns[name]
    message = f"the table has no column {name!r} of the declared kind"
    raise DataError(message, public=message, remedy="Declare the columns as the dataset has them.")


def _fit_numeric(
    found: _Found, name: str, values: Vector, config: ColumnConfig, options: Preparation, train: Mask, shy: float
) -> None:
    rows = _run(train)
    fill = fill_value(values[rows], config.missing)
    raw = impute(values, fill)
    check_imputed(name, np.isnan(raw))
    log = takes_log(raw[rows], config.transform)
    if _is_constant(raw[rows]) or (log and _is_constant(signed_log(raw[rows]))):
        found.constant.append(name)
    elif _is_rare(raw, options.min_binary):
        found.add_rare(name, name)
    else:
        line = _standardise(name, raw[rows], options.clip, source=name, level=None, fill=fill, log=log)
        found.kept.append(line)
        if options.coding == "auto":
            found.pieces.append(make_pieces(line, values[rows], options, shy))


def _run(train: Mask) -> Mask | slice:
    """The training rows, where they come first as a run of which an array's part is no copy."""
    count = int(train.sum())
    return slice(count) if train[:count].all() else train


def fill_value(present: Vector, missing: str) -> float | None:
    """The number that replaces a missing one; None for columns whose rows with missing values are dropped or refused."""
    if missing in ("drop", "refuse"):
        return None
    present = present[~np.isnan(present)]
    if missing == "zero" or not present.size:
        return 0.0
    if missing == "mean":
        return float(present.mean())
    if missing == "mode":
        distinct, counts = np.unique(present, return_counts=True)
        return float(distinct[counts.argmax()])
    return float(np.median(present, overwrite_input=True))


def _is_constant(values: Vector) -> bool:
    if not values.size or values.min() == values.max():
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(values.std() <= _CONSTANT * np.abs(values).max())


def _is_rare(values: Vector, least: int) -> bool:
    """Whether fewer than `least` rows differ from the rest, so that the column marks few companies.

    That is a binary column with fewer ones or zeros, and just so any column which is otherwise one value throughout.
    """
    rest = np.partition(values, len(values) // 2)[len(values) // 2]
    differing = values != rest
    count = int(differing.sum())
    if count and values.min(where=differing, initial=np.inf) == values.max(where=differing, initial=-np.inf):
        return bool(min(count, len(values) - count) < least)
    return bool(count < least and 2 * count < len(values))


def takes_log(values: Vector, transform: str) -> bool:
    if transform != "auto" or not values.size or is_binary(values):
        return transform == "signed_log"
    reach = _reach(values)
    return not reach <= _HEAVY_TAIL and _reach(signed_log(values)) < reach


def _reach(values: Vector) -> float:
    """Largest distance from the mean, in deviations; infinite where it is beyond float64."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mean, deviation = values.mean(), values.std()
        reach = max(values.max() - mean, mean - values.min()) / deviation
    return float(reach) if np.isfinite(reach) and np.isfinite(deviation) else np.inf


def is_binary(values: Vector) -> bool:
    return bool(((values == values.min()) | (values == values.max())).all())


def _standardise(
    name: str, raw: Vector, clip: float, *, source: str, level: str | None, log: bool = False, **fills: Any
) -> FittedColumn:
    """The column fitted on its training values `raw` (n_train,), not constant.

    A binary column is not clipped, which would flatten a rare indicator: its bounds are its two values.
    """
    values = signed_log(raw) if log else raw
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    if not np.isfinite(mean) or not np.isfinite(deviation):
        message = f"column {source!r} holds numbers too large to standardise"
        raise DataError(message, public=message, remedy="Declare `max`, or transform = 'signed_log'.")
    low, high = -clip, clip
    if is_binary(values):
        low, high = (float(values.min()) - mean) / deviation, (float(values.max()) - mean) / deviation
    clipped = squash(values, mean, deviation, low, high)
    return FittedColumn(
        name=name, source=source, level=level, signed_log=log, mean=mean, deviation=deviation, low=low, high=high,
        centre=float(clipped.mean()), spread=float(clipped.std()), **fills,
    )  # fmt: skip


def _fit_levels(found: _Found, name: str, values: Any, config: ColumnConfig, options: Preparation, train: Mask) -> None:
    """One indicator for each category of the training rows but the most frequent."""
    counts = pd.Series(values[train]).value_counts()
    fill = MISSING_LEVEL if config.missing == "category" else None
    if config.missing == "mode" and len(counts):
        fill = _most_frequent(counts)
    missing = np.asarray(pd.isna(values))
    if fill is None and config.missing != "mode":
        check_imputed(name, missing)
    filled = values if fill is None else np.where(missing, fill, values)
    counts = pd.Series(filled[train]).value_counts()
    if len(counts) < 2:
        found.constant.append(name)
        return
    everywhere = pd.Series(filled).value_counts()
    reference = _most_frequent(counts)
    for level in sorted(str(level) for level in counts.index if level != reference):
        column = f"{name}={level}"
        ones = int(everywhere[level])
        if min(ones, len(filled) - ones) < options.min_binary:
            found.add_rare(column, name)
        else:
            raw = (filled[train] == level).astype(np.float64)
            found.kept.append(_standardise(column, raw, options.clip, source=name, level=level, fill_level=fill))


def _most_frequent(counts: pd.Series[int]) -> str:
    """The level with the largest count; of several, the first by name."""
    return min(str(level) for level in counts.index[counts == counts.max()])


def _independent(columns: list[Column], table: FeatureTable, train: Mask, least: float) -> tuple[list[Column], list[str]]:
    """(columns kept, names left out but for pieces): Gram-Schmidt in order on the training correlations, as a Cholesky factor.

    After its steps for the columns kept before j, residual[j, j] is the share of j's variance that they do not explain.
    """
    whole, residual = FittedPreparation(fitted=tuple(columns)), np.zeros((len(columns), len(columns)))
    for low in range(0, table.rows, _BLOCK):
        part = whole.transform(table.part(low, min(table.rows, low + _BLOCK)))[train[low : low + _BLOCK]]
        residual += part.T @ part
    deviations = np.sqrt(np.where(residual.diagonal() > 0, residual.diagonal(), 1.0))
    residual /= np.outer(deviations, deviations)
    kept: list[Column] = []
    dependent: list[str] = []
    for j, column in enumerate(columns):
        if residual[j, j] < least:
            dependent += [] if is_piece(column, whole.columns) else [column.name]
            continue
        kept.append(column)
        step = residual[j + 1 :, j] / np.sqrt(residual[j, j])
        residual[j + 1 :, j + 1 :] -= np.outer(step, step)
    return kept, dependent


def _too_rare(found: _Found, options: Preparation) -> PolicyError:
    reason = (
        f"fewer than {options.min_binary} ones or zeros among the matched rows; the final weight of an indicator column"
        " of one company reveals that company's label"
    )
    counts = ", ".join(f"{source!r} ({count})" for source, count in found.rare_sources.items())
    return PolicyError(
        f"binary columns {_names(found.rare)} have {reason}",
        remedy="Set rare = 'drop', group rare categories, or leave the columns out.",
        public=f"binary columns made of {counts} have {reason}",
    )


def _warnings(found: _Found, dependent: list[str], options: Preparation) -> list[str]:
    reasons = (
        (found.constant, "the same value in every training row"),
        (found.rare, f"fewer than {options.min_binary} ones or zeros among the matched rows"),
        (dependent, "collinear with the columns before"),
    )
    return [f"left out {_names(names)}: {reason}" for names, reason in reasons if names]


def _names(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")
