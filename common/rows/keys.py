"""Ids and months in the form in which two companies compare rows; unified social credit codes; ids masked for reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_PERIOD = r"^\d{4}((0[1-9]|1[0-2])|-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)$"
CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = np.array([pow(3, i, 31) for i in range(17)] + [1])
_CODE = rf"^[{CODE_ALPHABET}]{{18}}$"
_SHOWN = 4


def normal_ids(text: Any) -> Any:
    """Ids (an Arrow array of text) with full width made ASCII (NFKC), in upper case, without spaces; null stays null."""
    upper = pc.utf8_upper(pc.utf8_normalize(text, form="NFKC"))
    return pc.replace_substring_regex(upper, r"[\s\p{Z}]+", "")


def months(values: Any) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """(months counted from year 0: year * 12 + month - 1, where it is no month) of Arrow text, dates or timestamps.

    Text is YYYY-MM, YYYYMM or YYYY-MM-DD. A month that is none counts as 0.
    """
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        years, of_year, bad = pc.year(values), pc.month(values), np.asarray(values.is_null())
    else:
        good = pc.match_substring_regex(values, _PERIOD).fill_null(False)
        digits = pc.replace_substring(pc.if_else(good, values, "000001"), "-", "")
        years, of_year = pc.utf8_slice_codeunits(digits, 0, 4), pc.utf8_slice_codeunits(digits, 4, 6)
        bad = ~np.asarray(good)
    counted = years.cast(pa.int32()).fill_null(0).to_numpy() * 12 + of_year.cast(pa.int32()).fill_null(1).to_numpy() - 1
    return counted.astype(np.int32, copy=False), bad


def month_text(month: int) -> str:
    """YYYY-MM of a month counted from year 0."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


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
