"""Numbers of any type of a file as the floats nearest to what they print as."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Values = npt.NDArray[np.float64]

_EXACT = 1 << 53  # whole numbers up to here are floats
_ROWS = 1 << 17  # that are printed at a time
_POWERS = 22  # 10 ** 22 is the last power of ten that is a float


def floats(values: Any) -> Values:
    """Numbers of an Arrow type (a chunked array) as float64, missing as NaN: each the float nearest to the printed number."""
    kind = values.type
    if pa.types.is_decimal(kind):
        return _of_decimals(values)
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    if kind == pa.float32():
        return _of_singles(values)
    found = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    if kind == pa.float16():
        single, place = np.unique(found.astype(np.float16), return_inverse=True)
        return np.array([float(str(x)) for x in single], np.float64)[place]
    return found.copy()


def _of_singles(values: Any) -> Values:
    """As they print: 0.1, not 0.10000000149, the shortest decimal that is the same single."""
    found = np.empty(len(values))
    for low in range(0, len(values), _ROWS):
        part = values.slice(low, _ROWS).cast(pa.string()).cast(pa.float64())
        found[low : low + len(part)] = part.to_numpy()
    return found


def _of_decimals(values: Any) -> Values:
    """A cast would divide once too often: 4.35 becomes the float above the one that 4.35 is in text."""
    parts = [_of_decimal(chunk) for chunk in values.chunks]
    return np.concatenate(parts) if parts else np.empty(0)


def _of_decimal(chunk: Any) -> Values:
    kind = chunk.type
    if kind.bit_width != 128 or not 0 <= kind.scale <= _POWERS:
        return np.asarray(chunk.cast(pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    halves = np.frombuffer(chunk.buffers()[1], np.int64, count=2 * (chunk.offset + len(chunk)))[2 * chunk.offset :]
    low, high = halves[::2], halves[1::2]
    small = (high == low >> 63) & (np.abs(low) < _EXACT)
    missing = np.asarray(chunk.is_null())
    found = np.where(missing, np.nan, low / 10.0**kind.scale)  # both exact: the quotient is the nearest float
    large = ~small & ~missing
    if large.any():
        text = chunk.filter(pa.array(large)).cast(pa.string())
        found[large] = text.cast(pa.float64()).to_numpy()
    return found
