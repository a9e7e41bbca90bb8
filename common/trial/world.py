"""A SYNTHETIC world of enterprises and months, for the demo and the tests: no record in it is of a real enterprise.

`make_world` writes what the two companies would export, one row per enterprise and month, as dirty CSV files:

- `grid_monthly.csv`: enterprise_id, month (YYYY-MM), industry, consumption (kWh), arrears_record (0/1: fees owed or
  paid late), arrears_amount (yuan), days_late (days).
- `bank_monthly.csv`: enterprise_id, month, region, tax_record (0/1: filed in time), tax_amount (yuan), loan_record
  (0/1: a loan drawn), loan_amount (yuan outstanding), repayment_due (yuan), overdue (0/1: the month's repayment was not
  made in time; from it comes the label).
- `grid_later.csv`, `bank_later.csv`: the same of the months after, where asked; there a `Drift` may have set in.

**How it works.** A latent monthly health (AR(1) per enterprise, unit variance, correlation 0.7 a month) drives both
sides. Consumption, arrears and delays show the health of the month itself; taxes and loans show that of two or three
months ago; a repayment is overdue more often when last month's health was bad, or the debt is heavy for the
enterprise's size. So the electricity signals lead the overdue, and a joint model beats the bank's own. About 10 % of
repayments are overdue, unless another rate is asked for. The strengths show what the system does, and say nothing of what
real electricity records are worth.

**Dirt**, in the raw records: of the cells of every measured column (all but id, month, category and overdue) 2 % are
blank and 1 % hold the text `n/a`; 0.5 % of consumptions are negative; 3 % of ids have spaces around them or are in
lower case; 1 % of rows are there twice. Rows are in no order.

**Ids** are 18-character unified social credit codes with valid check digits (GB 32100-2015, and GB 11714 within), in
the administrative division 990000, which is not assigned: they can belong to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.errors import PlanError
from common.party import Party
from common.rows.ids import CODE_ALPHABET, credit_code_check_digit

ID, MONTH, LABEL = "enterprise_id", "month", "overdue_next_month"
OVERDUE_RATE = 0.10
BLANK_RATE, NA_TEXT_RATE, NEGATIVE_RATE, ID_RATE, DUPLICATE_RATE = 0.02, 0.01, 0.005, 0.03, 0.01
MEASURED = {
    "grid": ("consumption", "arrears_record", "arrears_amount", "days_late"),
    "bank": ("tax_record", "tax_amount", "loan_record", "loan_amount", "repayment_due"),
}

Panel = npt.NDArray[np.float64]
"""One value per enterprise and month: (enterprises, months)."""

_LAG, _HEALTH_MEMORY, _FIRST_YEAR = 3, 0.7, 2023
_INDUSTRIES = ("manufacturing", "commerce", "construction", "services", "agriculture")
_REGIONS = ("east", "west", "north", "south")


@dataclass(frozen=True)
class Drift:
    """From `month` (YYYY-MM) on, one measured field is exported otherwise, in every enterprise alike.

    factor: its numbers are multiplied, as by a new tariff or unit. missing: this share of its cells is blank, dirt apart.
    """

    field: str
    month: str
    factor: float = 1.0
    missing: float = 0.0


@dataclass(frozen=True)
class World:
    """The files of a world's monthly records; the later ones are written only if asked for."""

    folder: Path

    @property
    def grid_monthly(self) -> Path:
        return self.folder / "grid_monthly.csv"

    @property
    def bank_monthly(self) -> Path:
        return self.folder / "bank_monthly.csv"

    @property
    def grid_later(self) -> Path:
        return self.folder / "grid_later.csv"

    @property
    def bank_later(self) -> Path:
        return self.folder / "bank_later.csv"


