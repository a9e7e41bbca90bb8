"""Worlds that trees meet: few overdue with interactions, columns of all sorts with gaps, categories of twenty levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tests.bench.worlds import shift

Reals = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drawn:
    """numeric: (n,) each, NaN where a value is missing. levels: (n,) numbers of each category's levels. u: log-odds, (n,)."""

    numeric: dict[str, Reals]
    u: Reals
    levels: dict[str, Codes] = field(default_factory=dict)


def rare(rng: np.random.Generator, rows: int) -> Drawn:
    """2.4 % overdue, sixteen columns of heavy tails, whose pairs matter more than each by itself."""
    x = rng.standard_t(4, (16, rows))
    u = 0.9 * x[0] * (x[1] > 0.3) + 0.8 * np.abs(x[2]) * (x[3] > 0) - 0.7 * x[8] * (x[0] > 0) + 0.6 * np.tanh(x[9] * x[4])
    u += 0.5 * np.maximum(x[10], 0) + 0.3 * x[5]
    return Drawn(_named(x), u + shift(u, 0.024))


def mixed(rng: np.random.Generator, rows: int) -> Drawn:
    """Loans to small firms: amounts and terms over many sizes, zeros, gaps, a state, a sector, a kind of loan; 17 % overdue."""
    z = rng.standard_normal((8, rows))
    amount, jobs = np.exp(10.5 + 1.3 * z[0]), np.floor(np.exp(1.5 + 1.2 * z[1]))
    term = np.rint(np.clip(84 + 50 * z[2] + 15 * z[0], 6, 360))
    share, age = np.round(np.clip(0.65 + 0.2 * z[3], 0.1, 0.9), 1), np.exp(1.2 + 0.9 * z[4])
    turnover = np.where(rng.random(rows) < 0.3, 0.0, np.exp(12 + 1.5 * z[5] + 0.5 * z[0]))
    state, sector, kind = (rng.choice(k, rows, p=_uneven(k)) for k in (30, 20, 3))
    u = -1.1 * np.log1p(term / 60) + 0.25 * np.log(amount / 3e4) * (term < 72) - 0.3 * np.log1p(age) * (kind != 1)
    u += (
        0.8 * (share < 0.6)
        + 0.4 * (turnover == 0)
        + 0.35 * rng.standard_normal(30)[state]
        + 0.5 * rng.standard_normal(20)[sector]
    )
    u += 0.3 * (jobs < 3) * (sector % 3 == 0)
    numeric = {"amount": amount, "jobs": jobs, "term": term, "share": share, "age": age, "turnover": turnover}
    numeric |= {f"meter{k}": np.exp(z[k]) * (1 + 0.1 * (k == 6) * (u > 0)) for k in (6, 7)}
    numeric["age"] = np.where(rng.random(rows) < 0.15, np.nan, age)
    numeric["meter6"] = np.where(rng.random(rows) < 0.2, np.nan, numeric["meter6"])
    return Drawn(numeric, u + shift(u, 0.17), {"state": state, "sector": sector, "kind": kind})


def categories(rng: np.random.Generator, rows: int) -> Drawn:
    """Three categories of twenty levels, each level with a risk of its own, and four numbers; 20 % overdue."""
    x, u = rng.standard_normal((4, rows)), np.zeros(rows)
    levels = {f"c{k}": rng.choice(20, rows, p=_uneven(20)) for k in range(3)}
    for codes in levels.values():
        u += 0.6 * rng.standard_normal(20)[codes]
    u += 0.5 * x[0] + 0.5 * x[1] * (levels["c0"] < 8) + 0.4 * np.abs(x[2])
    return Drawn(_named(x), u + shift(u, 0.2), levels)


WORLDS: dict[str, Callable[[np.random.Generator, int], Drawn]] = {"rare": rare, "mixed": mixed, "categories": categories}


def _named(x: Reals) -> dict[str, Reals]:
    return {f"x{k}": values for k, values in enumerate(x)}


def _uneven(count: int) -> Reals:
    share = 1.0 / np.arange(2, count + 2)
    return np.asarray(share / share.sum())
