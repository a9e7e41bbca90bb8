"""Ids in the form in which two companies compare rows; what programs do to ids; credit codes; ids masked for reports.

Both companies compare the same text, so whatever is repaired here is what cannot have been meant otherwise. The rest is
refused by line, in words that say which program did it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.rows.alike import changed, read_alike, same, told
from common.rows.origin import Data, Mask, One, Origin, is_long
from common.rows.text import as_text, is_missing, is_text, plain, read_words, seen

CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = np.array([pow(3, i, 31) for i in range(17)] + [1])
_CODE = rf"^[{CODE_ALPHABET}]{{18}}$"
_COMMON = 0.1  # of the ids that match, of a form that is not strange however many others have it
_SHOWN = 4
_DIGITS = 10**15  # from here on a spreadsheet, and a float printed in the usual way, lose the last digits
_FLOATS = 1 << 53  # from here on not every whole number is a float
MANY = 1 << 18  # rows, above which their texts are not put into one dictionary
_PIECE = 1 << 16  # ids that are objects of Python at a time
_FEW = 4  # ids so long, of which all are floats: by chance less than once in 10,000

_WORDS = (
    "-", "--", "---", "—", "/", "\\", ".", "?", "*", "无", "空", "(空)", "(空白)", "(blank)", "未知", "不详", "暂无",
    "缺失", "空值", "n.a.", "unknown", "undefined", "dbnull", "(null)", "[null]",
)  # fmt: skip
_UUID = r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"
_UNWRAP = (
    (r'^="(.*)"$', r"\1"),
    (r'^"(.*)"$', r"\1"),
    (r"^['`‘’]", ""),
    (r"^[“”](.*)[“”]$", r"\1"),
    (rf"^\{{({_UUID})\}}$", r"\1"),
)
_MONTH = "(JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_DATE = rf"^(\d{{1,2}}-{_MONTH}|{_MONTH}-\d{{1,2}}|\d{{1,2}}月\d{{1,2}}日|(19|20)\d{{2}}/\d{{1,2}}/\d{{1,2}})$"
_TOTALS = r"^((GRAND|SUB)?TOTALS?|SUM|AVERAGE|合计|总计|小计|汇总|总和|平均值?|总数|共计)[:：]?$"
_ZEROS = r"^\d+\.0*$"
_USUAL = r"^[0-9A-Z]*[0-9][0-9A-Z]*$"  # none of what follows
_LOST = (
    (r"^[+-]?(\d\.\d+E\+?\d+|\dE\+\d+)$", "a number in scientific notation: a spreadsheet or database client cut digits off",
     "Format the column as text and export it again."),
    (r"^#+$", "only signs: its column was too narrow when it was exported", "Widen the column and export it again."),
    (r"^#(N/A|DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!)$", "an error of a spreadsheet", "Correct the cell, or remove the row."),
    (_DATE, "a date: a spreadsheet took it for one", "Format the column as text and export it again."),
    (_TOTALS, "that of a line of totals, which is no row", "Remove the line."),
    (r"^(B'.*'|\['.*'\]|\('.*',?\))$", "a value as Python prints it", "Export the text itself."),
    (r"\*{2}", "masked: other enterprises may have the same signs", "Export the ids whole."),
    (r"^(TRUE|FALSE)$", "a truth value of a spreadsheet", "Correct the cell, or remove the row."),
)  # fmt: skip


@dataclass(frozen=True)
class Normal:
    """Ids as read. codes: int32 (n,) into `texts`, -1 where missing; texts: in their common form, an Arrow array.

    bad: (len(texts),), which are no ids; why: for each of these, what is wrong and the remedy. said: what was done.
    distinct: that no two of the texts are the same is certain.
    """

    codes: npt.NDArray[np.int32]
    texts: Any
    bad: Mask
    why: dict[int, tuple[str, str]]
    said: tuple[str, ...]
    distinct: bool = False


def normal_ids(text: Any) -> Any:
    """Ids (an Arrow array of text) with full width made ASCII (NFKC), in upper case, without spaces; null stays null.

    Control characters and those of no width go too: nobody has seen them.
    """
    upper = pc.utf8_upper(pc.utf8_normalize(text, form="NFKC"))
    return pc.replace_substring_regex(upper, r"[\s\p{Z}\p{Cc}\p{Cf}]+", "")


def read_ids(origin: Origin, column: str, data: Data) -> Normal:
    """The column of ids. Raises DataError for floats whose digits are lost, and for a type that holds no ids."""
    held = data if is_long(data, column) else One(_as_ids(origin, column, data[column]))
    codes, given = (read_alike if (many := data.num_rows > MANY) else read_words)(origin, column, held)
    texts, said = _repaired(changed(given, lambda part: normal_ids(seen(part))))
    distinct = many and not said and same(given, texts)
    del given
    gone = told(texts, lambda part: is_missing(part, _WORDS))
    why = {int(k): ("a word that means there is no id", "Remove the row or give it an id.") for k in np.flatnonzero(gone)}
    for k in np.flatnonzero(told(texts, lambda part: pc.equal(part, "").fill_null(True))):
        why[int(k)] = ("the id is empty", "Remove the row or give it an id.")
    odd = np.flatnonzero(~told(texts, lambda part: pc.match_substring_regex(part, _USUAL).fill_null(True)))
    strange = texts.take(pa.array(odd))
    for pattern, what, remedy in _LOST:
        for k in odd[told(strange, partial(pc.match_substring_regex, pattern=pattern))]:
            why[int(k)] = (f"the id is {what}", remedy)
    name = normal_ids(pa.array([column]))[0]
    for k in np.flatnonzero(told(texts, lambda part: pc.equal(part, name))):
        if len(texts) > 1:
            why[int(k)] = ("the name of the column: the header stands here again", "Remove the line.")
    if (grouped := _grouped(texts)) is not None:
        why[grouped] = ("the id has commas between thousands", "Format the column as text and export it again.")
    if (lost := _floated(texts)) is not None:
        why[lost] = (
            "long ids, all of which went through a floating-point number or a spreadsheet: their last digits are lost",
            "Export the ids as text.",
        )
    bad = np.zeros(len(texts), np.bool_)
    bad[list(why)] = True
    return Normal(codes, texts, bad, why, said, distinct)


def _as_ids(origin: Origin, column: str, values: Any) -> Any:
    """A column of any type as one of text or whole numbers. Raises DataError for what holds no ids."""
    if not (pa.types.is_dictionary(values.type) and is_text(values.type.value_type)):
        values = plain(values)
    if pa.types.is_boolean(values.type):
        raise origin.fault(f"column {column!r}: ids are stored as truth values", remedy="Name the column of ids.")
    if pa.types.is_floating(values.type):
        values = _of_floats(origin, column, values)
    if pa.types.is_decimal(values.type):
        values = as_text(origin, column, values)
        if (parts := np.asarray(pc.match_substring(values, ".").fill_null(False))).any():
            raise origin.bad_rows(column, parts, "the id is a number with decimals", "Name the column of ids.", values)
    return values


def _of_floats(origin: Origin, column: str, values: Any) -> Any:
    """Whole numbers that are certain as text: pandas makes floats of ids where one is missing."""
    found = np.asarray(values.cast(pa.float64()).to_numpy(), np.float64)
    with np.errstate(invalid="ignore"):
        lost = ~np.isnan(found) & ((found != np.floor(found)) | (np.abs(found) >= _DIGITS))
    if values.type != pa.float64():
        lost |= np.abs(found) >= 1 << 24
    if lost.any():
        what = "ids are stored as floating-point numbers, which have lost digits"
        raise origin.bad_rows(column, lost, what, "Store ids as text.", values)
    whole = pa.array(np.nan_to_num(found).astype(np.int64), mask=np.isnan(found))
    return pa.chunked_array([whole.cast(pa.string())])


def _repaired(texts: Any) -> tuple[Any, tuple[str, ...]]:
    """Ids without what spreadsheets and number types put around them, and what was done."""
    said = []
    for pattern, put in _UNWRAP:
        if told(texts, partial(pc.match_substring_regex, pattern=pattern)).any():
            texts = changed(texts, partial(_replaced, pattern=pattern, put=put))
            said.append("quotes that a spreadsheet put around ids are taken off")
    points = told(texts, partial(pc.match_substring, pattern="."))
    if points.any():
        zeros = told(texts, partial(pc.match_substring_regex, pattern=_ZEROS))
        if zeros.any() and (points == zeros).all():  # 1001.0, of a number type
            texts = changed(texts, partial(pc.replace_substring_regex, pattern=r"\.0*$", replacement=""))
            said.append("zeros behind a decimal point are taken off ids")
    return texts, tuple(dict.fromkeys(said))


def _replaced(texts: Any, pattern: str, put: str) -> Any:
    """Those that match, with `put` in the pattern's place."""
    hit = pc.match_substring_regex(texts, pattern).fill_null(False)
    return pc.if_else(hit, pc.replace_substring_regex(texts, pattern, put), texts)


