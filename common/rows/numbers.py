"""Numbers: the float of the printed number from every source, and the ways in which text writes numbers.

One printed number is one float, whichever type carried it: the nearest one to the decimal number, as text is read.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.rows.floats import Values, floats
from common.rows.origin import Data, Mask, Once, Origin, pieces
from common.rows.text import as_text, is_missing, is_number, is_text, plain, read_text, seen

_FEW = 20  # distinct values, up to which they are rather codes than numbers
_KINDS = 4  # of letters behind numbers, up to which they may be units
_ROWS = 1 << 17  # of text that is read at once
_UNITS = (
    "%", "‰", "kwh", "mwh", "gwh", "wh", "kw", "mw", "kva", "mva", "kvar", "kv", "hz",
    "度", "千瓦时", "千瓦", "千伏安", "兆瓦时", "元", "块", "元/月", "元/度", "元/千瓦时", "美元", "yuan", "eur",
    "天", "日", "月", "个月", "年", "次", "笔", "户", "人", "家", "个", "项", "吨", "平方米", "小时", "分", "秒",
    "day", "days", "month", "months", "year", "years", "times", "kg", "pcs",
)  # fmt: skip
_SIGNS = (
    "¥", "$", "€", "£", "₹", "₩", "₽", "₺", "฿", "₫", "RMB", "CNY", "USD", "EUR", "GBP", "JPY", "HKD", "TWD", "INR", "CHF",
    "US$", "HK$", "NT$", "CN¥",
)  # fmt: skip
_SHARES = ("%", "‰")
_SAME = {
    "rmb": "¥",
    "cny": "¥",
    "cn¥": "¥",
    "us$": "$",
    "usd": "$",
    "圆": "元",
    "day": "days",
    "month": "months",
    "year": "years",
}
_TENS = {"%": -2, "‰": -3, "千": 3, "万": 4, "百万": 6, "亿": 8}
_COUNTED = ("", "元", "美元", "度", "千瓦时", "kwh", "千瓦", "kw", "千伏安", "kva")  # units before which one of these may stand
_DOTS = str.maketrans("", "", "·⋅•∙‧・")  # kW·h, as standards write it, is kWh
_SIGN = "|".join(re.escape(sign) for sign in _SIGNS)
_SHAPE = (
    rf"^(?P<open>[(]?)(?P<s1>[+-]?) *(?P<pre>(?:{_SIGN})?) *(?P<s2>[+-]?)"
    r"(?P<body>\d[\d., ']*\d|\d[.,]?|[.,]\d+)(?P<exp>(?:[eE][+-]?\d{1,3})?) *(?P<post>(?:[^\d\s().,+'-][^\d().,+]{0,11})?)"
    r"(?P<close>[)]?)(?P<s3>-?)$"
)
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
WORDS = (
    ("false", "true"), ("f", "t"), ("no", "yes"), ("n", "y"), ("否", "是"), ("无", "有"), ("没有", "有"), ("错", "对"),
    ("假", "真"), ("×", "√"), ("off", "on"), (".f.", ".t."), ("non", "oui"), ("faux", "vrai"), ("nein", "ja"),
    ("falsch", "wahr"),    ("no", "sí"), ("no", "si"), ("não", "sim"), ("нет", "да"),
)  # fmt: skip
"""What stands for 0 and 1."""


@dataclass(frozen=True)
class Style:
    """How a column's numbers are written: the decimal mark, what stands between thousands, the unit behind (or before)."""

    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    @property
    def words(self) -> str:
        """In words, without a value; empty for plain numbers."""
        marks = {",": "commas", ".": "points", " ": "spaces", "'": "apostrophes"}
        said = [f"{marks.get(self.thousands, self.thousands)} between thousands"] if self.thousands else []
        said += ["a decimal comma"] if self.decimal == "," else []
        said += (
            [f"the unit {self.unit}" + ({"%": ", a hundredth", "‰": ", a thousandth"}.get(self.unit, ""))] if self.unit else []
        )
        return ", ".join(said)

    @property
    def body(self) -> str:
        """The pattern of its digits."""
        point = re.escape(self.decimal)
        mark = re.escape(self.thousands)
        whole = rf"\d+|\d{{1,3}}({mark}\d{{3}})+" if self.thousands else r"\d+"
        whole += r"|\d{1,2}(,\d{2})+,\d{3}" if self.thousands == "," else ""  # lakh and crore
        return rf"^(({whole})({point}\d*)?|{point}\d+)$"


PLAIN = Style()
_STYLES = (PLAIN, Style(".", ","), Style(",", "."), Style(".", " "), Style(",", " "), Style(".", "'"), Style(",", "'"))


COMMA = "a comma that may stand between thousands or before decimals"
"""The doubt about numbers each of which has one comma, and three digits behind it."""


