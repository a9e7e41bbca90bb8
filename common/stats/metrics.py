"""What is said of a model on held-out rows, as plain values: the same at the bank and at a client."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metrics:
    """auc, ks in [0, 1]; gini = 2 auc - 1; logloss in nats a row; brier in [0, 1]."""

    auc: float
    ks: float
    gini: float
    logloss: float
    brier: float


@dataclass(frozen=True)
class Interval:
    """A difference of two AUCs, its 95 % interval (within [-1, 1]) and the two-sided p-value of no difference."""

    difference: float
    low: float
    high: float
    p_value: float
