"""Quality over all banks' held-out rows, by counts."""

from __future__ import annotations

import numpy as np
import pytest

from common.home.outcome import Pooled
from common.mpc.fixedpoint import Reals
from common.mpc.several.hub import BankHub
from common.rows.table import FeatureTable, Ids
from common.stages.price import histogram_bits
from common.stages.several.pooled import add_up, cells_of, measure
from common.stats.measures import auc, ks
from tests.banks import Banks, End

SIZES = ((900, 0.1), (1500, 0.3), (400, 0.2))
EVERY = 2800


def world() -> tuple[list[FeatureTable], list[Reals]]:
    rng = np.random.default_rng(0)
    y = [(rng.random(n) < rate).astype(float) for n, rate in SIZES]
    ids = [Ids.of([f"E{k}{i:04d}" for i in range(n)]) for k, (n, _) in enumerate(SIZES)]
    tables = [FeatureTable(these, None, {}, {}, label, ()) for these, label in zip(ids, y, strict=True)]
    return tables, [rng.standard_normal(len(label)) + label - 1.0 for label in y]


async def measured(pays: tuple[bool, ...]) -> tuple[bool, list[Pooled | None], list[float]]:
    """What the grid hears, what each bank does, and what each is asked to pay."""
    (tables, u), asked = world(), [0.0] * len(SIZES)

    async def at_bank(hub: BankHub, end: End) -> Pooled | None:
        def pay(rows: FeatureTable, bits: float) -> bool:
            asked[end.number] = bits / rows.rows
            return pays[end.number]

        return await measure(hub, tables[end.number], u[end.number], EVERY, pay)

    told, *found = await Banks(3).run(lambda hub, _: add_up(hub, cells_of(EVERY)), at_bank)  # type: ignore[arg-type,return-value]
    return bool(told), found, asked  # type: ignore[return-value]


async def test_every_bank_knows_the_auc_of_all_and_the_grid_nothing() -> None:
    told, found, asked = await measured((True, True, True))
    assert told and found[0] is not None and found[0] == found[1] == found[2]
    tables, u = world()
    scores, labels = np.concatenate(u), np.concatenate([table.outcomes for table in tables])
    assert found[0].auc == pytest.approx(auc(labels, scores), abs=0.001)
    assert found[0].ks == pytest.approx(ks(labels, scores), abs=0.015)
    assert found[0].rows == EVERY and found[0].rarer == min(labels.sum(), EVERY - labels.sum())
    assert asked[1] < asked[0] < asked[2] < 0.7  # bits of a row: the fewer rows the more


async def test_where_one_bank_does_not_pay_nobodys_counts_are_summed() -> None:
    told, found, _ = await measured((True, False, True))
    assert not told and found == [None, None, None]


def test_few_rows_are_counted_in_few_cells_and_cost_as_many_bits_as_their_ones_can_say() -> None:
    assert [cells_of(held) for held in (10, 2559, 2560, 5119, 5120, 10**6)] == [64, 64, 128, 128, 256, 256]
    rng, rows, cells = np.random.default_rng(1), 8 * 30, 8
    ones = rng.binomial(rows // cells, 0.5, (200_000, cells))  # where each class is as likely, counts say most
    counts = [np.unique(column, return_counts=True)[1] / len(ones) for column in ones.T]
    entropy = -sum(float((p * np.log2(p)).sum()) for p in counts)
    assert 0.98 * histogram_bits(rows, cells, 1) < entropy <= histogram_bits(rows, cells, 1)


@pytest.mark.parametrize(
    ("rows", "rarer", "step"), [(2000, 400, 0.01), (20_000, 2000, 0.001), (2000, 21, 0.1), (40_000, 40, 0.05)]
)
def test_others_hear_it_in_steps_that_one_row_does_not_move(rows: int, rarer: int, step: float) -> None:
    assert Pooled(0.7, 0.3, rows, rarer).step == step >= 2 / rarer
