"""Rows of a scoring job against a model's reference, by month; and what of it is an alarm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.monitor.book import Reading
from common.monitor.config import MonitorConfig
from common.monitor.reference import SCORE, Distribution, Places, Reference, named
from common.rows.months import month_text
from common.rows.table import FeatureTable
from common.stats.psi import floor, psi

ALARMS = ("psi", "missing", "auc", "calibration", "overrides")
"""What an alarm is of: the first two at either party, the others at the bank. Each page has a word for each."""
_FEW = 0.1  # of an index, that chance may explain of a season's though it explains less of all rows
_SIGMAS = 5.0  # of a share of missing values, beyond which chance is no explanation


@dataclass(frozen=True)
class Alarm:
    """what: one of `ALARMS`. limit: the threshold that `value` passed."""

    what: str
    model: str
    month: str
    feature: str
    value: float
    limit: float

    @property
    def key(self) -> str:
        return "/".join((self.what, self.model, self.month, self.feature))


def observe(
    job: str, model: str, reference: Reference, table: FeatureTable, score: npt.NDArray[np.float64] | None
) -> list[Reading]:
    """One reading a column and month; rows without periods count as one month, named after the job."""
    months, place = months_of(table, job)
    columns = [*named(table), *([(SCORE, score)] if score is not None else [])]
    found: list[Reading] = []
    for name, values in columns:
        if (known := reference.columns.get(name)) is not None and (values.dtype == object) == (known.levels is not None):
            found += _read(model, months, place, name, known, values, dated=table.periods is not None)
    return found


def months_of(table: FeatureTable, job: str) -> tuple[list[str], Places]:
    """The months of a table, YYYY-MM, and each row's place among them, (n,)."""
    if table.periods is None:
        return [job], np.zeros(table.rows, np.int64)
    distinct, place = np.unique(table.periods, return_inverse=True)
    return [month_text(p) for p in distinct.tolist()], place


def _read(
    model: str,
    months: list[str],
    place: Places,
    name: str,
    known: Distribution,
    values: npt.NDArray[np.generic],
    *,
    dated: bool,
) -> Iterator[Reading]:
    size = len(months), known.bins
    counts = np.bincount(place * known.bins + known.places(values), minlength=size[0] * size[1]).reshape(size)
    before = np.array(known.counts, np.int64)
    rows, m = counts.sum(axis=1), int(before.sum())
    for k, month in enumerate(months):
        season = known.seasons.get(int(month[5:])) if dated else None
        index, chance, then = _index(known, season, counts[k : k + 1])
        bins = zip(known.labels(), _shares(then), _shares(counts[k]), strict=True)
        missing = float(counts[k, -1] / max(int(rows[k]), 1))
        share = float(before[-1] / max(m, 1))
        yield Reading(model, month, name, index, chance, missing, share, int(rows[k]), m, tuple(bins))


def _index(
    known: Distribution, season: tuple[int, ...] | None, counts: npt.NDArray[np.int64]
) -> tuple[float, float, npt.NDArray[np.int64]]:
    """The index, what chance explains of it, and against what: all of the training or its months of the season, if closer.

    Without the latter every seasonal column would be an alarm each year. It counts where its rows are enough for an alarm:
    against few of them chance explains any change.
    """
    against = [before for before in map(np.array, (known.counts, season)) if before.ndim]
    found = [(float(psi(before, counts)[0]), float(floor(before, counts)[0]), before) for before in against]
    most = max(_FEW, 2.0 * found[0][1])
    return min((one for one in found if one[1] <= most or one is found[0]), key=lambda one: one[0])


def _shares(counts: npt.NDArray[np.int64]) -> list[float]:
    return [round(float(share), 4) for share in counts / max(int(counts.sum()), 1)]


def alarms(readings: Iterable[Reading], config: MonitorConfig) -> list[Alarm]:
    """The alarms of each column and month: what passes a threshold and is more than chance."""
    found = []
    for r in readings:
        if r.psi > max(config.psi, r.floor):
            found.append(Alarm("psi", r.model, r.month, r.feature, r.psi, max(config.psi, r.floor)))
        limit = r.before + max(config.missing, _SIGMAS * _spread(r))
        if r.missing > limit:
            found.append(Alarm("missing", r.model, r.month, r.feature, r.missing, limit))
    return found


def _spread(r: Reading) -> float:
    """The standard error of a difference of two shares that are really equal, one half row added to either side."""
    n, m = max(r.rows, 1), max(r.reference_rows, 1)
    share = (r.missing * n + r.before * m + 1.0) / (n + m + 2.0)
    return math.sqrt(share * (1.0 - share) * (1.0 / n + 1.0 / m))
