"""Tags of shares: the arithmetic, and how seldom a changed word passes, counted in a ring small enough to try all of it."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.mpc.prg import mark
from common.mpc.tags import RING, Tagged, lifted, made, minus, narrow, total, wide

WORD, WIDE = st.integers(0, 2**64 - 1), st.integers(0, RING - 1)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_a_changed_word_passes_for_one_factor_in_all_at_most(bits: int) -> None:
    """Every change of a value, every guess of what the tag changes by: it is right for one factor of 2^bits, or for none."""
    ring = 1 << 2 * bits
    for change in range(1, ring):
        by = Counter((total([a], [5 + change], 7, bits) - total([a], [5], 7, bits)) % ring for a in range(1 << bits))
        most = by.most_common(1)[0][1]
        if change % (1 << bits):
            assert most == 1
        else:
            assert most >= 1  # the word that is carried is the same: nothing to be found


@pytest.mark.parametrize("bits", [2, 3])
def test_changes_of_two_words_do_not_make_up_for_each_other(bits: int) -> None:
    ring, word = 1 << 2 * bits, 1 << bits
    for changes in itertools.product(range(ring), repeat=2):
        if any(change % word for change in changes):
            by = Counter(total(f, changes, 0, bits) for f in itertools.product(range(word), repeat=2))
            assert by.most_common(1)[0][1] <= word  # of word^2 pairs of factors


@given(st.lists(st.tuples(WORD, WIDE, WIDE, WIDE), min_size=1, max_size=5))
def test_tags_of_a_difference_are_differences_of_tags(rows: list[tuple[int, int, int, int]]) -> None:
    factors, values, masks, pads = zip(*rows, strict=True)
    tags, of_masks = made(factors, values, pads), total(factors, masks, 11)
    assert total(factors, minus(values, masks), sum(pads) - 11) == (sum(tags) - of_masks) % RING


@given(st.lists(WIDE, max_size=6))
def test_numbers_and_words_are_one_to_one(numbers: list[int]) -> None:
    words = narrow(numbers)
    assert words.dtype == np.uint64 and wide(words) == tuple(numbers)
    assert lifted(words[0::2], words[1::2]) == tuple(numbers)
    held = Tagged(tuple(numbers), tuple(numbers), (1, 2, 3), mark(b"a") + mark(b"b"))
    assert Tagged.stored(held.arrays("1 "), "1 ") == held
    assert held.words.tolist() == words[0::2].tolist()
    assert held.cut(2, 1) == replace(held, values=held.values[:1], tags=held.tags[:1], pads=(1, 2))
