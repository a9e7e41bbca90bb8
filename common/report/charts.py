"""A chart as inline SVG: no font and no address in it; words in both languages, set by the browser in its own fonts.

matplotlib measures and writes placeholders in place of words, which are put in afterwards: it need not know Chinese.
"""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from common.report.numbers import coarse
from common.report.texts import Words

# Okabe and Ito's palette, told apart by the colour-blind; dashes and markers tell lines apart in print too.
BLUE, RED, GREEN, GREY, SKY = "#0072B2", "#D55E00", "#009E73", "#8a8f98", "#9fc9e8"
_INK = "#3a3f47"
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 8.5,
    "font.family": "sans-serif",
    "axes.linewidth": 0.6,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.6,
}
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.3g}%")
WIDE, HALF = (7.4, 2.7), (3.6, 3.0)


def style() -> AbstractContextManager[None]:
    """Charts are made within it."""
    return mpl.rc_context(_STYLE)


class Chart:
    """One figure with one or more axes, margins in inches. `name` must be unique in the page: ids come from it."""

    def __init__(self, words: Words, name: str, size: tuple[float, float], margins: tuple[float, float, float, float]) -> None:
        """margins: left, right, top, bottom."""
        self.words, self.name, self._texts = words, name, list[str]()
        self.figure = Figure(figsize=size)
        left, right, top, bottom = margins
        width, height = size
        box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
        self.axes: Axes = self.figure.add_axes(box)
        self.axes.yaxis.set_major_locator(MaxNLocator(5))

    def word(self, key: str, **values: object) -> str:
        """A placeholder for a text of the catalogue."""
        return self._keep(self.words.tspans(*self.words.texts(key, **values)))

    def name_of(self, text: str) -> str:
        """A placeholder for a name in whatever script, shortened to what fits."""
        return self._keep(self.words.tspans(*[shorten(coarse(text))] * 2))

    def _keep(self, svg: str) -> str:
        self._texts.append(svg)
        return f"~{len(self._texts) - 1}~"

    def label(self, x: str | None = None, y: str | None = None) -> None:
        """Axis titles by key: x below, y above its axis and upright, as Chinese is not read sideways."""
        if x is not None:
            self.axes.set_xlabel(self.word(x))
        if y is not None:
            self.axes.text(0, 1.03, self.word(y), transform=self.axes.transAxes, ha="left", va="bottom")

    def svg(self) -> str:
        out = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": self.name}):
            self.figure.savefig(
                out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Type": None, "Format": None}
            )
        return self._clean(out.getvalue())

    def _clean(self, text: str) -> str:
        """Without header, addresses and sizes of its own; placeholders filled in."""
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r' (?:xmlns(?::\w+)?|version)="[^"]*"', "", text).replace("xlink:href", "href")
        used = set(re.findall(r"#([\w-]+)", text))
        text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
        text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
        text = re.sub(r'<svg width="[^"]*" height="[^"]*"', '<svg role="img"', text, count=1)
        text = re.sub(r"font-family: [^;\"]*;? ?", "", text)  # the page's
        return re.sub(r"~(\d+)~", lambda found: self._texts[int(found[1])], text)


def shorten(text: str, most: int = 36) -> str:
    """The text cut to so many half-width characters."""
    width, kept = 0, 0
    for kept, char in enumerate(text, 1):
        width += 1 + (ord(char) > 0x2E7F)
        if width > most:
            return text[: kept - 1] + "…"
    return text[:kept]


def room(names: list[str]) -> float:
    """Inches that the longest of these names needs beside an axis."""
    longest = max((sum(1 + (ord(char) > 0x2E7F) for char in shorten(name)) for name in names), default=0)
    return 0.25 + 0.068 * longest
