"""The steps in which metrics leave the bank: one label hardly ever moves what is told. PROTOCOL.md section 7."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from common.home.outcome import Steps
from common.mpc.fixedpoint import Reals
from common.stages.price import mean_step, step_up


def steps_of(label: Reals, u: Reals) -> Steps:
    """Steps for metrics of these held-out rows, labels and log-odds u (n,).

    One label moves the AUC by about one row of the rarer class, and the log-loss by a row of all times its score, which may be
    12 and is the grid's to drive: 24 rows. How many are of that class
    is not told either: up to twice as large a step is taken, as a hash of the scores says, which nobody else knows.
    """
    rarer = float(min(label.sum(), len(label) - label.sum()))
    digest = blake2b(np.ascontiguousarray(u).tobytes(), digest_size=8, person=b"wattscore.steps").digest()
    share = 1.0 + int.from_bytes(digest, "little") / 2.0**64
    return Steps(step_up(share / max(1.0, rarer)), mean_step(len(label)))
