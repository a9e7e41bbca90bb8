"""How good the joint model is on held-out rows, beside the bank's own columns alone. At the bank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bank_party.judge.steps import steps_of
from common.home.outcome import Evaluation
from common.mpc.fixedpoint import Reals
from common.stages.job import Made
from common.stats import measures
from common.stats.logistic import Design, covariance, fit_design


@dataclass(frozen=True, repr=False)
class BankOnly:
    """The bank's own regression: coefficients on prepared columns, the intercept last, (m,), their standard errors, and its
    log-odds of held-out rows, (n,).
    """

    coefficients: Reals
    errors: Reals
    u: Reals


def bank_only(made: Made, label: Reals) -> BankOnly:
    """The bank's own model of the training rows as they trained; label: of all matched rows."""
    basis, rows = made.task.basis, made.table.rows - made.train_rows
    inner = fit_design(basis.design, label[: made.train_rows], basis.penalty)
    spread = np.diag(basis.back @ covariance(basis.design, basis.design.times(inner), basis.penalty) @ basis.back.T)
    found: Reals = basis.back @ inner
    held = Design(rows, len(found), made.held_matrix)
    return BankOnly(found, np.sqrt(np.where(spread > 0, spread, np.nan)), held.times(found))


def evaluate(u: Reals, alone: Reals, label: Reals) -> Evaluation:
    """The evaluation on held-out rows, each argument (n,): log-odds of the joint and of the bank-only model, and labels."""
    return Evaluation(
        measures.evaluate(label, u),
        measures.evaluate(label, alone),
        measures.delong(label, u, alone),
        float(np.abs(u).max()),
        steps_of(label, u),
    )


def reach_warning(largest_u: float, reach: float | None) -> str | None:
    """A warning when held-out scores come near the end of the link's reach."""
    if reach is None or largest_u <= reach:
        return None
    wider = "with period = 64, or " if largest_u <= 24.0 else ""
    return (
        f"held-out scores reach |u| = {largest_u:.1f}, beyond the {reach:.0f} within which this link is accurate:"
        f" rows may have wrapped; train again {wider}with heavy-tailed columns logged and clipped"
    )
