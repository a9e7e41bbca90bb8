"""The charts of the bank's page, each a function of figures that stand in its tables too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from bank_party.decision.bundle import Coefficient, Decision
from bank_party.report.backtest import Origin
from bank_party.report.curves import Curve, Histogram, Lift
from bank_party.report.parts import Part
from common.home.record import Refit
from common.report.charts import BLUE, GREEN, GREY, HALF, PERCENT, RED, SKY, Chart, room
from common.report.figures import BARS, thin
from common.report.texts import Words
from common.rows.months import month_text
from common.stats.few import LEAST

_HALF = (0.5, 0.15, 0.35, 0.5)


def coefficients(words: Words, found: Sequence[Coefficient]) -> str:
    """Joint weights as rings, bank-only ones with their intervals; the intercept is left out, being of another size."""
    shown = sorted(found[:-1], key=lambda c: -abs(c.joint))[: 2 * BARS][::-1]
    chart = _dots(words, "coefficients", [c.name for c in shown])
    errors = [1.96 * (c.alone_error or 0.0) for c in shown]
    y = np.arange(len(shown))
    chart.axes.errorbar([c.alone for c in shown], y - 0.12, xerr=errors, fmt="s", color=GREY, ms=3.5, lw=1)
    chart.axes.plot([c.joint for c in shown], y + 0.12, "o", color=BLUE, ms=5)
    _keys(chart, ("model.joint", BLUE), ("model.alone", GREY))
    return chart.svg()


def refits(words: Words, trained: Sequence[float], again: Sequence[Refit]) -> str:
    pairs = sorted(zip(trained[:-1], again[:-1], strict=True), key=lambda pair: -abs(pair[0]))[: 2 * BARS][::-1]
    chart = _dots(words, "refits", [refit.name for _, refit in pairs])
    y = np.arange(len(pairs))
    errors = [1.96 * (refit.error or 0.0) for _, refit in pairs]
    chart.axes.errorbar([refit.value for _, refit in pairs], y, xerr=errors, fmt="o", color=GREEN, ms=3.5, lw=1)
    chart.axes.plot([value for value, _ in pairs], y, "o", mfc="none", mec=BLUE, ms=7)
    _keys(chart, ("stability.trained", BLUE), ("stability.again", GREEN))
    return chart.svg()


def _dots(words: Words, name: str, names: list[str]) -> Chart:
    chart = Chart(words, name, (7.4, 1.0 + 0.23 * len(names)), (room(names), 0.3, 0.35, 0.5))
    chart.axes.axvline(0, color=GREY, lw=0.8)
    chart.axes.set_yticks(range(len(names)), [chart.name_of(text) for text in names])
    chart.axes.set_ylim(-0.6, len(names) - 0.4)
    chart.label(x="model.axis")
    return chart


def _keys(chart: Chart, *entries: tuple[str, str], at: float = 1.03) -> None:
    """A legend above the axes, from the right: coloured words with a bullet."""
    for k, (key, colour) in enumerate(reversed(entries)):
        place = 1 - k * (1.3 / (chart.figure.get_figwidth() - 0.6))
        chart.axes.text(
            place, at, f"● {chart.word(key)}", transform=chart.axes.transAxes, ha="right", va="bottom", color=colour
        )


def roc(words: Words, joint: Curve, alone: Curve) -> str:
    chart = Chart(words, "roc", HALF, _HALF)
    chart.axes.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    chart.axes.plot(alone.good, alone.bad, "--", color=RED)
    chart.axes.plot(joint.good, joint.bad, color=BLUE)
    _shares(chart)
    chart.label("ranking.fpr", "ranking.tpr")
    chart.axes.text(0.97, 0.16, f"— {chart.word('model.joint')}", ha="right", color=BLUE)
    chart.axes.text(0.97, 0.07, f"- - {chart.word('model.alone')}", ha="right", color=RED)
    return chart.svg()


def _shares(chart: Chart) -> None:
    for axis in (chart.axes.xaxis, chart.axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.set_major_locator(MaxNLocator(5))
    chart.axes.set_xlim(0, 1)
    chart.axes.set_ylim(0, 1.005)


def ks(words: Words, joint: Curve, value: float) -> str:
    chart = Chart(words, "ks", HALF, _HALF)
    chart.axes.plot(joint.rows, joint.bad, color=RED)
    chart.axes.plot(joint.rows, joint.good, "--", color=BLUE)
    at = joint.rows[joint.gap]
    chart.axes.plot([at, at], [joint.good[joint.gap], joint.bad[joint.gap]], color=GREY, lw=1, marker="_")
    _shares(chart)
    chart.label("ranking.share", "ranking.cumulative")
    chart.axes.text(0.97, 0.25, chart.word("ranking.gap", ks=f"{value:.3f}", share=f"{at:.0%}"), ha="right")
    chart.axes.text(0.97, 0.16, f"— {chart.word('data.bad')}", ha="right", color=RED)
    chart.axes.text(0.97, 0.07, f"- - {chart.word('data.good')}", ha="right", color=BLUE)
    return chart.svg()


def lift(words: Words, joint: Sequence[Lift], alone: Sequence[Lift]) -> str:
    chart = Chart(words, "lift", HALF, _HALF)
    chart.axes.axhline(1, color=GREY, lw=0.8)
    _pair(chart, [x.share for x in joint], [x.lift for x in joint], [x.lift for x in alone])
    chart.axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    chart.axes.set_xlim(0, 1)
    chart.axes.set_ylim(bottom=0)
    chart.label("lift.share", "lift.lift")
    chart.axes.text(0.97, 0.93, f"● {chart.word('model.joint')}", transform=chart.axes.transAxes, ha="right", color=BLUE)
    chart.axes.text(0.97, 0.85, f"■ {chart.word('model.alone')}", transform=chart.axes.transAxes, ha="right", color=RED)
    return chart.svg()


def _pair(chart: Chart, x: Sequence[float], joint: Sequence[float], alone: Sequence[float]) -> None:
    chart.axes.plot(x, alone, "s--", color=RED, ms=3)
    chart.axes.plot(x, joint, "o-", color=BLUE, ms=3.5)


def gain(words: Words, joint: Sequence[Lift], alone: Sequence[Lift]) -> str:
    chart = Chart(words, "gain", HALF, _HALF)
    chart.axes.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    _pair(chart, [0, *(x.share for x in joint)], [0, *(x.gain for x in joint)], [0, *(x.gain for x in alone)])
    _shares(chart)
    chart.label("lift.share", "lift.gain")
    chart.axes.text(0.97, 0.16, f"● {chart.word('model.joint')}", ha="right", color=BLUE)
    chart.axes.text(0.97, 0.07, f"■ {chart.word('model.alone')}", ha="right", color=RED)
    return chart.svg()


def reliability(words: Words, rules: Decision) -> str:
    chart = Chart(words, "reliability", (4.6, 3.2), (0.6, 0.2, 0.35, 0.5))
    top = 1.08 * max(max(b.expected, b.observed) for b in (*rules.before, *rules.after))
    chart.axes.plot([0, top], [0, top], color=GREY, lw=0.8)
    for curve, style, colour in ((rules.before, "s--", RED), (rules.after, "o-", BLUE)):
        shown = [b for b in curve if b.rows >= LEAST]
        chart.axes.plot([b.expected for b in shown], [b.observed for b in shown], style, color=colour, ms=4, lw=1.2)
    chart.axes.set_xlim(0, top)
    chart.axes.set_ylim(0, top)
    chart.axes.xaxis.set_major_formatter(PERCENT)
    chart.axes.yaxis.set_major_formatter(PERCENT)
    chart.label("calibration.expected", "calibration.observed")
    chart.axes.text(0.97, 0.16, f"● {chart.word('calibration.after')}", transform=chart.axes.transAxes, ha="right", color=BLUE)
    chart.axes.text(0.97, 0.07, f"■ {chart.word('calibration.before')}", transform=chart.axes.transAxes, ha="right", color=RED)
    return chart.svg()


def scores(words: Words, found: Histogram) -> str:
    chart = Chart(words, "scores", HALF, _HALF)
    for values, colour, style in ((found.good, BLUE, "-"), (found.bad, RED, "--")):
        chart.axes.stairs(values, found.edges, color=colour, fill=True, alpha=0.18)
        chart.axes.stairs(values, found.edges, color=colour, lw=1.3, ls=style)
    chart.axes.yaxis.set_major_formatter(PERCENT)
    chart.axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    chart.label("grades.score", "grades.density")
    chart.axes.text(0.03, 0.93, f"— {chart.word('data.good')}", transform=chart.axes.transAxes, color=BLUE)
    chart.axes.text(0.03, 0.85, f"- - {chart.word('data.bad')}", transform=chart.axes.transAxes, color=RED)
    return chart.svg()


def grades(words: Words, rules: Decision) -> str:
    chart = Chart(words, "grades", HALF, _HALF)
    shown = [g for g in rules.grades if g.test.rows >= LEAST]
    chart.axes.bar([g.grade for g in shown], [g.test.observed or 0.0 for g in shown], color=SKY, width=0.7)
    chart.axes.plot([g.grade for g in shown], [g.test.expected or 0.0 for g in shown], "o", color=RED, ms=4)
    chart.axes.set_xticks([g.grade for g in rules.grades])
    chart.axes.grid(visible=False, axis="x")
    chart.axes.yaxis.set_major_formatter(PERCENT)
    chart.label("grades.grade", "data.rate")
    chart.axes.text(0.03, 0.93, f"■ {chart.word('calibration.observed')}", transform=chart.axes.transAxes, color="#4a90c2")
    chart.axes.text(0.03, 0.85, f"● {chart.word('calibration.expected')}", transform=chart.axes.transAxes, color=RED)
    return chart.svg()


def strategy(words: Words, rates: Sequence[tuple[float, float, float]]) -> str:
    chart = Chart(words, "strategy", HALF, _HALF)
    _pair(chart, [r[0] for r in rates], [r[1] for r in rates], [r[2] for r in rates])
    chart.axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    chart.axes.yaxis.set_major_formatter(PERCENT)
    chart.axes.set_xlim(0, 1.02)
    chart.axes.set_ylim(bottom=0)
    chart.label("decision.approval", "decision.bad_rate")
    chart.axes.text(0.97, 0.16, f"● {chart.word('model.joint')}", transform=chart.axes.transAxes, ha="right", color=BLUE)
    chart.axes.text(0.97, 0.07, f"■ {chart.word('model.alone')}", transform=chart.axes.transAxes, ha="right", color=RED)
    return chart.svg()


def month_auc(words: Words, parts: Sequence[Part]) -> str | None:
    shown = [p for p in parts if p.joint is not None and p.alone is not None and isinstance(p.name, int)]
    if len(shown) < 2:
        return None
    chart = _by_month(words, "month-auc", [p.name for p in shown if isinstance(p.name, int)])
    _pair(chart, list(range(len(shown))), [p.joint or 0.0 for p in shown], [p.alone or 0.0 for p in shown])
    chart.label(y="comparison.auc")
    low, high = chart.axes.get_ylim()
    chart.axes.set_ylim(low - 0.3 * (high - low), high)
    chart.axes.text(0.97, 0.14, f"● {chart.word('model.joint')}", transform=chart.axes.transAxes, ha="right", color=BLUE)
    chart.axes.text(0.97, 0.05, f"■ {chart.word('model.alone')}", transform=chart.axes.transAxes, ha="right", color=RED)
    return chart.svg()


def origin_auc(words: Words, origins: Sequence[Origin]) -> str | None:
    """AUC by origin, the joint model's with its interval."""
    shown = [o for o in origins if o.joint is not None and o.joint_band is not None]
    if len(shown) < 2:
        return None
    chart = _by_month(words, "origin-auc", [o.as_of for o in shown])
    joint = np.array([o.joint for o in shown], float)
    errors = [
        joint - [o.joint_band.low for o in shown if o.joint_band],
        [o.joint_band.high for o in shown if o.joint_band] - joint,
    ]
    chart.axes.plot(range(len(shown)), [o.alone or 0.0 for o in shown], "s--", color=RED, ms=3)
    chart.axes.errorbar(range(len(shown)), joint, yerr=errors, fmt="o-", color=BLUE, ms=3.5, lw=1.2, capsize=2)
    chart.label(y="comparison.auc")
    _keys(chart, ("model.joint", BLUE), ("model.alone", RED))
    return chart.svg()


