"""Time and bytes against rows and against columns, both axes logarithmic, above the fixed cost, with the fitted slope."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

_INK, _GREY, _LINE = "#1b3a5c", "#8a8f98", "#c8552b"
_UNITS = {"seconds": ("seconds", 1.0), "bytes": ("megabytes", 1e-6)}
_AXES = {"rows": "training rows", "columns": "columns of both sides"}


def draw(growth: dict[str, Any], folder: Path) -> list[Path]:
    """growth.svg and growth.png."""
    style: Any = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "wattscore",
        "svg.fonttype": "none",
    }
    with mpl.rc_context(style):
        figure, panels = plt.subplots(2, 2, figsize=(9.6, 6.8), layout="constrained")
        for down, value in enumerate(_UNITS):
            for across, axis in enumerate(growth):
                _panel(panels[down][across], growth[axis], axis, value)
        first = growth["columns"]["results"][0]["train_rows"]
        figure.suptitle(f"Training stage: left by rows at 20 columns, right by columns at {first:,} rows", fontsize=11)
        paths = [folder / f"growth.{kind}" for kind in ("svg", "png")]
        for path in paths:
            figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)
    return paths


def _panel(axes: Axes, series: dict[str, Any], axis: str, value: str) -> None:
    name, unit = _UNITS[value]
    sizes, law = np.asarray(series["sizes"], float), series["fit"][value]
    above = np.asarray(series[value]) - law["fixed"]
    line = law["per_unit"] * sizes ** law["slope"]
    axes.plot(sizes, line * unit, color=_LINE, linewidth=1.5, label=f"fit: slope {law['slope']:.2f}", zorder=2)
    keep = above > 0.02 * line  # what is left of a point below its noise is no point
    axes.scatter(
        sizes[keep],
        above[keep] * unit,
        s=28,
        color=_INK,
        label=f"above the fixed cost of {law['fixed'] * unit:.3g} {name}",
        zorder=3,
    )
    if value == "seconds":
        axes.plot(sizes, series["lbfgs"], color=_GREY, linewidth=1, marker="s", markersize=3, label="plaintext lbfgs")
        axes.plot(
            sizes, series["sgd"], color=_GREY, linewidth=1, linestyle=":", marker="^", markersize=3, label="plaintext SGD"
        )
    axes.set(xscale="log", yscale="log", xlabel=_AXES[axis], ylabel=name)
    axes.set_xticks(sizes)
    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.grid(True, color="#e4e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** (0.35 if value == "seconds" else 0.2))  # room for the legend


def _number(value: float, _: int) -> str:
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
