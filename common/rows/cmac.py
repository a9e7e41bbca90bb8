"""AES-CMAC of many short texts at once: a keyed hash some ten times faster than one call a text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from numpy.lib.stride_tricks import sliding_window_view

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

KEY_BYTES = 16
BLOCK = 16
_TEXTS = 1 << 18  # whose places and sizes are held at once
_PASS = 1 << 20  # bytes of padded text at once: what the processor's cache holds


def cmac(texts: pa.StringArray, key: bytes) -> Words:
    """The tag of each text's UTF-8 by AES-128-CMAC (RFC 4493) under `key`, uint64 (n, 2): its 16 bytes as two words."""
    if len(texts) == 1:
        one = CMAC(algorithms.AES128(key))
        one.update((texts[0].as_py() or "").encode())  # null is as an empty one
        return np.frombuffer(one.finalize(), np.uint64).reshape(1, 2).copy()
    out, mac = np.empty((len(texts), 2), np.uint64), _Mac(key)
    for low in range(0, len(texts), _TEXTS):
        _tag(texts[low : low + _TEXTS], mac, out[low : low + _TEXTS])
    return out


def _tag(texts: pa.StringArray, mac: _Mac, out: Words) -> None:
    offsets, data = texts.buffers()[1:]
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    whole = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    starts, sizes = ends[:-1], np.diff(ends)
    blocks = np.maximum(1, -(-sizes // BLOCK))
    for count in np.unique(blocks).tolist():
        rows = np.flatnonzero(blocks == count)
        for low in range(0, len(rows), step := max(1, _PASS // (BLOCK * count))):
            part = rows[low : low + step]
            out[part] = mac(_windows(whole, starts[part], BLOCK * count), sizes[part])


def _windows(data: Bytes, starts: npt.NDArray[np.int64], width: int) -> Bytes:
    """The `width` bytes of `data` from each of the ascending `starts`, (n, width); zeros beyond the end."""
    near = data[starts[0] : starts[-1] + width]
    if (lacking := int(starts[-1]) + width - len(data)) > 0:
        near = np.concatenate([near, np.zeros(lacking, np.uint8)])
    found: Bytes = sliding_window_view(near, width)[starts - starts[0]]
    return found


class _Mac:
    """The function under one key, over texts that take the same number of blocks."""

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(algorithms.AES128(key), modes.ECB())  # noqa: S305 - the block function alone: CMAC chains it
        whole, padded = _subkeys(self._encrypt(np.zeros((1, 2), np.uint64)).tobytes())
        keep, add = np.zeros((BLOCK + 1, BLOCK), np.uint8), np.zeros((BLOCK + 1, BLOCK), np.uint8)
        for size in range(BLOCK + 1):
            keep[size, :size] = 0xFF
            add[size, size : size + 1] = 0x80
            add[size] ^= whole if size == BLOCK else padded
        self._keep, self._add = keep.view(np.uint64), add.view(np.uint64)  # of a last block of this many bytes

    def __call__(self, texts: Bytes, sizes: npt.NDArray[np.int64]) -> Words:
        """The tags of texts of these sizes, uint64 (n, 2); what stands in (n, 16 * blocks) after a text is of no account."""
        words = texts.view(np.uint64).reshape(len(texts), -1, 2)
        last = sizes - BLOCK * (words.shape[1] - 1)
        state = np.zeros((len(texts), 2), np.uint64)
        for block in range(words.shape[1] - 1):
            state = self._encrypt(state ^ words[:, block])
        return self._encrypt(state ^ (words[:, -1] & self._keep[last]) ^ self._add[last])

    def _encrypt(self, blocks: Words) -> Words:
        done = self._cipher.encryptor().update(blocks.reshape(-1).view(np.uint8).data)
        return np.frombuffer(done, np.uint64).reshape(-1, 2)


def _subkeys(zero: bytes) -> tuple[Bytes, Bytes]:
    """For a last block that is whole and one that is padded: the encrypted zero block times x, and times x squared."""
    keys, value = [], int.from_bytes(zero, "big")
    for _ in range(2):
        value = (value << 1 & (1 << 128) - 1) ^ (0x87 if value >> 127 else 0)
        keys.append(np.frombuffer(value.to_bytes(BLOCK, "big"), np.uint8))
    return keys[0], keys[1]
