"""Quality over all banks' held-out rows, by counts."""

from __future__ import annotations

import numpy as np
import pytest

from common.home.outcome import Pooled
from common.mpc.several.hub import BankHub
from common.stages.several.pooled import add_up, measure
from common.stats.measures import auc, ks
from tests.banks import Banks, End


async def test_every_bank_knows_the_auc_of_all_and_the_grid_nothing() -> None:
    rng = np.random.default_rng(0)
    y = [(rng.random(n) < rate).astype(float) for n, rate in ((900, 0.1), (1500, 0.3), (400, 0.2))]
    u = [rng.standard_normal(len(label)) + label - 1.0 for label in y]

    async def at_bank(hub: BankHub, end: End) -> Pooled:
        return await measure(hub, u[end.number], y[end.number])

    nothing, *found = await Banks(3).run(lambda hub, _: add_up(hub), at_bank)  # type: ignore[arg-type,return-value]
    assert nothing is None and found[0] == found[1] == found[2]
    scores, labels = np.concatenate(u), np.concatenate(y)
    assert found[0].auc == pytest.approx(auc(labels, scores), abs=0.001)
    assert found[0].ks == pytest.approx(ks(labels, scores), abs=0.01)
    assert found[0].rows == 2800 and found[0].rarer == min(labels.sum(), 2800 - labels.sum())


@pytest.mark.parametrize(
    ("rows", "rarer", "step"), [(2000, 400, 0.01), (20_000, 2000, 0.001), (2000, 21, 0.1), (40_000, 40, 0.05)]
)
def test_others_hear_it_in_steps_that_one_row_does_not_move(rows: int, rarer: int, step: float) -> None:
    assert Pooled(0.7, 0.3, rows, rarer).step == step >= 2 / rarer
