"""Few bits of many values, packed for the line: eight values a byte, a row for each bit."""

from __future__ import annotations

import numpy as np

from common.mpc.narrow import Bytes


def packed_bits(values: Bytes, bits: int) -> Bytes:
    """(bits, bytes): the low bits of each value, (n,), a row for each bit."""
    planes = (values[None, :] >> np.arange(bits, dtype=np.uint8)[:, None]) & np.uint8(1)
    return np.packbits(planes, axis=1)


def unpacked_bits(packed: Bytes, count: int) -> Bytes:
    """(bits, count) of 0 and 1."""
    return np.unpackbits(packed, axis=1, count=count) if count else np.zeros((len(packed), 0), np.uint8)
