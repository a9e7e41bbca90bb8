"""What winners can tell the grid, and how much less of a plan would tell no more than is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.learn.learner import Size
from common.learn.trees.learner import fitting_trees
from common.learn.trees.make import make_forest
from common.learn.trees.price import fitting, label_bits
from common.party import Party
from common.plan.trees import Trees

SIZE = Size(5000, 200, 60)


def test_a_level_tells_which_of_the_grid_s_candidates_won_or_none() -> None:
    forest = make_forest(Trees(kind="trees", trees=5, depth=2), SIZE)
    each = [len(forest.drawn(t)[Party.GRID]) for t in range(5)]
    assert label_bits(forest) == pytest.approx(2 * sum(np.log2(1 + c) for c in each))


@given(st.floats(0.0, 1500.0), st.integers(1, 90), st.integers(2, 40), st.booleans())
def test_what_fits_tells_no_more_and_one_more_would(bits: float, trees: int, candidates: int, monotone: bool) -> None:
    forest = make_forest(Trees(kind="trees", trees=trees, candidates=candidates, monotone=monotone), SIZE)
    count, fewer = fitting(forest, bits)

    def told(trees: int) -> float:
        return label_bits(replace(forest, shape=replace(forest.shape, trees=trees)))

    assert told(count) <= bits and (count == trees or told(count + 1) > bits)
    assert not fewer or label_bits(replace(forest, candidates=fewer)) <= bits
    assert fewer == candidates or (fewer == 1) or label_bits(replace(forest, candidates=max(2, fewer + 1))) > bits


def test_words_name_both_or_say_that_nothing_is_enough() -> None:
    section = Trees(kind="trees")
    assert fitting_trees(section, SIZE, 500.0) == "What is left is enough for 35 such trees or 80 of 4 candidates each."
    assert fitting_trees(section, SIZE, 3.0) == "What is left is not enough for one such tree."
