"""A model's score as formulas of the bank's raw columns and of the grid's part of u, complete without this software.

u = centre + sum of contributions + grid_part, log-odds of overdue before calibration. Of a closed model the contributions are
what the bank's columns explain of the score, and grid_part the rest; of an opened one they are the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from bank_party.decision.bundle import Decision
from bank_party.decision.calibrate import Calibration
from bank_party.decision.config import DecisionConfig
from common.config import StrictModel
from common.errors import ConfigError
from common.features.bins import BinnedColumn, Column
from common.features.column import FittedColumn
from common.learn.learner import Half

OWN = "ws_"  # before every name that the query makes
GRID_PART = "grid_part"
"""The input that stands for the grid's part of u: the u of a scoring job less this model's own_part of the row."""

NOTE_CLOSED = (
    "Nobody holds this model. The bank's columns explain a part of its score, which is what these points are; the rest is the"
    " grid's, known only for rows that a scoring job has scored: give it as grid_part, u less own_part."
    " Without it there is no score."
)
NOTE_OPEN = (
    "The bank's own weights as they were opened. The grid's part of a row is known only where a scoring job has scored it:"
    " give it as grid_part, u less own_part. Without it there is no score."
)


class Linear(StrictModel):
    """The contribution slope * clamp((s(x) - mean) / deviation, low, high) + shift.

    s replaces a missing x by `fill`, None: there must be none, and takes sign(x) ln(1 + |x|) if `signed_log`; with `level` it
    is 1 where the text x is that level and 0 elsewhere.
    """

    kind: Literal["linear"] = "linear"
    column: str
    level: str | None
    fill: float | str | None
    signed_log: bool
    mean: float
    deviation: float
    low: float
    high: float
    slope: float
    shift: float


class Steps(StrictModel):
    """The contribution values[k] of the bin that x is in.

    Of numbers, bin k holds edges[k-1] <= x < edges[k]; of texts, bin k holds levels[k], and the one behind these every other.
    missing: of a missing x; None: there must be none.
    """

    kind: Literal["steps"] = "steps"
    column: str
    edges: tuple[float, ...]
    levels: tuple[str, ...] | None
    values: tuple[float, ...]
    missing: float | None


class Formula(StrictModel):
    """Everything that gives u, points, calibrated log-odds, score and grade of a row; words as in `scorecard.Scorecard`."""

    version: Literal[1] = 1
    job: str
    closed: bool
    note: str
    numbers: tuple[str, ...]  # input columns
    texts: tuple[str, ...]
    centre: float
    terms: tuple[Linear | Steps, ...]
    calibration: Calibration
    factor: float  # score = offset - factor * log-odds, rounded to a whole number
    offset: float
    rate: float  # points of one unit of u
    base: float  # points of every row
    grades: tuple[int, ...]  # the lowest score of each grade but the last, falling
    cutoff: Literal["probability", "score"]
    approve: float
    decline: float

    @property
    def columns(self) -> tuple[str, ...]:
        """The bank's columns, each once, in the order of the terms."""
        return tuple(dict.fromkeys(term.column for term in self.terms))


def make_formula(model: Half, rules: Decision, config: DecisionConfig) -> Formula:
    """config: the present cut-offs; all else is fixed in the model. Raises ConfigError for a column named as what it gives."""
    columns, weights = model.fitted.fitted, rules.weights
    card, means = rules.scorecard, np.array(rules.scorecard.means)
    check_names(card.columns, "Train a model of this column under another name.")
    terms = tuple(_terms(columns, weights[:-1].tolist(), means.tolist()))
    texts = tuple(name for name in card.columns if model.source[name].kind == "categorical")
    return Formula(
        job=model.job,
        closed=model.closed,
        note=NOTE_CLOSED if model.closed else NOTE_OPEN,
        numbers=tuple(name for name in card.columns if name not in texts),
        texts=texts,
        centre=float(weights[-1] + weights[:-1] @ means),
        terms=terms,
        calibration=rules.calibration,
        factor=card.factor,
        offset=card.offset,
        rate=card.rate,
        base=card.base,
        grades=rules.starts,
        cutoff=config.cutoff,
        approve=config.approve,
        decline=config.decline,
    )


def check_names(columns: Sequence[str], remedy: str) -> None:
    """Raises ConfigError: in a query, whose names have no case, grid_part would be this column, and so would what it makes."""
    for column in columns:
        if column.lower() == GRID_PART or column.lower().startswith(OWN):
            raise ConfigError(
                f"the column {column!r} has the name of what the export itself has: {GRID_PART}, or {OWN} and more",
                remedy=remedy,
            )


def _terms(columns: tuple[Column, ...], weights: list[float], means: list[float]) -> Iterator[Linear | Steps]:
    for column, weight, mean in zip(columns, weights, means, strict=True):
        slope = weight / column.spread
        shift = -weight * (column.centre / column.spread + mean)
        yield _linear(column, slope, shift) if isinstance(column, FittedColumn) else _steps(column, slope, shift)


def _linear(column: FittedColumn, slope: float, shift: float) -> Linear:
    return Linear(
        column=column.source,
        level=column.level,
        fill=column.fill if column.level is None else column.fill_level,
        signed_log=column.signed_log,
        mean=column.mean,
        deviation=column.deviation,
        low=column.low,
        high=column.high,
        slope=slope,
        shift=shift,
    )


def _steps(column: BinnedColumn, slope: float, shift: float) -> Steps:
    cells, found = column.cells, [slope * value + shift for value in column.values]
    if cells.levels is None:
        values, missing = found[:-1], found[-1]
    else:
        values = found
        missing = (
            found[-1]
            if cells.fill_level is None or cells.fill_level not in cells.levels
            else found[cells.levels.index(cells.fill_level)]
        )
    return Steps(
        column=column.source,
        edges=cells.edges,
        levels=cells.levels,
        values=tuple(values),
        missing=None if cells.missing == "refuse" else missing,
    )
