"""How good a model of several banks is over the held-out rows of all: by counts of scores, summed. PROTOCOL.md section 16."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from common.home.outcome import Pooled
from common.mpc.fixedpoint import Reals, decode, encode
from common.mpc.session import Kind
from common.mpc.several.hub import BankHub, GridHub, to_banks
from common.rows.table import FeatureTable
from common.stages.price import histogram_bits

WITHHELD = (
    "how well the model ranks the rows of all banks is not told: a bank has told as much of metrics of its held-out rows as it"
    " allows (metric_bits), or counts over one bank more or fewer have been told of these rows"
)
_FEWEST, _MOST, _ROWS = 64, 256, 20  # cells, and held-out rows of all banks a cell
_WIDEST = 6.0  # |u|; the cells at the ends are open

Pay = Callable[[FeatureTable, float], bool]  # whether so many bits of metrics of these rows may be told, which charges them


def cells_of(held: int) -> int:
    """How many cells scores are counted in: fewer tell less of each of few held-out rows."""
    cells = _FEWEST
    while cells < _MOST and held >= 2 * cells * _ROWS:
        cells *= 2
    return cells


async def measure(hub: BankHub, held: FeatureTable, u: Reals, every: int, pay: Pay) -> Pooled | None:
    """AUC and KS over all banks' held-out rows, `every` of them, at a bank; None where not each bank tells its counts.

    held: this bank's rows; u: (n,), of these. Scores of one cell are ties.
    """
    cells, months = cells_of(every), int(np.bincount(held.ids.codes).max())
    pays = await asyncio.to_thread(pay, held, histogram_bits(held.rows, cells, months))
    lacking = decode(await to_banks(hub, encode(np.array([not pays], np.float64), 0)), 0)[0]
    told = bool(lacking < 0.5)
    await hub.session.send(Kind.SHAPE, np.array([told], np.uint64))
    if not told:
        return None
    place = np.searchsorted(_edges(cells), u, side="right")
    counts = np.concatenate([np.bincount(place[held.outcomes == kind], minlength=cells) for kind in (1.0, 0.0)])
    ones, zeros = np.split(decode(await to_banks(hub, encode(counts, 0), Kind.POOLED_COUNTS), 0), 2)
    await hub.compare()
    return of_counts(ones, zeros)


async def add_up(hub: GridHub, cells: int) -> bool:
    """The grid's part: whether it was told. cells: of `cells_of`."""
    await to_banks(hub, np.zeros(1, np.uint64))
    told = bool((await hub.session.receive(Kind.SHAPE, np.uint64, (1,)))[0])
    if told:
        await to_banks(hub, np.zeros(2 * cells, np.uint64), Kind.POOLED_COUNTS)
        await hub.compare()
    return told


def _edges(cells: int) -> Reals:
    return np.linspace(-_WIDEST, _WIDEST, cells - 1)


def of_counts(ones: Reals, zeros: Reals) -> Pooled:
    """ones, zeros: scores of each class by cell, rising, (cells,)."""
    below = np.cumsum(zeros) - zeros
    area = float((ones * (below + zeros / 2)).sum() / max(1.0, ones.sum() * zeros.sum()))
    apart = np.abs(np.cumsum(ones) / max(1.0, ones.sum()) - np.cumsum(zeros) / max(1.0, zeros.sum()))
    return Pooled(area, float(apart.max()), int(ones.sum() + zeros.sum()), int(min(ones.sum(), zeros.sum())))
