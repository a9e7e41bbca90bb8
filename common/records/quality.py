"""The data-quality report of one party, for itself: what cleaning did, and how the fields look after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common import __version__
from common.records.clean import Cleaned
from common.records.config import RecordsConfig
from common.records.findings import Finding
from common.rows.months import month_text

_BINS, _FIRST = 40, 10_000  # of a histogram; values, of which as many different ones want no more
_LEVELS = 12  # of a categorical field, shown one by one; the rest together
_QUANTILES = {"min": 0.0, "p1": 0.01, "p25": 0.25, "median": 0.5, "p75": 0.75, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True)
class Quality:
    """The report as plain data (JSON-safe). It holds values of single rows: it is for the owner of the records only."""

    data: Mapping[str, Any]

    def as_json(self) -> str:
        return json.dumps(self.data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def quality(config: RecordsConfig, cleaned: Cleaned) -> Quality:
    """The report of one cleaning."""
    panel = cleaned.panel
    names = [month_text(panel.first + m) for m in range(panel.months)]
    flags = {name for name, field in config.fields.items() if field.kind == "flag"}
    fields = {name: _numeric(panel.numeric[name], panel.present, name in flags) for name in panel.numeric}
    fields |= {name: _categorical(field.codes, field.levels, panel.present) for name, field in panel.categorical.items()}
    if panel.label is not None and config.label is not None:
        known = panel.present if config.fields[config.label].label_month is None else ~np.isnan(panel.label)
        fields[config.label] = _numeric(panel.label, known, True)
    for name, field in fields.items():
        field["label"] = name == config.label
        field["columns"] = list(config.fields[name].columns)
        field["outliers_outside"] = [_finite(b) for b in cleaned.bounds[name]] if name in cleaned.bounds else None
    return Quality(
        {
            "version": __version__,
            "party": config.party,
            "rows": cleaned.rows,
            "records_read": cleaned.records,
            "records_kept": int(panel.present.sum()),
            "enterprises": panel.enterprises,
            "months": names,
            "records_by_month": panel.present.sum(axis=0).tolist(),
            "warnings": list(cleaned.warnings),
            "absent_months": list(cleaned.absent),
            "rules": [_rule(f, cleaned) for f in cleaned.findings],
            "fields": fields,
        }
    )


def _rule(finding: Finding, cleaned: Cleaned) -> dict[str, Any]:
    return asdict(finding) | {"share": round(finding.rows / cleaned.records, 6), "loud": finding in cleaned.loud}


def _missing(absent: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Shares of the records whose value is missing, in all and by month (None in a month without a record)."""
    records, lost = present.sum(axis=0), (absent & present).sum(axis=0)
    by_month = [round(int(a) / int(n), 6) if n else None for a, n in zip(lost, records, strict=True)]
    return {"missing": round(int(lost.sum()) / max(1, int(records.sum())), 6), "missing_by_month": by_month}


def _numeric(values: npt.NDArray[np.float64], present: npt.NDArray[np.bool_], flag: bool) -> dict[str, Any]:
    absent = np.isnan(values)
    known = values.size - int(absent.sum())
    result: dict[str, Any] = {"kind": "flag" if flag else "numeric", "known": known, **_missing(absent, present)}
    if not known:
        return result | ({"counts": {}, "levels": 0, "other": 0} if flag else {})
    if flag:
        return result | {"counts": {str(v): int((values == v).sum()) for v in (0, 1)}, "levels": 2, "other": 0}
    histogram, there = _histogram(values), values[~absent]
    mean, zero = float(there.mean()), float((there == 0).mean())
    found = np.quantile(there, list(_QUANTILES.values()), overwrite_input=True)
    result |= {name: float(value) for name, value in zip(_QUANTILES, found, strict=True)}
    return result | {"mean": mean, "zero": round(zero, 6), "histogram": histogram}


def _histogram(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Counts between edges; `log`: edges are even on a logarithm, of the positive values only. One copy at a time."""
    used = values[values > 0]
    first = used[:_FIRST].copy()
    low, high = np.quantile(used, (0.01, 0.99), overwrite_input=True) if len(used) else (1.0, 1.0)
    log = bool(np.nanmin(values) >= 0 and high > 20 * low and high > 1000)
    if log:
        np.log10(used, out=used)
        first = np.log10(first)
    else:
        del used
        used = values[~np.isnan(values)]
        first = used[:_FIRST]
    counts, edges = np.histogram(used, bins=min(_BINS, max(1, len(np.unique(first)))))
    edges = 10**edges if log else edges
    return {"log": log, "counts": counts.tolist(), "edges": [float(e) for e in edges]}


def _categorical(codes: npt.NDArray[np.int16], levels: tuple[str, ...], present: npt.NDArray[np.bool_]) -> dict[str, Any]:
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    order = np.argsort(-counts, kind="stable")
    top = {levels[i]: int(counts[i]) for i in order[:_LEVELS]}
    rest = {"levels": len(levels), "other": int(counts[order[_LEVELS:]].sum())}
    known = int(counts.sum())
    return {"kind": "categorical", "known": known, **_missing(codes < 0, present), "counts": top, **rest}


def _finite(bound: float) -> float | None:
    return float(bound) if np.isfinite(bound) else None
