"""Held-out rows part by part: months and segments, none of fewer than five rows; whose part moves the score; its stability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bank_party.decision.bundle import HeldOut
from common.stats.few import LEAST, hidden_cells
from common.stats.measures import auc, delong, ks
from common.stats.metrics import Interval
from common.stats.psi import chance, divergence

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FEW = 20  # rows of each class from which a part's AUC is shown
_LEVELS = 12  # categories by themselves
_QUARTERS = 4
_PSI_BINS = 10


@dataclass(frozen=True)
class Part:
    """Rows of one month or segment; None stands for what is hidden or cannot be measured.

    name: a month from year 0, a category, (low, high) of a number, or None for missing; others: rare categories together.
    psi: of its scores against those of all others; chance: what that exceeds once in a million where nothing differs.
    """

    name: int | str | tuple[float, float] | None
    rows: int | None
    rate: float | None
    expected: float | None
    joint: float | None
    alone: float | None
    gain: Interval | None
    ks: float | None
    score: float | None = None
    psi: float | None = None
    chance: float = 0.0
    others: bool = False


def by_month(held: HeldOut) -> tuple[Part, ...]:
    """Rising months; () where the plan knows none."""
    if held.periods is None:
        return ()
    months = np.unique(held.periods).tolist()
    return _parts(held, [(month, held.periods == month, False) for month in months])


def by_segment(held: HeldOut, name: str) -> tuple[Part, ...]:
    """Categories by falling number, rare ones together; numbers in quarters; missing values last."""
    values = held.segments[name]
    groups = _quarters(values) if values.dtype != object else _levels(values)
    return _parts(held, groups)


def _quarters(values: Vector) -> list[tuple[Any, Mask, bool]]:
    missing = np.isnan(values)
    known = values[~missing]
    if not known.size:
        return [(None, missing, False)]
    edges = np.unique(np.quantile(known, np.arange(1, _QUARTERS) / _QUARTERS))
    place = np.where(missing, -1, np.searchsorted(edges, values, side="left"))
    bounds = [float("-inf"), *edges.tolist(), float("inf")]
    found: list[tuple[Any, Mask, bool]] = [((bounds[k], bounds[k + 1]), place == k, False) for k in range(len(bounds) - 1)]
    return [group for group in [*found, (None, missing, False)] if group[1].any()]


def _levels(values: npt.NDArray[Any]) -> list[tuple[Any, Mask, bool]]:
    missing = np.asarray(pd.isna(values), np.bool_)
    counts = pd.Series(values[~missing]).value_counts()
    named = [str(level) for level in counts.index[(counts >= LEAST).to_numpy()][:_LEVELS]]
    found: list[tuple[Any, Mask, bool]] = [(level, np.asarray(values == level, np.bool_), False) for level in named]
    rest = ~missing & ~np.isin(values.astype(str), named)
    found += [("", rest, True)] if rest.any() else []
    return [*found, *([(None, missing, False)] if missing.any() else [])]


def _parts(held: HeldOut, groups: Sequence[tuple[Any, Mask, bool]]) -> tuple[Part, ...]:
    small = hidden_cells([int(rows.sum()) for _, rows, _ in groups])
    p = held.decision.calibration.probability(held.u_joint)
    score = held.decision.scorecard.exact(held.decision.calibration.log_odds(held.u_joint))
    return tuple(
        Part(name, None, None, None, None, None, None, None, others=others)
        if hide
        else _part(held, p, score, name, rows, others)
        for (name, rows, others), hide in zip(groups, small, strict=True)
    )


def _part(held: HeldOut, p: Vector, score: Vector, name: Any, inside: Mask, others: bool) -> Part:
    y, u, v = held.label[inside], held.u_joint[inside], held.u_bank[inside]
    enough = min(y.sum(), len(y) - y.sum()) >= FEW
    rest = ~inside
    psi, by_chance = score_psi(held.u_joint[rest], u) if rest.sum() >= _PSI_BINS * LEAST else (None, 0.0)
    return Part(
        name=name,
        rows=len(y),
        rate=float(y.mean()),
        expected=float(p[inside].mean()),
        joint=auc(y, u) if enough else None,
        alone=auc(y, v) if enough else None,
        gain=delong(y, u, v) if enough else None,
        ks=ks(y, u) if enough else None,
        score=float(score[inside].mean()),
        psi=psi,
        chance=by_chance,
        others=others,
    )


def score_psi(base: Vector, now: Vector, bins: int = _PSI_BINS) -> tuple[float, float]:
    """Population stability index of scores `now` against `base`, in tenths of `base`, and what it may be by chance."""
    edges = np.unique(np.quantile(base, np.arange(1, bins) / bins))
    one, two = (np.bincount(np.searchsorted(edges, part, side="left"), minlength=len(edges) + 1) for part in (now, base))
    counts = one.astype(np.int64), two.astype(np.int64)
    return divergence(*counts), chance(*counts)


@dataclass(frozen=True)
class Shares:
    """Shares of both sides' parts of u on held-out rows: covariance with u over its variance, deviations, correlation."""

    bank: float
    grid: float
    bank_deviation: float
    grid_deviation: float
    correlation: float | None


def shares(held: HeldOut) -> Shares | None:
    """None if every score is the same."""
    own, grid, u = held.u_own, held.u_joint - held.u_own, held.u_joint
    spread = float(u.var())
    if spread <= 0:
        return None
    bank = float(np.mean((own - own.mean()) * (u - u.mean()))) / spread
    both = float(own.std() * grid.std())
    r = float(np.mean((own - own.mean()) * (grid - grid.mean()))) / both if both > 0 else None
    return Shares(bank, 1 - bank, float(own.std()), float(grid.std()), r)


def approved_rates(held: HeldOut) -> tuple[tuple[float, float, float], ...]:
    """(approval rate, overdue rate among approved by the joint model, by the bank-only model) at the decision table's cuts."""
    test = ~held.validation
    y = held.label[test]
    by_bank = np.cumsum(y[np.argsort(held.u_bank[test], kind="stable")])
    cuts = [cut for cut in held.decision.table.cuts if cut.approved >= LEAST]
    return tuple((c.approval_rate, c.bad_rate, float(by_bank[c.approved - 1]) / c.approved) for c in cuts)
