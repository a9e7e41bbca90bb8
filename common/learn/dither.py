"""The grid's dither of scores: rounding at random would else tell finer steps to whoever has a row scored again and again."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from common.mpc.fixedpoint import Words
from common.rows.hashes import hash_rows
from common.rows.table import FeatureTable


def dither(secret: bytes, keys: FeatureTable, shift: int) -> Words:
    """Uniform in half a step of 2^shift either way, (n,); a hash of the row, the same whenever this model scores this row.

    secret: of the model's half at the grid, which keys the hash.
    """
    key = blake2b(secret, digest_size=32, person=b"wattscore.dither").digest()
    return (hash_rows(keys, key=key) >> np.uint64(64 - shift)) - np.uint64(1 << (shift - 1))