def make_world(
    folder: Path,
    *,
    enterprises: int = 4000,
    months: int = 24,
    later: int = 0,
    drift: Sequence[Drift] = (),
    seed: int = 7,
    grid_only: float = 0.10,
    bank_only: float = 0.05,
    overdue: float = OVERDUE_RATE,
) -> World:
    """Write the monthly records of a synthetic world into `folder`, made if absent; equal arguments give equal bytes.

    later: months after `months`, written to files of their own. drift: changes nothing but its fields from its months on.
    grid_only, bank_only: shares of the enterprises known to one company alone. overdue: share of the repayments. Raises
    PlanError for a world with no enterprise or no later month for a label, shares that leave nobody to match, an overdue
    rate that is none, or a drift of nothing in it.
    """
    if enterprises < 1 or months < 2 or later < 0 or min(grid_only, bank_only) < 0 or grid_only + bank_only >= 1:
        raise PlanError(
            f"no such world: {enterprises} enterprises, {months} + {later} months, shares {grid_only} and {bank_only}",
            remedy="Ask for an enterprise or more, two months or more, and shares that sum to less than 1.",
        )
    if not 0 < overdue < 1:
        raise PlanError(f"no such world: {overdue} of the repayments overdue", remedy="Ask for a share between 0 and 1.")
    latent, grid, bank, grid_dirt, bank_dirt, grid_drift, bank_drift = np.random.default_rng(seed).spawn(7)
    truth = _latent(enterprises, months + later, latent)
    _check_drift(drift, truth.months)
    folder.mkdir(parents=True, exist_ok=True)
    world = World(folder)
    first, second = round(enterprises * grid_only), round(enterprises * (grid_only + bank_only))
    at_grid, at_bank = np.r_[0:first, second:enterprises], np.r_[first:enterprises]
    for records, known, dirt, change, paths in (
        (_grid_records(truth, grid), at_grid, grid_dirt, grid_drift, (world.grid_monthly, world.grid_later)),
        (_bank_records(truth, bank, overdue), at_bank, bank_dirt, bank_drift, (world.bank_monthly, world.bank_later)),
    ):
        rows = _drifted(_dirty(records, known, dirt), drift, change)
        recent = (rows[MONTH] >= truth.months[months]).to_numpy() if later else np.zeros(len(rows), np.bool_)
        for part, path in ((~recent, paths[0]), (recent, paths[1]))[: 2 if later else 1]:
            rows[part].to_csv(path, index=False, lineterminator="\n")
    return world


def world_config(party: Party, folder: Path) -> Path:
    """The configuration for one side of a world, written beside its monthly records in `folder`."""
    name = f"records-{party.value}.toml"
    text = Path(__file__).with_name(f"world-{party.value}.toml").read_text(encoding="utf-8")
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


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
    """The state that neither company sees. health starts `_LAG` months early; size and debt are (enterprises, 1) logarithms."""

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


def _bank_records(truth: _Latent, rng: np.random.Generator, rate: float) -> pd.DataFrame:
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
        overdue=_happens(logit + _intercept(logit, rate), rng),
    )


def _intercept(logit: Panel, rate: float) -> float:
    """The number to add to `logit` for a mean probability of `rate`, by bisection."""
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


def _dirty(records: pd.DataFrame, known: npt.NDArray[np.intp], rng: np.random.Generator) -> pd.DataFrame:
    """The records of the `known` enterprises in no order, dirty as the module's docstring states; a cell is text or number."""
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
    return dirty.iloc[rng.permutation(order)]


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


def _check_drift(drift: Sequence[Drift], months: list[str]) -> None:
    measured = [name for names in MEASURED.values() for name in names]
    for d in drift:
        if d.field not in measured or d.month not in months or d.factor <= 0 or not 0 <= d.missing <= 1:
            raise PlanError(
                f"no such drift: {d}",
                expected=f"one of {', '.join(measured)}; a month from {months[0]} to {months[-1]}",
                remedy="Its factor is above 0, its share of missing cells from 0 to 1.",
            )


def _drifted(dirty: pd.DataFrame, drift: Sequence[Drift], rng: np.random.Generator) -> pd.DataFrame:
    rows = dirty.reset_index(drop=True)
    for d in (d for d in drift if d.field in rows):
        cells, since = rows[d.field].to_numpy(dtype=object, copy=True), (rows[MONTH] >= d.month).to_numpy()
        numbers = since & np.array([not isinstance(cell, str) for cell in cells])
        cells[numbers] = (cells[numbers].astype(np.float64) * d.factor).round(4)
        cells[since & (rng.random(len(cells)) < d.missing)] = ""
        rows[d.field] = cells
    return rows
