"""Which rows each step of a descent runs over, and with what momentum: public functions of sizes. PROTOCOL.md section 6."""

from __future__ import annotations

from dataclasses import replace

from common.learn.linear.descent import ONE, Step

LEVEL_ROWS = 1 << 15  # the fewest that early steps run over; half of the fewest of which there are early steps
_HALVED = 2  # from so small a part of these on, half of the steps run over half of the rows
_LEVEL_SHARE = 16


def level_rows(rows: int) -> int:
    """How many of `rows` rows the steps before the last few run over: all of few, a sixteenth of many."""
    least = LEVEL_ROWS if rows < 4 * LEVEL_ROWS else 2 * LEVEL_ROWS
    return rows if rows < 2 * LEVEL_ROWS else max(least, rows // _LEVEL_SHARE)


def nesterov(rows: int, iterations: int, size: float, full: int = 0) -> list[Step]:
    """Accelerated descent: on a curvature L, steps below 4 / 3L are stable whatever the momentum.

    full: with 2 LEVEL_ROWS rows and more, the steps over all of them that follow `iterations` over the first ones, which are
    a random sample. Momentum is dropped once there, as with the new rows the gradient is another; it then goes on as from a
    fourth step, which was best in the worst of the simulated worlds. 0: each step is over all rows. With a quarter of that
    many rows and more, the first half of `iterations` is over half of the rows, or what `full` leaves of them.
    """
    few = level_rows(rows) if full else rows
    first = [Step(t, 0, few, size, round(ONE * t / (t + 3))) for t in range(iterations)]
    if few == rows:
        halved = min(iterations - full, iterations // 2) if full and rows >= LEVEL_ROWS // _HALVED else 0
        return [replace(step, high=rows // 2) if step.number < halved else step for step in first]
    first[-1] = replace(first[-1], momentum=0)
    return first + [Step(iterations + t, 0, rows, size, round(ONE * (t + 3) / (t + 6))) for t in range(full)]


def sgd(rows: int, batch: int, epochs: int, size: float) -> list[Step]:
    """Mini-batches over rows that alignment has already put in random order; rows left over join an epoch's last batch.

    So no batch is shorter than min(batch, rows): with owned weights, a batch of a few rows would open their labels.
    """
    lows = list(range(0, max(1, rows - batch + 1), batch))
    bounds = list(zip(lows, [*lows[1:], rows], strict=True))
    return [Step(t, low, high, size, 0) for t, (low, high) in enumerate(bounds * epochs)]
