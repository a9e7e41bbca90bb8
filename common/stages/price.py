"""How many bits of the bank's labels a job tells beside what its learner opens: bounds, from public numbers. Section 7."""

from __future__ import annotations

import math

FLOORS = 1.0  # whether there are enough labels of each class
FLAGS = 4.0  # whether a column is the label, scores leave the link's reach, they rank nothing, a training ended too early


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


def _entropy(rows: float) -> float:
    """Bits of a sum of so many independent labels, at most."""
    return 0.5 * math.log2(2.0 * math.pi * math.e * (rows / 4.0 + 1.0 / 12.0))
