"""Labels enough of each class: the bank's floors, which move with the rows, and one text whatever is lacking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bank_party.classes import Floors, check_classes
from common.errors import PolicyError
from common.rows.table import FeatureTable
from common.stages.sizes import TOO_FEW
from tests.common.stages.tables import table

SECRET = bytes(range(32))
FLOORS = Floors(100, 20)


def labelled(train: tuple[int, int], held: tuple[int, int]) -> tuple[FeatureTable, Any]:
    """So many rows of class 0 and 1 that train, and that are held out."""
    counts = (*train, *held)
    label = np.repeat([0.0, 1.0, 0.0, 1.0], counts)
    test = np.repeat([False, False, True, True], counts)
    return table([f"F{k}" for k in range(len(label))], label=label), test


@pytest.mark.parametrize(
    ("train", "held", "fits"),
    [
        ((100, 100), (20, 20), True),
        ((99, 900), (20, 20), False),
        ((900, 99), (20, 20), False),
        ((100, 100), (19, 90), False),
        ((100, 100), (90, 19), False),
    ],
)
def test_each_class_among_both_kinds_of_rows(train: tuple[int, int], held: tuple[int, int], fits: bool) -> None:
    if fits:
        return check_classes(*labelled(train, held), FLOORS)
    with pytest.raises(PolicyError) as caught:
        check_classes(*labelled(train, held), FLOORS)
    assert caught.value.public == TOO_FEW and not any(figure in str(caught.value) for figure in ("99", "19", "100", "20"))


def test_floors_move_with_the_rows_by_at_most_25_and_whoever_lacks_the_secret_cannot_tell_where() -> None:
    sets = [table([f"F{k}" for k in range(first, first + 50)]) for first in range(300)]
    moved = [FLOORS.moved(rows, SECRET) for rows in sets]
    assert {floors.train for floors in moved} == set(range(100, 126))
    assert {floors.held for floors in moved} == set(range(20, 41))
    assert moved == [FLOORS.moved(rows, SECRET) for rows in sets], "the same again is no second look"
    others = [FLOORS.moved(rows, bytes(32)) for rows in sets]
    assert sum(one == other for one, other in zip(moved, others, strict=True)) < 20


def test_the_order_of_rows_does_not_move_them() -> None:
    rows = table([f"F{k}" for k in range(50)])
    assert FLOORS.moved(rows, SECRET) == FLOORS.moved(rows.take(np.arange(50)[::-1]), SECRET)


def test_small_floors_at_most_double() -> None:
    found = [Floors(1, 2).moved(table([f"F{k}"]), SECRET) for k in range(50)]
    assert {floors.train for floors in found} == {1, 2} and {floors.held for floors in found} == {2, 3, 4}
