"""Short words: what crosses the line and back, by whatever slices; sums and products of them modulo 2^48 and 2^56."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import LocalProtocolError
from common.mpc.short import WIDE, Short, dealt_place, dealt_shape, fill, lengthen, sent_as, shorten

EDGES = [0, 1, 2**32 - 1, 2**32, 2**48 - 1, 2**48, 2**56 - 1, 2**56, 2**63, 2**64 - 1]


@given(st.lists(st.sampled_from(EDGES) | st.integers(0, 2**64 - 1), max_size=40), st.sampled_from([5, 6, 7, 8]))
def test_what_is_sent_is_the_low_bytes(values: list[int], width: int) -> None:
    words = np.array(values, np.uint64)
    sent = shorten(words, width)
    assert (sent.dtype, sent.shape) == sent_as(words.shape, width)
    assert lengthen(sent, width, words.shape).tolist() == [value % 2 ** (8 * width) for value in values]


def test_planes_as_documented() -> None:
    """Low 32 bits of all, the next 16 of all or the next 8, the upper 8 of all; dealt ones with zeros up to 8 bytes."""
    words = np.array([0x1122334455667788, 0x99AABBCCDDEEFF00], np.uint64)
    low, middle = "8877665500ffeedd", "4433ccbb"
    assert shorten(words, 5).tobytes().hex() == low + "44cc"
    assert shorten(words, 6).tobytes().hex() == low + middle
    assert shorten(words, 7).tobytes().hex() == low + middle + "22aa"
    assert dealt_shape((3, 5), 6) == (12,) and dealt_shape((3, 5), 7) == (14,) and dealt_shape((3, 5), WIDE) == (3, 5)
    place = dealt_place((2,), 6)
    Short(place, 2, 6)[0:2] = words
    assert place.tobytes().hex() == low + middle + "00" * 4
    assert shorten(words, WIDE) is words and lengthen(words, WIDE, (2,)) is words


@pytest.mark.parametrize("size", [50, 3000])  # of a row: three are few words, or many
@pytest.mark.parametrize("width", [5, 6, 7])
def test_rows_are_read_and_written_by_slices(width: int, size: int) -> None:
    words = np.random.default_rng(width).integers(0, 2**64, (3, size), dtype=np.uint64)
    place, kept = dealt_place(words.shape, width), words & np.uint64(2 ** (8 * width) - 1)
    for row, values in zip(Short(place, words.size, width).rows(size), words, strict=True):
        for low in range(0, size, 16):  # the last slice reaches beyond the row, and takes nothing of the next
            row[low : low + 16] = values[low : low + 16]
    assert (place.view(np.uint8)[: width * words.size] == shorten(words, width)).all()
    assert (lengthen(shorten(words, width), width, words.shape) == kept).all()
    for row, values in zip(Short(place, words.size, width).rows(size), kept, strict=True):
        assert (row[size - 10 : size + 10] == values[size - 10 :]).all()


@pytest.mark.parametrize("width", [5, 6, 7])
def test_sums_of_products_hold_modulo_the_width(width: int) -> None:
    """What is above a share's width is lost, and the sum moved up does not know it."""
    rng, spare = np.random.default_rng(width), np.uint64(64 - 8 * width)
    table, share, factor = (rng.integers(0, 2**64, 1000, dtype=np.uint64) for _ in range(3))
    table &= np.uint64(2**20 - 1)
    shares = share, lengthen(shorten(table - share, width), width, table.shape)
    total = sum((one * factor) << spare for one in shares)
    assert (total == (table * factor) << spare).all()


@pytest.mark.parametrize(("count", "width"), [(9, 6), (10, 5), (8, 4), (8, 8)])
def test_another_size_is_refused(count: int, width: int) -> None:
    with pytest.raises(LocalProtocolError, match="another size"):
        Short(np.zeros(6, np.uint64), count, width)


@pytest.mark.parametrize("width", [5, 6, 7])
def test_words_are_written_to_rows_that_lie_apart(width: int) -> None:
    rng = np.random.default_rng(width)
    words = rng.integers(0, 1 << 8 * width, (3, 40_001), np.uint64)
    room = np.zeros((60_000, 5), np.uint64, order="F")
    fill(room[7:40_008, 1:4].T, shorten(words, width), width)
    np.testing.assert_array_equal(room[7:40_008, 1:4].T, words)
    assert not room[:, [0, 4]].any() and not room[:7].any() and not room[40_008:].any()
    assert lengthen(shorten(words[:, :0], width), width, (3, 0)).shape == (3, 0)
