"""What each cut-off would mean on test rows: approvals, bad rate, loss, profit, and who changes sides with the joint model."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from bank_party.decision.config import DecisionConfig
from common.config import StrictModel

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.int32]
Verdict = Literal["approve", "refer", "decline"]
VERDICTS: tuple[Verdict, ...] = ("approve", "refer", "decline")

_RATES = tuple(k / 20 for k in range(1, 21))


class Band(StrictModel):
    """Rows that one decision takes; a rate is None where there is no row."""

    decision: Verdict
    rows: int
    share: float
    observed: float | None
    expected: float | None


class Swap(StrictModel):
    """At the same number of approvals: who only the joint model approves (`in`), and who only the bank's own (`out`)."""

    rows_in: int
    rows_out: int
    bad_rate_in: float | None
    bad_rate_out: float | None


class Cut(StrictModel):
    """Approving the rows of lowest probability, ties together. Money is in units of the exposure."""

    score: int  # the lowest approved
    probability: float  # the highest approved
    approved: int
    approval_rate: float
    bad_rate: float  # observed among approved
    expected_bad_rate: float
    bad_kept_out: float  # share of all overdue rows that are not approved
    expected_loss: float  # loss_given_default * probability * exposure
    observed_loss: float
    expected_profit: float  # margin on what is repaid, less the expected loss
    observed_profit: float
    swap: Swap


class DecisionTable(StrictModel):
    """`bands`: by the configured cut-offs. `cuts`: twenty approval rates, of which equal ones stand once."""

    exposure: float
    bands: tuple[Band, ...]
    cuts: tuple[Cut, ...]


def verdict(config: DecisionConfig, p: Vector, score: Scores) -> npt.NDArray[np.int8]:
    """0 approve, 1 refer, 2 decline, (n,): by the probability, or by the written score."""
    if config.cutoff == "probability":
        return ((p > config.approve).astype(np.int8) + (p > config.decline)).astype(np.int8)
    return ((score < config.approve).astype(np.int8) + (score < config.decline)).astype(np.int8)


def make_table(config: DecisionConfig, p: Vector, score: Scores, y: Vector, alone: Vector, exposure: Vector) -> DecisionTable:
    """The table of test rows, each argument (n,): calibrated p, written score, label, the bank-only model's u, exposure."""
    decided = verdict(config, p, score)
    bands = tuple(_band(name, p, y, decided == k) for k, name in enumerate(VERDICTS))
    order = np.argsort(p, kind="stable")
    ends = sorted({int(np.searchsorted(p[order], p[order][max(0, round(rate * len(p)) - 1)], "right")) for rate in _RATES})
    cuts = tuple(_cut(config, p, score, y, alone, exposure, order[:end]) for end in ends)
    return DecisionTable(exposure=float(exposure.sum()), bands=bands, cuts=cuts)


def _band(name: Verdict, p: Vector, y: Vector, inside: Mask) -> Band:
    return Band(
        decision=name,
        rows=int(inside.sum()),
        share=float(inside.mean()),
        observed=_mean(y[inside]),
        expected=_mean(p[inside]),
    )


def _cut(
    config: DecisionConfig,
    p: Vector,
    score: Scores,
    y: Vector,
    alone: Vector,
    exposure: Vector,
    approved: npt.NDArray[np.intp],
) -> Cut:
    lent, risk, bad = exposure[approved], p[approved], y[approved]
    loss, margin = config.loss_given_default, config.margin
    expected, observed = float(loss * risk @ lent), float(loss * bad @ lent)
    return Cut(
        score=int(score[approved].min()),
        probability=float(risk.max()),
        approved=len(approved),
        approval_rate=len(approved) / len(p),
        bad_rate=float(bad.mean()),
        expected_bad_rate=float(risk.mean()),
        bad_kept_out=float(1 - bad.sum() / y.sum()) if y.any() else 0.0,
        expected_loss=expected,
        observed_loss=observed,
        expected_profit=float(margin * (1 - risk) @ lent) - expected,
        observed_profit=float(margin * (1 - bad) @ lent) - observed,
        swap=swap_set(approved, y, alone),
    )


def swap_set(approved: npt.NDArray[np.intp], y: Vector, alone: Vector) -> Swap:
    """Against the bank-only model approving as many rows, those of its lowest u."""
    joint, own = np.zeros(len(y), np.bool_), np.zeros(len(y), np.bool_)
    joint[approved] = True
    own[np.argsort(alone, kind="stable")[: len(approved)]] = True
    inside, outside = joint & ~own, own & ~joint
    return Swap(
        rows_in=int(inside.sum()),
        rows_out=int(outside.sum()),
        bad_rate_in=_mean(y[inside]),
        bad_rate_out=_mean(y[outside]),
    )


def _mean(values: Vector) -> float | None:
    return float(values.mean()) if len(values) else None
