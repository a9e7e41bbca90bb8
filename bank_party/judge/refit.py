"""Do other rows give the same coefficients? The bank's own block fitted again on held-out rows, the grid's part held fixed."""

from __future__ import annotations

from collections.abc import Callable

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

Groups = npt.NDArray[np.intp]
Block = Callable[[int, int], Reals]  # prepared columns of held-out rows low to high, the intercept last

_BLOCK, _BLOCKS = 1000, 50  # rows at a time, evenly spread: so many settle two digits, at any size
_PARTS = 4
_ROWS_A_COLUMN = 20
_PER_CLASS = 20


def refit(model: Half, held: HeldOut, block: Block, ridge: float) -> tuple[Refit, ...]:
    """Coefficients of the bank's columns and, last, the intercept; () for too few rows or labels, and without an optimum.

    held: in the order of the rows that `block` gives.
    """
    rows = sampled(len(held.label))
    design = np.concatenate([block(low, high) for low, high in rows])
    order = np.arange(len(held.label)) % _PARTS if held.periods is None else held.periods
    whole = (held.label, held.u_joint - held.u_own, np.asarray(order, np.float64), pd.factorize(np.array(list(held.ids)))[0])
    y, offset, when, who = (np.concatenate([values[low:high] for low, high in rows]) for values in whole)
    if not _enough(y, design) or (beta := fit_offset(design, y, offset, ridge)) is None:
        return ()
    errors = _errors(design, y, offset, beta, ridge, who)
    parts = _parts(design, y, offset, ridge, when)
    return tuple(
        Refit(
            name=name,
            rows=len(y),
            value=float(b),
            error=float(e) if np.isfinite(e) else None,
            parts=tuple(float(p[k]) for p in parts),
        )
        for k, (name, b, e) in enumerate(zip(model.columns, beta, errors, strict=True))
    )


def explained(model: Half, held: HeldOut, block: Block) -> tuple[Refit, ...]:
    """The weights that explain a closed model's scores, on the rows that did not calibrate, their errors, and on four parts.

    Of the bank's columns and, last, the intercept; () for too few rows. The errors are sandwiches over enterprises.
    """
    rows = sampled(len(held.label))
    design = np.concatenate([block(low, high) for low, high in rows])
    order = np.arange(len(held.label)) % _PARTS if held.periods is None else held.periods
    whole = (held.u_joint, ~held.validation, np.asarray(order, np.float64), pd.factorize(np.array(list(held.ids)))[0])
    u, test, when, who = (np.concatenate([values[low:high] for low, high in rows]) for values in whole)
    if int(test.sum()) < _ROWS_A_COLUMN * design.shape[1]:
        return ()
    value = explain(lambda low, high: design[low:high], u, test)
    errors = _spread(design[test], (u - design @ value)[test], who[test])
    places = np.searchsorted(np.unique(np.quantile(when, np.arange(1, _PARTS) / _PARTS)), when, side="left")
    chosen = [places == k for k in np.unique(places).tolist()]
    enough = len(chosen) > 1 and all(int(part.sum()) >= _ROWS_A_COLUMN * design.shape[1] for part in chosen)
    parts = [explain(lambda low, high: design[low:high], u, part) for part in chosen] if enough else []
    return tuple(
        Refit(name=name, rows=int(test.sum()), value=float(b), error=float(e), parts=tuple(float(p[k]) for p in parts))
        for k, (name, b, e) in enumerate(zip(model.columns, value, errors, strict=True))
    )


def _spread(design: Reals, rest: Reals, who: Groups) -> Reals:
    """Standard errors of a least-squares fit, (m,): the sum over enterprises of squared gradients between two inverses."""
    own = np.zeros((int(who.max()) + 1, design.shape[1]))
    np.add.at(own, who, design * rest[:, None])
    inverse = np.linalg.pinv(design.T @ design)
    spread: Reals = np.sqrt(np.maximum(np.diag(inverse @ (own.T @ own) @ inverse), 0.0))
    return spread


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


def _errors(design: Reals, y: Reals, offset: Reals, beta: Reals, ridge: float, who: Groups) -> Reals:
    """Standard errors, (m,): curvature, times the sum over enterprises of their squared gradients, times curvature."""
    u = offset + design @ beta
    own = np.zeros((int(who.max()) + 1, len(beta)))
    np.add.at(own, who, design * (y - sigmoid(u))[:, None])
    inverse = covariance(Design.of(design), u, _penalty(design, ridge))
    spread: Reals = np.sqrt(np.maximum(np.diag(inverse @ (own.T @ own) @ inverse), 0.0))
    return spread


def _parts(design: Reals, y: Reals, offset: Reals, ridge: float, when: Reals) -> list[Reals]:
    """Coefficients on each of four parts by `when`, equal ones together; none if one of them is too small."""
    edges = np.quantile(when, np.arange(1, _PARTS) / _PARTS)
    place = np.searchsorted(np.unique(edges), when, side="left")
    found = []
    for k in np.unique(place).tolist():
        rows = place == k
        beta = fit_offset(design[rows], y[rows], offset[rows], ridge) if _enough(y[rows], design[rows]) else None
        if beta is None:
            return []
        found.append(beta)
    return found if len(found) > 1 else []


def _enough(y: Reals, design: Reals) -> bool:
    bad = int(y.sum())
    return len(y) >= _ROWS_A_COLUMN * design.shape[1] and min(bad, len(y) - bad) >= _PER_CLASS