def origin_rate(words: Words, origins: Sequence[Origin]) -> str | None:
    """Observed overdue rate with its interval, and what the model as trained expected."""
    shown = [o for o in origins if o.observed is not None and o.band is not None]
    if len(shown) < 2:
        return None
    chart = _by_month(words, "origin-rate", [o.as_of for o in shown])
    rate = np.array([o.observed for o in shown], float)
    errors = [rate - [o.band[0] for o in shown if o.band], [o.band[1] for o in shown if o.band] - rate]
    chart.axes.errorbar(range(len(shown)), rate, yerr=errors, fmt="o-", color=BLUE, ms=3.5, lw=1.2, capsize=2)
    chart.axes.plot(range(len(shown)), [o.expected for o in shown], "s--", color=RED, ms=3)
    chart.axes.yaxis.set_major_formatter(PERCENT)
    chart.label(y="data.rate")
    _keys(chart, ("calibration.observed", BLUE), ("calibration.expected", RED))
    return chart.svg()


def _by_month(words: Words, name: str, months: Sequence[int]) -> Chart:
    """A chart with these months from the left, each at its number from 0 on."""
    chart = Chart(words, name, HALF, (0.5, 0.15, 0.35, 0.75))
    chart.axes.set_xticks(range(len(months)), [month_text(month) for month in months], rotation=40, ha="right")
    thin(chart, len(months))
    return chart
