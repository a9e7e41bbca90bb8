"""Whether a training looks like one that was stopped too early, or could not reach what lasts. At the bank."""

from __future__ import annotations

import numpy as np

from bank_party.decision.calibrate import platt
from common.mpc.fixedpoint import Reals
from common.stats.measures import sigmoid

PUBLIC = (
    "held-out scores or the last step suggest that training has not converged: raise iterations (for nesterov) or epochs"
    " (for sgd), or use a smaller step (for a network); if it stays so, a message on the way or of the dealer may have been"
    " wrong"
)
"""What others hear: that it happened, neither which of the two nor a number."""
RESTLESS = (
    "the last step of training moved further than is usual of one that has converged, or steps of a network further than is"
    " usual of them, though not so far that the job fails: raise iterations (nesterov) or epochs (sgd), or use a smaller step"
    " (network). If it stays so, a message on the way may have been changed, which the other party or an audit of the dealer"
    " can tell; labels that one column all but tells are the other possible cause, and of a network columns that are much alike"
)

_SLOPE, _DEVIATIONS = 1.1, 3.0
_THIN, _HELD = 2.0, 0.01  # rows of the rarer class for each column, and a ridge from which on fewer will do


def calibration_slope(u: Reals, label: Reals) -> tuple[float, float]:
    """The slope of the line in u that predicts the labels best, and its standard error; u and label (n,)."""
    slope, intercept = platt(u, label)
    p = sigmoid(slope * u + intercept)
    design = np.column_stack([u, np.ones(len(u))])
    information = (design.T * (p * (1.0 - p))) @ design
    variance = 1.0 / max(1e-12, float(information[0, 0] - information[0, 1] ** 2 / information[1, 1]))
    return slope, float(np.sqrt(variance))


def convergence_warning(u: Reals, label: Reals) -> str | None:
    """A warning when held-out log-odds u (n,) are too close together for their labels (n,), beyond what chance explains.

    Descent starts from one log-odds for all rows and spreads them: stopped early, they are too close. At the optimum of the
    training rows they are, if anything, too far apart, so that the slope is below 1. Months that differ from those trained
    on can raise it too. For a training whose
    optimum has that slope.
    """
    slope, error = calibration_slope(u, label)
    if slope <= _SLOPE or slope - 1.0 <= _DEVIATIONS * error:
        return None
    return (
        f"held-out log-odds fit their labels better when stretched by {slope:.2f} (standard error {error:.2f}): training was"
        " probably stopped before it converged, as happens where few rows are overdue; raise iterations (nesterov) or epochs"
        " (sgd). Held-out months that are unlike the others are the other possible cause"
    )


def thin_warning(label: Reals, columns: int, ridge: float) -> str | None:
    """A warning when training rows with these labels, (n,) of 0.0 and 1.0, hold few of the rarer class for a linear model.

    columns: those trained of both sides; ridge: the plan's. Where a line all but separates the classes, the loss hardly curves
    in many directions. For the bank alone: whether it comes tells of the number of labels.
    """
    bad = int(label.sum())
    fewer = min(bad, len(label) - bad)
    if fewer >= _THIN * columns or ridge >= _HELD:
        return None
    return (
        f"{fewer:,} training rows of the rarer class are {fewer / columns:.1f} for each of the {columns} columns of both sides:"
        f" below {_THIN:.0f} a training ends short of the best fit to its own rows, and that fit says little of other rows, so"
        " more iterations do not help; train fewer columns, bring more rows, or set a larger ridge"
        f" (ridge = {_HELD} under [model], where this plan has {ridge:g})"
    )
