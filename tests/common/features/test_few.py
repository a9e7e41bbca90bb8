"""Few rows are prepared by other code than many: held against it bit by bit, and its errors are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from common.disk.scratch import Scratch
from common.errors import DataError
from common.features import few
from common.features.bins import BinnedColumn
from common.features.fit import FittedPreparation, fit
from common.features.options import Preparation
from common.rows.table import FeatureTable, Ids
from tests.common.features.test_fit import configs, table

ROWS = 4000


@contextmanager
def column_by_column() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few, "MOST", 0)
        yield


def columns(seed: int) -> dict[str, Any]:
    """Numbers with gaps, tails, frequent values and the largest floats, a flag, and two categories with gaps."""
    draw = np.random.default_rng(seed)
    tail = draw.lognormal(3.0, 2.0, ROWS) * np.where(draw.random(ROWS) < 0.5, 1.0, -1.0)
    gaps = np.where(draw.random(ROWS) < 0.3, np.nan, draw.normal(size=ROWS))
    often = np.where(draw.random(ROWS) < 0.4, 0.0, np.where(draw.random(ROWS) < 0.1, np.nan, draw.normal(5.0, 2.0, ROWS)))
    vast = np.where(draw.random(ROWS) < 0.01, 1e150, draw.normal(size=ROWS))
    kinds = draw.choice(np.array(["mill", "shop", "farm", None], object), ROWS, p=[0.4, 0.3, 0.2, 0.1])
    return {
        "plain": draw.normal(size=ROWS), "tail": tail, "gaps": gaps, "often": often, "vast": vast,
        "flag": (draw.random(ROWS) < 0.2).astype(float), "kind": kinds, "whole": draw.integers(0, 6, ROWS).astype(float),
    }  # fmt: skip


def fitted(seed: int, coding: str, missing: str = "median") -> tuple[FeatureTable, FittedPreparation]:
    data = table(**columns(seed))
    declared = configs(data)
    for name in ("gaps", "often"):
        declared[name] = declared[name].model_copy(update={"missing": missing})
    options = Preparation.model_validate({"min_binary": 20, "coding": coding})
    return data, fit(data, declared, options, np.arange(ROWS) < 3000, room=200)[0]


@pytest.mark.parametrize("coding", ["linear", "auto"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("abreast", [False, True])
def test_few_rows_have_the_bytes_that_they_have_among_many(coding: str, seed: int, abreast: bool) -> None:
    data, preparation = fitted(seed, coding)
    if coding == "auto":
        assert any(isinstance(column, BinnedColumn) for column in preparation.fitted)
    whole = preparation.transform(data)
    data = data.abreast(Scratch()) if abreast else data
    for rows in (1, 2, few.MOST):
        for low in np.random.default_rng(seed).integers(0, ROWS - rows, 60):
            part = data.part(int(low), int(low) + rows)
            found = preparation.transform(part)
            assert found.tobytes("F") == np.asfortranarray(whole[low : low + rows]).tobytes("F") and found.flags.f_contiguous
    assert preparation.transform(data.part(0, 0)).shape == (0, len(preparation.fitted))


def test_values_never_seen_end_as_they_do_among_many() -> None:
    _, preparation = fitted(1, "auto")
    odd = {name: [np.inf, -np.inf, -0.0, 5e-324, 1.7e308, np.nan] for name in ("plain", "tail", "gaps", "often", "vast")}
    rows = table(**odd, flag=[2.0] * 6, whole=[0.5] * 6, kind=["mine", None, "mill", "", "farm", "Mill"])
    with np.errstate(invalid="ignore"):
        found = preparation.transform(rows)
        assert found.tobytes("F") == preparation.transform(rows.abreast(Scratch())).tobytes("F")
        with column_by_column():
            assert found.tobytes("F") == preparation.transform(rows).tobytes("F")


@pytest.mark.parametrize("coding", ["linear", "auto"])
def test_what_cannot_be_imputed_and_what_is_not_there_is_refused_in_the_same_words(coding: str) -> None:
    draw = np.random.default_rng(3)
    data = table(one=draw.integers(0, 4, ROWS).astype(float), two=draw.normal(size=ROWS))
    declared = {name: config.model_copy(update={"missing": "refuse"}) for name, config in configs(data).items()}
    options = Preparation.model_validate({"min_binary": 20, "coding": coding})
    preparation = fit(data, declared, options, np.arange(ROWS) < 3000, room=200)[0]
    gap = table(one=[np.nan, 1.0], two=[0.0, 1.0])
    for rows in (gap, FeatureTable(Ids.of(["a"]), None, {"two": np.zeros(1)}, {})):
        with pytest.raises(DataError) as caught:
            preparation.transform(rows)
        with column_by_column(), pytest.raises(DataError) as other:
            preparation.transform(rows)
        assert str(caught.value) == str(other.value)


def test_a_preparation_that_was_used_is_equal_to_one_that_was_not_and_is_stored_alike() -> None:
    data, preparation = fitted(2, "auto")
    again = FittedPreparation.from_dict(preparation.to_dict())
    preparation.transform(data.part(0, 1))
    assert again == preparation and again.to_dict() == preparation.to_dict()


def test_the_same_rows_again_are_the_same_and_a_matrix_of_their_own() -> None:
    data, preparation = fitted(1, "auto")
    some, others = data.part(0, 2), data.part(2, 4)
    first = preparation.transform(some)
    want = first.copy()
    first[:] = 7.0
    again = preparation.transform(some)
    again[:] = 7.0
    np.testing.assert_array_equal(preparation.transform(some), want)
    assert (preparation.transform(others) != want).any() and (preparation.transform(some) == want).all()