def _grouped(texts: Any) -> int | None:
    """The first of ids that are numbers with commas between thousands, where no other has a comma of another kind."""
    with_comma = told(texts, partial(pc.match_substring, pattern=","))
    if not with_comma.any():
        return None
    grouped = told(texts, partial(pc.match_substring_regex, pattern=r"^[1-9]\d{0,2}(,\d{3})+$"))
    return int(grouped.argmax()) if grouped.any() and (grouped == with_comma).all() else None


def _floated(texts: Any) -> int | None:
    """The first of long whole numbers of which each is a float: other ids than were meant."""
    long = np.flatnonzero(told(texts, partial(pc.match_substring_regex, pattern=r"^[1-9]\d{16,18}$")))
    if len(long) < _FEW:
        return None
    cut, of_floats, largest = True, True, 0
    for low in range(0, len(long), _PIECE):
        given = texts.take(pa.array(long[low : low + _PIECE])).to_pylist()
        numbers = [int(text) for text in given]
        cut = cut and all(not text[15:].strip("0") for text in given)  # a spreadsheet keeps 15 digits
        of_floats = of_floats and all(int(float(n)) == n for n in numbers)
        if not (cut or of_floats):
            return None
        largest = max(largest, *numbers)
    return int(long[0]) if cut or largest > 8 * _FLOATS else None


