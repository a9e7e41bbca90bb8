"""The steps of what is told: as wide as a row or two of the rarer class, and no finer than what one label moves."""

from __future__ import annotations

import numpy as np
import pytest

from bank_party.judge.evaluation import evaluate
from bank_party.judge.steps import steps_of
from common.daemon.report_message import to_message
from common.home.outcome import Evaluation, Outcome, pack_evaluation, parse_evaluation
from common.mpc.fixedpoint import Reals
from common.wire.peer import Counter
from tests.extent import extent

FLIPPED = extent(15, 40)  # rows of each table, one at a time


def held(rows: int, rate: float, seed: int = 1) -> tuple[Reals, Reals]:
    """Labels and log-odds that rank them."""
    draw = np.random.default_rng(seed)
    label = (draw.random(rows) < rate).astype(np.float64)
    return label, draw.normal(size=rows) * 0.8 + 1.2 * label - 2.0


@pytest.mark.parametrize(("rows", "rate"), [(300, 0.1), (450, 0.3), (1000, 0.05), (1000, 0.95), (6000, 0.05), (90_000, 0.2)])
def test_a_step_is_one_to_two_rows_of_the_rarer_class_rounded_up_and_does_not_tell_how_many_there_are(
    rows: int, rate: float
) -> None:
    found = set()
    for seed in range(40):
        label, u = held(rows, rate, seed)
        rarer, steps = min(label.sum(), rows - label.sum()), steps_of(label, u)
        assert max(0.001, 1 / rarer) <= steps.rank <= max(0.001, 5 / rarer) and 24 / rows <= steps.mean * 1.001
        assert f"{steps.rank:.0e}"[0] in "125" and steps == steps_of(label, u)
        found.add(steps.rank)
    assert len(found) > 1 or rows == 90_000


def test_a_flipped_label_moves_a_told_number_in_few_cases_and_an_exact_one_always() -> None:
    """Nobody but the bank knows the scores; who did, and all labels but one, would see that one this often."""

    def told(label: Reals, u: Reals) -> list[float]:
        joint = to_message(Outcome(evaluation=evaluate(u, u, label)), Counter(), Counter()).evaluation.joint
        return [joint.auc, joint.ks, joint.logloss, joint.brier]

    moved = []
    for rows, rate in ((300, 0.1), (450, 0.3), (1000, 0.05), (6000, 0.05), (9000, 0.2)):
        label, u = held(rows, rate)
        before = told(label, u)
        for row in np.random.default_rng(0).permutation(rows)[:FLIPPED]:
            other = label.copy()
            other[row] = 1.0 - other[row]
            moved.append([one != two for one, two in zip(before, told(other, u), strict=True)])
            assert evaluate(u, u, label).joint.auc != evaluate(u, u, other).joint.auc
    assert 0.05 < np.mean(moved) < 0.25 and (np.mean(moved, axis=0) < 0.5).all()


def test_a_row_whose_score_is_driven_up_and_down_seldom_shows_its_label_in_the_log_loss() -> None:
    """A grid that colludes with a client can do that to one row in two jobs: of steps of four rows, every label was read."""

    def told(label: Reals, u: Reals) -> float:
        return to_message(Outcome(evaluation=evaluate(u, u, label)), Counter(), Counter()).evaluation.joint.logloss

    read, exact = 0, 0
    for rows, rate in ((450, 0.3), (1000, 0.05), (2000, 0.2), (6000, 0.05), (9000, 0.2)):
        label, u = held(rows, rate)
        for row in np.random.default_rng(3).permutation(rows)[:FLIPPED]:
            low, high = u.copy(), u.copy()
            low[row], high[row] = -8.0, 8.0
            read += told(label, low) != told(label, high)
            exact += (evaluate(low, low, label).joint.logloss > evaluate(high, high, label).joint.logloss) == (
                label[row] == 1.0
            )
    assert exact == 5 * FLIPPED and read < 1.5 * FLIPPED


def test_what_the_bank_keeps_is_exact() -> None:
    exact: Evaluation = evaluate(*(held(300, 0.1)[1], held(300, 0.1)[1] * 0.5), held(300, 0.1)[0])
    assert parse_evaluation(pack_evaluation(exact)) == exact
