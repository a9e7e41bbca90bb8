"""The data-quality report of one party, for itself: what cleaning did, and how the fields look after it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from common import __version__
from common.records.clean import Cleaned
from common.records.config import RecordsConfig
from common.records.findings import Finding
from common.records.held import Codes, Room, rows
from common.records.windows import Mask, Values
from common.rows.months import month_text

Parts = Iterable[tuple[Values, Mask]]

_CELLS = 1 << 18  # of a field that are looked at together
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
    shape = panel.present.shape
    fields = {name: _numeric(_parts(panel.numeric, name, panel.present), shape, name in flags) for name in panel.numeric}
    for name in panel.categorical:
        levels = rows(panel.categorical, name, 0, 0).levels
        fields[name] = _categorical(_parts(panel.categorical, name, panel.present), shape, levels)
    if panel.label is not None and config.label is not None:
        known = panel.present if config.fields[config.label].label_month is None else ~np.isnan(panel.label)
        fields[config.label] = _numeric(_parts({config.label: panel.label}, config.label, known), shape, True)
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


def _parts(fields: Mapping[str, Any], name: str, present: Mask) -> Iterator[tuple[Any, Mask]]:
    """A field of some enterprises after the other, and where they have records."""
    for low, high in Room(cells=_CELLS).cuts(np.full(len(present), present.shape[1])):
        yield rows(fields, name, low, high), present[low:high]


def _rule(finding: Finding, cleaned: Cleaned) -> dict[str, Any]:
    return asdict(finding) | {"share": round(finding.rows / cleaned.records, 6), "loud": finding in cleaned.loud}


class _Missing:
    """By month: records, and those of them whose value is missing; counted for some enterprises after the other."""

    def __init__(self, months: int) -> None:
        self._records, self._lost = np.zeros((2, months), np.int64)

    def add(self, absent: Mask, present: Mask) -> None:
        self._records += present.sum(axis=0)
        self._lost += (absent & present).sum(axis=0)

    def shares(self) -> dict[str, Any]:
        """Of the records, in all and by month (None in a month without a record)."""
        pairs = zip(self._lost.tolist(), self._records.tolist(), strict=True)
        by_month = [round(lost / records, 6) if records else None for lost, records in pairs]
        return {"missing": round(int(self._lost.sum()) / max(1, int(self._records.sum())), 6), "missing_by_month": by_month}


def _numeric(parts: Parts, shape: tuple[int, ...], flag: bool) -> dict[str, Any]:
    """Of a field of this shape; of its values one copy is made."""
    there, known, missing = np.empty(math.prod(shape)), 0, _Missing(shape[1])
    for values, present in parts:
        absent = np.isnan(values)
        missing.add(absent, present)
        few = values[~absent]
        there[known : known + len(few)] = few
        known += len(few)
    there = there[:known]
    result: dict[str, Any] = {"kind": "flag" if flag else "numeric", "known": known, **missing.shares()}
    if not known:
        return result | ({"counts": {}, "levels": 0, "other": 0} if flag else {})
    if flag:
        return result | {"counts": {str(v): int((there == v).sum()) for v in (0, 1)}, "levels": 2, "other": 0}
    mean, zero, first = float(there.mean()), float((there == 0).mean()), there[:_FIRST].copy()
    positive = _positive(there)
    found = np.quantile(there, list(_QUANTILES.values()), overwrite_input=True)
    result |= {name: float(value) for name, value in zip(_QUANTILES, found, strict=True)}
    return result | {"mean": mean, "zero": round(zero, 6), "histogram": _histogram(there, first, positive)}


def _positive(values: Values) -> Values:
    """The first few of them."""
    found = np.empty(0)
    for low in range(0, len(values), _FIRST):
        if len(found) >= _FIRST:
            break
        some = values[low : low + _FIRST]
        found = np.append(found, some[some > 0])
    return found[:_FIRST]


def _histogram(values: Values, first: Values, positive: Values) -> dict[str, Any]:
    """Counts between edges; `log`: edges are even on a logarithm, of the positive values only. `values` are used up.

    first, positive: the first few of all and of the positive ones, by whose number the bins are.
    """
    others = int(np.count_nonzero(values <= 0))
    used = values[others:]
    if len(used):
        values.partition(others)
    low, high = np.quantile(used, (0.01, 0.99), overwrite_input=True) if len(used) else (1.0, 1.0)
    log = bool(values.min() >= 0 and high > 20 * low and high > 1000)
    if log:
        np.log10(used, out=used)
        first = np.log10(positive)
    counts, edges = np.histogram(used if log else values, bins=min(_BINS, max(1, len(np.unique(first)))))
    edges = 10**edges if log else edges
    return {"log": log, "counts": counts.tolist(), "edges": [float(e) for e in edges]}


def _categorical(parts: Iterable[tuple[Codes, Mask]], shape: tuple[int, ...], levels: tuple[str, ...]) -> dict[str, Any]:
    counts, missing = np.zeros(len(levels), np.int64), _Missing(shape[1])
    for values, present in parts:
        codes = values.codes
        counts += np.bincount(codes[codes >= 0], minlength=len(levels))
        missing.add(codes < 0, present)
    order = np.argsort(-counts, kind="stable")
    top = {levels[i]: int(counts[i]) for i in order[:_LEVELS]}
    rest = {"levels": len(levels), "other": int(counts[order[_LEVELS:]].sum())}
    return {"kind": "categorical", "known": int(counts.sum()), **missing.shares(), "counts": top, **rest}


def _finite(bound: float) -> float | None:
    return float(bound) if np.isfinite(bound) else None
