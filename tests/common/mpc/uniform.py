"""How far bytes are from uniform, for tests of messages."""

from __future__ import annotations

import numpy as np


def uneven(data: bytes) -> float:
    """Deviations by which the chi-square of the bytes' frequencies exceeds that of uniform ones; noise is below 4."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    expected = len(data) / 256
    return float((((counts - expected) ** 2 / expected).sum() - 255) / np.sqrt(2 * 255))
