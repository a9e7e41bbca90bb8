"""Curve25519 for the alignment: ids hashed to points, points multiplied by a secret, points of the other party checked.

A point travels as its Montgomery u coordinate: 32 bytes, little-endian, below p = 2^255 - 19 (RFC 7748). Work is cut
into chunks over a thread pool: libsodium's calls release the interpreter lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import NoReturn

import nacl.exceptions
import numpy as np
import numpy.typing as npt
from nacl.bindings import crypto_core_ed25519_from_uniform, crypto_scalarmult

from common.errors import LocalProtocolError, PeerProtocolError

Points = npt.NDArray[np.uint8]  # (n, 32)
Progress = Callable[[int], None]  # called from a worker thread with the number of points done so far

POINT_BYTES = 32
CHUNK = 2048  # points a task: some 100 ms of work

_P = 2**255 - 19
_A = 486662
FEW = 32  # points for which no thread is worth its start
_BITS = 10  # of random subsets per table of partial products
_TABLES = 2  # _TABLES * _BITS = 20 trials


def hash_to_curve(ids: Sequence[str], domain: bytes, progress: Progress | None = None) -> Points:
    """The points (n, 32) of `ids`, all in the prime-order subgroup of the curve; `domain` (the job) separates runs.

    32 uniform bytes, BLAKE2b of the id keyed by BLAKE2b of `domain`, go through Elligator 2 and the cofactor 8: the map
    and the shape of encode_to_curve in RFC 9380 (sections 3 and 6.7.1), with another hash in front. Taking the bytes as
    u itself would land on the twist for half of the ids, and a multiple stays on its side: a bit about each id shows.

    A single Elligator map reaches only about half of the curve's points. That suffices: the decisional Diffie-Hellman
    argument only has to set an id's hash to a point k G of known k, and can do so by rejection. Draw k, draw one of the
    eight points R with 8 R = k G, and keep it if the map reaches R (half do), from r and from -r alike.
    """
    key = blake2b(domain, digest_size=64, person=b"wattscore-psi").digest()

    def chunk(start: int, stop: int) -> bytes:
        return _map_to_curve([blake2b(i.encode(), digest_size=32, key=key).digest() for i in ids[start:stop]])

    return _in_chunks(chunk, len(ids), progress)


class Secret:
    """A fresh X25519 scalar: it multiplies, and it neither shows, copies nor pickles."""

    __slots__ = ("_scalar",)

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._scalar = random(32)

    def multiply(self, points: Points, progress: Progress | None = None) -> Points:
        """This scalar, clamped as in RFC 7748, times each of `points` (n, 32); same order.

        Clamping makes the scalar a multiple of 8, so a point's small-order part is lost and tells nothing about it.
        Raises PeerProtocolError for a point of low order (only the other party can have sent one).
        """
        rows = _rows(points)

        def chunk(start: int, stop: int) -> bytes:
            return b"".join([crypto_scalarmult(self._scalar, rows[i : i + 32]) for i in range(start * 32, stop * 32, 32)])

        try:
            return _in_chunks(chunk, len(points), progress)
        except nacl.exceptions.RuntimeError:
            raise PeerProtocolError("the other party sent a point of low order") from None

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise LocalProtocolError("a secret scalar is neither copied nor pickled")


def validate(points: Points, random: Callable[[int], bytes] = os.urandom) -> None:
    """Raises PeerProtocolError unless `points` (n, 32) are canonical (u < p), distinct and on the curve, not its twist.

    u is on the curve when w = u (u^2 + A u + 1) is a square. The Legendre symbol is multiplicative, so products of w
    over random halves of the points are tested, 20 times: a non-square escapes each trial with probability 1/2 and all
    of them with 2^-20, however many there are.
    """
    rows = _rows(points)
    _check_canonical(points)
    check_distinct(points)
    if len(points) <= _TABLES * _BITS:  # each by itself, for no more than the trials would cost
        products = [_curve_side(rows[i : i + 32]) for i in range(0, len(rows), 32)]
        if any(pow(product, (_P - 1) // 2, _P) != 1 for product in products):
            raise _off_the_curve()
    elif any(pow(product, (_P - 1) // 2, _P) != 1 for product in _random_products(rows, random)):
        raise _off_the_curve()


def _off_the_curve() -> PeerProtocolError:
    return PeerProtocolError("the other party sent a value that is not a point of the curve")


def check_distinct(points: Points) -> None:
    """Raises PeerProtocolError if two of `points` (n, 32) are the same."""
    if len(points) == 1:
        return
    ordered = np.sort(sort_keys(points))
    if bool((ordered[1:] == ordered[:-1]).any()):
        raise PeerProtocolError("the other party sent the same point twice")


def sort_keys(points: Points) -> npt.NDArray[np.bytes_]:
    """`points` (n, 32) as (n,) byte strings of fixed width 32, which numpy sorts and compares."""
    return np.ascontiguousarray(points).view("S32").reshape(-1)


def _rows(points: Points) -> bytes:
    if points.dtype != np.uint8 or points.ndim != 2 or points.shape[1] != POINT_BYTES:
        raise LocalProtocolError("points are uint8 (n, 32)", got=f"{points.dtype} {points.shape}")
    return points.tobytes()


def _in_chunks(work: Callable[[int, int], bytes], count: int, progress: Progress | None) -> Points:
    """`work(start, stop)` over all of range(count), on every core; its bytes, in order, as points (count, 32)."""
    if 0 < count <= FEW and progress is None:
        return np.frombuffer(bytearray(work(0, count)), np.uint8).reshape(-1, POINT_BYTES)
    out = np.empty((count, POINT_BYTES), np.uint8)
    cores = os.cpu_count() or 1
    size = min(CHUNK, max(FEW, -(-count // cores)))  # somebody may wait for a thousand of them
    starts = range(0, count, size)
    stops = [min(start + size, count) for start in starts]
    with ThreadPoolExecutor(cores, thread_name_prefix="curve") as pool:
        for start, stop, part in zip(starts, stops, pool.map(work, starts, stops), strict=True):
            out[start:stop] = np.frombuffer(part, np.uint8).reshape(-1, POINT_BYTES)
            if progress:
                progress(stop)
    return out


def _map_to_curve(uniform: list[bytes]) -> bytes:
    """Elligator 2 and the cofactor (libsodium, in Edwards form), then u = (1 + y) / (1 - y) with one inversion for all.

    y = 1 (the neutral point) would take a preimage of a low-order point: probability about 2^-250.
    """
    ys = [int.from_bytes(crypto_core_ed25519_from_uniform(r), "little") & ((1 << 255) - 1) for r in uniform]
    before, product = [], 1
    for y in ys:
        before.append(product)
        product = product * (1 - y) % _P
    inverse = pow(product, -1, _P)  # of the product of all denominators up to the current one
    us: list[bytes] = []
    for y, earlier in zip(reversed(ys), reversed(before), strict=True):
        us.append(((1 + y) * (inverse * earlier % _P) % _P).to_bytes(32, "little"))
        inverse = inverse * (1 - y) % _P
    return b"".join(reversed(us))


def _check_canonical(points: Points) -> None:
    words = np.ascontiguousarray(points).view("<u8")
    top = np.uint64(_P >> 192)
    full = (words[:, 3] == top) & (words[:, 2] == 2**64 - 1) & (words[:, 1] == 2**64 - 1)
    if bool(((words[:, 3] > top) | (full & (words[:, 0] >= 2**64 - 19))).any()):
        raise PeerProtocolError("the other party sent a point that is not reduced modulo p")


def _random_products(rows: bytes, random: Callable[[int], bytes]) -> list[int]:
    """Products of w over 20 independent random halves of the points, modulo p.

    A point's 10 random bits pick one of 1024 partial products; half of those, by one of the bits, make up one trial.
    So a point costs one multiplication for ten trials.
    """
    tables = [[1] * (1 << _BITS) for _ in range(_TABLES)]
    for start in range(0, len(rows), 32 * CHUNK):
        part = rows[start : start + 32 * CHUNK]
        picks = np.frombuffer(random(len(part) // 32 * 4), "<u4")
        ws = [_curve_side(part[i : i + 32]) for i in range(0, len(part), 32)]
        for number, table in enumerate(tables):
            for w, pick in zip(ws, (picks >> (number * _BITS) & ((1 << _BITS) - 1)).tolist(), strict=True):
                table[pick] = table[pick] * w % _P
    return [_product(table, bit) for table in tables for bit in range(_BITS)]


def _curve_side(row: bytes) -> int:
    u = int.from_bytes(row, "little")
    return u * ((u * (u + _A) + 1) % _P) % _P


def _product(table: list[int], bit: int) -> int:
    product = 1
    for pick, partial in enumerate(table):
        if pick >> bit & 1:
            product = product * partial % _P
    return product
