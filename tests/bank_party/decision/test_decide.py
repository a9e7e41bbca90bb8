"""From a training job to decided rows: the bank-only fit is of training rows, columns agree, cut-offs are today's."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from bank_party.decision.bundle import HeldOut
from bank_party.decision.config import DecisionConfig
from bank_party.decision.decide import Deciding, draw_validation, make_rules
from bank_party.judge.evaluation import BankOnly
from common.features.fit import fit
from common.features.options import Preparation
from common.learn.design import INTERCEPT
from common.learn.linear.design import Prepared
from common.learn.linear.half import PartyModel
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from common.stages.job import Made
from common.stages.reasons import Named
from common.stats.logistic import fit_logistic
from common.stats.measures import sigmoid
from tests.common.stages.tables import table
from tests.reference import standard_errors

ROWS, TRAIN, RIDGE = 3000, 1500, 1e-4
RNG = np.random.default_rng(12)
COLUMNS = {"debt": ColumnConfig(kind="numeric", reason="High debt"), "tax": ColumnConfig(kind="numeric")}
GRID = RNG.normal(size=ROWS)
DATA = {name: RNG.normal(size=ROWS) for name in COLUMNS}
Y = (RNG.random(ROWS) < sigmoid(DATA["debt"] - DATA["tax"] + 1.5 * GRID - 2.0)).astype(np.float64)
TABLE = table([f"F{k}" for k in range(ROWS)], label=Y, **DATA)
FITTED, _ = fit(TABLE, COLUMNS, Preparation(min_binary=0), np.arange(ROWS) < TRAIN)
MODEL = PartyModel("job-1", Party.BANK, FITTED, np.array([0.9, -0.8, -2.0]), COLUMNS, {})
OWN = FITTED.transform(TABLE)
U = MODEL.partial_scores(TABLE) + 1.4 * GRID
CONFIG = DecisionConfig(reasons=2)


def rules(config: DecisionConfig = CONFIG) -> HeldOut:
    alone = fit_logistic(OWN[:TRAIN], Y[:TRAIN], RIDGE)
    ready = Prepared(FITTED, TABLE, Party.BANK, (*FITTED.columns, INTERCEPT), np.eye(3))
    errors = np.roll(standard_errors(OWN[:TRAIN], alone, RIDGE), -1)
    bank_only = BankOnly(np.roll(alone, -1), errors, alone[0] + OWN[TRAIN:] @ alone[1:])
    made = Made(MODEL, ready, cast(Any, None), TABLE, TRAIN)
    return make_rules(config, made, U[TRAIN:], bank_only, seed=42)[0]


def test_the_bundle_holds_three_scores_of_each_held_out_row() -> None:
    held = rules()
    own = fit_logistic(OWN[:TRAIN], Y[:TRAIN], RIDGE)
    assert held.ids.tolist() == TABLE.ids[TRAIN:].tolist()
    np.testing.assert_allclose(held.u_bank, own[0] + OWN[TRAIN:] @ own[1:])
    np.testing.assert_allclose(held.u_joint - held.u_own, 1.4 * GRID[TRAIN:])
    shown = held.decision.coefficients
    assert [c.joint for c in shown] == [0.9, -0.8, -2.0]
    np.testing.assert_allclose([c.alone for c in shown], np.roll(own, -1))
    np.testing.assert_allclose([c.alone_error for c in shown], np.roll(standard_errors(OWN[:TRAIN], own, RIDGE), -1))


def test_the_draw_is_a_share_of_each_class_and_the_same_again_in_any_order() -> None:
    held = TABLE.take(np.arange(TRAIN, ROWS))
    chosen = draw_validation(held, 0.4, 42)
    for value in (0.0, 1.0):
        assert chosen[held.label == value].mean() == pytest.approx(0.4, abs=0.005)
    other = np.random.default_rng(1).permutation(held.rows)
    np.testing.assert_array_equal(draw_validation(held.take(other), 0.4, 42), chosen[other])
    assert (draw_validation(held, 0.4, 43) != chosen).any()


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_either_part_has_a_row(share: float) -> None:
    few = draw_validation(TABLE.take(np.arange(12)), share, 1)
    assert few.any() and not few.all()


def decided(config: DecisionConfig = CONFIG, named: Named | None = None, rows: FeatureTable = TABLE) -> pd.DataFrame:
    columns = Deciding(rules().decision, MODEL).decide(config, rows, U[: rows.rows], named)
    return pd.DataFrame({name: np.asarray(values) for name, values in columns.items()})


@pytest.mark.parametrize("count", [1, 3, 100])
def test_rows_that_are_asked_for_are_decided_as_in_a_file(count: int) -> None:
    deciding, some = Deciding(rules().decision, MODEL), TABLE.take(np.arange(7, 7 + count))
    file, asked = (make(CONFIG, some, U[7 : 7 + count]) for make in (deciding.decide, deciding.answer))
    assert list(asked) == list(file) and any(asked["reasons"])
    for name in file:
        assert np.asarray(asked[name]).tolist() == np.asarray(file[name]).tolist(), name


def test_columns_of_the_output_agree_with_each_other() -> None:
    held, frame = rules(), decided()
    card = held.decision.scorecard
    np.testing.assert_array_equal(frame["u"], U)
    np.testing.assert_array_equal(frame["probability"], held.decision.calibration.probability(U))
    exact = 600 + 20 / np.log(2) * np.log((1 - frame["probability"]) / frame["probability"] / 50)
    np.testing.assert_array_equal(frame["score"], np.rint(exact))
    for grade in held.decision.grades:
        of = frame.loc[frame["grade"] == grade.grade, "score"]
        assert (of >= (grade.low if grade.low is not None else -9999)).all()
        assert (of <= (grade.high if grade.high is not None else 9999)).all()
    want = np.select([frame["probability"] <= 0.05, frame["probability"] <= 0.15], ["approve", "refer"], "decline")
    assert frame["decision"].tolist() == want.tolist()
    assert card.columns == ("debt", "tax")


def test_reasons_are_the_banks_by_text_or_name_and_then_the_grids() -> None:
    codes = np.zeros((ROWS, 2), np.uint8)
    codes[0], codes[1] = [2, 1], [1, 0]
    said = decided(named=Named(codes, ("Late", "Low use")))["reasons"].tolist()
    for row in range(50):
        parts = {"High debt": 0.9 * OWN[row, 0], "tax": -0.8 * OWN[row, 1]}
        want = [name for name in sorted(parts, key=lambda n: -parts[n]) if parts[name] > 0.1]
        want += {0: ["Low use", "Late"], 1: ["Late"]}.get(row, [])
        assert said[row] == "; ".join(want)


def test_columns_of_one_text_are_one_reason() -> None:
    one = {name: config.model_copy(update={"reason": "Money"}) for name, config in COLUMNS.items()}
    model = PartyModel("job-1", Party.BANK, FITTED, MODEL.weights, one, {})
    said = np.asarray(Deciding(rules().decision, model).decide(CONFIG, TABLE, U)["reasons"])
    against = (OWN - OWN[:TRAIN].mean(axis=0)) @ MODEL.weights[:-1] > CONFIG.reason_threshold
    assert 0.2 < against.mean() < 0.8 and said.tolist() == np.where(against, "Money", "").tolist()


def test_cut_offs_and_reasons_are_those_of_today_and_grades_those_of_the_training() -> None:
    before = decided()
    after = decided(DecisionConfig(approve=0.3, decline=0.3, reasons=0, grades=2, pdo=40))
    assert set(after["decision"]) == {"approve", "decline"} and set(after["reasons"]) == {""}
    pd.testing.assert_frame_equal(before[["probability", "score", "grade"]], after[["probability", "score", "grade"]])