def credit_code_check_digit(code17: str) -> str:
    """The 18th character of a unified social credit code, from the 17 before it (GB 32100-2015: weights 3^i modulo 31).

    Raises ValueError for another length, or a character outside 0-9 and A-Z without I, O, S, V, Z.
    """
    if len(code17) != 17 or not set(code17) <= set(CODE_ALPHABET):
        raise ValueError("a credit code is checked on 17 of the characters 0-9 and A-Z without I, O, S, V and Z")
    return CODE_ALPHABET[-sum(CODE_ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(code17)) % 31]


def are_credit_codes(ids: Any) -> npt.NDArray[np.bool_]:
    """Whether each id (an Arrow array of text) is a unified social credit code: 18 characters whose check digit is right."""
    shaped = np.asarray(pc.match_substring_regex(ids, _CODE).fill_null(False))
    codes = np.array(pc.filter(ids, pa.array(shaped)).to_pylist(), dtype="S18")
    value = np.full(256, 0)
    value[np.frombuffer(CODE_ALPHABET.encode(), dtype=np.uint8)] = np.arange(len(CODE_ALPHABET))
    characters = codes.view(np.uint8).reshape(len(codes), 18)
    shaped[shaped] = (value[characters] @ _WEIGHTS) % 31 == 0
    return shaped


def masked(id: str) -> str:
    """An id as a report shows it: the first four characters and the last two of a long one, less of a short one."""
    if len(id) < 3 * _SHOWN:
        return id[:1] + "****"
    return f"{id[:_SHOWN]}****{id[-2:]}"


def form(id: str) -> str:
    """The form of an id, which says nothing of the id itself: `8 digits`, `18 letters and digits`."""
    kinds = [("digits", str.isdigit), ("letters", str.isalpha)]
    found = [name for name, test in kinds if any(test(c) for c in id)]
    if any(not c.isalnum() for c in id):
        found.append("signs")
    return f"{len(id)} " + (" and ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else found[0] if found else "")


def unmatched_forms(
    matched: Sequence[str], unmatched: Sequence[str], zeros_lost: Callable[[Sequence[str]], bool] | None = None
) -> str:
    """What tells unmatched ids from matched ones by their forms, for their owner; empty where nothing does.

    zeros_lost: whether unmatched ids of digits are the other side's without their zeros, where that is known; else it is
    supposed of shorter ones where all that matched are of one length.
    """
    if not matched or not unmatched:
        return ""
    good, bad = Counter(map(form, matched)), Counter(map(form, unmatched))
    usual = {name for name, n in good.items() if n > _COMMON * len(matched)}
    often = {name: 2 * len(unmatched) * good[name] / len(matched) for name in bad}
    strange = Counter({name: n for name, n in bad.items() if n > max(2, often[name]) and name not in usual})
    if sum(strange.values()) < 0.1 * len(unmatched):
        return ""
    text = (
        f"{sum(strange.values())} of {len(unmatched)} unmatched ids have {_listed(strange)}; matched ids have {_listed(good)}"
    )
    shorter = max(len(id) for id in matched) > max(int(name.split()[0]) for name in strange)
    digits = all("letters" not in name and "signs" not in name for name in (*strange, *good))
    lost = len(good) == 1 if zeros_lost is None else zeros_lost([id for id in unmatched if form(id) in strange])
    if shorter and digits and lost:
        text += ": leading zeros may be lost"
    return text


def _listed(forms: Counter[str]) -> str:
    most = forms.most_common(3)
    return ", ".join(f"{name} ({n})" for name, n in most) + (" and others" if len(forms) > 3 else "")
