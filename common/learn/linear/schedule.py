"""Which rows each step of a descent runs over, and with what momentum: public functions of sizes. PROTOCOL.md section 6."""

from __future__ import annotations

import itertools
from dataclasses import replace

from common.learn.linear.descent import ONE, Step

LEVEL_ROWS = 1 << 14  # the fewest that early steps run over; a quarter of the fewest of which there are early steps
COLUMN_ROWS = 160  # as many rows a column at least: a part's curvature is then right to a tenth
_LEVEL_SHARE = 16
_SAME_SHARE = 4  # so large a part of all rows is no few
_MOST_PARTS = 8
_MORE = 2  # corrected steps beside a half of `iterations`, which a step that measures and the last would have been


def level_rows(rows: int, columns: int) -> int:
    """How many of `rows` rows the steps run over that are over a part of them; all where they are few, or columns many."""
    few = max(LEVEL_ROWS if rows < 8 * LEVEL_ROWS else 2 * LEVEL_ROWS, rows // _LEVEL_SHARE, COLUMN_ROWS * columns)
    return few if rows >= _SAME_SHARE * LEVEL_ROWS and 2 * few <= rows else rows


def nesterov(rows: int, iterations: int, size: float, full: int = 0, columns: int = 0) -> list[Step]:
    """Accelerated descent: on a curvature L, steps below 4 / 3L are stable whatever the momentum.

    full: how many passes over all rows there are beside early steps over parts of them, in turn, each a random sample, from 4
    LEVEL_ROWS on. All but the last of them move nothing: they measure by how much the gradient of all rows differs from that of
    each part where half of `iterations` have led, and correct the steps that follow, the other half and two. So these end where
    all rows would, whatever a part's rows happen to be. The last is a step over all rows, and the check's. 0: each step is over
    all rows. From LEVEL_ROWS on the first half of `iterations` is over half of rows that are few or have many
    columns, or what `full` leaves of them.
    """
    few = level_rows(rows, columns) if full else rows
    momenta = [round(ONE * t / (t + 3)) for t in range(iterations)]
    if few == rows:
        halved = min(iterations - full, iterations // 2) if full and rows >= LEVEL_ROWS else 0
        return [Step(t, 0, rows // 2 if t < halved else rows, size, momentum) for t, momentum in enumerate(momenta)]
    turns = itertools.cycle(parts := [Step(0, low, low + few, size, 0) for low in range(0, few * _parts(rows, few), few)])
    first = iterations // 2 if full > 1 else iterations
    steps, all_rows = [replace(next(turns), momentum=momentum) for momentum in momenta[:first]], Step(0, 0, rows, size, 0)
    for _ in range(full - 1):
        steps += [replace(step, measures=True) for step in (all_rows, *parts)]
        for t in range(iterations - first + _MORE):
            steps.append(replace(next(turns), momentum=round(ONE * (t + 3) / (t + 6)), corrected=True))
    return [replace(step, number=number) for number, step in enumerate([*steps, all_rows])]


def count_steps(rows: int, few: int, iterations: int, full: int) -> int:
    """How many steps those are where early ones are over `few` of the rows at a time."""
    half = iterations // 2
    return half + (full - 1) * (iterations - half + _MORE + 1 + _parts(rows, few)) + 1 if full > 1 else iterations + 1


def _parts(rows: int, few: int) -> int:
    """How many parts of so many rows early steps take in turn; a stock's rows are data in the first four fifths at least."""
    return max(1, min(_MOST_PARTS, 4 * rows // (5 * few)))


def sgd(rows: int, batch: int, epochs: int, size: float) -> list[Step]:
    """Mini-batches over rows that alignment has already put in random order; rows left over join an epoch's last batch.

    So no batch is shorter than min(batch, rows): with owned weights, a batch of a few rows would open their labels.
    """
    lows = list(range(0, max(1, rows - batch + 1), batch))
    bounds = list(zip(lows, [*lows[1:], rows], strict=True))
    return [Step(t, low, high, size, 0) for t, (low, high) in enumerate(bounds * epochs)]
