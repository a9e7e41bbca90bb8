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
from common.rows.kind import MOST_LEVELS
from common.rows.numbers import read_numbers
from common.rows.origin import Mask, printed
from common.rows.text import read_coded, read_text

Values = npt.NDArray[np.float64]
_BLOCK = 1 << 17  # values whose logarithms are taken at once
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
        return printed(self.raw.data[self.column][row])

    def settle(self, rule: str, action: str, bad: Mask, what: str, remedy: str, values: Values | None = None) -> bool:
        """`Journal.settle` of this column's rows; shows what the source holds, or `values`."""
        value = self.given if values is None else (lambda row: f"{values[row]:.10g}")
        if bad[self.alive].all():  # what loses all rows is no remedy
            remedy = f"Correct it, or leave the field out: {self.key('column')}."
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
    """Numbers, with the field's own words for numbers and for missing; and where it is neither.

    Raises DataError where how they are written is not certain.
    """
    data, field, origin = at.raw.data, at.field, at.raw.origin
    found = read_numbers(origin, at.column, data, field.style, field.missing)
    values, malformed = found.values, found.malformed
    if field.values:
        text = read_text(origin, at.column, data)
        place = pc.index_in(text, value_set=pa.array(list(field.values), pa.string()))
        known = np.asarray(place.is_valid())
        values[known] = np.array(list(field.values.values()))[pc.drop_null(place).to_numpy()]
        malformed &= ~known
    elif found.doubt:
        what = f"numbers, but how they are written is not certain: {found.doubt}"
        remedy = f"Declare {at.key('decimal')}, {at.key('thousands')} or {at.key('unit')}."
        raise origin.bad_row(at.column, found.first, len(values), what, remedy, at.given(found.first))
    if said := ", ".join(text for text in (found.style.words if field.style is None else "", found.said) if text):
        at.journal.count("format", at.name, at.column, said, int((~np.isnan(values) & at.alive).sum()))
    return values, malformed


def _held(at: At, values: Values) -> Mask:
    """Settles values that are impossible, in place; the rows to drop."""
    low, high = at.field.bounds
    if at.field.negative is not None and (below := values < 0).any():
        at.settle("negative", at.field.negative, below, "below 0", "", values)
        if at.field.negative != "net":
            values[below] = 0.0 if at.field.negative == "gross" else np.nan
        low = -float("inf") if at.field.negative == "net" else low
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
    codes, texts = read_coded(at.raw.origin, at.column, at.raw.data, at.field.missing)
    known = np.append(np.asarray(texts.is_valid()), False)
    at.journal.count("empty", at.name, at.column, "null", int((~known[codes] & at.alive).sum()))
    drop = np.zeros(len(codes), dtype=np.bool_)
    if at.field.categories is not None:
        declared = np.append(np.asarray(pc.is_in(texts, value_set=pa.array(at.field.categories, pa.string()))), False)
        bad = (known & ~declared)[codes]
        remedy = f"Correct it, add it to {at.key('categories')}, or set {at.key('malformed')} = 'null' or 'drop'."
        if at.settle("malformed", at.field.malformed, bad, "not a declared category", remedy) and at.field.malformed == "drop":
            drop |= bad
        known &= declared
    used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(texts)) * known[:-1])
    levels = list(dict.fromkeys(texts.take(pa.array(used)).to_pylist()))
    if len(levels) > MOST_LEVELS:
        what = f"column {at.column!r}: {len(levels)} categories, more than {MOST_LEVELS}"
        raise at.raw.origin.fault(what, remedy=f"Is it a number or an id? Change {at.key('kind')}, or leave the field out.")
    place = np.full(len(texts) + 1, -1, dtype=np.int32)
    number = {level: k for k, level in enumerate(levels)}
    place[used] = [number[texts[int(k)].as_py()] for k in used]
    return place[codes], levels, drop


def outlier_bounds(values: Values, known: Mask, rule: Outliers) -> tuple[float, float] | None:
    """The smallest and largest value that is no outlier, from the finite `values` of `known` other than zero; None if too few.

    Of a whole column no copy is made that is not needed.
    """
    x = values[known & np.isfinite(values) & (values != 0)]
    if len(x) < _FEWEST:
        return None
    if rule.scale == "log":
        for few in np.split(x, range(_BLOCK, len(x), _BLOCK)):
            few[:] = np.copysign(np.log1p(np.abs(few)), few)
    if rule.method == "mad":
        low = high = middle = float(np.median(x, overwrite_input=True))
        x -= middle
        reach = 1.4826 * float(np.median(np.abs(x, out=x), overwrite_input=True))
    else:
        low, high = (float(q) for q in np.quantile(x, (0.25, 0.75)))
        reach = high - low
    if reach == 0:
        return None
    ends = np.array([low - rule.spread * reach, high + rule.spread * reach])
    first, last = _unlog(ends) if rule.scale == "log" else ends
    return (-np.inf if rule.side == "high" else float(first)), float(last)


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
