"""What officers decided of rows that a model had scored: how often against it, in which direction, and how these fared.

The bank's own figures of its own files: nothing of it is sent. Words as validators use them: a low-side override approves what
the model declines, a high-side one declines what it approves; what the model refers is judged, and overrides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from bank_party.monitor.matured import with_period
from common.monitor.drift import Alarm
from common.monitor.history import Fate, OverrideMonth, Overrides
from common.rows.dataset import read_own_ids
from common.rows.formats.options import FileOptions
from common.rows.months import MonthFormat, Zone, month_text, read_months
from common.rows.origin import Data
from common.rows.tablefile import TableFile
from common.rows.text import read_coded
from common.stats.few import LEAST, hidden_cells, hidden_rates
from common.stats.proportion import interval

Final = Literal["approve", "decline", "open"]
MODEL, FINAL = ("approve", "refer", "decline"), ("approve", "decline")
_OWN_WORDS: dict[str, Final] = {"approve": "approve", "decline": "decline", "refer": "open"}
_KEYS = ["id", "period"]
_SIGMAS = 4.0
_REASONS = 12
_SHOWN = 6  # words of an error


class OverridesConfig(FileOptions):
    """`[overrides]`: where the final decisions on scored rows are. Read by the bank's own commands; no job sees it."""

    path: Path = Field(description="The files of final decisions: CSV, Parquet or Excel, a folder of such, or a pattern.")
    id: str = Field(description="The column of enterprise ids.")
    period: str | None = Field(default=None, description="The column of months, where scores are by period.")
    month_format: MonthFormat | None = Field(default=None, description="How months are written, as of a dataset.")
    zone: Zone | None = Field(default=None, description="The time zone in which instants are months, as of a dataset.")
    decision: str = Field(description="The column of decisions: approve or decline; refer or empty: not decided yet.")
    words: dict[str, Final] = Field(
        default_factory=dict,
        description='What other words of it mean: { "通过" = "approve", "拒绝" = "decline", "补件" = "open" }.',
    )
    reason: str | None = Field(default=None, description="The column of codes for why a decision was overridden.")
    limit: float = Field(
        default=0.1, gt=0.0, lt=1.0, description="Share of a month's decisions overridden, above which it is an alarm."
    )


def read_finals(config: OverridesConfig) -> pd.DataFrame:
    """id, period (YYYY-MM, or empty), final, reason (None without) of all rows that have been decided.

    Raises DataError for a file that cannot be read, a word that means nothing, and a row that is decided twice.
    """
    file = TableFile.open(config.path, config, "final decisions")
    wanted = [name for name in (config.id, config.period, config.decision, config.reason) if name is not None]
    file.require(wanted)
    data = file.read(wanted)
    found = pd.DataFrame({"id": read_own_ids(file, config.id, data, []).tolist(), "period": ""}, dtype=object)
    if config.period is not None:
        months = read_months(file, config.period, data, config.month_format, config.zone)
        if months.bad.any():
            raise file.bad_rows(config.period, months.bad, "not a month", "Write it as 2026-01.", data[config.period])
        found["period"] = [month_text(month) for month in months.counted.tolist()]
    if (twice := found.duplicated(_KEYS).to_numpy()).any():
        raise file.bad_rows(config.id, twice, "a second decision on the same row", "Keep the one that stands.", data[config.id])
    known = _OWN_WORDS | config.words
    texts, strange = _texts(file, config.decision, data, known)
    if strange.any():
        remedy = f"It may say {', '.join(list(known)[:_SHOWN])}; what other words mean is said by overrides.words."
        raise file.bad_rows(config.decision, strange, "no decision that is known", remedy, data[config.decision])
    found["final"] = [known.get(text or "", "open") for text in texts]
    found["reason"] = None if config.reason is None else _texts(file, config.reason, data)[0]
    return found[found["final"] != "open"]


def _texts(
    file: TableFile, column: str, data: Data, known: Iterable[str] | None = None
) -> tuple[list[str | None], npt.NDArray[np.bool_]]:
    """Of each row the text, and whether it is there and none of `known`."""
    codes, texts = read_coded(file, column, data)
    levels: list[str | None] = [None if text is None else text.strip() for text in texts.to_pylist()] + [None]
    strange = np.array([text is not None and known is not None and text not in known for text in levels], np.bool_)
    return [levels[code] for code in codes.tolist()], strange[codes]


