"""Do other rows give the same coefficients? The bank's own block fitted again on held-out rows, the grid's part held fixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bank_party.decision.additive import explain
from bank_party.decision.bundle import HeldOut
from common.home.record import Refit
from common.learn.learner import Half
from common.mpc.fixedpoint import Reals
from common.stats.logistic import Design, covariance, newton
from common.stats.measures import sigmoid

Index = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Block = Callable[[int, int], Reals]  # prepared columns of held-out rows low to high, the intercept last

_BLOCK, _BLOCKS = 1000, 50  # rows at a time, evenly spread: so many settle two digits, at any size
_PARTS = 4
_ROWS_A_COLUMN = 20
_PER_CLASS = 20


@dataclass(frozen=True, repr=False)
class _Sample:
    """Held-out rows that are looked at: their places, (k,), prepared columns (k, m), months and enterprises as numbers."""

    at: Index
    design: Reals
    when: Index
    who: Index


def refit(model: Half, held: HeldOut, block: Block, ridge: float) -> tuple[Refit, ...]:
    """Coefficients of the bank's columns and, last, the intercept; () for too few rows or labels, and without an optimum.

    held: in the order of the rows that `block` gives.
    """
    some = _sample(held, block)
    y, offset = held.label[some.at], (held.u_joint - held.u_own)[some.at]
    if not _enough(y, some.design) or (beta := fit_offset(some.design, y, offset, ridge)) is None:
        return ()
    errors, parts = _errors(some, y, offset, beta, ridge), _parts(some, y, offset, ridge)
    return _refits(model, len(y), beta, errors, parts)


def explained(model: Half, held: HeldOut, block: Block) -> tuple[Refit, ...]:
    """The weights that explain a closed model's scores, on the rows that did not calibrate, their errors, and on four parts.

    Of the bank's columns and, last, the intercept; () for too few rows. The errors are sandwiches over enterprises.
    """
    some = _sample(held, block)
    design, u, test = some.design, held.u_joint[some.at], ~held.validation[some.at]
    least = _ROWS_A_COLUMN * design.shape[1]
    if int(test.sum()) < least:
        return ()

    def fit(rows: Mask) -> Reals:
        return explain(lambda low, high: design[low:high], u, rows)

    value, chosen = fit(test), _quarters(some.when)
    known = design[test]
    inverse = np.asarray(np.linalg.pinv(known.T @ known), np.float64)
    errors = _sandwich(inverse, known * (u - design @ value)[test, None], some.who[test])
    parts = [fit(part) for part in chosen] if all(int(part.sum()) >= least for part in chosen) else []
    return _refits(model, int(test.sum()), value, errors, parts)


def _sample(held: HeldOut, block: Block) -> _Sample:
    spans = sampled(len(held.label))
    at = np.concatenate([np.arange(low, high) for low, high in spans])
    when = np.arange(len(held.label)) % _PARTS if held.periods is None else held.periods
    who = pd.factorize(held.ids.codes)[0]
    return _Sample(at, np.concatenate([block(low, high) for low, high in spans]), when[at], who[at])


def _refits(model: Half, rows: int, value: Reals, errors: Reals, parts: Sequence[Reals]) -> tuple[Refit, ...]:
    """One entry a column; errors that are not finite are none, and so are the parts if there are fewer than two."""
    shown = parts if len(parts) > 1 else []
    return tuple(
        Refit(
            name=name,
            rows=rows,
            value=float(b),
            error=float(e) if np.isfinite(e) else None,
            parts=tuple(float(p[k]) for p in shown),
        )
        for k, (name, b, e) in enumerate(zip(model.columns, value, errors, strict=True))
    )


def sampled(rows: int) -> list[tuple[int, int]]:
    """(low, high) of the rows that are looked at: all, or evenly spread blocks."""
    if rows <= _BLOCK * _BLOCKS:
        return [(0, rows)]
    return [(low, low + _BLOCK) for low in np.linspace(0, rows - _BLOCK, _BLOCKS).astype(int).tolist()]


def fit_offset(design: Reals, y: Reals, offset: Reals, ridge: float) -> Reals | None:
    """Minimises mean log-loss of offset + design beta, + ridge / 2 |beta|^2 but for the last; None if it has no optimum."""
    found = newton(Design.of(design), y, _penalty(design, ridge), offset)
    return None if found.fault else found.beta


def _penalty(design: Reals, ridge: float) -> Reals:
    """The ridge, but on the intercept, which is the last column."""
    return np.diag(np.append(np.full(design.shape[1] - 1, ridge), 0.0))


def _errors(some: _Sample, y: Reals, offset: Reals, beta: Reals, ridge: float) -> Reals:
    """Standard errors of a logistic fit, (m,), over enterprises."""
    u = offset + some.design @ beta
    inverse = covariance(Design.of(some.design), u, _penalty(some.design, ridge))
    return _sandwich(inverse, some.design * (y - sigmoid(u))[:, None], some.who)


def _sandwich(inverse: Reals, gradients: Reals, who: Index) -> Reals:
    """Standard errors, (m,): the sum over enterprises of their squared gradients, (k, m) by row, between two inverses."""
    own = np.zeros((int(who.max()) + 1, len(inverse)))
    np.add.at(own, who, gradients)
    found: Reals = np.sqrt(np.maximum(np.diag(inverse @ (own.T @ own) @ inverse), 0.0))
    return found


def _parts(some: _Sample, y: Reals, offset: Reals, ridge: float) -> list[Reals]:
    """Coefficients on each of four parts by month; none if one of them is too small."""
    found = []
    for part in _quarters(some.when):
        enough = _enough(y[part], some.design[part])
        beta = fit_offset(some.design[part], y[part], offset[part], ridge) if enough else None
        if beta is None:
            return []
        found.append(beta)
    return found


def _quarters(when: Index) -> list[Mask]:
    """At most four parts by month, (k,) each; equal months are together."""
    edges = np.quantile(when, np.arange(1, _PARTS) / _PARTS)
    place = np.searchsorted(np.unique(edges), when, side="left")
    return [place == k for k in np.unique(place).tolist()]


def _enough(y: Reals, design: Reals) -> bool:
    bad = int(y.sum())
    return len(y) >= _ROWS_A_COLUMN * design.shape[1] and min(bad, len(y) - bad) >= _PER_CLASS
