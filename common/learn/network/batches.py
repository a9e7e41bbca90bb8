"""Whether a party's columns are small enough in each batch for a step of a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from common.errors import DataError
from common.learn.network.steps import batch_rows, fit_rows
from common.mpc.fixedpoint import X_LIMIT, X_SCALE
from common.mpc.product import Rows
from common.mpc.sine import OMEGA
from common.plan.network import Network

# A gradient is held below 16, for relu below 64: its part of a batch's mean |x| times the slope, at most OMEGA or 1.
_STEEPEST = {"sine": 16.0 / OMEGA, "relu": 64.0}
_BLOCK = 1 << 14

Batch = tuple[Sequence[slice], float]
"""A party's rows of a step, and of how many rows the mean of a column's absolute values may be at the bound there."""


def whole_batches(section: Network, rows: int) -> Iterator[Batch]:
    """Those of an epoch over all of these rows."""
    batch = batch_rows(section, rows)
    for low in range(0, fit_rows(section, rows) - batch + 1, batch):
        yield [slice(low, low + batch)], batch


def check_batches(section: Network, words: Rows, columns: tuple[str, ...], batches: Iterable[Batch]) -> None:
    """Raises DataError for a column whose values are so large in a batch that its gradient could leave the ring."""
    for parts, rows in batches:
        total = np.zeros(len(columns))
        for part in parts:
            for start in range(part.start, part.stop, _BLOCK):
                total += np.abs(words[start : min(start + _BLOCK, part.stop)].astype(np.int64)).sum(axis=0)
        if (total > _STEEPEST[section.activation] * rows * 2.0**X_SCALE).any():
            name, count = columns[int(total.argmax())], sum(part.stop - part.start for part in parts)
            raise DataError(
                f"column {name!r} is too large in a batch of {count} rows for a step of the network",
                public="a column is too large in a batch for a step of the network",
                remedy="Use larger batches, a smaller clip, or declare transform = 'signed_log'.",
            )


def held_back(beyond: int) -> list[str]:
    """What to warn of where so many prepared values lay beyond what is encoded."""
    if not beyond:
        return []
    return [f"{beyond} prepared values lay beyond {X_LIMIT:.0f} and were held there; clip or log the columns they come from"]
