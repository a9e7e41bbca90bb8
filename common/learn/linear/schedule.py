"""Which rows each step of a descent runs over, and with what momentum: public functions of sizes. PROTOCOL.md section 6."""

from __future__ import annotations

import itertools
from dataclasses import replace

from common.learn.linear.path import ONE, Step

LEVEL_ROWS = 1 << 14  # the fewest of which there are early steps over parts
COLUMN_ROWS = 160  # as many rows of a part for each column at least: its curvature is then right to a tenth
_LEVEL_SHARE = 16
_FEWEST_PARTS, _MOST_IN_TURN = 3, 8
_STEADY = round(0.65 * ONE)  # momentum that neither lags nor swings in so few steps
_LARGEST_OF_FEW = 4  # parts of few rows are so large a part of them: more parts are more messages


def count_parts(rows: int, columns: int) -> int:
    """In how many parts `rows` rows go, for steps over one of them at a time; 1 where they are few, or columns many."""
    if rows < LEVEL_ROWS:
        return 1
    least = min(rows // _LARGEST_OF_FEW, LEVEL_ROWS) if rows < 8 * LEVEL_ROWS else 2 * LEVEL_ROWS
    found = rows // max(least, rows // _LEVEL_SHARE, COLUMN_ROWS * columns)
    return found if found >= _FEWEST_PARTS else 1


def nesterov(rows: int, iterations: int, size: float, full: int = 0, columns: int = 0, *, longer: bool = False) -> list[Step]:
    """Accelerated descent: on a curvature L, steps below 4 / 3L are stable whatever the momentum.

    full: how many passes over all rows there are beside steps over parts of them, each a random sample, from LEVEL_ROWS on.
    All but the last pass measure, part by part, the gradient of all rows where a quarter of `iterations` have led, and by how
    much that of each part is another: they move by the one, and the other corrects the steps that follow, with them three
    quarters of what is left of `iterations`. So these end where all rows would, whatever a part's rows happen to be; their
    momentum does not swing. longer: whether they are a quarter longer. The last is a step over all rows, and the check's.
    0: each step is over all rows.
    From LEVEL_ROWS on, where columns are many, the first half of `iterations` is over half of the rows, or
    what `full` leaves of them.
    """
    parts, momenta = count_parts(rows, columns) if full else 1, [_momentum(t) for t in range(iterations)]
    if parts == 1:
        halved = min(iterations - full, iterations // 2) if full and rows >= LEVEL_ROWS else 0
        return [Step(t, 0, rows // 2 if t < halved else rows, size, momentum) for t, momentum in enumerate(momenta)]
    few = rows // parts
    bounds = list(itertools.pairwise([*range(0, few * parts, few), rows]))
    turns, (first, then) = itertools.cycle(bounds[: _in_turn(parts)]), _each(iterations, full)
    steps = [Step(0, *next(turns), size, momentum) for momentum in momenta[:first]]
    for _ in range(full - 1):
        steps.append(Step(0, 0, rows, size, _STEADY, measures=tuple(bounds), longer=longer))
        for t in range(1, then):
            steps.append(Step(0, *next(turns), size, max(_STEADY, _momentum(t - 1)), corrected=True, longer=longer))
    return [replace(step, number=number) for number, step in enumerate([*steps, Step(0, 0, rows, size, 0)])]


def count_steps(iterations: int, full: int) -> int:
    """How many steps those are where rows go in parts."""
    first, then = _each(iterations, full)
    return first + (full - 1) * then + 1


def _each(iterations: int, full: int) -> tuple[int, int]:
    """How many steps come before anything is measured, and how many then each time, with the one that measures."""
    first = -(-iterations // 4) if full > 1 else iterations
    return first, max(1, -(-3 * (iterations - first) // 4))


def _momentum(t: int) -> int:
    """After step t, as accelerated descent has it."""
    return round(ONE * t / (t + 3))


def _in_turn(parts: int) -> int:
    """How many of the parts steps take in turn; a stock's rows are data in the first four fifths at least."""
    return min(_MOST_IN_TURN, 4 * parts // 5)


def sgd(rows: int, batch: int, epochs: int, size: float) -> list[Step]:
    """Mini-batches over rows that alignment has already put in random order; rows left over join an epoch's last batch.

    So no batch is shorter than min(batch, rows): with owned weights, a batch of a few rows would open their labels.
    """
    lows = list(range(0, max(1, rows - batch + 1), batch))
    bounds = list(zip(lows, [*lows[1:], rows], strict=True))
    return [Step(t, low, high, size, 0) for t, (low, high) in enumerate(bounds * epochs)]
