"""Reasons as text: of each row its codes in order, spelled by the catalogue."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bank_party.decision.reasons import describe, spelled

TEXTS = [f"reason {k}" for k in range(300)]


SHAPES = st.tuples(st.integers(0, 30), st.integers(0, 5))


@settings(deadline=None)
@given(hnp.arrays(np.uint16, SHAPES, elements=st.integers(0, 300)))
def test_the_text_of_a_row_is_that_of_its_codes_in_order(codes: np.ndarray) -> None:
    said = describe(codes, TEXTS).to_pylist()
    assert said == spelled(codes, TEXTS) == ["; ".join(TEXTS[code - 1] for code in row if code) for row in codes.tolist()]


def test_each_combination_of_many_rows_is_spelled_once() -> None:
    codes = np.random.default_rng(1).integers(0, 3, (40_000, 2), np.uint16)
    found = describe(codes, TEXTS)
    assert len(found.dictionary) == 9
    assert found[39_999].as_py() == "; ".join(TEXTS[c - 1] for c in codes[39_999] if c)
