"""Randomness expanded from a seed: AES-128 in counter mode keyed by (seed, purpose, counter). PROTOCOL.md section 2."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from enum import Enum
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

SEED_BYTES = 32
MARK_BYTES = 32
_CHUNK = 1 << 20
_BLOCK = 16  # bytes that the cipher makes at once
_ZEROS = memoryview(bytes(_CHUNK))


class Purpose(Enum):
    """The purpose of an expansion: no two uses of a seed share a key stream."""

    MATRIX = 1
    RIDGE_MATRIX = 2
    WEIGHTS = 3
    ANGLE = 4
    LINK = 5
    RESIDUAL = 6
    TRUNCATION = 7
    TRUNCATION_BODY = 8
    TRUNCATION_TOP = 9
    GRADIENT = 10
    PERIODS = 11
    PERIOD_PRODUCT = 12
    OPERAND = 13
    OUTPUT_WEIGHTS = 14
    BACK = 15
    UNIT_ANGLE = 16
    UNITS = 17
    CUT = 18
    TAG_FACTOR = 24
    TAG_PAD = 25
    TAG_LIFT = 26
    # of counting labels by bin
    BIN_MATRIX = 30
    BIN_LABELS = 31
    GROUP_MATRIX = 32
    GROUP_COUNTS = 33
    GROUP_OFFSET = 34
    COUNT_MASK = 35
    COUNT_TABLES = 36
    COUNT_FACTOR = 37
    # of finding the largest of shared values
    LARGEST_MASK = 60
    LARGEST_TABLES = 61
    LARGEST_BITS = 62
    LARGEST_PRODUCTS = 63
    LARGEST_SHARE = 64
    LARGEST_FACTOR = 65
    # of boosted trees
    TREE_MATRIX = 70
    TREE_ANGLE = 71
    TREE_LINK = 72
    TREE_NODES = 73
    TREE_SUMS = 74
    TREE_MOMENTS = 75
    TREE_BRANCH = 76
    TREE_MOVE = 77
    TREE_LEAVES = 78
    TREE_LEAF_MOMENTS = 79
    TREE_CHOICE = 80
    TREE_PADS = 81
    TREE_ORDER_MASK = 82
    TREE_ORDER_BITS = 83
    TREE_ORDER_DEALT = 84
    # of several banks
    SUM = 90
    SUM_OUT = 91
    SPLIT = 92
    AGREED = 93
    HEARD = 94
    # of comparing shared values, and of telling the largest few of each row
    COMPARE_PADS = 120
    COMPARE_TABLES = 121
    RANK_VALUES = 122
    RANK_LOSSES = 123
    RANK_BITS = 124
    RANK_SLOTS = 125
    # of units that are their sum or zero
    UNIT_SUMS = 126
    UNIT_VALUES = 127
    # of masks that their owner undoes itself
    LATTICE_PUBLIC = 140
    LATTICE_SECRET = 141
    LATTICE_ERROR = 142
    LATTICE_FLOOD = 143
    LATTICE_BITS = 144
    LATTICE_DITHER = 145
    LATTICE_ANGLE = 146


def mark(key: bytes) -> bytes:
    """A hash of a key, 32 bytes: nobody has another key of the same, nor learns this one from it."""
    return hashlib.blake2b(b"", key=key, digest_size=MARK_BYTES, person=b"wattscore.tagkey").digest()


class Prg:
    """A seed of 32 bytes. Never printed, never pickled.

    key: of as many bytes, the lasting one of the tags of whose seed it is; no seed of a job gives what it gives.
    """

    def __init__(self, seed: bytes, key: bytes = b"") -> None:
        if len(seed) != SEED_BYTES or len(key) not in (0, SEED_BYTES):
            raise ValueError(f"a seed has {SEED_BYTES} bytes, and so has a key")
        self._seed, self._key = seed, key

    @staticmethod
    def fresh_seed() -> bytes:
        """A seed from the operating system's generator."""
        return secrets.token_bytes(SEED_BYTES)

    def words(self, purpose: Purpose, counter: int, count: int) -> npt.NDArray[np.uint64]:
        """`count` uniform words modulo 2^64; the same for the same (seed, purpose, counter)."""
        return self._expand(purpose, counter, 8 * count).view(np.uint64)

    def bytes(self, purpose: Purpose, counter: int, count: int) -> npt.NDArray[np.uint8]:
        """`count` uniform bytes."""
        return self._expand(purpose, counter, count)

    def short_words(self, purpose: Purpose, counter: int, count: int) -> npt.NDArray[np.uint16]:
        """`count` uniform words modulo 2^16."""
        return self._expand(purpose, counter, 2 * count).view(np.uint16)

    def factors(self, count: int) -> list[int]:
        """`count` uniform numbers of 64 bits: the first of those of the lasting key. ValueError without one."""
        if not self._key:
            raise ValueError("there is no lasting key")
        out = np.empty(8 * count, np.uint8)
        _write(_stream(self._key, Purpose.TAG_FACTOR, 0), memoryview(out.data))
        found: list[int] = out.view(np.uint64).tolist()
        return found

    @property
    def mark(self) -> npt.NDArray[np.uint64]:
        """By which the lasting key is known again, as words."""
        return np.frombuffer(mark(self._key), np.uint64)

    def half_words(self, purpose: Purpose, counter: int, count: int) -> npt.NDArray[np.uint32]:
        """`count` uniform words modulo 2^32."""
        return self._expand(purpose, counter, 4 * count).view(np.uint32)

    def fill(self, purpose: Purpose, counter: int, rows: npt.NDArray[np.uint64]) -> None:
        """Overwrites each row of a (k, n) array, contiguous within rows, with what `words` would give of k n words."""
        stream = self._stream(purpose, counter)
        for row in rows:
            _write(stream, memoryview(row.view(np.uint8).data))

    def pieces(
        self, purpose: Purpose, counter: int, shape: tuple[int, int], columns: slice, most: int
    ) -> Iterator[npt.NDArray[np.uint64]]:
        """Of what `words` gives, as the rows of an array of this shape, so many columns, from left to right.

        At most `most` columns at a time, (shape[0], some) in C order; each overwrites the one before.
        """
        (count, size), stream = shape, self._stream(purpose, counter)
        room = np.empty((count, min(most, _CHUNK // 8, columns.stop - columns.start)), np.uint64)
        for low in range(columns.start, columns.stop, room.shape[1] or 1):
            piece = room[:, : columns.stop - low]
            zeros = _ZEROS[: 8 * piece.shape[1]]
            for place, row in enumerate(piece.view(np.uint8)):
                block, left_out = divmod(8 * (place * size + low), _BLOCK)
                stream.reset_nonce(block.to_bytes(_BLOCK, "big"))
                stream.update(_ZEROS[:left_out])
                stream.update_into(zeros, row.data)
            yield piece

    def _expand(self, purpose: Purpose, counter: int, size: int) -> npt.NDArray[np.uint8]:
        """So many bytes."""
        out = np.empty(size, np.uint8)
        _write(self._stream(purpose, counter), memoryview(out.data))
        return out

    def _stream(self, purpose: Purpose, counter: int) -> CipherContext:
        return _stream(self._seed, purpose, counter)

    def __repr__(self) -> str:
        return "Prg(seed hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a seed is not pickled")


def _stream(secret: bytes, purpose: Purpose, counter: int) -> CipherContext:
    label = purpose.value.to_bytes(4, "little") + counter.to_bytes(8, "little")
    key = hashlib.blake2b(label, key=secret, digest_size=16, person=b"wattscore.prg.1").digest()
    return Cipher(algorithms.AES(key), modes.CTR(bytes(_BLOCK))).encryptor()


def _write(stream: CipherContext, out: memoryview) -> None:
    for start in range(0, len(out), _CHUNK):
        part = out[start : start + _CHUNK]
        stream.update_into(_ZEROS[: len(part)], part)
