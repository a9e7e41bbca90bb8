"""The charts that both sides have, each a function of figures that stand in its tables too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from common.features.univariate import Feature
from common.home.record import Month
from common.report.charts import BLUE, PERCENT, RED, SKY, WIDE, Chart, room
from common.report.texts import Words
from common.rows.months import month_text

BARS = 15  # most rows of a bar chart


def months(words: Words, found: Sequence[Month], hide: Sequence[bool]) -> str:
    chart = Chart(words, "months", WIDE, (0.65, 0.6, 0.35, 0.35))
    shown = [m for m, small in zip(found, hide, strict=True) if not small]
    x, rows = np.arange(len(shown)), [m.train + m.held for m in shown]
    chart.axes.bar(x, rows, color=SKY, width=0.7)
    chart.axes.set_xticks(x, [month_text(m.period or 0) for m in shown])
    chart.axes.grid(visible=False, axis="x")
    thin(chart, len(shown))
    chart.label(y="data.rows")
    if all(m.train_bad is not None for m in shown):
        rate = chart.axes.twinx()
        rate.grid(visible=False)
        rate.plot(
            x, [((m.train_bad or 0) + (m.held_bad or 0)) / n for m, n in zip(shown, rows, strict=True)], "o-", color=RED, ms=3.5
        )
        rate.yaxis.set_major_formatter(PERCENT)
        rate.yaxis.set_major_locator(MaxNLocator(4))
        rate.set_ylim(0, 1.2 * rate.dataLim.y1)
        rate.spines["right"].set_visible(False)
        rate.tick_params(colors=RED)
        rate.text(1, 1.03, chart.word("data.rate"), transform=rate.transAxes, ha="right", va="bottom", color=RED)
    return chart.svg()


def thin(chart: Chart, count: int) -> None:
    """Leaves at most a dozen tick labels."""
    for k, label in enumerate(chart.axes.get_xticklabels()):
        label.set_visible(k % -(-count // 12) == 0)


def features(words: Words, found: Sequence[Feature]) -> str | None:
    ranked = sorted((f for f in found if f.iv is not None), key=lambda f: -(f.iv or 0.0))[:BARS][::-1]
    if not ranked:
        return None
    return bars(words, "iv", [f.name for f in ranked], [f.iv or 0.0 for f in ranked], "features.iv")


def splits(words: Words, found: Sequence[tuple[str, int, float]]) -> str | None:
    """found: (column, levels, their share), by falling number."""
    shown = [entry for entry in found if entry[1]][:BARS][::-1]
    if not shown:
        return None
    return bars(words, "splits", [name for name, *_ in shown], [float(count) for _, count, _ in shown], "model.splits")


def bars(words: Words, name: str, names: list[str], values: list[float], axis: str, signed: bool = False) -> str:
    chart = Chart(words, name, (7.4, 0.75 + 0.23 * len(names)), (room(names), 0.4, 0.1, 0.5))
    y = np.arange(len(names))
    colours = [RED if signed and value >= 0 else BLUE for value in values]
    chart.axes.barh(y, values, color=colours, height=0.6)
    chart.axes.set_yticks(y, [chart.name_of(text) for text in names])
    chart.axes.grid(visible=False, axis="y")
    chart.label(x=axis)
    return chart.svg()


def weights(words: Words, names: Sequence[str], values: Sequence[float]) -> str:
    """A side's own, where it has nothing to compare them with."""
    order = sorted(range(len(names)), key=lambda k: -abs(values[k]))[: 2 * BARS][::-1]
    return bars(words, "weights", [names[k] for k in order], [values[k] for k in order], "model.axis", signed=True)
