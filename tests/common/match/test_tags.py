"""Ascending sets of tags against Python's own sets and order, with tags that share a word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.match import tags as match_tags
from common.match.tags import Tags, count_up_to, is_ascending, mark_common, move_up

Pair = tuple[int, int]
word = st.sampled_from([0, 1, 2, 3, 2**63, 2**64 - 1])
pair = st.tuples(word, word)
sets = st.sets(pair, max_size=20).map(sorted)


def as_tags(pairs: list[Pair]) -> Tags:
    return np.array(pairs, np.uint64).reshape(-1, 2)


@given(st.lists(pair, max_size=6))
def test_ascending_is_sorted_and_without_a_double(pairs: list[Pair]) -> None:
    assert is_ascending(as_tags(pairs)) == (pairs == sorted(set(pairs)))


@given(sets, pair)
def test_as_many_are_at_most_a_tag(pairs: list[Pair], last: Pair) -> None:
    assert count_up_to(as_tags(pairs), as_tags([last])[0]) == sum(one <= last for one in pairs)


@given(sets, sets)
def test_the_common_ones_are_marked_on_both_sides(one: list[Pair], two: list[Pair]) -> None:
    mine, theirs = mark_common(as_tags(one), as_tags(two))
    assert mine.tolist() == [tag in two for tag in one]
    assert theirs.tolist() == [tag in one for tag in two]


def test_the_marked_ones_move_up_in_their_order_within_the_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match_tags, "PIECE", 7)
    for seed, share in enumerate((0.0, 0.1, 0.5, 0.9, 1.0)):
        rng = np.random.default_rng(seed)
        for values in (rng.integers(0, 1 << 60, (100, 2)).astype(np.uint64), rng.permutation(100)):
            marks = rng.random(100) < share
            expected = values[marks]
            found = move_up(values, marks)
            np.testing.assert_array_equal(found, expected)
            assert np.shares_memory(found, values) or not len(found)
