"""Keyed hashes of rows: a function of (id, period, value) and the key, and of nothing else."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from common.rows import hashes
from common.rows.hashes import hash_levels, hash_rows, mix_rows
from common.rows.table import FeatureTable, Ids

NAMES = [f"F{k // 3}" for k in range(30)]
MONTHS = np.array([24000 + k % 3 for k in range(30)], np.int32)
LEDGER = [10681902358019132686, 17679411168665499441]


def rows(names: list[str] = NAMES, months: np.ndarray | None = MONTHS) -> FeatureTable:
    return FeatureTable(Ids.of(names), months, {}, {})


def test_every_row_has_its_own_whatever_the_order() -> None:
    order = np.random.default_rng(1).permutation(30)
    one = hash_rows(rows(), b"key")
    assert len(set(one.tolist())) == 30
    np.testing.assert_array_equal(hash_rows(rows().take(order), b"key"), one[order])
    np.testing.assert_array_equal(hash_rows(rows([NAMES[k] for k in order], MONTHS[order]), b"key"), one[order])


@pytest.mark.parametrize("months", [MONTHS, None])
def test_a_row_by_itself_has_the_hash_that_it_has_among_others(months: np.ndarray | None) -> None:
    names = [*NAMES[:-2], "企业é", ""]
    many = rows(names, months)
    assert [int(hash_rows(many.take(np.array([k])), b"key")[0]) for k in range(30)] == hash_rows(many, b"key").tolist()
    alone = rows(["企业é"], None if months is None else months[-2:-1])
    assert (
        len(alone.ids.levels) == 1 and hash_rows(alone, b"key", again=True).tolist() == hash_rows(many, b"key")[-2:-1].tolist()
    )


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


def test_hashes_of_levels_are_of_the_id_and_the_key_and_mix_under_another() -> None:
    data = rows().take(np.arange(3, 30))  # of the ten ids, the first no longer occurs
    one = hash_levels(data.ids, b"key")
    assert one[0] == 0 and len(set(one[1:].tolist())) == 9
    np.testing.assert_array_equal(hash_levels(rows().ids, b"key")[1:], one[1:])
    assert (hash_levels(data.ids, b"kez")[1:] != one[1:]).all()
    mixed = mix_rows(data, one, b"a")
    assert len(set(mixed.tolist())) == 27
    assert (mixed != mix_rows(data, one, b"b")).all() and (mixed != mix_rows(data, one, b"a", np.ones(27))).all()
    np.testing.assert_array_equal(mix_rows(data.take(np.arange(9)), one, b"a"), mixed[:9])


def test_what_is_hashed_again_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    data = rows([f"F{k}" for k in range(5000)], None)
    some, rest = data.take(np.arange(0, 5000, 7)), data.keys(slice(100, 5000))
    expected = [hash_rows(rows(part.ids.tolist(), None), b"key") for part in (some, rest, data)]
    monkeypatch.setattr(hashes, "_BLOCK", 64)
    for part, once in zip((some, rest, data), expected, strict=True):
        np.testing.assert_array_equal(hash_rows(part, b"key", again=True), once)
        np.testing.assert_array_equal(hash_rows(part, b"key", again=True), once)
        assert (hash_rows(part, b"kez", again=True) != once).all()
    monkeypatch.setattr(hashes, "blake2b", None)  # nothing is hashed anew
    np.testing.assert_array_equal(hashes.Kept.of(data.ids).known, False)
    assert data.ids.hashes(b"key").known.all() and some.ids.hashes(b"key") is data.ids.hashes(b"key")


def test_ids_are_no_objects_of_python_but_a_block_of_them() -> None:
    count = 300_000
    data = rows([f"E{k:09d}" for k in range(count)], None)
    tracemalloc.start()  # an id as text is 59 bytes, its digest 41
    try:
        hash_rows(data, b"key")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 60 * count


def test_of_hashed_ids_only_hashes_are_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 300_000
    data = rows([f"E{k:09d}" for k in range(count)], None).take(np.arange(0, count, 3))
    assert len(data.ids.levels) == count
    monkeypatch.setattr(hashes, "_MANY", 1 << 14)
    sizes, cmac = list[int](), hashes.cmac
    monkeypatch.setattr(hashes, "cmac", lambda texts, key: (sizes.append(len(texts)), cmac(texts, key))[1])
    tracemalloc.start()  # 8 bytes a level are what is asked for, and 1 is whether it occurs
    try:
        found = hash_levels(data.ids, b"key")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 13 * count
    assert max(sizes) <= 1 << 14 and sum(sizes) == count // 3
    assert found[::3].all() and not found[1::3].any()


def test_the_hashes_that_ledgers_hold_do_not_change() -> None:
    assert hash_rows(rows(["F1", "企业"], np.array([24000, 24001], np.int32)), b"wattscore ledger").tolist() == LEDGER
