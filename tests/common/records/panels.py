"""Small panels with gaps, missing values, ties and zeros; and recipes of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from common.records.entries import make
from common.records.held import Codes
from common.records.panel import Panel
from common.records.recipe import Recipe

LEVELS = ("a", "b", "c")
FIRST = 2023 * 12 + 10  # November, so that a panel crosses years

# A few entries of every kind; together they use every option.
KINDS: dict[str, tuple[dict[str, Any], ...]] = {
    "last": ({"field": ["x", "tag"]}, {"field": ["x", "tag"], "window": 3, "lag": [0, 2]}),
    "static": ({"field": ["x", "tag"]}, {"field": ["y", "tag"], "lag": 1}),
    "mean": ({"field": "x", "window": [1, 3, 6]}, {"field": "y", "window": 4, "min_months": 4, "lag": 1}),
    "sum": ({"field": "x", "window": [3, 12]}, {"field": "y", "window": 6, "min_months": 1}),
    "max": ({"field": ["x", "y"], "window": 3},),
    "min": ({"field": ["x", "y"], "window": 3}, {"field": "x", "window": 5, "min_months": 1, "lag": 2}),
    "trend": ({"field": ["x", "y"], "window": [2, 6]}, {"field": "x", "window": 6, "relative": False, "min_months": 4}),
    "volatility": ({"field": ["x", "y"], "window": 6}, {"field": "x", "window": 3, "relative": False}),
    "count": ({"field": "x", "window": 3}, {"field": "y", "window": 6, "when": "<=", "threshold": -1.0}),
    "share": (
        {"field": "x", "window": [3, 6]},
        {"field": "y", "window": 6, "when": "!=", "threshold": 2.0},
        {"field": "y", "window": 6, "when": ">=", "threshold": 2.0},
        {"field": "label", "window": 6, "lag": 1},
    ),
    "since": (
        {"field": "x", "window": 6},
        {"field": "y", "window": 4, "when": "=", "threshold": 2.0, "min_months": 1, "lag": 1},
        {"field": "y", "window": 4, "when": "<", "threshold": 2.0},
    ),
    "utilisation": ({"field": ["x", "y"], "window": [3, 12]},),
    "ratio": (
        {"numerator": "x", "denominator": "y"},
        {
            "numerator": "x",
            "denominator": "y",
            "window": 3,
            "denominator_window": 5,
            "denominator_lag": 1,
            "lag": 1,
            "cap": 0.5,
        },
    ),
    "growth": ({"field": "x"}, {"field": "y", "months": 2, "window": 3, "cap": 0.25, "lag": 1, "min_months": 3}),
    "bucket": (
        {"field": "y", "edges": [-1.0, 0.0, 2.0]},
        {"field": "x", "edges": [0.0], "labels": ["none", "some"], "lag": 1},
    ),
    "age": ({},),
}


def recipes_of(kind: str) -> tuple[Recipe, ...]:
    return make(*({"kind": kind, **entry} for entry in KINDS[kind]))


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    """Fields x (from 0 up, many zeros), y (of few values, negative too) and tag, and a label; months without a record."""
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 16))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    missing = draw(st.sampled_from([0.0, 0.2, 0.7, 1.0]))
    present = rng.random(shape) >= missing / 2
    x = rng.lognormal(3.0, 1.0, shape) * (rng.random(shape) < 0.7)
    y = rng.integers(-2, 4, shape).astype(np.float64)
    label = (rng.random(shape) < 0.4).astype(np.float64)
    for values in (x, y, label):
        values[~present | (rng.random(shape) < missing)] = np.nan
    codes = np.where(present & (rng.random(shape) >= missing), rng.integers(0, 3, shape), -1).astype(np.int16)
    ids = np.array([f"E{i:03d}" for i in range(shape[0])], dtype=object)
    return Panel(ids, FIRST, present, {"x": x, "y": y}, {"tag": Codes(codes, LEVELS)}, label)


def world(enterprises: int = 50, months: int = 18, seed: int = 1) -> Panel:
    """A panel without hypothesis."""
    rng = np.random.default_rng(seed)
    shape = enterprises, months
    present = rng.random(shape) < 0.9
    numeric = {"x": rng.lognormal(3.0, 1.0, shape), "y": rng.integers(-2, 4, shape).astype(np.float64)}
    label = (rng.random(shape) < 0.2).astype(np.float64)
    for values in (*numeric.values(), label):
        values[~present] = np.nan
    codes = np.where(present, rng.integers(0, 3, shape), -1).astype(np.int16)
    ids = np.array([f"E{i:03d}" for i in range(enterprises)], dtype=object)
    return Panel(ids, FIRST, present, numeric, {"tag": Codes(codes, LEVELS)}, label)
