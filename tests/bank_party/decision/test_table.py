"""The decision table against a loop over rows, the swap set by hand, and the two ways to give cut-offs."""

from __future__ import annotations

import numpy as np
import pytest

from bank_party.decision.config import DecisionConfig
from bank_party.decision.table import VERDICTS, make_table, swap_set, verdict
from common.stats.measures import sigmoid

RNG = np.random.default_rng(4)
N = 1000
U = RNG.normal(-2.5, 1.2, N)
P = sigmoid(U).round(3)  # with ties
Y = (RNG.random(N) < P).astype(np.float64)
ALONE = U + RNG.normal(0, 1, N)
SCORE = np.rint(487 - 28.85 * np.log(P / (1 - P))).astype(np.int32)
EXPOSURE = RNG.lognormal(3, 1, N)
CONFIG = DecisionConfig(loss_given_default=0.6, margin=0.05)


def test_each_cut_is_what_a_loop_over_rows_gives() -> None:
    table = make_table(CONFIG, P, SCORE, Y, ALONE, EXPOSURE)
    assert table.exposure == pytest.approx(EXPOSURE.sum())
    assert len(table.cuts) == 20
    for rate, cut in zip(np.arange(1, 21) / 20, table.cuts, strict=True):
        rows = [k for k in range(N) if cut.probability >= P[k]]
        assert cut.approved == len(rows)
        assert cut.approval_rate == pytest.approx(rate, abs=0.02) and cut.approval_rate >= rate - 1e-9
        assert cut.score == min(SCORE[k] for k in rows)
        assert cut.bad_rate == pytest.approx(sum(Y[k] for k in rows) / len(rows))
        assert cut.expected_bad_rate == pytest.approx(sum(P[k] for k in rows) / len(rows))
        assert cut.bad_kept_out == pytest.approx(1 - sum(Y[k] for k in rows) / Y.sum())
        assert cut.expected_loss == pytest.approx(sum(0.6 * P[k] * EXPOSURE[k] for k in rows))
        assert cut.observed_loss == pytest.approx(sum(0.6 * Y[k] * EXPOSURE[k] for k in rows))
        profit = sum(EXPOSURE[k] * (0.05 * (1 - P[k]) - 0.6 * P[k]) for k in rows)
        assert cut.expected_profit == pytest.approx(profit)
        assert cut.observed_profit == pytest.approx(sum(EXPOSURE[k] * (0.05 * (1 - Y[k]) - 0.6 * Y[k]) for k in rows))
    assert table.cuts[-1].bad_kept_out == 0 and table.cuts[-1].swap.rows_in == 0


def test_bands_count_each_decision() -> None:
    bands = {band.decision: band for band in make_table(CONFIG, P, SCORE, Y, ALONE, np.ones(N)).bands}
    masks = {"approve": P <= 0.05, "refer": (P > 0.05) & (P <= 0.15), "decline": P > 0.15}
    for name, rows in masks.items():
        assert (bands[name].rows, bands[name].share) == (rows.sum(), rows.mean())
        assert (bands[name].observed, bands[name].expected) == (pytest.approx(Y[rows].mean()), pytest.approx(P[rows].mean()))
    none = make_table(CONFIG, P * 0 + 0.01, SCORE, Y, ALONE, np.ones(N)).bands
    assert [(b.rows, b.observed) for b in none[1:]] == [(0, None), (0, None)]


def test_everybody_alike_is_one_cut() -> None:
    (cut,) = make_table(CONFIG, P * 0 + 0.1, SCORE * 0 + 500, Y * 0, ALONE, np.ones(N)).cuts
    assert (cut.approved, cut.bad_rate, cut.bad_kept_out) == (N, 0, 0)


def test_the_swap_set_by_hand() -> None:
    y = np.array([0, 1, 0, 1.0])
    swap = swap_set(np.array([0, 2]), y, alone=np.array([-3.0, -2.0, 5.0, 9.0]))
    assert (swap.rows_in, swap.rows_out, swap.bad_rate_in, swap.bad_rate_out) == (1, 1, 0.0, 1.0)
    same = swap_set(np.array([0, 1]), y, alone=np.array([-3.0, -2.0, 5.0, 9.0]))
    assert (same.rows_in, same.rows_out, same.bad_rate_in, same.bad_rate_out) == (0, 0, None, None)


def test_the_better_model_swaps_bad_rows_for_good_ones() -> None:
    middle = make_table(CONFIG, P, SCORE, Y, ALONE, np.ones(N)).cuts[9]
    assert middle.swap.bad_rate_in is not None and middle.swap.bad_rate_out is not None
    assert middle.swap.rows_in == middle.swap.rows_out > 50
    assert middle.swap.bad_rate_in < middle.swap.bad_rate_out


def test_cut_offs_by_probability_or_by_written_score() -> None:
    p, score = np.array([0.05, 0.0501, 0.15, 0.1501]), np.array([560, 559, 540, 539], np.int32)
    by_score = DecisionConfig(cutoff="score", approve=560, decline=540)
    for config in (DecisionConfig(), by_score):
        assert [VERDICTS[k] for k in verdict(config, p, score)] == ["approve", "refer", "refer", "decline"]
