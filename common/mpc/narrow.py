"""Words modulo 2^22: packed for the line, and exact products of them by float64. PROTOCOL.md section 14.

A word of 22 bits is carried in 2.75 bytes: the low 16 bits of each, then the upper 6, four of them in three bytes.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

BITS = 22
MASK = np.uint32((1 << BITS) - 1)
Narrow = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]

_UPPER = ((2, 0xFC0), (4, 0x3F000), (6, 0xFC0000))  # of the second to fourth of four: how far it moves, and where to
_BLOCK = 2048  # terms of two signed 22-bit factors that add up to less than 2^53
_BYTES_BLOCK = 8192  # of a byte and such a factor: far below it, and a block of some columns stays in a processor's cache


def packed_size(words: int) -> int:
    """Bytes that so many words take."""
    return 2 * words + 3 * -(-words // 4)


def pack(words: Narrow) -> Bytes:
    """The low 22 bits of uint32 words, of any shape, as uint8 (packed_size,)."""
    flat = np.ascontiguousarray(words, "<u4").reshape(-1)
    count, low = len(flat), 2 * len(flat)
    out: Bytes = np.empty(packed_size(count), np.uint8)
    out[:low].view("<u2")[:] = flat.astype("<u2")
    high = np.empty(4 * -(-count // 4), np.uint8)
    high[count:] = 0
    high[:count] = flat.view(np.uint8)[2::4]
    four = high.view("<u4")
    three = four & 0x3F
    for shift, bits in _UPPER:
        three |= four >> shift & bits
    for place in range(3):
        out[low + place :: 3] = three.view(np.uint8)[place::4]
    return out


def unpack(packed: Bytes, shape: tuple[int, ...]) -> Narrow:
    """What `pack` was given, of this shape; packed: uint8 of just its size."""
    count = math.prod(shape)
    low = 2 * count
    three = np.zeros(-(-count // 4), "<u4")
    for place in range(3):
        three.view(np.uint8)[place::4] = packed[low + place :: 3]
    high = three & 0x3F
    for shift, bits in _UPPER:
        high |= (three & bits) << shift
    words: Narrow = high.view(np.uint8)[:count].astype(np.uint32)
    words <<= np.uint32(16)
    words |= packed[:low].view("<u2")
    return words.reshape(shape)


def as_words(data: npt.NDArray[np.generic]) -> npt.NDArray[np.uint64]:
    """The bytes of an array as 64-bit words, zeros behind: what is dealt and stored is words."""
    flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    out = np.zeros(-(-len(flat) // 8), np.uint64)
    out.view(np.uint8)[: len(flat)] = flat
    return out


def word_count(size: int) -> int:
    """Words that so many bytes take."""
    return -(-size // 8)


def from_words(words: npt.NDArray[np.uint64], size: int) -> Bytes:
    """The first `size` bytes of what `as_words` made."""
    return words.view(np.uint8)[:size]


def signed(words: Narrow) -> npt.NDArray[np.int32]:
    """Words, of which the low 22 bits count, as the integers around zero that they stand for."""
    found: npt.NDArray[np.int32] = (words << np.uint32(32 - BITS)).view(np.int32)
    found >>= np.int32(32 - BITS)
    return found


def product(matrix: npt.NDArray[np.float64] | Bytes, vectors: Narrow) -> Narrow:
    """vectors (q, n) times matrix^T, (q, k), modulo 2^22.

    matrix: (k, n), integers below 2^21 either way, as `signed` gives, or bytes. A block of 2048 products is below 2^53, of
    bytes one of 8192 below 2^42, so that float64 adds it up exactly, at the speed of the machine's own products.
    """
    total = np.zeros((len(vectors), len(matrix)), np.int64)
    right = signed(vectors).astype(np.float64)
    step = _BYTES_BLOCK if matrix.dtype == np.uint8 else _BLOCK
    for low in range(0, matrix.shape[1], step):
        part = slice(low, low + step)
        total += (right[:, part] @ matrix[:, part].astype(np.float64, copy=False).T).astype(np.int64)
    return (total & int(MASK)).astype(np.uint32)


def sums(factor: Narrow, vectors: Narrow) -> Narrow:
    """Of each of vectors (v, q, n) the sum of its products with factor (n,), (v, q), modulo 2^32."""
    found: Narrow = np.einsum("vqn,n->vq", vectors, factor)
    return found
