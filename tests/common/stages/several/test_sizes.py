"""What a bank asks of its own rows, and of what the grid says of all banks'."""

from __future__ import annotations

import pytest

from common.errors import PeerProtocolError, PolicyError
from common.plan.policy import Policy
from common.stages.several.sizes import check_counts, check_own


@pytest.mark.parametrize(("train", "matched"), [(700, 2000), (5000, 1000), (3000, 2999), (0, 0), (1 << 63, 2000)])
def test_counts_that_cannot_be_end_the_job(train: int, matched: int) -> None:
    with pytest.raises(PeerProtocolError, match="other rows of all banks than there can be") as told:
        check_counts(train, matched, 700, 1000)
    assert "700" in str(told.value) and "700" not in told.value.public


def test_counts_that_can_be_do_not() -> None:
    check_counts(701, 1001, 700, 1000)
    check_counts(3000, 3000, 700, 1000)


def test_a_bank_wants_half_of_the_rows_that_its_policy_wants_of_all() -> None:
    check_own(500, 1, Policy())
    for train, held in ((499, 100), (500, 0)):
        with pytest.raises(PolicyError, match="too few"):
            check_own(train, held, Policy())
