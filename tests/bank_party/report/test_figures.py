"""Curves, intervals and parts against plain definitions; nothing of fewer than five rows shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bank_party.decision.bundle import HeldOut
from bank_party.report.bootstrap import MEASURES, _Ranked, bootstrap
from bank_party.report.curves import curve, histogram, lifts
from bank_party.report.parts import approved_rates, by_month, by_segment, score_psi, shares
from common.report.charts import Chart, shorten, style
from common.report.numbers import brief, count, money, p_value, real, share, signed
from common.report.texts import Words
from common.stats import measures
from common.stats.few import LEAST, hidden_cells
from tests.bank_party.decision.worlds import held_out

HELD = held_out(4000, segments=["region", "income"])[0]
Y, U, V = HELD.label, HELD.u_joint, HELD.u_bank


def few(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (np.arange(rows) % 3 == 0).astype(float), np.round(rng.normal(size=rows), 1)


def test_a_curve_is_the_whole_one_at_some_points() -> None:
    found = curve(Y, U)
    assert (found.rows[0], found.bad[0], found.good[0], found.rows[-1], found.bad[-1], found.good[-1]) == (0, 0, 0, 1, 1, 1)
    for rows, bad, good in zip(found.rows, found.bad, found.good, strict=True):
        top = np.argsort(-U, kind="stable")[: round(rows * len(Y))]
        assert bad == pytest.approx(Y[top].sum() / Y.sum()) and good == pytest.approx((1 - Y[top]).sum() / (1 - Y).sum())
    assert abs(found.bad - found.good).max() == pytest.approx(measures.ks(Y, U))
    area = float(np.trapezoid(found.bad, found.good))
    assert area == pytest.approx(measures.auc(Y, U), abs=2e-3)


@pytest.mark.parametrize("rows", [6, 9, 23, 64, 400])
def test_no_step_of_a_curve_shows_fewer_than_five_rows(rows: int) -> None:
    for seed in range(20):
        y, u = few(rows, seed)
        steps = np.diff(curve(y, u).rows) * rows
        assert steps.min() >= LEAST - 1e-9


def test_lift_and_gain_are_those_of_the_riskiest_rows() -> None:
    found = {x.share: x for x in lifts(Y, U)}
    top = np.argsort(-U, kind="stable")[: found[0.1].rows]
    assert found[0.1].gain == pytest.approx(Y[top].sum() / Y.sum())
    assert found[0.1].lift == pytest.approx(Y[top].mean() / Y.mean())
    assert (found[1.0].lift, found[1.0].gain) == (pytest.approx(1), pytest.approx(1))
    tied = lifts(Y, np.zeros(len(Y)))
    assert [x.lift for x in tied] == pytest.approx([1] * len(tied))  # as if mixed
    assert min(x.rows for x in lifts(*few(60, 1))) >= LEAST


def test_a_histogram_hides_small_bins() -> None:
    found = histogram(600 - 20 * U, Y)
    for shares_, value in ((found.good, 0.0), (found.bad, 1.0)):
        counts = np.rint(shares_ * (value == Y).sum())
        assert set(counts.tolist()) & {1, 2, 3, 4} == set()
        assert 0.9 < shares_.sum() <= 1 + 1e-12
    assert histogram(np.full(50, 600.0), (np.arange(50) % 2).astype(float)).good.sum() == 1


def test_the_bootstrap_measures_what_metrics_measures() -> None:
    """With one row an enterprise and weights of one each, exactly; and its intervals are those of the theory."""
    found = bootstrap(Y, U, V, np.arange(len(Y)))
    theory = measures.delong(Y, U, V)
    band = found.difference["auc"]
    assert (band.high - band.low) == pytest.approx(theory.high - theory.low, rel=0.2)
    for name in MEASURES:
        assert found.joint[name].low < getattr(measures.evaluate(Y, U), name) < found.joint[name].high or name == "ks"
    tied = np.round(U, 1)
    exact = measures.evaluate(Y, tied)
    assert _Ranked(Y, tied).measure(np.ones(len(Y))) == pytest.approx([getattr(exact, name) for name in MEASURES])
    twice = np.repeat(np.arange(len(Y)), 2)
    assert _Ranked(Y, tied).measure(np.full(len(Y), 2.0))[0] == pytest.approx(measures.auc(Y[twice], tied[twice]))


def test_rows_of_one_enterprise_widen_the_interval() -> None:
    """Four copies of each row are no more knowledge."""
    copies = np.tile(np.arange(len(Y)), 4)
    alone = bootstrap(Y, U, V, np.arange(len(Y))).joint["auc"]
    right = bootstrap(Y[copies], U[copies], V[copies], copies).joint["auc"]
    wrong = bootstrap(Y[copies], U[copies], V[copies], np.arange(len(copies))).joint["auc"]
    assert right.high - right.low == pytest.approx(alone.high - alone.low, rel=0.25)
    assert wrong.high - wrong.low < 0.7 * (right.high - right.low)


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        ([10, 20], []),
        ([0, 7, 4, 30], [1, 2]),
        ([3, 2, 9], [0, 1]),
        ([1, 1, 1, 50], [0, 1, 2, 3]),
        ([4], [0]),
        ([5, 5], []),
        ([], []),
    ],
)
def test_small_cells_are_hidden_with_what_would_tell_them(rows: list[int], want: list[int]) -> None:
    found = hidden_cells(rows)
    assert np.flatnonzero(found).tolist() == want
    secret = sum(row for row, hide in zip(rows, found, strict=True) if hide)
    assert secret == 0 or secret >= LEAST or secret == sum(rows)


def with_months(held: HeldOut, months: np.ndarray) -> HeldOut:
    return replace(held, periods=months.astype(np.int32))


def test_months_are_measured_each_by_itself() -> None:
    months = np.arange(len(Y)) % 2 + 24 * 1000
    months[:3] = 23_990
    found = by_month(with_months(HELD, months))
    assert [part.name for part in found] == [23_990, 24_000, 24_001]
    assert found[0].rows is None and found[0].joint is None
    hidden_too = [part for part in found[1:] if part.rows is None]
    assert len(hidden_too) == 1  # or the total would tell of the three rows
    (part,) = [part for part in found[1:] if part.rows is not None]
    here = months == part.name
    assert part.joint == measures.auc(Y[here], U[here]) and part.rate == Y[here].mean()
    assert part.gain == measures.delong(Y[here], U[here], V[here])
    assert part.expected == pytest.approx(HELD.decision.calibration.probability(U[here]).mean())
    assert by_month(replace(HELD, periods=None)) == ()


def test_segments_are_all_rows_once() -> None:
    regions, incomes = by_segment(HELD, "region"), by_segment(HELD, "income")
    assert sum(part.rows or 0 for part in regions) == sum(part.rows or 0 for part in incomes) == len(Y)
    assert {part.name for part in regions} == {"north", "south", "west", None}
    quarters = [part for part in incomes if part.name is not None]
    assert len(quarters) == 4 and max(p.rows or 0 for p in quarters) - min(p.rows or 0 for p in quarters) <= 2
    odd = np.array(["a"] * (len(Y) - 6) + [f"rare {k}" for k in range(6)], object)
    found = by_segment(replace(HELD, segments={"odd": odd}), "odd")
    assert [(part.name, part.others, part.rows) for part in found] == [("a", False, len(Y) - 6), ("", True, 6)]


def test_a_part_of_one_class_has_no_auc() -> None:
    segment = np.where(Y == 1, "bad", "good").astype(object)
    found = by_segment(replace(HELD, segments={"s": segment}), "s")
    assert [(part.joint, part.gain, part.ks) for part in found] == [(None, None, None)] * 2


def test_shares_of_the_score_add_up_to_its_variance() -> None:
    found = shares(HELD)
    assert found is not None
    grid = HELD.u_joint - HELD.u_own
    assert found.grid == pytest.approx(np.cov(grid, U)[0, 1] / np.cov(U, U)[0, 1])
    assert found.bank + found.grid == pytest.approx(1)
    assert found.correlation == pytest.approx(np.corrcoef(HELD.u_own, grid)[0, 1])
    assert shares(replace(HELD, u_joint=np.zeros(len(Y)))) is None


def test_the_strategy_curve_agrees_with_the_swap_set() -> None:
    test = ~HELD.validation
    for (rate, joint, alone), cut in zip(approved_rates(HELD), HELD.decision.table.cuts, strict=True):
        assert (rate, joint) == (cut.approval_rate, cut.bad_rate)
        if cut.swap.rows_in:
            assert cut.swap.bad_rate_in is not None and cut.swap.bad_rate_out is not None
            moved = cut.swap.bad_rate_in * cut.swap.rows_in - cut.swap.bad_rate_out * cut.swap.rows_out
            assert (joint - alone) * cut.approved == pytest.approx(moved)
    assert approved_rates(HELD)[-1][2] == pytest.approx(Y[test].mean())


def test_psi_is_small_for_the_same_scores_and_large_for_moved_ones() -> None:
    rng = np.random.default_rng(8)
    base, same = rng.normal(size=5000), rng.normal(size=5000)
    assert score_psi(base, same)[0] < 0.01 < 0.25 < score_psi(base, same + 1)[0]
    shifted = [((base + 0.5) <= q).mean() for q in np.quantile(base, np.arange(1, 10) / 10)]
    p = np.diff([0, *shifted, 1])
    assert score_psi(base, base + 0.5)[0] == pytest.approx(float(((p - 0.1) * np.log(p / 0.1)).sum()), rel=0.01)


def test_numbers_as_they_are_written() -> None:
    assert [count(1234567.0), count(None), share(0.12345), share(None), real(-0.5)] == [
        "1,234,567",
        "–",
        "12.3%",
        "–",
        "−0.5000",
    ]
    assert [signed(0.25, 2), signed(-0.25, 2), signed(-0.0001, 2)] == ["+0.25", "−0.25", "0.00"]
    assert [brief(187654.321), brief(0.012345), brief(-3.0), brief(float("inf"))] == ["188,000", "0.0123", "−3", ""]
    assert [money(1234.5), money(0.25), p_value(0.00001), p_value(0.25)] == ["1,234", "0.2", "< 0.0001", "= 0.2500"]


def test_a_charts_names_are_escaped_and_chinese_needs_no_font() -> None:
    with style():
        chart = Chart(Words("both"), "name", (3, 2), (0.5, 0.1, 0.3, 0.4))
        chart.axes.text(0.5, 0.5, chart.name_of("用电量<script>"))
        chart.label(x="data.month")
        svg = chart.svg()
    assert "用电量&lt;script&gt;" in svg and "<script" not in svg and "~" not in svg
    assert '<tspan class="en">month</tspan><tspan class="zh">月份</tspan>' in svg
    assert [shorten("a" * 37), shorten("电" * 18), shorten("电" * 19)] == ["a" * 36 + "…", "电" * 18, "电" * 18 + "…"]
