"""ROC, KS, lift and gain as a few points each: no step of a curve shows fewer than five rows. Plain numpy on (n,) arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.stats.few import LEAST

Vector = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_POINTS = 120
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, repr=False)
class Curve:
    """Rows by falling risk, at some of the distinct scores: share of rows, of overdue, of good ones, each (points,)."""

    rows: Vector
    bad: Vector
    good: Vector

    @property
    def gap(self) -> int:
        """The point of the largest gap between the classes."""
        return int(np.abs(self.bad - self.good).argmax())


def curve(y: Vector, u: Vector, points: int = _POINTS) -> Curve:
    """From (0, 0, 0) to (1, 1, 1); ties are one step, and so are fewer than five rows. Keeps the KS point where it can."""
    ends, bad = _steps(y, u)
    good = ends - bad
    wanted = np.linspace(0, len(y), max(2, min(points, len(y) // LEAST) + 1))[1:]
    at = np.searchsorted(ends, wanted).clip(max=len(ends) - 1)
    widest = int(np.abs(bad / max(1, bad[-1]) - good / max(1, good[-1])).argmax())
    chosen = _apart(np.unique(np.append(at, widest)), ends, widest)
    share = [np.append(0.0, values[chosen] / max(1, values[-1])) for values in (ends, bad, good)]
    return Curve(*share)


def _steps(y: Vector, u: Vector) -> tuple[Counts, Counts]:
    """After each distinct score, from the riskiest: rows and overdue rows so far."""
    order = np.argsort(-u, kind="stable")
    ranked = u[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    bad = np.cumsum(y[order])[ends].astype(np.int64)
    return (ends + 1).astype(np.int64), bad


def _apart(at: npt.NDArray[np.intp], ends: Counts, keep: int) -> list[int]:
    """Those of the points `at` that leave five rows or more between them, `keep` before others, the last always."""
    total = int(ends[-1])
    chosen: list[int] = []
    for k in at.tolist():
        far = int(ends[k]) - (int(ends[chosen[-1]]) if chosen else 0) >= LEAST
        if not far and k == keep and chosen:
            chosen.pop()
            far = int(ends[k]) - (int(ends[chosen[-1]]) if chosen else 0) >= LEAST
        if far and (total - int(ends[k]) >= LEAST or ends[k] == total):
            chosen.append(k)
    if not chosen or ends[chosen[-1]] != total:
        chosen.append(len(ends) - 1)
    return chosen


@dataclass(frozen=True)
class Lift:
    """The riskiest `share` of rows: lift over the average rate, and the share of all overdue rows among them."""

    share: float
    rows: int
    lift: float
    gain: float


def lifts(y: Vector, u: Vector, shares: tuple[float, ...] = _SHARES) -> tuple[Lift, ...]:
    """At round shares of at least five rows; a tie at the border counts in part, as if its rows were mixed."""
    ends, bad = _steps(y, u)
    found = []
    for share in shares:
        rows = round(share * len(y))
        if rows >= LEAST:
            gain = float(np.interp(rows, np.append(0, ends), np.append(0, bad)) / max(1, bad[-1]))
            found.append(Lift(share, rows, gain * len(y) / rows, gain))
    return tuple(found)


@dataclass(frozen=True, repr=False)
class Histogram:
    """Shares of each class in bins of the score: edges (bins + 1,), good and bad (bins,)."""

    edges: Vector
    good: Vector
    bad: Vector


def histogram(score: Vector, y: Vector, bins: int = 30) -> Histogram:
    """Equal bins over the middle 99 %, the ends in the outer ones; fewer than five rows of a class in a bin are not shown."""
    low, high = np.quantile(score, [0.005, 0.995])
    edges = np.linspace(low, max(high, low + 1.0), bins + 1)
    inside = np.clip(score, edges[0], edges[-1])
    shares = []
    for value in (0.0, 1.0):
        counts = np.histogram(inside[y == value], edges)[0]
        shares.append(np.where(counts < LEAST, 0, counts) / max(1, counts.sum()))
    return Histogram(edges, shares[0], shares[1])
