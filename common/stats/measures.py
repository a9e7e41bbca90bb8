"""How well scores rank and calibrate on hold-out rows: exact AUC, KS and Gini, log-loss, Brier, and DeLong's interval.

Everywhere y is float64 (n,) of 0.0 and 1.0, and a score is float64 (n,), finite, higher meaning riskier. All of it runs
at the bank, on its own labels.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from common.errors import DataError
from common.stats.metrics import Interval, Metrics

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_CLIP = 1e-15
_Z95 = NormalDist().inv_cdf(0.975)


def evaluate(y: Vector, u: Vector) -> Metrics:
    """All metrics of the linear scores u (log-odds). Raises DataError as `auc` does."""
    area, p = auc(y, u), sigmoid(u)
    return Metrics(auc=area, ks=ks(y, u), gini=2 * area - 1, logloss=logloss(y, p), brier=brier(y, p))


def sigmoid(u: Vector) -> Vector:
    """1 / (1 + exp(-u)), without overflow and with small probabilities to full relative precision."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -u)), dtype=np.float64)


def auc(y: Vector, score: Vector) -> float:
    """The exact area under the ROC curve over all thresholds; a tied pair counts one half.

    Raises DataError when y is not 0/1, has one class only, or does not fit `score`, or a score is not finite.
    """
    positive = _checked(y, score)
    n1 = int(positive.sum())
    n0 = len(positive) - n1
    return float((_midranks(score)[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def gini(y: Vector, score: Vector) -> float:
    """2 AUC - 1; raises as `auc` does."""
    return 2 * auc(y, score) - 1


def ks(y: Vector, score: Vector) -> float:
    """The largest absolute gap between the classes' distributions, over every distinct score; raises as `auc` does."""
    positive = _checked(y, score)
    order = np.argsort(score, kind="stable")
    ranked, hits = score[order], np.cumsum(positive[order])
    at = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    bad = hits[at] / hits[-1]
    good = (at + 1 - hits[at]) / (len(ranked) - hits[-1])
    return float(np.abs(bad - good).max())


def logloss(y: Vector, p: Vector) -> float:
    """Mean of -log of the probability given to what happened, p clipped to [1e-15, 1 - 1e-15]; one class is allowed."""
    positive = _positives(y, p)
    clipped = np.clip(p, _CLIP, 1 - _CLIP)
    return float(-np.where(positive, np.log(clipped), np.log1p(-clipped)).mean())


def brier(y: Vector, p: Vector) -> float:
    """Mean squared error of the probabilities; one class is allowed."""
    return float(np.square(p - _positives(y, p)).mean())


def delong(y: Vector, a: Vector, b: Vector) -> Interval:
    """AUC(a) - AUC(b) on the same rows, by DeLong's covariance with midranks (Sun and Xu, 2014): O(n log n).

    Without any variance (identical rankings, or one perfect and one perfectly wrong) the interval has zero width and
    the p-value is 1 for no difference, 0 otherwise. Raises DataError as `auc` does, and when a class has fewer than two
    rows.
    """
    positive = _checked(y, a)
    _checked(y, b)
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if min(n1, n0) < 2:
        raise _refuse("a class has fewer than two rows, too few for an interval")
    of_bad, of_good = (pa - pb for pa, pb in zip(_placements(positive, a), _placements(positive, b), strict=True))
    difference = float(of_bad.mean())
    error = math.sqrt(float(of_bad.var(ddof=1)) / n1 + float(of_good.var(ddof=1)) / n0)
    # Differences of placements are multiples of 1/(2 n): a spread below this is rounding.
    if error < 1e-14:
        return Interval(difference, difference, difference, 1.0 if abs(difference) < 1e-14 else 0.0)
    low, high = max(-1.0, difference - _Z95 * error), min(1.0, difference + _Z95 * error)
    return Interval(difference, low, high, math.erfc(abs(difference) / error / math.sqrt(2)))


def p_value(difference: float, low: float, high: float) -> float:
    """The two-sided p-value of no difference that a 95 % interval says, of the wider of its sides."""
    side = max(difference - low, high - difference)
    if side <= 0.0:
        return 1.0 if difference == 0.0 else 0.0
    return math.erfc(abs(difference) * _Z95 / side / math.sqrt(2))


def _placements(positive: Mask, score: Vector) -> tuple[Vector, Vector]:
    """The share of good rows below each bad row, and that of bad rows above each good row; ties count one half."""
    bad, good, ranks = score[positive], score[~positive], _midranks(score)
    of_bad = (ranks[positive] - _midranks(bad)) / len(good)
    of_good = 1 - (ranks[~positive] - _midranks(good)) / len(bad)
    return of_bad, of_good


def _midranks(score: Vector) -> Vector:
    """Ranks from 1, ties sharing the mean of theirs; exact, as they are multiples of one half."""
    _, group, counts = np.unique(score, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Vector = ends - (counts - 1) / 2
    return middle[group]


def _checked(y: Vector, score: Vector) -> Mask:
    positive = _positives(y, score)
    if positive.all() or not positive.any():
        raise _refuse("the label has one class only")
    return positive


def _positives(y: Vector, score: Vector) -> Mask:
    if y.ndim != 1 or y.shape != score.shape or len(y) == 0:
        raise _refuse(f"labels {y.shape} and scores {score.shape} are not two columns of the same rows")
    if not np.isfinite(score).all():
        raise _refuse(f"{int((~np.isfinite(score)).sum())} of {len(score)} scores are not finite")
    positive = np.asarray(y == 1)
    if not (positive | (y == 0)).all():
        raise _refuse("a label is neither 0 nor 1")
    return positive


def _refuse(why: str) -> DataError:
    text = f"Cannot evaluate: {why}"
    return DataError(text, public=text, remedy="Evaluate on more rows, or check the label column.")
