"""What a client hears of jobs, drawn: for notebooks, with matplotlib's own defaults, so that a reader's style holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.stats.metrics import Metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BARS = ("auc", "ks", "gini")
_WIDE = 0.38


@dataclass(frozen=True)
class Told:
    """What was told of one training: both models, the AUC gained and its 95 % interval."""

    job: str
    joint: Metrics
    bank_only: Metrics
    gain: float
    low: float
    high: float


def draw_one(found: Told, axes: Axes | None) -> Axes:
    """AUC, KS and Gini of the joint and the bank-only model side by side; the gain and its interval as the title."""
    axes = axes or _new()
    for k, (name, model) in enumerate((("joint", found.joint), ("bank alone", found.bank_only))):
        places = [place + (k - 0.5) * _WIDE for place in range(len(_BARS))]
        drawn = axes.bar(places, [getattr(model, measure) for measure in _BARS], _WIDE, label=name)
        axes.bar_label(drawn, fmt="%.3f", fontsize="small")
    axes.set_xticks(range(len(_BARS)), ["AUC", "KS", "Gini"])
    axes.set_title(f"AUC gained {found.gain:+.3f} (95 %: {found.low:+.3f} to {found.high:+.3f})", fontsize="medium")
    axes.legend()
    return axes


def draw_all(known: Sequence[Told], axes: Axes | None) -> Axes:
    """AUC of each training, joint with the interval of its gain and of the bank alone, in their order."""
    axes = axes or _new()
    x, alone = range(len(known)), [found.bank_only.auc for found in known]
    joint = [found.joint.auc for found in known]
    below = [max(0.0, found.gain - found.low) for found in known]
    above = [max(0.0, found.high - found.gain) for found in known]
    axes.errorbar(x, joint, yerr=[below, above], fmt="o", capsize=3, label="joint, 95 % of its gain")
    axes.plot(x, alone, "s", label="bank alone")
    axes.set_xticks(x, [found.job for found in known], rotation=30, ha="right")
    axes.set_ylabel("AUC")
    axes.legend()
    return axes


def _new() -> Axes:
    import matplotlib.pyplot as plt  # which shows it where it is made, in a notebook

    axes: Axes = plt.subplots(layout="constrained")[1]
    return axes
