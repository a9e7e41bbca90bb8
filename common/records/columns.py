"""One column of a field, cleaned: parsed, brought to its unit, held to what is possible; and the robust rule for outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.records.config import FieldConfig, Outliers
from common.records.findings import Journal
from common.records.origin import Raw
from common.rows.tablefile import Mask, read_numbers, read_text

Values = npt.NDArray[np.float64]
MOST_LEVELS = 1000
_FEWEST = 30  # values, below which a robust bound means nothing


@dataclass(frozen=True)
class At:
    """A column of a field over the R source rows: which rows still count, and each row's month (one for all if wide)."""

    raw: Raw
    journal: Journal
    name: str
    field: FieldConfig
    column: str
    alive: Mask
    months: npt.NDArray[np.int32]

    def month(self, row: int) -> int:
        return int(self.months[row if len(self.months) > 1 else 0])

    def given(self, row: int) -> str:
        return str(self.raw.data[self.column][row].as_py())

    def settle(self, rule: str, action: str, bad: Mask, what: str, remedy: str, values: Values | None = None) -> bool:
        """`Journal.settle` of this column's rows; shows what the source holds, or `values`."""
        value = self.given if values is None else (lambda row: f"{values[row]:.10g}")
        return self.journal.settle(rule, self.name, self.column, action, bad & self.alive, what, remedy, value, self.month)

    def key(self, key: str) -> str:
        return f"fields.{self.name}.{key}"


def numbers(at: At) -> tuple[Values, Mask]:
    """(R values as float64, NaN where missing; rows to drop)."""
    values, malformed = _parsed(at)
    at.journal.count("empty", at.name, at.column, "null", int((np.isnan(values) & ~malformed & at.alive).sum()))
    drop = np.zeros(len(values), dtype=np.bool_)
    remedy = f"Correct it, or set {at.key('malformed')} = 'null' or 'drop'."
    if at.settle("malformed", at.field.malformed, malformed, "not a number", remedy) and at.field.malformed == "drop":
        drop |= malformed
    if at.field.factor != 1.0:
        values *= at.field.factor
        at.journal.count("unit", at.name, at.column, f"times {at.field.factor:g}", int((~np.isnan(values) & at.alive).sum()))
    return values, drop | _held(at, values)


def _parsed(at: At) -> tuple[Values, Mask]:
    """Numbers, with the field's own words for numbers and for missing; and where it is neither."""
    data, field = at.raw.data, at.field
    values, malformed = read_numbers(at.raw.origin, at.column, data)
    if not field.values and not field.missing:
        return values, malformed
    text = read_text(at.raw.origin, at.column, data)
    if field.values:
        place = pc.index_in(text, value_set=pa.array(list(field.values), pa.string()))
        known = np.asarray(place.is_valid())
        values[known] = np.array(list(field.values.values()))[pc.drop_null(place).to_numpy()]
        malformed &= ~known
    absent = np.asarray(pc.is_in(text, value_set=pa.array(field.missing, pa.string())))
    absent |= np.isin(values, [float(word) for word in field.missing if _is_number(word)])
    values[absent] = np.nan
    return values, malformed & ~absent


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _held(at: At, values: Values) -> Mask:
    """Settles values that are impossible, in place; the rows to drop."""
    low, high = at.field.bounds
    bad = (values < low) | (values > high)
    what = f"impossible: outside {low:g} to {high:g}"
    if at.field.kind == "flag":
        bad |= (values != 0) & (values != 1) & ~np.isnan(values)
        what = "impossible: neither 0 nor 1"
    action = at.field.impossible
    if action == "clip" and at.field.kind == "flag":
        action = "null"
    remedy = f"Correct it, or set {at.key('impossible')} = 'null', 'clip' or 'drop'; {at.key('factor')} changes the unit."
    at.settle("impossible", action, bad, what, remedy, values)
    if action == "clip":
        np.clip(values, low, high, out=values)
    else:
        values[bad] = np.nan
    return bad if action == "drop" else np.zeros_like(bad)


def categories(at: At) -> tuple[npt.NDArray[np.int32], list[str], Mask]:
    """(R codes, -1 where missing; the levels they are of; rows to drop)."""
    text = read_text(at.raw.origin, at.column, at.raw.data)
    empty = pc.or_(pc.equal(text, "").fill_null(True), pc.is_in(text, value_set=pa.array(at.field.missing, pa.string())))
    text = pc.if_else(empty, None, text)
    at.journal.count("empty", at.name, at.column, "null", int((np.asarray(empty) & at.alive).sum()))
    drop = np.zeros(len(text), dtype=np.bool_)
    if at.field.categories is not None:
        known = pc.is_in(text, value_set=pa.array(at.field.categories, pa.string()))
        bad = np.asarray(pc.and_(pc.invert(known), text.is_valid()))
        remedy = f"Correct it, add it to {at.key('categories')}, or set {at.key('malformed')} = 'null' or 'drop'."
        if at.settle("malformed", at.field.malformed, bad, "not a declared category", remedy) and at.field.malformed == "drop":
            drop |= bad
        text = pc.if_else(known, text, None)
    coded = pc.dictionary_encode(text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text)
    levels = coded.dictionary.to_pylist()
    if len(levels) > MOST_LEVELS:
        what = f"column {at.column!r}: {len(levels)} categories, more than {MOST_LEVELS}"
        raise at.raw.origin.fault(what, remedy=f"Is it a number or an id? Change {at.key('kind')}, or leave the field out.")
    return coded.indices.fill_null(-1).to_numpy().astype(np.int32), levels, drop


def outlier_bounds(values: Values, rule: Outliers) -> tuple[float, float] | None:
    """The smallest and largest value that is no outlier, from the finite values other than zero; None if too few differ."""
    used = values[np.isfinite(values) & (values != 0)]
    if len(used) < _FEWEST:
        return None
    x = _log(used) if rule.scale == "log" else used
    if rule.method == "mad":
        low = high = middle = float(np.median(x))
        reach = 1.4826 * float(np.median(np.abs(x - middle)))
    else:
        low, high = (float(q) for q in np.quantile(x, (0.25, 0.75)))
        reach = high - low
    if reach == 0:
        return None
    ends = np.array([low - rule.spread * reach, high + rule.spread * reach])
    first, last = _unlog(ends) if rule.scale == "log" else ends
    return (-np.inf if rule.side == "high" else float(first)), float(last)


def _log(x: Values) -> Values:
    return np.asarray(np.sign(x) * np.log1p(np.abs(x)), dtype=np.float64)


def _unlog(x: Values) -> Values:
    with np.errstate(over="ignore"):
        return np.asarray(np.sign(x) * np.expm1(np.abs(x)), dtype=np.float64)


def bound_outliers(at: At, values: Values, bounds: tuple[float, float]) -> Mask:
    """Settles outliers among the R values of a column, in place; the rows to drop."""
    low, high = bounds
    bad = ((values < low) | (values > high)) & (values != 0)
    action: Any = at.field.outliers.rule
    remedy = f"Correct it, or set {at.key('outliers.rule')} to 'clip', 'null', 'drop' or 'keep'."
    at.settle("outlier", action, bad, f"an outlier: outside {low:.6g} to {high:.6g}", remedy, values)
    if action == "clip":
        values[bad] = np.clip(values[bad], low, high)
    elif action in ("null", "drop"):
        values[bad] = np.nan
    return bad if action == "drop" else np.zeros_like(bad)