def measure(scores: pd.DataFrame, finals: pd.DataFrame, labels: pd.DataFrame | None) -> list[Overrides]:
    """By model. scores: id, month, period if there is one, model, probability, decision; labels: as `labels.known_labels`."""
    rows = with_period(scores).merge(finals, on=_KEYS, how="left")
    known = None if labels is None else with_period(labels).drop_duplicates(_KEYS, keep="last")
    rows = rows.assign(label=np.nan) if known is None else rows.merge(known, on=_KEYS, how="left")
    models = [(str(model), part) for model, part in rows.groupby("model", sort=True)]
    return [_of_model(model, part) for model, part in models if part["final"].notna().any()]


def _of_model(model: str, rows: pd.DataFrame) -> Overrides:
    done = rows[rows["final"].notna()]
    against = done[_low(done) | _high(done)]
    months = tuple(_month(str(month), part) for month, part in done.groupby("month", sort=True))
    cells = [
        (verdict, final, done[(done["decision"] == verdict) & (done["final"] == final)]) for verdict in MODEL for final in FINAL
    ]
    reasons = list(_reasons(against)) if against["reason"].notna().any() else []
    return Overrides(
        model=model,
        undecided=len(rows) - len(done),
        months=months,
        fates=_fates(cells),
        reasons=_fates([(name, "", part) for name, part in reasons]),
    )


def _low(rows: pd.DataFrame) -> pd.Series:
    return (rows["decision"] == "decline") & (rows["final"] == "approve")


def _high(rows: pd.DataFrame) -> pd.Series:
    return (rows["decision"] == "approve") & (rows["final"] == "decline")


def _month(month: str, rows: pd.DataFrame) -> OverrideMonth:
    """One row an enterprise: Wilson's interval is as it stands."""
    told = rows[rows["decision"] != "refer"]
    low, high = int(_low(told).sum()), int(_high(told).sum())
    hide = hidden_cells([low, high, len(told) - low - high])
    if hide[0] or hide[1] or not len(told):
        return OverrideMonth(month, len(told), len(rows) - len(told), None, None, None, None)
    y = (_low(told) | _high(told)).to_numpy(np.float64)
    return OverrideMonth(month, len(told), len(rows) - len(told), low, high, float(y.mean()), interval(y, np.arange(len(y))))


def _fates(cells: list[tuple[str, str, pd.DataFrame]]) -> tuple[Fate, ...]:
    """Cells of few rows hidden, and rates of few of a class, with what would tell of them."""
    small = hidden_cells([len(rows) for *_, rows in cells])
    known = [rows[rows["label"].notna()] for *_, rows in cells]
    bad = np.array([int(rows["label"].sum()) for rows in known], np.int64)
    there = np.flatnonzero(counts := np.array([len(rows) for rows in known], np.int64))
    rare = np.zeros(len(cells), np.bool_)
    rare[there] = hidden_rates(bad[there], (counts - bad)[there])
    return tuple(
        _fate(verdict, final, rows, ended, hide=bool(hide), blind=bool(no))
        for (verdict, final, rows), ended, hide, no in zip(cells, known, small, rare, strict=True)
    )


def _fate(verdict: str, final: str, rows: pd.DataFrame, ended: pd.DataFrame, *, hide: bool, blind: bool) -> Fate:
    if hide:
        return Fate(verdict, final, None, None, None, None, None)
    if blind or not len(ended):
        return Fate(verdict, final, len(rows), len(ended) if len(ended) >= LEAST else None, None, None, None)
    who = np.asarray(pd.factorize(ended["id"])[0], np.intp)
    y = ended["label"].to_numpy(np.float64)
    return Fate(verdict, final, len(rows), len(y), float(ended["probability"].mean()), float(y.mean()), interval(y, who))


def _reasons(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The most frequent codes by themselves, all others together as an empty one."""
    counts = rows["reason"].value_counts()
    named = [str(code) for code in counts.index[counts >= LEAST][:_REASONS]]
    for code in named:
        yield code, rows[rows["reason"] == code]
    if len(rest := rows[~rows["reason"].isin(named)]):
        yield "", rest


def alarms(found: Iterable[Overrides], config: OverridesConfig) -> list[Alarm]:
    """Months with more overrides than the limit, by more than four standard errors of as many rows at the limit."""
    raised = []
    for of in found:
        for m in of.months:
            limit = config.limit + _SIGMAS * math.sqrt(config.limit * (1 - config.limit) / max(1, m.decided))
            if m.share is not None and m.share > limit:
                raised.append(Alarm("overrides", of.model, m.month, "", m.share, limit))
    return raised
