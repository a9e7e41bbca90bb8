"""Rows are taken from lots in order, each once, and no more than there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PolicyError
from common.learn.lots import Lots


def blocks(rows: int, size: int) -> list[tuple[int, slice]]:
    return [(7 + k, slice(low, min(rows, low + size))) for k, low in enumerate(range(0, rows, size))]


@given(st.integers(1, 60), st.integers(1, 25), st.lists(st.integers(0, 30), max_size=12), st.booleans())
def test_each_row_of_a_demand_is_taken_once_in_order(rows: int, size: int, asked: list[int], warmed: bool) -> None:
    lots, taken = Lots[str](iter(blocks(rows, size)), rows), list[int]()
    for count in asked:
        if warmed and (lot := lots.ahead()) is not None:
            lot.masks = "warm"
        if count > rows - len(taken):
            with pytest.raises(PolicyError, match=f"randomness is left for {rows - len(taken)}"):
                lots.take(count)
            continue  # what is refused takes nothing
        pieces = lots.take(count)
        assert sum(piece.count for piece in pieces) == count
        assert [k for piece in pieces for k in range(piece.rows.start, piece.rows.stop)] == [*range(count)]
        for piece in pieces:
            assert piece.at.stop - piece.at.start == piece.count > 0
            assert piece.last == (piece.lot.used == piece.at.stop == piece.lot.rows)
            taken += [(piece.lot.key - 7) * size + k for k in range(piece.at.start, piece.at.stop)]
        if warmed and pieces:
            assert pieces[0].lot.masks == "warm"
    assert taken == [*range(len(taken))]
    assert (lots.ahead() is None) == (len(taken) == rows)
