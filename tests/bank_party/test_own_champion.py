"""A bank's own champion among models of banks alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bank_party.judge import challenge
from bank_party.own_champion import _check_worse
from common.errors import PolicyError
from common.stats.metrics import Interval
from tests.bank_party.test_role import WORSE


def test_a_worse_model_is_refused_unless_forced_and_one_that_may_be_as_good_is_not() -> None:
    with pytest.raises(PolicyError, match=r"job-2 is worse than the champion job-1: AUC 0\.7000 against 0\.7500"):
        _check_worse(WORSE, "job-2", force=False)
    _check_worse(WORSE, "job-2", force=True)
    _check_worse(None, "job-2", force=False)
    difference = replace(WORSE.auc_difference, high=0.01)
    _check_worse(replace(WORSE, auc_difference=difference), "job-2", force=False)


@pytest.mark.parametrize(("lost", "refused"), [(0.0009, False), (0.0011, True)])
def test_a_loss_as_between_two_trainings_alike_is_no_reason_however_certain(lost: float, refused: bool) -> None:
    difference = Interval(-lost, -lost - 1e-5, -lost + 1e-5, 1e-9)
    assert (challenge.worse(replace(WORSE, auc_difference=difference), "job-2") is not None) == refused
