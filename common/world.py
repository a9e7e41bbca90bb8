"""A SYNTHETIC world of enterprises and months, for the demo and the tests: no record in it is of a real enterprise.

`make_world` writes what the two companies would export, one row per enterprise and month, as two dirty CSV files:

- `grid_monthly.csv`: enterprise_id, month (YYYY-MM), industry, consumption (kWh), arrears_record (0/1: fees owed or
  paid late), arrears_amount (yuan), days_late (days).
- `bank_monthly.csv`: enterprise_id, month, region, tax_record (0/1: filed in time), tax_amount (yuan), loan_record
  (0/1: a loan drawn), loan_amount (yuan outstanding), repayment_due (yuan), overdue (0/1: the month's repayment was not
  made in time; from it comes the label).

`build_tables` makes one training table of each, `grid.csv` and `bank.csv`, each from its own records only.

**How it works.** A latent monthly health (AR(1) per enterprise, unit variance, correlation 0.7 a month) drives both
sides. Consumption, arrears and delays show the health of the month itself; taxes and loans show that of two or three
months ago; a repayment is overdue more often when last month's health was bad, or the debt is heavy for the
enterprise's size. So the electricity signals lead the overdue, and a joint model beats the bank's own. About 10 % of
repayments are overdue. The strengths are chosen for an AUC near 0.65 of the bank alone and 0.78 of both: they show what
the system does, and say nothing of what real electricity records are worth.

**Dirt**, in the raw records: of the cells of every measured column (all but id, month, category and overdue) 2 % are
blank and 1 % hold the text `n/a`; 0.5 % of consumptions are negative; 3 % of ids have spaces around them or are in
lower case; 1 % of rows are there twice. Rows are in no order.

**Ids** are 18-character unified social credit codes with valid check digits (GB 32100-2015, and GB 11714 within), in
the administrative division 990000, which is not assigned: they can belong to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.errors import PlanError
from common.keys import CODE_ALPHABET, credit_code_check_digit

ID, MONTH, LABEL = "enterprise_id", "month", "overdue_next_month"
OVERDUE_RATE = 0.10
BLANK_RATE, NA_TEXT_RATE, NEGATIVE_RATE, ID_RATE, DUPLICATE_RATE = 0.02, 0.01, 0.005, 0.03, 0.01
WINDOW, SAMPLE_EVERY = 6, 3
"""A sample looks back on this many months, itself included; an enterprise has a sample every so many months."""

Panel = npt.NDArray[np.float64]
"""One value per enterprise and month: (enterprises, months), missing as NaN."""

_LAG, _HEALTH_MEMORY, _FIRST_YEAR = 3, 0.7, 2023
_INDUSTRIES = ("manufacturing", "commerce", "construction", "services", "agriculture")
_REGIONS = ("east", "west", "north", "south")

# Feature, its column, its operation over how many months up to and including the sample's.
_GRID_RECIPE = (
    ("consumption_last", "consumption", "last", 1),
    ("consumption_mean_3", "consumption", "mean", 3),
    ("consumption_mean_6", "consumption", "mean", 6),
    ("consumption_max_6", "consumption", "max", 6),
    ("consumption_ratio_6", "consumption", "ratio", 6),
    ("arrears_last", "arrears_record", "last", 1),
    ("arrears_count_3", "arrears_record", "count", 3),
    ("arrears_count_6", "arrears_record", "count", 6),
    ("arrears_amount_last", "arrears_amount", "last", 1),
    ("arrears_amount_mean_6", "arrears_amount", "mean", 6),
    ("days_late_last", "days_late", "last", 1),
    ("days_late_mean_3", "days_late", "mean", 3),
    ("days_late_max_6", "days_late", "max", 6),
)
_BANK_RECIPE = (
    ("tax_count_6", "tax_record", "count", 6),
    ("tax_amount_last", "tax_amount", "last", 1),
    ("tax_amount_mean_3", "tax_amount", "mean", 3),
    ("tax_amount_mean_6", "tax_amount", "mean", 6),
    ("loan_count_6", "loan_record", "count", 6),
    ("loan_amount_last", "loan_amount", "last", 1),
    ("loan_amount_max_6", "loan_amount", "max", 6),
    ("repayment_due_last", "repayment_due", "last", 1),
    ("repayment_due_mean_6", "repayment_due", "mean", 6),
    ("overdue_count_6", "overdue", "count", 6),
)


@dataclass(frozen=True)
class World:
    """Where a world's monthly records are; `build_tables` writes into `folder`."""

    folder: Path
    grid_monthly: Path
    bank_monthly: Path


