"""The bank's weights fitted again: right where the truth is known, careful where rows are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bank_party.decision.bundle import HeldOut
from bank_party.judge import refit as module
from bank_party.judge.refit import fit_offset, refit, sampled
from common.features.fit import FittedPreparation
from common.learn.linear.half import PartyModel
from common.party import Party
from common.rows.table import Ids
from common.stats.logistic import fit_logistic
from common.stats.measures import sigmoid
from tests.bank_party.decision.worlds import held_out

BASE = held_out(400)[0]
TRUE = np.array([0.8, -0.5, -1.0])


def case(rows: int, repeat: int = 1, seed: int = 1) -> tuple[HeldOut, np.ndarray]:
    """Held-out rows of a known model, each enterprise `repeat` times; their prepared columns with the intercept."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=(rows, 2)), np.ones(rows)])
    grid = rng.normal(size=rows)
    y = (rng.random(rows) < sigmoid(x @ TRUE + grid)).astype(np.float64)
    x, grid, y, ids = (np.repeat(v, repeat, axis=0) for v in (x, grid, y, np.array([f"F{k}" for k in range(rows)], object)))
    months = np.tile(np.arange(len(y) // 4 + 1).repeat(4)[: len(y)] % 8, 1).astype(np.int32)
    own = x @ TRUE
    return replace(BASE, ids=Ids.of(ids), periods=months, label=y, u_own=own, u_joint=own + grid), x


class Model(PartyModel):
    @property
    def columns(self) -> tuple[str, ...]:
        return ("one", "two", "(intercept)")


MODEL = Model("job", Party.BANK, FittedPreparation(fitted=()), TRUE, {}, {})


def test_the_truth_lies_within_the_intervals() -> None:
    inside = 0
    for seed in range(20):
        held, x = case(3000, seed=seed)
        found = refit(MODEL, held, lambda low, high: x[low:high], 1e-6)  # noqa: B023
        assert [r.name for r in found] == ["one", "two", "(intercept)"]
        inside += sum(abs(r.value - t) < 1.96 * (r.error or 0) for r, t in zip(found, TRUE, strict=True))
    assert 50 <= inside <= 60  # of 60; 57 expected
    assert all(len(r.parts) == 4 and r.rows == 3000 for r in found)
    assert [np.mean(r.parts) for r in found] == pytest.approx(TRUE, abs=0.2)


def test_an_offset_of_zero_is_the_ordinary_fit() -> None:
    held, x = case(2000)
    want = fit_logistic(x[:, :2], held.label, 0.01)
    found = fit_offset(x, held.label, np.zeros(2000), 0.01)
    assert found is not None
    np.testing.assert_allclose(found, np.roll(want, -1), atol=1e-7)


def test_months_of_one_enterprise_do_not_pass_for_independent_rows() -> None:
    held, x = case(1000)
    many, more = case(1000, repeat=4)
    once = refit(MODEL, held, lambda low, high: x[low:high], 1e-6)
    four = refit(MODEL, many, lambda low, high: more[low:high], 1e-6)
    for a, b in zip(once, four, strict=True):
        assert b.value == pytest.approx(a.value, abs=1e-6)
        assert b.error == pytest.approx(a.error, rel=1e-6)


def test_too_few_rows_and_one_class_have_none() -> None:
    held, x = case(3000)
    block = lambda low, high: x[low:high]  # noqa: E731
    few = replace(held, label=np.append(np.ones(10), np.zeros(2990)))
    assert refit(MODEL, few, block, 1e-4) == ()
    short, short_x = case(59)
    assert refit(MODEL, short, lambda low, high: short_x[low:high], 1e-4) == ()
    small, small_x = case(150)
    (first, *_) = refit(MODEL, small, lambda low, high: small_x[low:high], 1e-4)
    assert first.parts == ()  # the whole is enough, its parts are not


def test_of_very_many_rows_evenly_spread_blocks_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sampled(50_000) == [(0, 50_000)]
    blocks = sampled(1_000_000)
    assert (len(blocks), blocks[0], blocks[-1]) == (50, (0, 1000), (999_000, 1_000_000))
    monkeypatch.setattr(module, "_BLOCK", 100)
    monkeypatch.setattr(module, "_BLOCKS", 10)
    held, x = case(3000)
    found = refit(MODEL, held, lambda low, high: x[low:high], 1e-4)
    assert {r.rows for r in found} == {1000}
    assert [r.value for r in found] == pytest.approx(TRUE, abs=0.4)
