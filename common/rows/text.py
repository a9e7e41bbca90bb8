"""Text as files hold it: trimmed, without characters that cannot be seen; the words that mean nothing is known."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.rows.origin import Data, Origin, pieces

MISSING = (
    "", "na", "n/a", "nan", "null", "none", "nil", "<na>", "nat", "\\n",
    "(null)", "[null]", "-nan", "1.#qnan", "-1.#ind", "1.#ind", "nan(ind)", "-nan(ind)",
    "#n/a", "#na", "#n/a n/a", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!",
)  # fmt: skip
"""What means that nothing is known, in lower case: of R, pandas, SQL and its clients, Hive (\\N), C, a spreadsheet's errors."""

_UNSEEN = r"[\x{0}-\x{8}\x{B}\x{C}\x{E}-\x{1F}\x{7F}-\x{9F}\p{Cf}]+"


def is_number(kind: Any) -> bool:
    """Whether a column of this Arrow type holds numbers (or booleans, read as 0 and 1)."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def is_text(kind: Any) -> bool:
    """Whether a column of this Arrow type holds text; Hive and Impala write text as bytes."""
    types = pa.types
    held = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(
        held
        or types.is_fixed_size_binary(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
    )


def is_time(kind: Any) -> bool:
    """Whether a column of this Arrow type holds dates or timestamps."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def plain(values: Any) -> Any:
    """A column (a chunked array) without coding; one of which nothing is known is text, since nothing is wrong with it."""
    values = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    if pa.types.is_fixed_size_binary(values.type):
        values = values.cast(pa.binary())
    return values.cast(pa.string()) if pa.types.is_null(values.type) else values


def uuid_text(values: Any) -> Any:
    """UUIDs of 16 bytes each (an array) as the texts that everybody writes for them."""
    whole = np.frombuffer(b"".join(values.fill_null(bytes(16)).to_pylist()), np.uint8).reshape(-1, 16)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)[np.stack([whole >> 4, whole & 15], axis=2)].reshape(-1, 32)
    parts = np.insert(digits, (8, 12, 16, 20), ord("-"), axis=1)
    texts = pa.FixedSizeBinaryArray.from_buffers(pa.binary(36), len(values), [None, pa.py_buffer(parts.tobytes())])
    return pc.if_else(values.is_valid(), texts.cast(pa.binary()).cast(pa.string()), None)


def seen(text: Any) -> Any:
    """`text` trimmed, without control characters and those of no width."""
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(text, _UNSEEN, ""))


def as_text(origin: Origin, column: str, values: Any) -> Any:
    """A column as text, numbers as they are printed: 2 for 2.0. Raises DataError for another type, and bytes that are none."""
    values = plain(values)
    kind = values.type
    if not (is_number(kind) or is_text(kind)):
        remedy = "Leave the column out, or write it as text or numbers."
        raise origin.fault(f"column {column!r}: its type, {kind}, is neither text nor number", remedy=remedy)
    try:
        text = values.cast(pa.string())
        text.validate(full=True)
    except pa.ArrowInvalid:
        raise origin.fault(f"column {column!r} holds bytes that are not UTF-8 text", remedy="Write it as text.") from None
    return _whole_decimals(text) if pa.types.is_decimal(kind) else text


def _whole_decimals(text: Any) -> Any:
    """Decimals without the zeros that end them, as the same numbers print in any other type."""
    return pc.replace_substring_regex(pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1"), r"\.$", "")


def read_text(origin: Origin, column: str, data: Data) -> Any:
    """The column as trimmed text (a chunked array), missing as null."""
    return pc.utf8_trim_whitespace(as_text(origin, column, data[column]))


def is_missing(text: Any, words: Collection[str] = ()) -> Any:
    """Whether each text says that nothing is known, by a word of MISSING or one of `words`: an Arrow array without nulls."""
    absent = pc.is_in(pc.utf8_lower(text), value_set=pa.array([*MISSING, *(word.lower() for word in words)], pa.string()))
    return pc.or_(text.is_null(), absent)


def read_coded(origin: Origin, column: str, data: Data, words: Collection[str] = ()) -> tuple[npt.NDArray[np.int32], Any]:
    """The column as text, coded: (int32 (n,), -1 where missing; the texts as an Arrow array, null where they say nothing)."""
    codes, levels = read_words(origin, column, data)
    return codes, pc.if_else(is_missing(levels, words), None, levels)


def said_of_zeros(what: str, categories: Collection[str]) -> list[str]:
    """What is said of categories of digits that are others of them but for zeros in front; nothing where none is."""
    digits = {text for text in categories if text.isascii() and text.isdigit()}
    alike = len(digits) - len({text.lstrip("0") for text in digits})
    if not alike:
        return []
    many = "category is another" if alike == 1 else "categories are others"
    return [f"{what}: {alike} {many} but for zeros in front, as programs drop that take codes for numbers: write each one way"]


def read_words(origin: Origin, column: str, data: Data) -> tuple[npt.NDArray[np.int32], Any]:
    """The column as text, coded: (int32 (n,), -1 where null; the texts as an Arrow array, not all different)."""
    found, waiting = _Words(np.empty(data.num_rows, np.int32)), list[Any]()
    for values in pieces(data, column):
        if values.num_chunks:
            waiting.append(_coded(values if pa.types.is_dictionary(values.type) else as_text(origin, column, values)))
        if sum(len(coded.dictionary) for coded in waiting) >= len(found.texts):  # so that each text is looked up a few times
            found.add(waiting)
            waiting = []
    found.add(waiting)
    return found.codes, seen(as_text(origin, column, pa.chunked_array([found.texts])).combine_chunks())


@dataclass
class _Words:
    """A column of which the first `count` rows are known, as `codes` of these texts."""

    codes: npt.NDArray[np.int32]
    texts: Any = field(default_factory=lambda: pa.array([], pa.string()))
    count: int = 0

    def add(self, coded: list[Any]) -> None:
        """The next rows; texts not known yet go behind the others."""
        if self.count:
            coded = [pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), self.texts), *coded]
        for part in pa.chunked_array(coded).unify_dictionaries().chunks if len(coded) > 1 else coded:
            self.codes[self.count : self.count + len(part)] = part.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            self.texts, self.count = part.dictionary, self.count + len(part)


def _coded(values: Any) -> Any:
    """A column as one coded array, of 32 bits a row; its texts in the order in which they come."""
    coded = values.unify_dictionaries() if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    whole = coded.combine_chunks()
    return pa.DictionaryArray.from_arrays(whole.indices.cast(pa.int32()), whole.dictionary)
