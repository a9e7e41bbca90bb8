"""How many bits of the bank's labels a job tells beside what its learner opens: bounds, from public numbers. Of metrics, which
are told in steps, these too. PROTOCOL.md section 7.
"""

from __future__ import annotations

import math

USUAL = 0.1  # of a row's label, that a bank allows unless its policy says otherwise
FLOORS = 1.0  # whether there are enough labels of each class
FLAGS = 5.0  # whether a training arrived, a column is the label, scores leave the reach or rank nothing, it ended too early

WORSE = 2.0  # of a promotion: whether rows held out by both say anything, and whether the model is refused as worse
LARGEST_LOSS = 4.0  # the largest log-loss that others hear; of a half said of each row it is 0.69
LARGEST_U = 99.9  # the largest |u|
_LEAST = 0.001  # of all steps


def left_out_bits(columns: int) -> float:
    """Bits that tell how many of so many columns of the bank's own are left out, for labels in their bins and as coded."""
    return 2.0 * math.log2(1.0 + columns)


def count_bits(rows: int, bins: int, months: int) -> float:
    """Bits that label counts of so many bins tell, over training rows of which `months` at most are of one enterprise.

    Holds if labels of different enterprises are independent given all that was known before: a count over r rows is then a
    sum of independent terms, whose variance is at most months * r / 4, and no integer of that variance has more entropy than
    a normal variable of 1/12 more. The counts of one column add up to the ones of all rows, so one follows from the others
    and that sum: of c columns bins - c are left; c is the one that makes most of it. What the tests of small bins tell
    follows from the counts of the bins first asked for.
    """
    if bins < 2:
        return 0.0
    weight = months * rows
    return _entropy(weight) + max((bins - c) * _entropy(weight * c / bins) for c in range(1, bins // 2 + 1))


def histogram_bits(rows: int, cells: int, months: int) -> float:
    """Bits of labels that counts of scores of each class in so many cells tell, of so many held-out rows, as in `count_bits`.

    Which cells rows lie in is taken as known. A cell's ones are a sum of independent labels; even cells tell most.
    """
    return cells * _entropy(months * rows / cells)


def step_bits(columns: int, train: int, rows: int, months: int, sums: int, bits: int) -> float:
    """Bits of labels that sums of banks alone tell of one bank's `rows` training rows, of `train` of all banks.

    columns: whitened, so that the mean square of each over all rows is one at most. Its rows being known, all that these sums
    tell of labels follows from how many are ones and, of each column, from the sum of its values over these. The first sum
    tells that in steps of 2^-bits of a mean, each later one in which part of such a step it lies; the log-loss beside it is one
    of 2^bits numbers.
    """
    deviation = 2.0**bits * math.sqrt(months / (4.0 * train)) + 0.5  # of a rounded word
    first = 0.5 * math.log2(2.0 * math.pi * math.e * (deviation**2 + 1.0 / 12.0))
    return _entropy(months * rows) + columns * (first + sums - 1) + sums * bits


def _entropy(rows: float) -> float:
    """Bits of a sum of so many independent labels, at most."""
    return 0.5 * math.log2(2.0 * math.pi * math.e * (rows / 4.0 + 1.0 / 12.0))


def step_up(size: float) -> float:
    """The next of 0.001, 0.002, 0.005, 0.01 and so on: the step of a metric which is to be no finer than `size`."""
    size = max(size, _LEAST)
    ten = 10.0 ** math.floor(math.log10(size) + 1e-9)
    return float(round(next(f * ten for f in (1.0, 2.0, 5.0, 10.0) if f * ten >= size * (1 - 1e-9)), 9))


def mean_step(held: int) -> float:
    """The step of log-loss and Brier score over so many held-out rows: one row's score may add 12/h or take it away."""
    return step_up(24.0 / held)


def metric_bits(held: int) -> float:
    """Bits that the metrics of a model and of the bank's columns alone tell, of so many held-out rows.

    The logarithm of how many answers there are, and so a bound whatever labels and columns are: AUC, KS, log-loss and Brier
    score of both, the largest |u|, and the interval of their AUCs' difference. Steps of ranks are the finest that any labels
    lead to, those of which half are of each class; wider ones have less than half as many answers each time, one bit for all.
    """
    rank, mean = step_up(2.0 / held), mean_step(held)
    each = 2 * math.log2(_values(1.0, rank)) + math.log2(_values(LARGEST_LOSS, mean)) + math.log2(_values(1.0, mean))
    return 2 * each + math.log2(_values(LARGEST_U, 0.1)) + _interval_bits(rank) + 1.0


def challenge_bits(held: int) -> float:
    """The same of a comparison with the champion: AUC of both and the interval of the difference."""
    rank = step_up(2.0 / held)
    return 2 * math.log2(_values(1.0, rank)) + _interval_bits(rank) + 1.0


def _interval_bits(rank: float) -> float:
    """A difference of two AUCs that are told is one of three values; its lower end says where the upper one is."""
    return math.log2(3.0) + math.log2(_values(2.0, rank))


def _values(most: float, step: float) -> int:
    """How many values there are from 0 to `most`, rounded to a step."""
    return round(most / step) + 1
