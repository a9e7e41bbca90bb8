"""What a column is, by all of its values: number, flag, category, month, date, free text, id; in one line, without a value."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.rows.declare import ColumnConfig
from common.rows.floats import Values
from common.rows.months import look_like_dates, look_like_months
from common.rows.numbers import COMMA, Numbers, Style, read_numbers
from common.rows.origin import Data, is_long
from common.rows.tablefile import TableFile
from common.rows.text import is_number, is_text, is_time, plain, read_coded

Kind = Literal[
    "number", "flag", "category", "month", "date", "free text", "id", "row number", "constant", "nothing", "other", "wrong"
]  # fmt: skip

_STRAY = 9  # numbers for each value that is none, above which the column is numeric with errors in it
_FEW = 12  # distinct numbers, up to which some words among them make categories
_MANY = 30  # rows, from which on a sequence is no accident
_LEVELS = 50  # distinct texts, from which on those that hardly repeat are no categories
MOST_LEVELS = 1000
_LONG = 10**9
_EXACT = 1 << 53  # from here on not every whole number is a float
_SOME, _DENSE = 1000, 10
_GROUPED = "each with three decimals; if its points stand between thousands, declare thousands = '.'"
_PADDED = "some with a zero in front; if these are codes, declare it categorical, and what means missing by `missing`"


@dataclass(frozen=True)
class Seen:
    """A column as seen. said: what was seen and done. config: how it is read, or None where it is left out.

    loud: whether its owner should look at it: it is left out though it holds something, or what it means is in doubt. noted:
    whether a line of the log says how it is written, though nothing is lost.
    """

    column: str
    kind: Kind
    said: str
    config: ColumnConfig | None
    loud: bool = False
    noted: bool = False

    @property
    def text(self) -> str:
        return f"column {self.column!r}: {self.said}"


def look(
    file: TableFile,
    column: str,
    data: Data,
    words: Collection[str] = (),
    *,
    coded: bool = False,
    decimal: Literal[".", ","] | None = None,
) -> Seen:
    """What `column` is. coded: whether its writer says that these are categories. words: further ones for missing.

    decimal: what stands before decimals where that is all that is in doubt.

    Raises DataError where it looks like numbers and how they are written is not certain, naming the first such row.
    """
    kind = pa.string() if is_long(data, column) else data[column].type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_time(kind):
        return _left(column, "date", "dates")
    if not (is_number(kind) or is_text(kind) or pa.types.is_null(kind)):
        return _left(column, "other", f"of type {kind}")
    if coded:
        return _categories(file, column, data, words, whole=True)
    if column in file.nameless:
        return _without_name(file, column, data, words)
    found = read_numbers(file, column, data, None, words)
    if found.doubt == COMMA and decimal is not None:
        style = Style(decimal, "," if decimal == "." else ".", found.style.unit)
        found = read_numbers(file, column, data, style, words)
    known, strays = int(np.isfinite(found.values).sum()), int(found.malformed.sum())
    if found.doubt:
        remedy = "Declare the column with decimal, thousands or unit, or as categorical."
        if found.doubt == COMMA:
            remedy = 'Set decimal = "." for the dataset where commas stand between thousands, or declare the column.'
        at = np.zeros(len(found.values), np.bool_)
        at[found.first] = True
        raise file.bad_rows(
            column, at, f"numbers, but how they are written is not certain: {found.doubt}", remedy, data[column]
        )
    if strays and is_number(kind):
        remedy = "Correct it, or declare the column with malformed = 'null'."
        raise file.bad_rows(column, found.malformed, "an infinite number", remedy, data[column])
    if not known and not strays:
        return Seen(column, "nothing", "nothing is known", ColumnConfig(kind="numeric", transform="auto"))
    if not strays:
        doubts = list[str]()
        if is_text(kind) and not found.style.words:
            codes, padded = _codes(file, column, data, words, known)
            if codes is not None:
                return codes
            doubts += [_PADDED] if padded else []
        # last, as it takes the whole of a column that codes are told without
        return _number(column, found, [*([_GROUPED] if _grouped(data[column], kind) else []), *doubts])
    return _mixed(file, column, data, found, known, strays, words)


def _codes(file: TableFile, column: str, data: Data, words: Collection[str], rows: int) -> tuple[Seen | None, bool]:
    """What digits are of which some begin with a zero, as codes do and numbers do not; None of other columns. rows: known ones.

    And whether some do in a column that has other numbers too, as a sentinel of -1 among codes is.

    Raises DataError where so few do that they may be numbers that are written strangely, naming the first.
    """
    codes, texts = read_coded(file, column, data, words)
    known = pc.drop_null(texts)
    zeros = pc.match_substring_regex(texts, r"^[0０]\p{Nd}+$").fill_null(False)
    if not (padded := bool(pc.any(zeros).as_py())) or not pc.all(pc.match_substring_regex(known, r"^\p{Nd}+$")).as_py():
        return None, padded
    lengths = pc.min_max(pc.utf8_length(known)).as_py()
    if lengths["min"] == lengths["max"]:
        return _categories(file, column, data, words), False
    at = np.append(np.asarray(zeros), False)[codes]
    if rows > _STRAY * int(at.sum()):
        what = "a zero in front, though nearly all values of this column are numbers without"
        remedy = "Write the number without it, or declare the column: numeric, or categorical if these are codes."
        raise file.bad_rows(column, at, what, remedy, data[column])
    seen = _categories(file, column, data, words)
    said = f"{seen.said}, digits of several lengths, some with a zero in front: codes; if they are numbers, declare it numeric"
    return (seen if seen.config is None else Seen(column, "category", said, seen.config, loud=True)), False


def _left(column: str, kind: Kind, what: str) -> Seen:
    return Seen(column, kind, f"{what}: left out", None, loud=True)


def _without_name(file: TableFile, column: str, data: Data, words: Collection[str]) -> Seen:
    codes, texts = read_coded(file, column, data, words)
    if (codes < 0).all() or texts.null_count == len(texts):
        return Seen(column, "nothing", "has no name and is empty: ignored", None)
    return _left(column, "other", "has no name")


def _grouped(values: Any, kind: Any) -> bool:
    """Whether text is numbers that points may group, each of them: 1.234 is one or a thousand."""
    form = r"^\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*$"
    if not is_text(kind) or not len(values) or not pc.all(pc.match_substring_regex(_texts(values[:_SOME]), form)).as_py():
        return False
    known = pc.drop_null(_texts(values))
    return bool(pc.all(pc.or_(pc.match_substring_regex(known, form), pc.equal(pc.utf8_trim_whitespace(known), ""))).as_py())


def _texts(values: Any) -> Any:
    return plain(values).cast(pa.string())


def _number(column: str, found: Numbers, doubts: list[str]) -> Seen:
    values, style = found.values, found.style
    missing = np.isnan(values)
    known = values[~missing] if missing.any() else values
    del missing
    config = ColumnConfig.model_validate(
        {"kind": "numeric", "transform": "auto", "decimal": style.decimal, "thousands": style.thousands, "unit": style.unit}
    )
    written = [text for text in (style.words, found.said) if text]
    low, high = known.min(), known.max()
    if max(-low, high) >= _EXACT and (known == np.floor(known)).all():
        return _left(column, "id", "whole numbers of more digits than a float holds, ids or accounts")
    if low == high:
        return Seen(column, "constant", "one value in all rows", config)
    if _numbers_rows(values, low, high):
        return _left(column, "row number", "the numbers of rows")
    if look_like_dates(known):
        return _left(column, "date", "dates written as numbers")
    if _is_code(known, low, high):
        return _left(column, "id", "long numbers that never repeat, ids or accounts")
    if np.isin(known, (0.0, 1.0)).all():
        return Seen(column, "flag", ", ".join(["1 and 0", *written]), config)
    if look_like_months(known):
        doubts = [*doubts, "though they look like months"]
    said = ", ".join(["numbers", *written, *doubts])
    return Seen(column, "number", said, config, loud=bool(doubts), noted=bool(written) and not doubts)


def _numbers_rows(values: Values, low: float, high: float) -> bool:
    """Whether these are the numbers of rows, in any order; or of some rows, in their order."""
    n = len(values)
    if n < _MANY or np.isnan(values).any() or (values[:_SOME] != np.floor(values[:_SOME])).any():
        return False
    if high - low == n - 1 and low in (0, 1):
        return len(np.unique(values)) == n
    return bool(high - low < _DENSE * n and (np.diff(values) > 0).all() and (values == np.floor(values)).all())


def _is_code(known: Values, low: float, high: float) -> bool:
    if len(known) < _MANY or low < _LONG or len(str(int(low))) != len(str(int(high))):
        return False
    return bool((known == np.floor(known)).all()) and len(np.unique(known)) == len(known)


def _mixed(file: TableFile, column: str, data: Data, found: Numbers, known: int, strays: int, words: Collection[str]) -> Seen:
    """Text of which some is numbers."""
    nearly, several = known > _STRAY * strays, len(np.unique(found.values[~np.isnan(found.values)])) > _FEW
    alike = several and _like_numbers(read_coded(file, column, data, words)[1])
    if nearly or (several and known > strays) or alike:
        share = "nearly all" if nearly else "most" if known > strays else "many"
        what = f"not a number, though {share} values of this column are"
        what = "a number written otherwise than others of this column" if alike and not nearly else what
        remedy = (
            "Correct it or leave the cell empty; declare what means missing by `missing`, or the column with malformed ="
            " 'null'; if these are categories, declare the column so."
        )
        raise file.bad_rows(column, found.malformed, what, remedy, data[column])
    seen = _categories(file, column, data, words)
    if known and seen.config is not None:
        where = file.where(int(found.malformed.argmax()))
        said = (
            f"read as categories: {strays} of its values are not numbers (first: {where}); to read these as missing, declare"
            " the column numeric with malformed = 'null'"
        )
        return Seen(column, "category", said, seen.config, loud=True)
    return seen


def _categories(file: TableFile, column: str, data: Data, words: Collection[str], *, whole: bool = False) -> Seen:
    codes, texts = read_coded(file, column, data, words)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    there = counts[np.asarray(texts.is_valid())]
    levels, rows = int((there > 0).sum()), int(there.sum())
    config = ColumnConfig(kind="categorical", transform="auto", missing="category")
    if not whole and levels > _LEVELS and (2 * levels > rows or levels > MOST_LEVELS):
        return _text(column, texts, levels)
    if not whole and levels and look_like_months(texts):
        return _left(column, "month", "months or dates as text")
    if not whole and levels and _like_numbers(texts):
        said = "read as categories, though most look like numbers, of a form that is not known or of several"
        return Seen(column, "category", f"{levels} values, {said}", config, loud=True)
    return Seen(column, "category", f"{levels} categories", config)


def _like_numbers(texts: Any) -> bool:
    """Whether most distinct texts have digits and no letter, but for ranges such as 1-5 and codes of one length."""
    known = pc.drop_null(texts)
    like = pc.match_substring_regex(
        known,
        r"^[^\p{L}]*[\p{Nd}\p{No}][^\p{L}]*$|^[+-]?\d[\d.]*[eEdD][+-]?\d+$|^0[xX][0-9A-Fa-f]+$|^[+-]?(?i)inf(inity)?$"
        r"|^[+-]?\d[\d.,]* ?(?i:bps?|pct|pp)$|^[负]?[〇零一二两三四五六七八九十百千万亿点]{2,}$",
    )
    code = pc.match_substring_regex(known, r"^\d+ *(-|~|–|至|到|—) *\d+$|^0\d*$|^\d+\+$")
    odd = np.asarray(like) & ~np.asarray(code)
    return bool(2 * odd.sum() > len(known) and not pc.all(pc.match_substring_regex(known, r"^\d+$")).as_py())


def _text(column: str, texts: Any, levels: int) -> Seen:
    if look_like_months(texts):
        return _left(column, "date", "dates as text")
    known = pc.drop_null(texts)
    lengths = pc.min_max(pc.utf8_length(known)).as_py()
    codes = pc.all(pc.match_substring_regex(known, r"^[A-Za-z0-9._-]+$")).as_py() and lengths["min"] == lengths["max"]
    if codes:
        return _left(column, "id", f"{levels:,} codes of one form that hardly repeat, ids")
    return _left(column, "free text", f"{levels:,} texts that hardly repeat, names or remarks")
