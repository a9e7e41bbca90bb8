"""Keyed 64-bit hashes of rows: of (id, period), for the split and the ledger."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from threading import get_ident

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from common.rows.cmac import KEY_BYTES, cmac
from common.rows.table import FeatureTable, Ids, Kept

Hashes = npt.NDArray[np.uint64]

_BLOCK = 1 << 16  # rows, or ids, at a time: no more of these are ever objects of Python
_MANY = 1 << 18  # ids at a time that are not


def hash_rows(table: FeatureTable, key: bytes, values: npt.NDArray[np.float64] | None = None, *, again: bool = False) -> Hashes:
    """A hash of (id, period, value) for each row, uint64 (n,); `key` has at most 64 bytes. Equal rows, equal hashes.

    Any two of n others have the same with a probability of n^2 / 2^64: by the id's hash or by the row's.

    Each id is hashed once, by BLAKE2b to 64 bits, as it always was for the ledgers that exist: two million a second.
    again: rows of these ids will be hashed under this key again: what is found stays with the ids, 9 bytes each.
    """
    if table.rows == 1 and values is None and len(table.ids.levels) == 1:
        return _hash_row(table, key)
    held = table.ids.hashes(key) if again else Kept.of(table.ids)
    _hash_texts(table.ids, key, held)
    return mix_rows(table, held.values, key, values)


def _hash_row(table: FeatureTable, key: bytes) -> Hashes:
    """The same of one row by itself, as of one that is asked for: a tenth of what the steps for many take."""
    month = 0 if table.periods is None else int(table.periods[0])
    return np.array([_hash_one(table.ids.levels[0].as_py(), month, key)], np.uint64)


@lru_cache(256)
def _hash_one(id: str, month: int, key: bytes) -> int:
    """A row that is asked for is looked for in several books, one after another."""
    digest = blake2b(id.encode(), key=key, digest_size=8, person=b"row.id").digest()
    return int.from_bytes(_row_encryptor(key).update(digest + (month << 8).to_bytes(8, "little"))[:8], "little")


def _row_encryptor(key: bytes) -> CipherContext:
    """For whole blocks: it then has no state, and to make one takes as long as to hash three rows."""
    return _encryptor_of(key, get_ident())


@lru_cache(64)
def _encryptor_of(key: bytes, thread: int) -> CipherContext:
    """thread: whose it is, as no two may use one at once."""
    del thread
    secret = blake2b(b"", key=key, digest_size=16, person=b"row.period").digest()
    return Cipher(algorithms.AES(secret), modes.ECB()).encryptor()  # noqa: S305 - a keyed permutation of distinct blocks


def _hash_texts(ids: Ids, key: bytes, held: Kept) -> None:
    """Enters the hashes of those levels which occur that `held` lacks."""
    begin = blake2b(key=key, digest_size=8, person=b"row.id").copy
    for part in ids.runs(_BLOCK):
        if not len(part := part[~held.known[part]]):
            continue
        _, bounds, data = (texts := ids.levels.take(pa.array(part))).buffers()
        ends, whole = np.frombuffer(bounds, np.int32, count=len(texts) + 1).tolist(), memoryview(data or b"")
        digests = []
        for start, end in pairwise(ends):
            one = begin()
            one.update(whole[start:end])
            digests.append(one.digest())
        held.values[part] = np.frombuffer(b"".join(digests), np.uint64)
        held.known[part] = True


def hash_levels(ids: Ids, key: bytes) -> Hashes:
    """64 bits of each level of `ids` that occurs, by AES-CMAC under a key made of `key`, uint64 (levels,); others 0.

    To be mixed into hashes of rows under another key, by `mix_rows`, as often as one likes.
    """
    of_level = np.zeros(len(ids.levels), np.uint64)
    secret = blake2b(b"", key=key, digest_size=KEY_BYTES, person=b"row.id").digest()
    for part in ids.runs(_MANY):
        of_level[part] = cmac(ids.levels.take(pa.array(part)), secret)[:, 0]
    return of_level


def mix_rows(table: FeatureTable, of_level: Hashes, key: bytes, values: npt.NDArray[np.float64] | None = None) -> Hashes:
    """A hash under `key` of (what `of_level` has for the id, period, value) for each row, uint64 (n,).

    AES-128 takes the three to 16 bytes, of which the first 8 count. values: whole numbers from 0 to 255, 0 by default.
    """
    codes = table.ids.codes
    encrypt = _row_encryptor(key)
    out = np.empty(table.rows, np.uint64)
    for low in range(0, table.rows, _BLOCK):
        rows = slice(low, low + _BLOCK)
        block = np.zeros((len(codes[rows]), 2), np.uint64)
        block[:, 0] = of_level[codes[rows]]
        if table.periods is not None:
            block[:, 1] = table.periods[rows].astype(np.uint64) << np.uint64(8)
        if values is not None:
            block[:, 1] |= values[rows].astype(np.uint64)
        out[rows] = np.frombuffer(encrypt.update(block.tobytes()), np.uint64)[::2]
    return out
