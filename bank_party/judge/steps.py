"""The steps in which metrics leave the bank: one label hardly ever moves what is told. PROTOCOL.md section 7."""

from __future__ import annotations

import math
from hashlib import blake2b

import numpy as np

from common.home.outcome import Steps
from common.mpc.fixedpoint import Reals

_LEAST = 0.001


def steps_of(label: Reals, u: Reals) -> Steps:
    """Steps for metrics of these held-out rows, labels and log-odds u (n,).

    One label moves the AUC by about one row of the rarer class, and the log-loss by a row of all times its score, which may be
    12 and is the grid's to drive: 24 rows. How many are of that class
    is not told either: up to twice as large a step is taken, as a hash of the scores says, which nobody else knows.
    """
    rarer = float(min(label.sum(), len(label) - label.sum()))
    digest = blake2b(np.ascontiguousarray(u).tobytes(), digest_size=8, person=b"wattscore.steps").digest()
    share = 1.0 + int.from_bytes(digest, "little") / 2.0**64
    return Steps(_up(share / max(1.0, rarer)), _up(24.0 / len(label)))


def _up(size: float) -> float:
    """The next of 0.001, 0.002, 0.005, 0.01 and so on."""
    size = max(size, _LEAST)
    ten = 10.0 ** math.floor(math.log10(size) + 1e-9)
    return float(round(next(f * ten for f in (1.0, 2.0, 5.0, 10.0) if f * ten >= size * (1 - 1e-9)), 9))
