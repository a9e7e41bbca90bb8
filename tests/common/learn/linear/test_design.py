"""What a party trains on: its columns whitened at the stated scales, and the bank's intercept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.features.options import Preparation
from common.learn.design import INTERCEPT, design, penalised
from common.learn.linear.design import Prepared, prepare
from common.mpc.fixedpoint import RIDGE_SCALE, X_LIMIT, X_SCALE, Reals, decode
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from tests.common.stages.tables import table

ROWS, TRAIN, RIDGE, STEP = 400, 300, 1e-2, 2.0
NUMERIC = {name: ColumnConfig(kind="numeric") for name in ("kwh", "peak")}


def world() -> FeatureTable:
    rng = np.random.default_rng(5)
    kwh = rng.normal(100.0, 30.0, ROWS)
    return table([f"F{k}" for k in range(ROWS)], kwh=kwh, peak=0.8 * kwh + rng.normal(0.0, 10.0, ROWS))


def prepared(party: Party, data: FeatureTable | None = None, options: Preparation | None = None) -> Prepared:
    return prepare(data or world(), NUMERIC, options or Preparation(), TRAIN, RIDGE, party)[0]


def whole(made: Prepared) -> Reals:
    return made.matrix(0, ROWS)


def test_the_intercept_is_the_banks_last_column_and_nobody_elses() -> None:
    grid, bank = prepared(Party.GRID), prepared(Party.BANK)
    assert grid.columns == ("kwh", "peak")
    assert bank.columns == ("kwh", "peak", INTERCEPT)
    assert whole(grid).shape == (ROWS, 2)
    np.testing.assert_array_equal(whole(bank)[:, -1], np.ones(ROWS))
    np.testing.assert_array_equal(whole(bank)[:, :-1], whole(grid))
    assert penalised(bank.columns).tolist() == [True, True, False]
    assert penalised(grid.columns).tolist() == [True, True]


def test_the_design_is_a_function_of_the_fit_and_the_rows() -> None:
    made = prepared(Party.BANK)
    some = world().take(np.array([7, 3]))
    np.testing.assert_array_equal(design(made.fitted, some, Party.BANK), whole(made)[[7, 3]])


def test_statistics_come_from_training_rows_only() -> None:
    data = world()
    changed = {name: np.where(np.arange(ROWS) < TRAIN, values, values + 1e3) for name, values in data.numeric.items()}
    again = prepared(Party.GRID, table([str(i) for i in data.ids], **changed))
    np.testing.assert_array_equal(again.matrix(0, TRAIN), prepared(Party.GRID).matrix(0, TRAIN))
    np.testing.assert_array_equal(again.whiten, prepared(Party.GRID).whiten)


@pytest.mark.parametrize("party", Party)
def test_training_rows_are_whitened_and_encoded_at_the_stated_scales(party: Party) -> None:
    made = prepared(party)
    words, pull, warnings = made.encoded(TRAIN, RIDGE, STEP)
    assert warnings == []
    assert words.dtype == np.int32
    assert pull.dtype == np.uint64
    assert words.flags.f_contiguous
    assert pull.flags.f_contiguous
    whitened = made.matrix(0, TRAIN) @ made.whiten
    np.testing.assert_allclose(words * 2.0**-X_SCALE, whitened, rtol=0, atol=2.0**-X_SCALE)
    penalty = np.diag(penalised(made.columns).astype(float))
    curvature = whitened.T @ whitened / TRAIN + 4 * RIDGE * made.whiten.T @ penalty @ made.whiten
    np.testing.assert_allclose(curvature, np.eye(len(made.columns)), atol=1e-6)
    expected = STEP * RIDGE * made.whiten.T @ penalty @ made.whiten
    np.testing.assert_allclose(decode(pull, RIDGE_SCALE), expected, rtol=0, atol=2.0**-RIDGE_SCALE)


def test_values_beyond_the_guard_are_held_there_and_counted() -> None:
    data = world()
    kwh = data.numeric["kwh"].copy()
    kwh[:2] = 1e9, -1e9
    far = table([str(i) for i in data.ids], kwh=kwh, peak=data.numeric["peak"])
    made = replace(prepared(Party.GRID, data, Preparation(clip=1e6)), table=far)
    words, _, (warning,) = made.encoded(TRAIN, RIDGE, STEP)
    assert np.abs(words * 2.0**-X_SCALE).max() == X_LIMIT
    beyond = int((np.abs(made.matrix(0, TRAIN) @ made.whiten) > X_LIMIT).sum())
    assert beyond > 0
    assert warning.startswith(f"{beyond} whitened values lay beyond 64 and were held there")


def test_columns_left_out_are_warned_of_by_name() -> None:
    data = world()
    flat = table([str(i) for i in data.ids], kwh=data.numeric["kwh"], peak=np.zeros(ROWS))
    made, warnings = prepare(flat, NUMERIC, Preparation(), TRAIN, RIDGE, Party.GRID)
    assert made.columns == ("kwh",)
    assert warnings == ["left out 'peak': the same value in every training row"]


def test_a_prepared_matrix_does_not_print() -> None:
    text = repr(prepared(Party.GRID))
    assert "array" not in text
    assert "matrix" not in text


def test_training_starts_from_the_banks_overdue_rate_and_nothing_else() -> None:
    bank, label = prepared(Party.BANK), np.array([1.0, 0.0, 0.0, 0.0])
    assert np.allclose(bank.whiten @ bank.start(label), [0.0] * (len(bank.columns) - 1) + [np.log(1 / 3)])
    assert not prepared(Party.GRID).start(None).any()