@dataclass(frozen=True)
class Numbers:
    """n numbers. values: float64 (n,), NaN where missing or malformed. malformed: (n,). style: how they were written.

    doubt: why the style cannot be told, in words without a value; `first` is then a row that shows it. said: of other forms.
    """

    values: Values
    malformed: Mask
    style: Style = PLAIN
    doubt: str = ""
    first: int = 0
    said: str = ""


def read_numbers(origin: Origin, column: str, data: Data, style: Style | None = PLAIN, words: Collection[str] = ()) -> Numbers:
    """The column as numbers. style: how text writes them, or None to be told by all of them. words: further ones for missing.

    Missing is null, an empty text or a word of `text.MISSING`; malformed is other text, or an infinite number. A column of
    nothing but a pair such as true and false is 1 and 0.
    """
    if style in (None, PLAIN) and (values := _at_once(origin, column, data, words)) is not None:
        return _worded(_finite(values, np.isinf(values)), words)
    given = plain(data[column])
    if is_number(given.type):
        values = data.numbers(column, lambda held: floats(plain(held))) if isinstance(data, Once) else floats(given)
        malformed = np.isinf(values)
        if words != ():
            worded = _is_word(values, words)
            malformed &= ~worded
            values = np.where(worded, np.nan, values)
        if malformed.any():
            values = np.where(malformed, np.nan, values)  # and not where they stand: they may be asked for again
        return Numbers(values, malformed)
    text = read_text(origin, column, data)
    text = pc.if_else(is_missing(text, words), None, text)
    return _worded(_of_text(text, style, words), words)


def _worded(found: Numbers, words: Collection[str]) -> Numbers:
    if words:
        found.values[_is_word(found.values, words)] = np.nan
    return found


def _is_coded_text(kind: Any) -> bool:
    return is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _at_once(origin: Origin, column: str, data: Data, words: Collection[str]) -> Values | None:
    """Text of which all is plain numbers, some rows after the other since each step copies them; None of any other."""
    values, low = np.empty(data.num_rows), 0
    for held in pieces(data, column, plain=True):
        if not _is_coded_text(held.type):
            return None
        for few in (held.slice(start, _ROWS) for start in range(0, len(held), _ROWS)):
            text = pc.utf8_trim_whitespace(as_text(origin, column, few))
            try:
                numbers = pc.if_else(is_missing(text, words), None, text).cast(pa.float64())
            except pa.ArrowInvalid:
                return None
            values[low : low + len(few)] = numbers.to_numpy()
            low += len(few)
    return values


def _is_word(values: Values, words: Collection[str]) -> Mask:
    """Numbers among the words for missing, such as -9999."""
    return np.isin(values, [float(word) for word in words if _is_float(word)])


