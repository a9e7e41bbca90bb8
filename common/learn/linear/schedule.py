"""Which rows each step of a descent runs over, and with what momentum: public functions of sizes. PROTOCOL.md section 6."""

from __future__ import annotations

from dataclasses import replace

from common.learn.linear.descent import ONE, Step

LEVEL_ROWS = 1 << 14  # the fewest that early steps run over; a quarter of the fewest of which there are early steps
COLUMN_ROWS = 160  # as many rows a column at least: a part's curvature is then right to a tenth
_LEVEL_SHARE = 16
_SAME_SHARE = 4  # so large a part of all rows is no few
_MORE = 2  # corrected steps beside a half of `iterations`, which a step that measures and the last would have been


def level_rows(rows: int, columns: int) -> int:
    """How many of `rows` rows the steps run over that are over a part of them; all where they are few, or columns many."""
    few = max(LEVEL_ROWS if rows < 8 * LEVEL_ROWS else 2 * LEVEL_ROWS, rows // _LEVEL_SHARE, COLUMN_ROWS * columns)
    return few if rows >= _SAME_SHARE * LEVEL_ROWS and 2 * few <= rows else rows


def nesterov(rows: int, iterations: int, size: float, full: int = 0, columns: int = 0) -> list[Step]:
    """Accelerated descent: on a curvature L, steps below 4 / 3L are stable whatever the momentum.

    full: how many passes over all rows there are beside early steps over the first ones, which are a random sample, from 4
    LEVEL_ROWS on. All but the last of them move nothing: they measure by how much the gradient of all rows differs from the
    sample's where half of `iterations` have led, and correct the steps that follow, the other half and two. So these end where
    all rows would, but for what the sample's curvature is off by. The last is a step over all rows, and the check's. 0: each
    step is over all rows. From LEVEL_ROWS on the first half of `iterations` is over half of rows that are few or have many
    columns, or what `full` leaves of them.
    """
    few = level_rows(rows, columns) if full else rows
    first = [Step(t, 0, few, size, round(ONE * t / (t + 3))) for t in range(iterations)]
    if few == rows:
        halved = min(iterations - full, iterations // 2) if full and rows >= LEVEL_ROWS else 0
        return [replace(step, high=rows // 2) if step.number < halved else step for step in first]
    steps, all_rows = first[: iterations // 2] if full > 1 else first, Step(0, 0, rows, size, 0)
    for _ in range(full - 1):
        steps.append(replace(all_rows, measures=True))
        momenta = (round(ONE * (t + 3) / (t + 6)) for t in range(iterations - iterations // 2 + _MORE))
        steps += [Step(0, 0, few, size, momentum, corrected=True) for momentum in momenta]
    return [replace(step, number=number) for number, step in enumerate([*steps, all_rows])]


def count_steps(iterations: int, full: int) -> int:
    """How many steps those are where early ones are over a part of the rows."""
    half = iterations // 2
    return half + (full - 1) * (iterations - half + _MORE + 1) + 1 if full > 1 else iterations + 1


def sgd(rows: int, batch: int, epochs: int, size: float) -> list[Step]:
    """Mini-batches over rows that alignment has already put in random order; rows left over join an epoch's last batch.

    So no batch is shorter than min(batch, rows): with owned weights, a batch of a few rows would open their labels.
    """
    lows = list(range(0, max(1, rows - batch + 1), batch))
    bounds = list(zip(lows, [*lows[1:], rows], strict=True))
    return [Step(t, low, high, size, 0) for t, (low, high) in enumerate(bounds * epochs)]
