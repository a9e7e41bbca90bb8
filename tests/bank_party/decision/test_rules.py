"""Decision rules of a small bank: fitted on validation rows alone, measured on test rows, what is missing is said."""

from __future__ import annotations

import numpy as np
import pytest

from bank_party.decision.calibrate import calibrate, calibration_error, reliability
from bank_party.decision.grades import grade_of
from common.stats.measures import sigmoid
from tests.bank_party.decision.worlds import held_out


@pytest.mark.parametrize("method", ["platt", "isotonic", "none"])
def test_validation_rows_calibrate_and_test_rows_measure(method: str) -> None:
    held, warnings = held_out(calibration=method)
    rules, validation = held.decision, held.validation
    assert warnings == []
    assert rules.calibration == calibrate(held.u_joint[validation], held.label[validation], method)  # type: ignore[arg-type]
    test = ~validation
    p = rules.calibration.probability(held.u_joint)
    assert rules.after == reliability(p[test], held.label[test])
    assert rules.before == reliability(sigmoid(held.u_joint)[test], held.label[test])
    assert (rules.error_before, rules.error_after) == (calibration_error(rules.before), calibration_error(rules.after))
    assert sum(b.rows for b in rules.after) == test.sum() == sum(g.test.rows for g in rules.grades)
    assert sum(band.rows for band in rules.table.bands) == test.sum()


def test_grades_are_of_the_written_score() -> None:
    held, _ = held_out(grades=5)
    rules = held.decision
    score = rules.scorecard.score(rules.calibration.log_odds(held.u_joint))
    grade = grade_of(score, rules.starts)
    for g in rules.grades:
        rows = (grade == g.grade) & held.validation
        assert g.validation.rows == rows.sum() and g.validation.observed == held.label[rows].mean()
    rates = [g.validation.observed for g in rules.grades]
    assert 3 <= len(rates) <= 5 and rates == sorted(rates)


def test_coefficients_stand_beside_the_bank_only_ones_with_errors() -> None:
    coefficients = held_out()[0].decision.coefficients
    assert [c.name for c in coefficients][-1] == "(intercept)" and coefficients[-1].joint == -2.0
    assert {c.source for c in coefficients} == {"income", "debt", "listed", "region", "(intercept)"}
    for c in coefficients:
        assert c.alone_error is not None and 0.01 < c.alone_error < 0.2


def test_exposure_and_segments_come_from_the_banks_columns() -> None:
    held, warnings = held_out(exposure="income", segments=["region", "debt"])
    assert warnings == [] and list(held.segments) == ["region", "debt"]
    assert (held.exposure >= 0).all() and (held.exposure == 0).any()  # a missing one counts as none
    assert held.decision.table.exposure == pytest.approx(held.exposure[~held.validation].sum())


def test_what_is_not_there_is_warned_of() -> None:
    held, warnings = held_out(exposure="region", segments=["city"])
    assert len(warnings) == 2 and "'region'" in warnings[0] and "'city'" in warnings[1]
    assert (held.exposure == 1).all() and held.segments == {}


def test_the_grids_part_is_what_the_joint_score_has_more() -> None:
    held, _ = held_out()
    grid = held.u_joint - held.u_own
    assert np.std(grid) == pytest.approx(1.2, rel=0.1)
    assert np.corrcoef(grid, held.u_bank)[0, 1] == pytest.approx(0, abs=0.1)
