"""How good a model of several banks is over the held-out rows of all: by counts of scores, summed. PROTOCOL.md section 16."""

from __future__ import annotations

import numpy as np

from common.home.outcome import Pooled
from common.mpc.fixedpoint import Reals, decode, encode
from common.mpc.session import Kind
from common.mpc.several.hub import Hub, to_banks

CELLS = 256
_EDGES = np.linspace(-6.0, 6.0, CELLS - 1)  # of u; the cells at the ends are open


async def measure(hub: Hub, u: Reals, label: Reals) -> Pooled:
    """AUC and KS over all banks' held-out rows, at a bank. u, label: (n,), of this bank's. Scores of one cell are ties."""
    cells = np.searchsorted(_EDGES, u, side="right")
    counts = np.concatenate([np.bincount(cells[label == kind], minlength=CELLS) for kind in (1.0, 0.0)])
    ones, zeros = np.split(decode(await to_banks(hub, encode(counts, 0), Kind.POOLED_COUNTS), 0), 2)
    return of_counts(ones, zeros)


async def add_up(hub: Hub) -> None:
    """The grid's part."""
    await to_banks(hub, np.zeros(2 * CELLS, np.uint64), Kind.POOLED_COUNTS)


def of_counts(ones: Reals, zeros: Reals) -> Pooled:
    """ones, zeros: scores of each class by cell, rising, (CELLS,)."""
    below = np.cumsum(zeros) - zeros
    area = float((ones * (below + zeros / 2)).sum() / max(1.0, ones.sum() * zeros.sum()))
    apart = np.abs(np.cumsum(ones) / max(1.0, ones.sum()) - np.cumsum(zeros) / max(1.0, zeros.sum()))
    return Pooled(area, float(apart.max()), int(ones.sum() + zeros.sum()), int(min(ones.sum(), zeros.sum())))
