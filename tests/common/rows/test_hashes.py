"""Keyed hashes of rows: a function of (id, period, value) and the key, and of nothing else."""

from __future__ import annotations

import numpy as np

from common.rows.hashes import hash_rows
from common.rows.table import FeatureTable, Ids

NAMES = [f"F{k // 3}" for k in range(30)]
MONTHS = np.array([24000 + k % 3 for k in range(30)], np.int32)


def rows(names: list[str] = NAMES, months: np.ndarray | None = MONTHS) -> FeatureTable:
    return FeatureTable(Ids.of(names), months, {}, {})


def test_every_row_has_its_own_whatever_the_order() -> None:
    order = np.random.default_rng(1).permutation(30)
    one = hash_rows(rows(), b"key")
    assert len(set(one.tolist())) == 30
    np.testing.assert_array_equal(hash_rows(rows().take(order), b"key"), one[order])
    np.testing.assert_array_equal(hash_rows(rows([NAMES[k] for k in order], MONTHS[order]), b"key"), one[order])


def test_key_period_and_value_count() -> None:
    one = hash_rows(rows(), b"key")
    value = np.ones(30)
    for other in (hash_rows(rows(), b"kez"), hash_rows(rows(months=MONTHS + 1), b"key"), hash_rows(rows(), b"key", value)):
        assert (other != one).all()


def test_more_rows_than_a_block() -> None:
    many = rows([f"F{k}" for k in range(70_000)], None)
    hashes = hash_rows(many, b"key")
    assert len(np.unique(hashes)) == 70_000
    np.testing.assert_array_equal(hash_rows(many.part(65_000, 70_000), b"key"), hashes[65_000:])


def test_bits_are_balanced() -> None:
    bits = np.unpackbits(hash_rows(rows([f"F{k}" for k in range(20_000)], None), b"key").view(np.uint8).reshape(-1, 8), axis=1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.02
