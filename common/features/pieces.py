"""What follows a numeric column's line where coding is "auto": indicators of its frequent values, and hinges between quantiles.

Chosen by the column's own training rows and by no label, so that how many there are tells nothing of one. A hinge lets the
line bend: a piecewise linear function of the column is a sum of them. PROTOCOL.md section 13.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, zip_longest

import numpy as np
import numpy.typing as npt

from common.features.bins import BinnedColumn, Cells, Column
from common.features.column import MISSING_LEVEL, FittedColumn, Vector
from common.features.options import Preparation, least_rows

Flags = npt.NDArray[np.bool_]

_FREQUENT = 0.05  # of the training rows: a value that so many have is one of its own, such as 0
_KNOTS = (0.5, 0.25, 0.75)  # quantiles of the other values at which a line may bend, the most useful first
USUAL = 5  # columns that "auto" makes of a number where rows allow: 112 of 23 in 21,000 rows of card accounts
_SHY = 1e6  # training rows from which on pieces weigh as much as lines
_CELLS = 1 << 28  # of one party's training matrix, beyond which columns get fewer pieces


def room(train_rows: int, rows_per_column: int) -> int:
    """The most columns that one party trains where pieces are among them: half of what the rows allow, within memory.

    One more is left for an intercept.
    """
    return min((train_rows // rows_per_column - 1) // 2, _CELLS // max(1, train_rows))


def deviation(train_rows: int, least: float = 0.0) -> float:
    """The standard deviation of a prepared piece on so many training rows, a line's being 1: the ridge holds it closer.

    least: what the learner asks of it, below which it would hardly be looked at.

    With a ridge of 1e-4, what a piece adds to the log-odds has, for each of its deviations, a normal prior of deviation 0.1.
    """
    return max(least, min(1.0, math.sqrt(train_rows / _SHY)))


def is_piece(column: Column, names: Collection[str]) -> bool:
    """Whether it is a piece of a line among the columns of these names: its absence is nothing to warn of."""
    return column.name != column.source and column.source in names


def within(candidates: Sequence[Sequence[Column]], most: int) -> list[Column]:
    """At most so many of them: the first of every column, then the second, and so on; each column's stand together."""
    rounds = chain.from_iterable(zip_longest(*candidates))
    taken = {id(piece) for _, piece in zip(range(most), (p for p in rounds if p is not None), strict=False)}
    return [piece for own in candidates for piece in own if id(piece) in taken]


def make_pieces(line: FittedColumn, values: Vector, options: Preparation, shy: float) -> list[Column]:
    """The pieces of a numeric column, the most useful first. values: its training rows, NaN where missing, (n,).

    shy: the deviation of each.
    """
    least = least_rows(options)
    missing = np.isnan(values)
    known = values[~missing]
    distinct, counts = np.unique(known, return_counts=True)
    found: list[Column] = []
    if len(distinct) > 2:
        as_many = counts + (distinct == line.fill) * int(missing.sum())  # rows that the value's indicator is 1 at
        apart = (len(values) - as_many >= least) & (distinct < np.finfo(np.float64).max)
        often = np.flatnonzero((counts >= max(least, _FREQUENT * len(values))) & apart)
        often = often[np.argsort(-counts[often], kind="stable")]
        found += (_value(line, float(distinct[k]), int(counts[k]), missing, shy) for k in often)
        rest = np.repeat(np.delete(distinct, often), np.delete(counts, often))
        if len(rest) >= 2 * (len(_KNOTS) + 1) * least:
            found += _hinges(line, rest, values, least, shy)
    if min(int(missing.sum()), len(known)) >= least:
        cells = Cells(source=line.source)
        found.append(_indicator(f"{line.source}={MISSING_LEVEL}", cells, (0.0, 1.0), float(missing.mean()), shy))
    return found


def _value(line: FittedColumn, value: float, count: int, missing: Flags, shy: float) -> BinnedColumn:
    """1 where the column has this value, or where it is missing and this is what replaces it."""
    filled = line.fill == value
    refused = line.fill is None
    cells = Cells(source=line.source, edges=(value, float(np.nextafter(value, np.inf))), missing="refuse" if refused else "bin")
    share = (count + filled * int(missing.sum())) / len(missing)
    return _indicator(f"{line.source}={value:.12g}", cells, (0.0, 1.0, 0.0, float(filled)), share, shy)


def _indicator(name: str, cells: Cells, values: tuple[float, ...], share: float, shy: float) -> BinnedColumn:
    spread = float(np.sqrt(share * (1.0 - share))) / shy
    return BinnedColumn(name=name, cells=cells, values=values, centre=share, spread=spread)


def _hinges(line: FittedColumn, rest: Vector, values: Vector, least: int, shy: float) -> Iterator[FittedColumn]:
    """The line from a knot on and constant before it, for knots with enough rows on both sides."""
    height = line.squashed(values)
    knots = dict.fromkeys(np.quantile(rest, _KNOTS, method="inverted_cdf").tolist())
    for raw, knot in zip(knots, line.squashed(np.array(list(knots))).tolist(), strict=True):
        beyond = int((height > knot).sum())
        if min(beyond, len(height) - beyond) < least:
            continue
        clamped = np.maximum(height, knot)
        centre, spread = float(clamped.mean()), float(clamped.std()) / shy
        if spread > 0:
            yield line.model_copy(update={"name": f"{line.source}>{raw:.12g}", "low": knot, "centre": centre, "spread": spread})
