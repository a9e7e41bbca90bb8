"""The expansion of seeds, against the same construction written out from hashlib and AES."""

from __future__ import annotations

import copy
import hashlib
import pickle
from itertools import product

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from common.mpc import prg as module
from common.mpc.prg import Prg, Purpose

SEED = bytes(range(32))
# words(TRUNCATION, 5, 4) of SEED: a change here breaks every deployed pair of versions
KNOWN = ["d60c8fc8fb4d7119", "34dde0f95e1c0f15", "001aa0cf3c2bf0b3", "1429d9ee2c247904"]


def expansion(seed: bytes, purpose: int, counter: int, size: int) -> bytes:
    label = purpose.to_bytes(4, "little") + counter.to_bytes(8, "little")
    key = hashlib.blake2b(label, key=seed, digest_size=16, person=b"wattscore.prg.1").digest()
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    blocks = -(-size // 16)
    return b"".join(encryptor.update(block.to_bytes(16, "big")) for block in range(blocks))[:size]


def test_known_answer() -> None:
    words = Prg(SEED).words(Purpose.TRUNCATION, 5, 4)
    assert [f"{word:016x}" for word in words.tolist()] == KNOWN


@pytest.mark.parametrize("purpose", Purpose)
def test_construction(purpose: Purpose) -> None:
    words = Prg(SEED).words(purpose, 2**40 + 3, 1001)
    assert words.dtype == np.uint64
    assert words.astype("<u8").tobytes() == expansion(SEED, purpose.value, 2**40 + 3, 8008)


def test_half_words() -> None:
    halves = Prg(SEED).half_words(Purpose.ANGLE, 1, 7)
    assert halves.dtype == np.uint32
    assert halves.astype("<u4").tobytes() == expansion(SEED, Purpose.ANGLE.value, 1, 28)


def test_purposes_have_numbers_of_their_own() -> None:
    # An alias in an Enum is silent: two names for one number would share every key stream.
    assert len(Purpose) == len(Purpose.__members__) > 20


def test_no_two_labels_share_a_stream() -> None:
    other = bytes(32)
    streams = [
        Prg(seed).words(purpose, counter, 2).tobytes()
        for seed, purpose, counter in product((SEED, other), Purpose, (0, 1, 255, 256, 2**32, 2**63))
    ]
    assert len(set(streams)) == len(streams)


def test_chunks_join(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Prg(SEED).words(Purpose.MATRIX, 0, 1000)
    monkeypatch.setattr(module, "_CHUNK", 48)
    assert (Prg(SEED).words(Purpose.MATRIX, 0, 1000) == whole).all()


def test_nothing_to_expand() -> None:
    assert Prg(SEED).words(Purpose.MATRIX, 0, 0).shape == (0,)


def test_fresh_seeds_differ() -> None:
    seeds = {Prg.fresh_seed() for _ in range(16)}
    assert len(seeds) == 16 and {len(seed) for seed in seeds} == {32}


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_seed_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Prg(bytes(size))


def test_seed_stays_inside() -> None:
    prg = Prg(SEED)
    for shown in (repr(prg), str(prg), f"{prg}"):
        assert SEED.hex() not in shown and repr(SEED) not in shown and "hidden" in shown
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            leak(prg)