def make_world(
    folder: Path,
    *,
    enterprises: int = 4000,
    months: int = 24,
    seed: int = 7,
    grid_only: float = 0.10,
    bank_only: float = 0.05,
) -> World:
    """Write the monthly records of a synthetic world into `folder`, made if absent; equal arguments give equal bytes.

    grid_only, bank_only: shares of the enterprises known to one company alone. Raises PlanError for a world with no
    enterprise, too few months for one sample, or shares that leave nobody to match.
    """
    if enterprises < 1 or months <= WINDOW or min(grid_only, bank_only) < 0 or grid_only + bank_only >= 1:
        raise PlanError(
            f"no such world: {enterprises} enterprises, {months} months, shares {grid_only} and {bank_only}",
            remedy=f"Ask for an enterprise or more, more than {WINDOW} months, and shares that sum to less than 1.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    world = World(folder, folder / "grid_monthly.csv", folder / "bank_monthly.csv")
    latent, grid, bank, grid_dirt, bank_dirt = np.random.default_rng(seed).spawn(5)
    truth = _latent(enterprises, months, latent)
    first, second = round(enterprises * grid_only), round(enterprises * (grid_only + bank_only))
    at_grid, at_bank = np.r_[0:first, second:enterprises], np.r_[first:enterprises]
    _write_dirty(_grid_records(truth, grid), at_grid, grid_dirt, world.grid_monthly)
    _write_dirty(_bank_records(truth, bank), at_bank, bank_dirt, world.bank_monthly)
    return world


def build_tables(world: World) -> tuple[Path, Path]:
    """Write `grid.csv` and `bank.csv`: one row per (enterprise_id, month) sample, sorted; returns their paths.

    Samples are of every third month from the sixth on. Each table is made from its own company's records only, and a
    sample's features from the records of its month and the five before: last values, trailing means, maxima and counts.
    A sample's label, at the bank, is `overdue_next_month`. Cleaning makes ids upper case without spaces, keeps one
    record per enterprise and month, and takes malformed and negative values as missing; a feature is blank where it has
    none.
    """
    paths = world.folder / "grid.csv", world.folder / "bank.csv"
    for source, path, recipe, category in (
        (world.grid_monthly, paths[0], _GRID_RECIPE, "industry"),
        (world.bank_monthly, paths[1], _BANK_RECIPE, "region"),
    ):
        _build(_clean(source, recipe), recipe, category).to_csv(path, index=False, lineterminator="\n")
    return paths


def _credit_codes(count: int, rng: np.random.Generator) -> list[str]:
    """Distinct codes of enterprises (91) in the unassigned division 990000."""
    codes = []
    for number in rng.choice(31**6, size=count, replace=False).tolist():
        body = "MA" + "".join(CODE_ALPHABET[number // 31**k % 31] for k in range(6))
        check = -sum(int(c, 36) * w for c, w in zip(body, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
        code = f"91990000{body}{'0123456789X'[check]}"
        codes.append(code + credit_code_check_digit(code))
    return codes


@dataclass(frozen=True)
class _Latent:
    """What neither company sees. health starts `_LAG` months early; size and debt are (enterprises, 1) logarithms."""

    ids: list[str]
    months: list[str]
    health: Panel
    size: Panel
    debt: Panel


def _latent(enterprises: int, months: int, rng: np.random.Generator) -> _Latent:
    health = rng.normal(size=(enterprises, _LAG + months))
    for t in range(1, _LAG + months):
        health[:, t] = _HEALTH_MEMORY * health[:, t - 1] + np.sqrt(1 - _HEALTH_MEMORY**2) * health[:, t]
    size, debt = rng.normal(size=(2, enterprises, 1))
    labels = [f"{_FIRST_YEAR + t // 12}-{t % 12 + 1:02d}" for t in range(months)]
    return _Latent(_credit_codes(enterprises, rng), labels, health, size, debt)


def _ago(truth: _Latent, lag: int) -> Panel:
    """The health `lag` months before each month."""
    return truth.health[:, _LAG - lag : truth.health.shape[1] - lag]


def _happens(logit: Panel, rng: np.random.Generator) -> Panel:
    return (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.float64)


def _grid_records(truth: _Latent, rng: np.random.Generator) -> pd.DataFrame:
    health = _ago(truth, 0)
    industry = rng.integers(len(_INDUSTRIES), size=(len(truth.ids), 1))
    season = 0.1 * np.sin(2 * np.pi * np.arange(health.shape[1]) / 12)
    level = 9.5 + 0.8 * truth.size - 0.3 * industry + season
    consumption = np.exp(level + 0.2 * health + 0.12 * rng.normal(size=health.shape))
    arrears = _happens(-2.0 - 1.3 * health, rng)
    amount = arrears * 0.6 * consumption * rng.uniform(0.2, 1.0, size=health.shape)
    days = arrears * np.ceil(rng.exponential(8 * np.exp(-0.5 * health)))
    return _records(
        truth,
        industry=np.array(_INDUSTRIES)[industry],
        consumption=consumption.round(1),
        arrears_record=arrears,
        arrears_amount=amount.round(2),
        days_late=np.minimum(days, 90),
    )


def _bank_records(truth: _Latent, rng: np.random.Generator) -> pd.DataFrame:
    shape = _ago(truth, 0).shape
    region = rng.integers(len(_REGIONS), size=(len(truth.ids), 1))
    tax = np.exp(9.0 + 0.8 * truth.size + 0.25 * _ago(truth, 3) + 0.4 * rng.normal(size=shape))
    filed = _happens(2.5 + 0.5 * _ago(truth, 2), rng)
    drawn = _happens(-1.8 - 0.2 * _ago(truth, 2), rng)
    loan = np.exp(12.0 + 0.8 * truth.size + 0.5 * truth.debt + 0.1 * drawn + 0.1 * rng.normal(size=shape))
    logit = -1.6 * _ago(truth, 1) + 0.5 * truth.debt
    return _records(
        truth,
        region=np.array(_REGIONS)[region],
        tax_record=filed,
        tax_amount=(tax * filed).round(2),
        loan_record=drawn,
        loan_amount=loan.round(2),
        repayment_due=(loan * rng.uniform(0.03, 0.06, size=shape)).round(2),
        overdue=_happens(logit + _intercept(logit, OVERDUE_RATE), rng),
    )


def _intercept(logit: Panel, rate: float) -> float:
    """What to add to `logit` for a mean probability of `rate`, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(1 / (1 + np.exp(-logit - middle))) < rate else (low, middle)
    return low


def _records(truth: _Latent, **columns: npt.NDArray[np.generic]) -> pd.DataFrame:
    """One row per enterprise and month, an enterprise's months together."""
    shape = len(truth.ids), len(truth.months)
    keys = {ID: np.repeat(truth.ids, shape[1]), MONTH: np.tile(truth.months, shape[0])}
    return pd.DataFrame(keys | {name: np.broadcast_to(values, shape).ravel() for name, values in columns.items()})


def _write_dirty(records: pd.DataFrame, known: npt.NDArray[np.intp], rng: np.random.Generator, path: Path) -> None:
    """Write the records of the `known` enterprises to `path`, dirty as the module's docstring states."""
    months = records[MONTH].nunique()
    rows = (known[:, None] * months + np.arange(months)).ravel()
    dirty = records.iloc[rows].reset_index(drop=True)
    draws = rng.random((len(dirty), dirty.shape[1]))
    if "consumption" in dirty:
        dirty.loc[rng.random(len(dirty)) < NEGATIVE_RATE, "consumption"] *= -1
    for name, draw in zip(dirty.columns, draws.T, strict=True):
        if name == ID:
            dirty[name] = _dirty_ids(dirty[name].to_numpy(dtype=object), draw)
        elif dirty[name].dtype == np.float64:
            dirty[name] = _dirty_cells(dirty[name].to_numpy(), draw, clean=name == "overdue")
    order = np.append(np.arange(len(dirty)), np.flatnonzero(rng.random(len(dirty)) < DUPLICATE_RATE))
    dirty.iloc[rng.permutation(order)].to_csv(path, index=False, lineterminator="\n")


def _dirty_ids(ids: npt.NDArray[np.object_], draw: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
    result = ids.copy()
    for row in np.flatnonzero(draw < ID_RATE):
        result[row] = f" {ids[row]} " if draw[row] < ID_RATE / 2 else ids[row].lower()
    return result


def _dirty_cells(values: npt.NDArray[np.float64], draw: npt.NDArray[np.float64], clean: bool) -> npt.NDArray[np.object_]:
    whole = bool((values == np.rint(values)).all())
    result = (values.astype(np.int64) if whole else values).astype(object)
    if not clean:
        result[draw < BLANK_RATE + NA_TEXT_RATE] = "n/a"
        result[draw < BLANK_RATE] = ""
    return result


def _clean(source: Path, recipe: tuple[tuple[str, str, str, int], ...]) -> pd.DataFrame:
    """A company's monthly records, one per enterprise and month, sorted; anything but a number from 0 up is missing."""
    records = pd.read_csv(source, dtype=str, keep_default_na=False)
    records[ID] = records[ID].str.strip().str.upper()
    records = records.drop_duplicates([ID, MONTH]).sort_values([ID, MONTH], ignore_index=True)
    for name in dict.fromkeys(column for _, column, _, _ in recipe):
        number = pd.to_numeric(records[name], errors="coerce").astype(np.float64)
        records[name] = number.where(number >= 0)
    return records


def _build(records: pd.DataFrame, recipe: tuple[tuple[str, str, str, int], ...], category: str) -> pd.DataFrame:
    rows, ids = pd.factorize(records[ID], sort=True)
    columns, months = pd.factorize(records[MONTH], sort=True)

    def panel(name: str) -> Panel:
        values = np.full((len(ids), len(months)), np.nan)
        values[rows, columns] = records[name].to_numpy(dtype=np.float64)
        return values

    # Not the last month: it has no next one to take a label from.
    sampled = np.arange(WINDOW - 1, len(months) - 1, SAMPLE_EVERY)
    table = {ID: np.repeat(np.asarray(ids), len(sampled)), MONTH: np.tile(np.asarray(months)[sampled], len(ids))}
    table[category] = np.repeat(records.groupby(ID, sort=True)[category].first().to_numpy(), len(sampled))
    for feature, column, operation, window in recipe:
        table[feature] = _trailing(panel(column), operation, window)[:, sampled].ravel().round(4)
    if "overdue" not in records:
        return pd.DataFrame(table)
    table[LABEL] = panel("overdue")[:, sampled + 1].ravel()
    return pd.DataFrame(table).dropna(subset=[LABEL]).astype({LABEL: np.int64})


def _trailing(panel: Panel, operation: str, window: int) -> Panel:
    """`operation` over `window` months up to and including each one, without missing values; (enterprises, months)."""
    if operation == "last":
        return panel
    before = np.full((len(panel), window - 1), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(np.hstack([before, panel]), window, axis=1)
    known = (~np.isnan(windows)).sum(axis=2)
    if operation == "max":
        return np.where(known, np.fmax.reduce(windows, axis=2), np.nan)
    total = np.nansum(windows, axis=2)
    if operation == "count":
        return np.where(known, total, np.nan)
    mean = np.where(known, total / np.maximum(known, 1), np.nan)
    return mean if operation == "mean" else panel / np.where(mean > 0, mean, np.nan)
