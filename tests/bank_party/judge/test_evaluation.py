"""The joint model beside the bank's own: measured on held-out rows."""

from __future__ import annotations

import numpy as np
import pytest

from bank_party.judge.evaluation import bank_only, evaluate, reach_warning
from common.features.options import Preparation
from common.learn.learner import Matched
from common.learn.linear.design import Prepared, prepare
from common.learn.linear.half import PartyModel
from common.learn.linear.learner import Linear
from common.mpc.link import Fourier
from common.party import Party
from common.plan.linear import Model
from common.rows.dataset import ColumnConfig
from common.stages.job import Made
from common.stats import measures
from common.stats.logistic import fit_logistic
from common.stats.measures import sigmoid
from tests.common.stages.tables import table
from tests.reference import standard_errors

RNG = np.random.default_rng(11)
ROWS, TRAIN, RIDGE = 1500, 1000, 1e-3
BANK, GRID = RNG.normal(size=(ROWS, 2)), RNG.normal(size=ROWS)
U = BANK @ [0.5, -0.5] + 1.5 * GRID - 1.0
LABEL = (RNG.random(ROWS) < sigmoid(U)).astype(np.float64)


def prepared() -> Prepared:
    columns = {name: ColumnConfig(kind="numeric") for name in ("a", "b")}
    data = table([str(k) for k in range(ROWS)], label=LABEL, a=BANK[:, 0], b=BANK[:, 1])
    return prepare(data, columns, Preparation(), TRAIN, RIDGE, Party.BANK)[0]


ALONE = BANK[TRAIN:] @ [0.4, -0.6]


def test_the_joint_model_is_measured_on_held_out_rows() -> None:
    result = evaluate(U[TRAIN:], ALONE, LABEL[TRAIN:])
    assert result.joint == measures.evaluate(LABEL[TRAIN:], U[TRAIN:])
    assert result.bank_only == measures.evaluate(LABEL[TRAIN:], ALONE)
    assert result.joint.auc > result.bank_only.auc + 0.1
    assert result.largest_u == np.abs(U[TRAIN:]).max()


def test_the_banks_own_model_is_a_plain_logistic_regression_of_its_training_rows() -> None:
    made = prepared()
    task = Linear().task(Model(ridge=RIDGE), made, Matched(Party.BANK, made.table, {}, TRAIN), 3)
    model = PartyModel("job-1", Party.BANK, made.fitted, np.zeros(len(made.columns)), {}, {})
    found = bank_only(Made(model, made, task, made.table, TRAIN), LABEL)
    own, errors = found.coefficients, found.errors
    x = made.matrix(0, TRAIN)[:, :-1]
    exact = fit_logistic(x, LABEL[:TRAIN], RIDGE)
    np.testing.assert_allclose(own, np.roll(exact, -1), atol=2e-4)  # the rows are encoded to 2^-10
    np.testing.assert_allclose(errors, np.roll(standard_errors(x, exact, RIDGE), -1), rtol=1e-3)
    np.testing.assert_allclose(found.u, made.matrix(TRAIN, ROWS) @ own)


def test_the_interval_is_of_joint_minus_bank_only() -> None:
    result = evaluate(U[TRAIN:], ALONE, LABEL[TRAIN:])
    interval = result.auc_difference
    assert interval.difference == pytest.approx(result.joint.auc - result.bank_only.auc)
    assert 0 < interval.low < interval.difference < interval.high
    assert interval.p_value < 0.01


@pytest.mark.parametrize(("largest", "warned"), [(0.0, False), (12.0, False), (12.01, True), (300.0, True)])
def test_scores_beyond_the_links_reach_are_warned_of(largest: float, warned: bool) -> None:
    text = reach_warning(largest, 12.0)
    assert (text is not None) is warned
    if text is not None:
        assert f"|u| = {largest:.1f}, beyond the 12" in text
        assert text.endswith("heavy-tailed columns logged and clipped")


@pytest.mark.parametrize(("largest", "helps"), [(12.01, True), (24.0, True), (24.01, False), (300.0, False)])
def test_a_wider_link_is_recommended_only_where_it_would_do(largest: float, helps: bool) -> None:
    """It reaches 26; near that and beyond only other columns help."""
    text = reach_warning(largest, 12.0)
    assert text is not None
    assert ("period = 64" in text) is helps
    assert Fourier.of(64).reach > 24.0


@pytest.mark.parametrize("model", [Model(period=64), Model(period=64, dealer="half", reveal="owners")], ids=lambda m: m.dealer)
def test_the_wider_link_is_accurate_within_its_reach_by_default(model: Model) -> None:
    link = model.make_link()
    u = np.linspace(-link.reach, link.reach, 4001)
    assert link.reach >= 24.0 and np.abs(link(u) - sigmoid(u)).max() < 0.003


def test_whoever_has_the_wider_link_is_not_told_to_take_it() -> None:
    text = reach_warning(26.5, Fourier.of(64).reach)
    assert text is not None
    assert "period" not in text
