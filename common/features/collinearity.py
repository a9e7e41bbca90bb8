"""How far a party's own prepared columns say the same: variance inflation and the nearest other column, on training rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from common.config import StrictModel

Reals = npt.NDArray[np.float64]
Block = Callable[[int, int], Reals]  # prepared columns of rows low to high, (high - low, m)

_BLOCK, _BLOCKS = 1000, 50  # rows looked at: all, or evenly spread blocks
_MOST = 1e6  # variance inflation that no column kept comes near


class Collinear(StrictModel):
    """A prepared column: its variance inflation factor 1 / (1 - R^2), R^2 being that of its regression on the party's others.

    nearest: the one of those with which it correlates most; None for an only column.
    """

    name: str
    vif: float
    nearest: str | None
    correlation: float | None


def describe(names: Sequence[str], block: Block, rows: int) -> tuple[Collinear, ...]:
    """Each of `names` that varies over the first `rows` rows; () for fewer rows than columns. Source: Marquardt (1970)."""
    spans = [(0, rows)] if rows <= _BLOCK * _BLOCKS else [(low, low + _BLOCK) for low in _spread(rows)]
    size, total = sum(high - low for low, high in spans), np.zeros(len(names))
    square = np.zeros((len(names), len(names)))
    for low, high in spans:
        x = block(low, high)
        total += x.sum(axis=0)
        square += x.T @ x
    if size <= len(names):
        return ()
    covariance = square / size - np.outer(total / size, total / size)
    varies = np.flatnonzero(np.diag(covariance) > 1e-12)
    spread = np.sqrt(np.diag(covariance)[varies])
    r = np.clip(covariance[np.ix_(varies, varies)] / np.outer(spread, spread), -1.0, 1.0)
    np.fill_diagonal(r, 1.0)
    inflation = np.clip(np.diag(np.linalg.pinv(r, hermitian=True)), 1.0, _MOST)
    np.fill_diagonal(r, 0.0)
    return tuple(_one([names[k] for k in varies.tolist()], r[k], k, float(inflation[k])) for k in range(len(varies)))


def _one(names: list[str], r: Reals, own: int, vif: float) -> Collinear:
    if len(names) == 1:
        return Collinear(name=names[0], vif=1.0, nearest=None, correlation=None)
    nearest = int(np.abs(r).argmax())
    return Collinear(name=names[own], vif=vif, nearest=names[nearest], correlation=float(r[nearest]))


def _spread(rows: int) -> list[int]:
    return [int(low) for low in np.linspace(0, rows - _BLOCK, _BLOCKS)]
