"""How good the joint model is on held-out rows, beside the bank's own columns alone. At the bank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.learn.linear.design import Prepared
from common.mpc.fixedpoint import X_SCALE, Reals
from common.mpc.product import Rows
from common.stats import measures
from common.stats.logistic import Design, covariance, fit_design
from common.stats.measures import Interval, Metrics


@dataclass(frozen=True)
class Evaluation:
    """Hold-out metrics of the joint and the bank-only model, DeLong's interval of their AUCs, the largest |u|."""

    joint: Metrics
    bank_only: Metrics
    auc_difference: Interval
    largest_u: float


def bank_only(prepared: Prepared, own: Rows, label: Reals, ridge: float) -> tuple[Reals, Reals]:
    """The bank's own model of the training rows as encoded: coefficients on prepared columns, (m,), and standard errors."""
    unit = 2.0**-X_SCALE
    rows, columns = own.shape
    design, penalty = Design(rows, columns, lambda low, high: own[low:high] * unit), ridge * prepared.penalty
    whitened = fit_design(design, label[:rows], penalty)
    spread = np.diag(prepared.whiten @ covariance(design, whitened, penalty) @ prepared.whiten.T)
    found: Reals = prepared.whiten @ whitened
    return found, np.sqrt(np.where(spread > 0, spread, np.nan))


def evaluate(u: Reals, alone: Reals, label: Reals) -> Evaluation:
    """Of held-out rows (n,): log-odds of the joint and of the bank-only model, and labels."""
    return Evaluation(
        measures.evaluate(label, u), measures.evaluate(label, alone), measures.delong(label, u, alone), float(np.abs(u).max())
    )


def reach_warning(largest_u: float, reach: float) -> str | None:
    """A warning when held-out scores come near the end of the link's reach."""
    if largest_u <= reach:
        return None
    wider = "with period = 64 and terms = 16, or " if largest_u <= 20.0 else ""
    return (
        f"held-out scores reach |u| = {largest_u:.1f}, beyond the {reach:.0f} within which this link is accurate:"
        f" rows may have wrapped; train again {wider}with heavy-tailed columns logged and clipped"
    )
