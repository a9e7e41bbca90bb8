"""How good the joint model is on held-out rows, beside the bank's own columns alone. At the bank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.mpc.fixedpoint import X_SCALE, Reals
from common.mpc.product import Rows
from common.stages import metrics
from common.stages.local_model import Design, fit_design
from common.stages.metrics import Interval, Metrics
from common.stages.prepare import Prepared


@dataclass(frozen=True)
class Evaluation:
    """Hold-out metrics of the joint and the bank-only model, DeLong's interval of their AUCs, the largest |u|."""

    joint: Metrics
    bank_only: Metrics
    auc_difference: Interval
    largest_u: float


def bank_only(prepared: Prepared, own: Rows, label: Reals, ridge: float) -> Reals:
    """The bank's own model: its coefficients on prepared columns, (m,), fitted on the training rows as they are encoded."""
    unit = 2.0**-X_SCALE
    rows, columns = own.shape
    design = Design(rows, columns, lambda low, high: own[low:high] * unit)
    found: Reals = prepared.whiten @ fit_design(design, label[:rows], ridge * prepared.penalty)
    return found


def evaluate(u: Reals, alone: Reals, held: Reals) -> Evaluation:
    """u: joint, alone: by the bank's own model, held: labels; of held-out rows, (n,)."""
    return Evaluation(
        metrics.evaluate(held, u), metrics.evaluate(held, alone), metrics.delong(held, u, alone), float(np.abs(u).max())
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
