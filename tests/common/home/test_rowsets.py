"""Sets of rows in a book against plain sets: what is entered in whatever order and amount is held, and nothing else."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.home import rowsets
from common.home.rowsets import LEAF, RowSets, are_in, lacking

keys = st.one_of(st.integers(0, 300), st.sampled_from([2**63 - 1, 2**63, 2**64 - 1]))
changes = st.lists(st.tuples(st.sampled_from("ab"), st.sets(keys, max_size=60)), max_size=8)


def made() -> tuple[sqlite3.Connection, RowSets]:
    book = sqlite3.connect(":memory:")
    sets = RowSets(book)
    sets.make()
    return book, sets


def rows(found: set[int]) -> np.ndarray:
    return np.array(sorted(found), np.uint64)


@given(changes=changes, asked=st.sets(keys, max_size=60))
def test_sets_hold_what_was_entered(changes: list[tuple[str, set[int]]], asked: set[int]) -> None:
    _, sets = made()
    plain: dict[str, set[int]] = {}
    for owner, new in changes:
        sets.add(owner, rows(new))
        plain[owner] = plain.get(owner, set()) | new
    assert sets.sizes() == {owner: len(held) for owner, held in plain.items()} and sets.owners() == list(plain)
    for owner in "ab":
        held = plain.get(owner, set())
        assert sets.knows(owner) == (owner in plain)
        assert sets.every(owner).tolist() == sorted(held)
        assert sets.held(owner, rows(asked)).tolist() == sorted(held & asked)
    sets.remove("a")
    assert not sets.knows("a") and sets.owners() == [owner for owner in plain if owner != "a"]


@given(held=st.sets(keys, max_size=60), gone=st.sets(keys, max_size=60), leaf=st.integers(2, 9))
def test_what_is_discarded_is_held_no_more_and_all_else_is(held: set[int], gone: set[int], leaf: int) -> None:
    _, sets = made()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowsets, "LEAF", leaf)
        patch.setattr(rowsets, "_FULL", leaf)
        sets.add("a", rows(held))
        sets.add("b", rows(held))
        sets.discard("a", rows(gone))
        sets.discard("c", rows(gone))
        assert sets.every("a").tolist() == sorted(held - gone) and sets.every("b").tolist() == sorted(held)
        sets.add("a", rows(gone))
        assert sets.every("a").tolist() == sorted(held | gone)
    assert sets.owners() == ["a", "b"]


def test_many_rows_stand_in_leaves_and_single_ones_find_theirs() -> None:
    book, sets = made()
    draw = np.random.default_rng(1)
    every = np.unique(draw.integers(0, 2**64, 20_000, np.uint64))
    half = np.sort(draw.permutation(every)[: len(every) // 2])
    sets.add("m", half)
    for key in np.setdiff1d(every, half)[:2_000:2]:
        sets.add("m", np.array([key]))
    sets.add("m", every)
    assert np.array_equal(sets.every("m"), every)
    sizes = [size for (size,) in book.execute("select length(rows) / 8 from leaves")]
    assert max(sizes) <= LEAF and sum(sizes) == len(every)
    for key in every[:500:50]:
        assert sets.held("m", np.array([key - np.uint64(1), key])).tolist() == [key]


def test_one_row_more_rewrites_one_leaf_of_many() -> None:
    book, sets = made()
    sets.add("m", np.arange(0, 2**64 - 2**50, 2**50, np.uint64))
    before = dict(book.execute("select first, rows from leaves"))
    assert len(before) > 15
    sets.add("m", np.array([12345], np.uint64))
    after = dict(book.execute("select first, rows from leaves"))
    assert sum(before[first] != after[first] for first in before) == 1 and before.keys() == after.keys()


@given(held=st.sets(keys, min_size=20), asked=st.sets(keys, min_size=1, max_size=20), data=st.data())
def test_what_is_entered_right_after_it_was_looked_for_is_entered(held: set[int], asked: set[int], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowsets, "LEAF", 8)
        patch.setattr(rowsets, "_FULL", 6)
        book, sets = made()
        sets.add("m", rows(held))
        for _ in range(3):
            assert sets.held("m", rows(asked)).tolist() == sorted(asked & held)
            new = data.draw(st.sampled_from([asked, {min(asked)}, {max(asked)}]))
            sets.add("m", rows(new))
            held = held | new
            assert sets.held("m", rows(asked)).tolist() == sorted(asked & held) and sets.every("m").tolist() == sorted(held)
        assert max(size for (size,) in book.execute("select length(rows) / 8 from leaves")) <= 8
        sets.held("m", rows(asked))
        sets.remove("m")
        assert not len(sets.held("m", rows(asked)))


@given(asked=st.lists(st.integers(0, 60)), keys=st.sets(st.integers(0, 60)))
def test_which_keys_are_among_others(asked: list[int], keys: set[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowsets, "_SOME", 7)
        mine, others = np.array(asked, np.uint64), np.array(sorted(keys), np.uint64)
        assert are_in(mine, others).tolist() == [key in keys for key in asked]
        assert lacking(mine, others).tolist() == [key for key in asked if key not in keys]


def test_a_full_leaf_has_a_page_to_itself() -> None:
    book, sets = made()
    (before,) = book.execute("pragma page_count").fetchone()
    for k in range(50):
        sets.add(f"owner {k}", np.arange(LEAF, dtype=np.uint64))
    (pages,) = book.execute("pragma page_count").fetchone()
    assert pages - before <= 50 + 5  # the rest are owners' names, and where leaves are
