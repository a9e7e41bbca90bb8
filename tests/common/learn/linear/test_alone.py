"""Newton's steps of banks alone: the pooled optimum in few sums, whose weights all have and whose intercepts each keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.learn.linear.alone import MOST_SUMS, Optimum, Own, Profile, add_up, descend, told
from common.mpc.fixedpoint import Reals
from common.mpc.session import Kind
from common.mpc.several.hub import BankHub
from common.stats.logistic import Design, fit_design
from common.stats.measures import sigmoid
from tests.banks import Banks, End

RIDGE = 1e-4


def world(rows: tuple[int, ...], columns: int, seed: int = 0, slope: float = 1.0) -> tuple[list[Reals], list[Reals]]:
    """Columns, centred at each bank and of mean square one over all, and labels of banks whose rates differ."""
    rng = np.random.default_rng(seed)
    x = [rng.standard_normal((n, columns)) for n in rows]
    x = [one - one.mean(axis=0) for one in x]
    scale = np.sqrt(sum((one**2).sum(axis=0) for one in x) / sum(rows))
    x = [one / scale for one in x]
    true = slope * rng.standard_normal(columns) / np.sqrt(columns)
    y = [(rng.random(len(one)) < sigmoid(one @ true + k - 2.0)).astype(float) for k, one in enumerate(x)]
    return x, y


async def optimum(x: list[Reals], y: list[Reals]) -> tuple[int, list[Optimum], Banks]:
    banks, total = Banks(len(x)), sum(map(len, x))
    columns = x[0].shape[1]

    async def at_bank(hub: BankHub, end: End) -> Optimum:
        own = np.column_stack([x[end.number], np.ones(len(x[end.number]))])
        mine = Own(Design.of(own), y[end.number], len(own) / total)
        return await descend(hub, mine, len(x), RIDGE * np.eye(columns))

    sums, *found = await banks.run(lambda hub, _: add_up(hub, columns), at_bank)  # type: ignore[arg-type,return-value]
    return sums, found, banks  # type: ignore[return-value]


def pooled(x: list[Reals], y: list[Reals]) -> tuple[Reals, float]:
    """Newton's fit on the rows in one place, an intercept a bank: all weights, and the objective."""
    banks = len(x)
    design = np.concatenate([np.column_stack([one, np.tile(np.eye(banks)[k], (len(one), 1))]) for k, one in enumerate(x)])
    penalty = np.diag([RIDGE] * x[0].shape[1] + [0.0] * banks)
    beta = fit_design(Design.of(design), np.concatenate(y), penalty)
    return beta, objective(design, np.concatenate(y), beta, penalty)


def objective(design: Reals, y: Reals, beta: Reals, penalty: Reals) -> float:
    u = design @ beta
    return float(np.mean(np.logaddexp(0.0, u) - y * u) + beta @ penalty @ beta / 2)


@pytest.mark.parametrize(
    ("rows", "columns", "slope"), [((500, 400, 700), 8, 1.0), ((2000, 600, 900), 30, 0.7), ((400,) * 8, 12, 2.5)]
)
async def test_banks_alone_reach_the_pooled_optimum_in_a_few_sums(rows: tuple[int, ...], columns: int, slope: float) -> None:
    x, y = world(rows, columns, slope=slope)
    sums, found, _ = await optimum(x, y)
    beta, least = pooled(x, y)
    mine = np.append(found[0].weights, [one.intercept for one in found])
    banks = len(rows)
    design = np.concatenate([np.column_stack([one, np.tile(np.eye(banks)[k], (len(one), 1))]) for k, one in enumerate(x)])
    value = objective(design, np.concatenate(y), mine, np.diag([RIDGE] * columns + [0.0] * banks))
    assert 0.0 <= value - least < 1e-5
    assert 3 <= sums <= (5 if slope < 2.0 else 6) and all(one.reached and one.sums == sums for one in found)
    assert np.abs(mine - beta).max() < 0.01
    assert all(np.array_equal(one.weights, found[0].weights) for one in found)


async def test_the_hub_hears_uniform_words_alone_and_the_banks_sums_not_parts() -> None:
    x, y = world((500, 400, 700), 6)
    sums, _, banks = await optimum(x, y)
    for k in range(3):
        log = banks.peer[k]
        from_bank = [(label.kind, values) for label, values in _sent(log, "bank")]
        addends = np.concatenate([values for kind, values in from_bank if kind is Kind.MASKED_ADDEND])
        assert len(addends) == sums * told(6)
        ones = np.unpackbits(addends.view(np.uint8)).mean()
        assert abs(ones - 0.5) < 4 * 0.5 / np.sqrt(64 * len(addends))
        assert {kind for kind, _ in from_bank} == {Kind.MASKED_ADDEND, Kind.SHAPE}
    part, _ = Profile.of(Own(Design.of(np.column_stack([x[0], np.ones(500)])), y[0], 500 / 1600), np.zeros(6))
    assert Profile.told(part.words(), 6).gradient == pytest.approx(part.gradient)
    assert Profile.told(part.words(), 6).curvature == pytest.approx(part.curvature)


def _sent(log: dict[Any, Any], who: str) -> list[tuple[Any, Any]]:
    return next(channel.log for party, channel in log.items() if party.value == who)


async def test_where_nothing_keeps_the_weights_in_it_ends_and_says_so() -> None:
    x, y = world((300, 300, 300), 3)
    y = [(one[:, 0] > 0).astype(float) for one in x]  # a line separates the classes
    sums, found, _ = await optimum(x, y)
    assert sums == MOST_SUMS and not any(one.reached for one in found)
    assert found[0].loss < 0.1
