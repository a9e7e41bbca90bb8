"""Columns that tell the label: all kinds are found by name, in small tables and large, and none in clean worlds."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.features import leaks
from common.party import Party
from common.rows.dataset import read_table
from common.rows.declare import DatasetConfig
from tests.extent import extent

SIZES = (1600, 10_000, 50_000)


@functools.cache
def kept(n: int, seed: int) -> pd.DataFrame:
    """The table of many tests, made once."""
    return clean(n, seed)


def clean(n: int, seed: int, months: bool = False) -> pd.DataFrame:
    """A bank's table whose columns tell of defaults as real ones do."""
    r = np.random.default_rng(seed)
    arrears, tax, loan = r.poisson(0.6, n), r.lognormal(9, 1, n), r.lognormal(12, 0.7, n)
    z = 0.7 * arrears - 0.4 * (np.log(tax) - 9) + 0.5 * (np.log(loan) - 12) + r.normal(0, 0.5, n)
    frame = pd.DataFrame(
        {"id": [f"E{k:07d}" for k in range(n)], "arrears": arrears, "tax": tax.round(2), "loan": loan.round(2)}
    )
    frame["owed"] = (r.lognormal(3, 1, n) * (arrears > 0)).round(2)
    frame["region"] = r.choice(["n", "s", "e", "w"], n)
    frame["gap"] = np.where(r.random(n) < 0.1, np.nan, r.normal(size=n))
    frame["opened"] = pd.Timestamp("2019-01-01") + pd.to_timedelta(r.integers(0, 1500, n), "D")
    if months:
        frame.insert(1, "month", "2024-01")
    frame["y"] = (z > np.quantile(z, 0.8)).astype(int)
    return frame


def found(frame: pd.DataFrame, folder: Path, **keys: Any) -> tuple[str, ...]:
    frame.to_parquet(folder / "bank.parquet")
    config = DatasetConfig(path=folder / "bank.parquet", id="id", label="y", **keys)
    loaded = read_table(config, name="loans", party=Party.BANK, require_label=True)
    return leaks.find(loaded.table, loaded.aside)


LEAKS: dict[str, Any] = {
    "the label": lambda y, r: y * 30.0,
    "the label the other way": lambda y, r: 1 - y,
    "the label with noise": lambda y, r: np.where(r.random(len(y)) < 0.02, 1 - y, y),
    "the label in bins": lambda y, r: y * 5 + r.normal(0, 0.5, len(y)),
    "the label as text": lambda y, r: np.where(y == 1, np.where(r.random(len(y)) < 0.5, "loss", "doubtful"), "normal"),
    "missing if bad": lambda y, r: np.where(y == 1, np.nan, r.normal(size=len(y))),
    "known if bad": lambda y, r: np.where(y == 1, r.normal(size=len(y)), np.nan),
    "half of the bad": lambda y, r: np.where((y == 1) & (r.random(len(y)) < 0.5), r.lognormal(size=len(y)), 0.0),
    "a date of default": lambda y, r: pd.Series(np.where(y == 1, np.datetime64("2024-05-03"), np.datetime64("NaT"))),
    "a date of default as text": lambda y, r: np.where(y == 1, "2024-05-03", ""),
    "codes of which some are of bad ones": lambda y, r: (r.integers(0, 5, len(y)) + np.where(y == 1, 0, 5)).astype(str),
    "an amount if bad": lambda y, r: (y * r.lognormal(12, 0.7, len(y))).round(2),
    "-1 if good": lambda y, r: np.where(y == 1, r.integers(1, 90, len(y)), -1),
    "a name of a collector": lambda y, r: np.where(y == 1, [f"name {k}" for k in range(len(y))], None),
}  # fmt: skip


@pytest.mark.parametrize("n", [SIZES[0], *(pytest.param(n, marks=pytest.mark.untraced) for n in SIZES[1:])])
@pytest.mark.parametrize("kind", LEAKS)
def test_a_column_that_all_but_is_the_label_is_found(kind: str, n: int, tmp_path: Path) -> None:
    frame = kept(n, 1).copy()
    frame["told"] = LEAKS[kind](frame.y.to_numpy(), np.random.default_rng(2))
    texts = found(frame, tmp_path)
    assert len(texts) == 1 and texts[0].startswith("column 'told' "), texts


@pytest.mark.parametrize("seed", range(extent(8, 20)))
def test_nothing_is_found_in_a_clean_world(seed: int, tmp_path: Path) -> None:
    assert found(clean(SIZES[seed % 2], seed), tmp_path) == ()


def test_a_date_after_its_rows_month_is_known_only_later(tmp_path: Path) -> None:
    frame = clean(1600, 3, months=True)
    days = np.random.default_rng(4).integers(-400, 60, len(frame))
    frame["paid"] = pd.Timestamp("2024-01-31") + pd.to_timedelta(days, "D")
    assert found(frame, tmp_path, period="month") == (
        "column 'paid' holds dates after the month of their row: what is known only later is no feature",
    )


def test_too_few_rows_of_a_class_tell_nothing(tmp_path: Path) -> None:
    frame = clean(60, 5)
    frame["told"] = frame.y
    assert found(frame, tmp_path) == ()
