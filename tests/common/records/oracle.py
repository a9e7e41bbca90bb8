"""Every recipe again, one enterprise and one month at a time, from RECIPES.md alone: lists, loops and `statistics`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from common.records.panel import Panel
from common.records.recipe import LABEL

Value = float | str | None


def feature(recipe: Any, panel: Panel, enterprise: int, month: int) -> Value:
    """The feature as of `month`, None where missing. Reads no month after it."""
    if recipe.kind == "age":
        seen = [t for t in range(month + 1) if panel.present[enterprise, t]]
        return float(month - seen[0]) if seen else None
    at = month - recipe.lag
    if recipe.kind == "ratio":
        return _ratio(recipe, panel, enterprise, at)
    values = _history(panel, recipe.field, enterprise, at)
    if not values:
        return None
    if recipe.kind == "static":
        return next((v for v in reversed(values) if v is not None), None)
    if recipe.kind == "bucket":
        return _bucket(recipe, values[-1])
    if recipe.kind == "growth":
        return _growth(recipe, values)
    window = values[-recipe.window :]
    known = [v for v in window if v is not None]
    if recipe.kind == "last":
        return known[-1] if known else None
    if len(known) < _least(recipe):
        return None
    return _KINDS[recipe.kind](recipe, window, known)


def _history(panel: Panel, field: str, enterprise: int, at: int) -> list[Any]:
    """The values up to and including month `at`, oldest first, missing as None."""
    if at < 0:
        return []
    if field in panel.categorical:
        given = panel.categorical[field]
        return [given.levels[c] if c >= 0 else None for c in given.codes[enterprise, : at + 1].tolist()]
    values: Any = panel.label if field == LABEL else panel.numeric[field]
    return [None if math.isnan(v) else v for v in values[enterprise, : at + 1].tolist()]


def _least(recipe: Any) -> int:
    needed = {"trend": 2, "volatility": 2}.get(recipe.kind, 1)
    return recipe.min_months if recipe.min_months is not None else max(needed, math.ceil(recipe.window / 2))


def _met(recipe: Any, value: float | None) -> bool:
    if value is None:
        return False
    a, b = value, recipe.threshold
    return {">": a > b, ">=": a >= b, "<": a < b, "<=": a <= b, "=": a == b, "!=": a != b}[recipe.when]


def _scale(recipe: Any, known: list[float], measure: float) -> float:
    if not recipe.relative:
        return measure
    magnitude = sum(abs(v) for v in known) / len(known)
    return measure / magnitude if magnitude else 0.0


def _trend(recipe: Any, window: list[Any], known: list[float]) -> float:
    times = [float(t) for t, v in enumerate(window) if v is not None]
    slope = statistics.linear_regression(times, known).slope
    return _scale(recipe, known, slope)


def _since(recipe: Any, window: list[Any], known: list[float]) -> float:
    return float(next((k for k, v in enumerate(reversed(window)) if _met(recipe, v)), recipe.window))


def _utilisation(recipe: Any, window: list[Any], known: list[float]) -> Value:
    peak = max(known)
    return None if peak <= 0 or window[-1] is None else window[-1] / peak


def _cap(value: float, cap: float | None) -> float:
    return value if cap is None else max(-cap, min(cap, value))


def _mean(values: list[Any], window: int, least: int) -> Value:
    known = [v for v in values[-window:] if v is not None]
    return sum(known) / len(known) if len(known) >= least else None


def _growth(recipe: Any, values: list[Any]) -> Value:
    least = _least(recipe)
    now, before = _mean(values, recipe.window, least), _mean(values[: -recipe.months], recipe.window, least)
    if now is None or before is None or before <= 0:  # type: ignore[operator]
        return None
    return _cap(now / before - 1, recipe.cap)  # type: ignore[operator]


def _ratio(recipe: Any, panel: Panel, enterprise: int, at: int) -> Value:
    below = recipe.denominator_window or recipe.window
    above = _mean(_history(panel, recipe.numerator, enterprise, at), recipe.window, math.ceil(recipe.window / 2))
    history = _history(panel, recipe.denominator, enterprise, at - recipe.denominator_lag)
    base = _mean(history, below, math.ceil(below / 2))
    if above is None or base is None or base <= 0:  # type: ignore[operator]
        return None
    return _cap(above / base, recipe.cap)  # type: ignore[operator]


def _bucket(recipe: Any, value: float | None) -> Value:
    if value is None:
        return None
    return recipe.levels[sum(value > edge for edge in recipe.edges)]  # type: ignore[no-any-return]


_KINDS: dict[str, Callable[[Any, list[Any], list[float]], Value]] = {
    "mean": lambda r, window, known: statistics.fmean(known),
    "sum": lambda r, window, known: math.fsum(known),
    "max": lambda r, window, known: max(known),
    "min": lambda r, window, known: min(known),
    "trend": _trend,
    "volatility": lambda r, window, known: _scale(r, known, statistics.pstdev(known)),
    "count": lambda r, window, known: float(sum(_met(r, v) for v in known)),
    "share": lambda r, window, known: sum(_met(r, v) for v in known) / len(known),
    "since": _since,
    "utilisation": _utilisation,
}


def as_values(result: Any) -> np.ndarray[Any, Any]:
    """What a recipe gives, as objects: numbers or levels, None where missing."""
    if hasattr(result, "levels"):
        return np.array([*result.levels, None], dtype=object)[result.codes]
    return np.where(np.isnan(result), None, result)
