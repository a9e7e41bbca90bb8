"""How much longer steps may be than a plan's: known to the bank, which alone sees the labels, and told to nobody.

Where few are overdue, or the bank's own columns explain much, the loss curves far less than the bound of 1/4 that a plan's
step is made for. PROTOCOL.md section 6.
"""

from __future__ import annotations

import numpy as np

from common.mpc.fixedpoint import X_SCALE, Reals
from common.mpc.product import Rows
from common.stats.logistic import Design, newton

LONGEST = 32.0  # gain times step: what the ring has room for
_BOUND = 0.25
_ROOM = 2.0  # the pooled columns were seen to curve at most 2.2 times as much as the bank's own
_ROWS = 1 << 16
_CACHE = 1 << 14


def secret_gain(own: Rows, label: Reals, penalty: Reals, step: float) -> float:
    """1 to LONGEST / step: by the largest curvature of the bank's own columns, where a fit of its own lies.

    own: whitened training rows, (n, m) at X_SCALE; label: (n,); penalty: the ridge on them, (m, m). Of every k-th row, if there
    are many.
    """
    stride = max(1, len(label) // _ROWS)
    parts = []
    for low in range(0, len(label), _CACHE):
        parts.append(np.asarray(own[low : min(len(label), low + _CACHE)][-low % stride :: stride], np.float64) * 2.0**-X_SCALE)
    design, taken = Design.of(np.concatenate(parts)), label[::stride]
    if not 0.0 < taken.mean() < 1.0:
        return 1.0
    hessian = design.curvature(newton(design, taken, penalty).u, taken)[1]
    return float(np.clip(_BOUND / (_ROOM * np.linalg.eigvalsh(hessian + penalty)[-1]), 1.0, max(1.0, LONGEST / step)))