def _is_float(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _finite(values: Values, malformed: Mask) -> Numbers:
    values[malformed] = np.nan
    return Numbers(values, malformed)


def _of_text(text: Any, style: Style | None, words: Collection[str]) -> Numbers:
    """Text of which some is no plain number: the plain ones at once, the others by their distinct values."""
    plain_ones = np.asarray(pc.match_substring_regex(text, _NUMBER).fill_null(False))
    if style is not None and style.decimal == ",":
        plain_ones &= np.asarray(pc.match_substring_regex(text, r"^[+-]?\d+$").fill_null(False))
    values = np.full(len(text), np.nan)
    values[plain_ones] = text.filter(pa.array(plain_ones)).cast(pa.float64()).to_numpy()
    rest = pc.if_else(pa.array(plain_ones), None, text).dictionary_encode().combine_chunks()
    codes = rest.indices.fill_null(len(rest.dictionary)).to_numpy().astype(np.int64)
    levels = _normal(rest.dictionary)
    gone = np.append(np.asarray(is_missing(levels, words)), True)
    weights = np.bincount(codes, minlength=len(gone))
    weights[gone] = 0
    if not plain_ones.any() and (flags := _flags(levels, gone)) is not None:
        return Numbers(flags[codes], np.zeros(len(codes), np.bool_), said="words for 1 and 0")
    shaped = _Shaped.of(levels, weights[:-1])
    chosen, doubt, odd = (style, "", 0) if style is not None else shaped.style(_plain_shapes(text, plain_ones))
    if chosen.decimal == "," and style is None and not doubt:
        return _of_text(text, chosen, words)  # 1.234 among them is no plain number
    if chosen.unit in _SHARES:
        values[plain_ones] = np.nan
    of_level = np.append(shaped.values(chosen), np.nan)
    of_level[gone] = np.nan
    values[~plain_ones] = of_level[codes[~plain_ones]]
    malformed = ~np.isfinite(values) & ~gone[codes] | (plain_ones & ~np.isfinite(values))
    values[malformed] = np.nan
    first = int((codes == odd).argmax()) if doubt else 0
    return Numbers(values, malformed, chosen, doubt, first, "" if doubt else shaped.said(np.isfinite(of_level[:-1])))


def _normal(levels: Any) -> Any:
    """Text without what spreadsheets put around it, ="12" and '12; full width as ASCII, one kind of minus."""
    text = western(seen(pc.utf8_normalize(levels, form="NFKC")))
    for pattern, put in ((r'^="(.*)"$', r"\1"), (r"^'", ""), ("[−–]", "-"), ("’", "'")):
        text = pc.replace_substring_regex(text, pattern, put)
    return text


def western(text: Any) -> Any:
    """Arabic, Persian and Indian digits as ASCII ones, which NFKC leaves as they are."""
    if not pc.any(pc.match_substring_regex(text, r"[\x{660}-\x{669}\x{6F0}-\x{6F9}\x{966}-\x{96F}]")).as_py():
        return text
    for zero in (0x660, 0x6F0, 0x966):
        for digit in range(10):
            text = pc.replace_substring(text, chr(zero + digit), str(digit))
    return text


def _flags(levels: Any, gone: Mask) -> Values | None:
    """1 and 0 for each text, NaN at the end for a missing one, where all are of one pair of words for them."""
    texts = ["" if text is None else text.lower() for text in levels.to_pylist()] if len(levels) < 64 else []
    found = {text for text, no in zip(texts, gone, strict=False) if not no}
    for no, yes in WORDS:
        if found and found <= {no, yes}:
            return np.array([{no: 0.0, yes: 1.0}.get(text, np.nan) for text in texts] + [np.nan])
    return None


def _plain_shapes(text: Any, plain_ones: Mask) -> tuple[list[str], list[int]]:
    """Bodies that stand for the plain numbers: whole ones, ones that points may group, ones with decimals; how many of each."""
    whole = np.asarray(pc.match_substring_regex(text, r"^[+-]?\d+([eE].*)?$").fill_null(False)) & plain_ones
    group = np.asarray(pc.match_substring_regex(text, r"^[+-]?\d{1,3}(\.\d{3})+$").fill_null(False)) & plain_ones
    counts = [int(whole.sum()), int(group.sum())]
    return ["1", "1.234", "0.5"], [*counts, int(plain_ones.sum()) - sum(counts)]


@dataclass(frozen=True)
class _Shaped:
    """The distinct texts of a column by their parts: `parts` a struct array, null where a text is not shaped like a number.

    weights: how often each occurs. unit: index into `units` of each. tens: the power of ten that its unit stands for.
    """

    parts: Any
    weights: npt.NDArray[np.int64]
    unit: npt.NDArray[np.int64]
    units: list[str]
    tens: npt.NDArray[np.int64]

    @classmethod
    def of(cls, levels: Any, weights: npt.NDArray[np.int64]) -> _Shaped:
        parts = pc.extract_regex(levels, _SHAPE)
        both = pc.binary_join_element_wise(parts.field("pre"), parts.field("post"), "\t").fill_null("\t").dictionary_encode()
        known = [_unit(*text.split("\t")) for text in both.dictionary.to_pylist()]
        units = sorted({"", *(unit for unit, _ in known)})
        code = both.indices.to_numpy()
        unit = np.array([units.index(unit) for unit, _ in known], np.int64)[code]
        tens = np.array([power for _, power in known], np.int64)[code]
        return cls(parts, weights, unit, units, tens)

    @property
    def valid(self) -> Mask:
        return np.asarray(self.parts.is_valid())

    def _fits(self, style: Style) -> Mask:
        return np.asarray(pc.match_substring_regex(self.parts.field("body"), style.body).fill_null(False)) & self.valid

    def style(self, plain_ones: tuple[list[str], list[int]]) -> tuple[Style, str, int]:
        """(the style that most numbers have, why it is in doubt, a text that shows it)."""
        unit, doubt, odd = self._common_unit(sum(plain_ones[1]))
        counts = []
        for style in _STYLES:
            more = sum(n for body, n in zip(*plain_ones, strict=True) if re.match(style.body, body))
            counts.append(int(self.weights[self._fits(style)].sum()) + more)
        first = counts.index(max(counts))
        if _STYLES[first] == _STYLES[1] and counts[2] == counts[1] and not doubt:
            commas = np.asarray(pc.match_substring(self.parts.field("body"), ",").fill_null(False)) & (self.weights > 0)
            doubt, odd = COMMA, int(commas.argmax())
        return Style(_STYLES[first].decimal, _STYLES[first].thousands, unit), doubt, odd

    def _common_unit(self, bare: int) -> tuple[str, str, int]:
        """(the unit that at least half of the numbers have, why it is in doubt, a text that shows it)."""
        here = self.valid & (self.weights > 0)
        counts = np.bincount(self.unit[here], weights=self.weights[here], minlength=len(self.units))
        none = self.units.index("")
        counts[none] += bare
        named = counts.sum() - counts[none]
        if not named or 2 * named < counts.sum():
            return "", "", 0
        best = int(np.where(np.arange(len(counts)) == none, -1, counts).argmax())
        others = here & (self.unit != best)
        known = _is_unit(self.units[best])
        if not others.any() and not bare:
            if known:
                return self.units[best], "", 0
            said = "the same letters behind each number, which may be a unit" if here.sum() > _FEW else ""
            return "", said, int(here.argmax())
        if not known:
            strange = not bare and counts[none] == 0 and np.count_nonzero(counts) <= _KINDS and here.sum() > _FEW
            if strange and not (self.weights[~self.valid] > 0).any():
                return "", "letters of several kinds behind the numbers, which may be units or signs", int(here.argmax())
            return "", "", 0
        said = "more than one unit" if counts[none] == 0 else "a unit in some cells and none in others"
        return self.units[best], said, int((others if others.any() else here).argmax())

    def said(self, read: Mask) -> str:
        """What stands for a minus or for a power of ten in the texts that are read, (levels,), in words without a value."""
        minus = [
            (name, text)
            for name, text in (("open", "numbers in brackets are negative"), ("s3", "a minus behind a number is its sign"))
            if (np.asarray(pc.not_equal(self.parts.field(name), "").fill_null(False)) & read & (self.weights > 0)).any()
        ]
        tens = set(self.tens[read & (self.weights > 0)].tolist())
        large = [f"{word} is {10**power:,}" for word, power in _TENS.items() if word not in _SHARES and power in tens]
        return ", ".join([*(text for _, text in minus), *large])

    def values(self, style: Style) -> Values:
        """Each text as a number, NaN where it is none of this style. A number without a unit is of the declared one, but for
        shares: 12 beside 12% may be either."""
        wanted = _unit("", style.unit)[0]
        units = [k for k, unit in enumerate(self.units) if unit == wanted or (unit == "" and wanted not in _SHARES)]
        good = self._fits(style) & np.isin(self.unit, units)
        part = {name: self.parts.field(name) for name in ("open", "close", "s1", "s2", "s3", "body", "exp")}
        minus = sum(np.asarray(pc.equal(part[name], "-").fill_null(False)).astype(int) for name in ("s1", "s2", "s3"))
        signs = sum(np.asarray(pc.not_equal(part[name], "").fill_null(False)).astype(int) for name in ("s1", "s2", "s3"))
        opened, closed = (np.asarray(pc.not_equal(part[name], "").fill_null(False)) for name in ("open", "close"))
        good &= (signs <= 1) & (opened == closed) & ~(opened & (signs > 0))
        found = np.full(len(good), np.nan)
        if good.any():
            kept = pa.array(good)
            body = part["body"].filter(kept)
            body = pc.replace_substring(body, style.thousands, "") if style.thousands else body
            body = pc.replace_substring(body, style.decimal, ".")
            given = pc.replace_substring_regex(part["exp"].filter(kept), "^[eE]", "")
            power = pc.if_else(pc.equal(given, ""), "0", given).cast(pa.int64()).to_numpy() + self.tens[good]
            sign = np.where((minus + opened)[good] > 0, "-", "")
            text = pc.binary_join_element_wise(pa.array(sign), body, "e", pa.array(power).cast(pa.string()), "")
            found[good] = text.cast(pa.float64()).to_numpy()
        return found


def _unit(before: str, behind: str) -> tuple[str, int]:
    """(the unit in lower case, the power of ten that it stands for): 12万元 is 120000 of the unit 元."""
    before, behind, tens = before.strip(), behind.strip().translate(_DOTS), 0
    for word, power in _TENS.items():
        rest = behind[len(word) :]
        if behind.startswith(word) and (rest == "" or (word not in "%‰" and rest.strip().lower() in _COUNTED)):
            tens, behind = power, behind if word in "%‰" else rest.strip()
            break
    unit = (behind or before).lower()
    return _SAME.get(unit, unit), tens


def check_unit(unit: str) -> None:
    """Raises ValueError for a declared one that counts, as 万元 does: what stands behind a number says so there."""
    kept, tens = _unit("", unit)
    if tens > 0:
        said = f"unit is what is counted, and {unit} is {10**tens:,} {kept}".rstrip()
        raise ValueError(
            f"{said}: say unit = {kept!r}; what else stands behind a number is seen there, and bare ones are as they are"
        )


def _is_unit(unit: str) -> bool:
    return unit in _UNITS or unit in [sign.lower() for sign in _SIGNS]
