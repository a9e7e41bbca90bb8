"""The data-quality report as one HTML page that needs nothing else: no script, no font, no address."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator

from common.records.quality import Quality
from common.text.templates import Filters, pages
from common.text.words import Lang, words_in

_TEMPLATE, _WORDS = (Path(__file__).with_name(name) for name in ("quality.html.j2", "quality.toml"))
_STYLE: Any = {"svg.fonttype": "none", "font.size": 8, "font.family": "sans-serif", "axes.linewidth": 0.6}
_BAR = "#3b6ea5"


def as_html(report: Quality, lang: Lang = "en") -> str:
    """The page; deterministic for the same report and language."""
    template = pages([_TEMPLATE.parent], _FILTERS).get_template(_TEMPLATE.name)
    plots = {name: _plot(field["histogram"], name) for name, field in report.data["fields"].items() if "histogram" in field}
    return template.render(q=report.data, w=words_in(_WORDS, lang), lang="zh-CN" if lang == "zh" else "en", plots=plots)


def _share(share: float) -> str:
    return "" if not share else "<0.01%" if share < 0.0001 else f"{share:.2%}"


def _brief(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _heat(share: float | None) -> str:
    """A cell's style: white for none, dark red from 30 % on, hatched where there is no record."""
    if share is None:
        return "background:repeating-linear-gradient(45deg,#eee 0 3px,#fff 3px 6px)"
    if not share:
        return "background:#f6f7f9"
    depth = min(1.0, share / 0.3) ** 0.5
    red, other = 255 - round(70 * depth), 255 - round(225 * depth)
    return f"background:rgb({red},{other},{other});color:{'#fff' if depth > 0.6 else '#444'}"


_FILTERS: Filters = {"count": lambda n: f"{n:,}", "share": _share, "brief": _brief, "heat": _heat}


def _plot(histogram: dict[str, Any], name: str) -> str:
    """The histogram as an SVG element without text but numbers."""
    edges, counts = histogram["edges"], histogram["counts"]
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(3.4, 1.5), layout="constrained")
        axes = figure.add_subplot()
        if histogram["log"]:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=6))
            axes.xaxis.set_major_formatter(LogFormatterSciNotation())
            axes.minorticks_off()
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5))
        widths = [b - a for a, b in pairwise(edges)]
        axes.bar(edges[:-1], counts, width=widths, align="edge", color=_BAR, edgecolor="white", linewidth=0.3)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.spines[["top", "right"]].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
