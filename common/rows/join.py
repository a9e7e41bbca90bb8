"""Columns of one name in many files, joined by what they mean where their types differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from common.rows.numbers import floats
from common.rows.origin import Origin
from common.rows.text import as_text, is_missing, is_number, is_text, is_time, plain

_TRUTH = ("true", "false")


def joined(origin: Origin, column: str, parts: Sequence[Any], which: Callable[[int], str]) -> Any:
    """One chunked array of all parts. which: names the file of a part. Raises DataError for what cannot be one column."""
    kinds = {part.type for part in parts if not pa.types.is_null(_value(part.type))}
    if len(kinds) == 1:
        (kind,) = kinds
        return _chunks([part if part.type == kind else plain(part).cast(_value(kind)) for part in parts], kind)
    parts = [plain(part) for part in parts]
    types = [part.type for part in parts]
    if all(is_number(kind) or is_text(kind) for kind in types):
        return _values(origin, column, parts)
    if all(is_time(kind) or is_text(kind) for kind in types):
        return _times(origin, column, parts, which)
    first = next(k for k, kind in enumerate(types) if kind != types[0])
    what = f"column {column!r} is {types[0]} in one file and {types[first]} in another"
    local = f"column {column!r} is {types[0]} in {which(0)} and {types[first]} in {which(first)}"
    raise origin.fault(what, local=local, remedy="Write it as one type, or as text.")


def _value(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _chunks(parts: Sequence[Any], kind: Any = None) -> Any:
    if kind is not None and any(part.type != kind for part in parts):
        parts = [plain(part) for part in parts]
    chunks = [chunk for part in parts for chunk in part.chunks]
    return pa.chunked_array(chunks, parts[0].type)


def _values(origin: Origin, column: str, parts: Sequence[Any]) -> Any:
    """Numbers of several types, and text. What a float may not hold is joined as the text that prints it."""
    kinds = [part.type for part in parts]
    if all(pa.types.is_boolean(k) or (pa.types.is_integer(k) and k != pa.uint64()) for k in kinds):
        return _chunks([_small(part).cast(pa.int64()) for part in parts])
    if all(pa.types.is_floating(k) for k in kinds):
        return pa.chunked_array([pa.array(floats(part), from_pandas=True) for part in parts], pa.float64())
    words = _speaks_of_truth([part for part in parts if is_text(part.type)])
    parts = [_printed(part, words) for part in parts]
    return _chunks([as_text(origin, column, part) for part in parts])


def _small(part: Any) -> Any:
    return part.cast(pa.int8()) if pa.types.is_boolean(part.type) else part


def _printed(part: Any, words: bool) -> Any:
    if pa.types.is_boolean(part.type) and not words:
        return part.cast(pa.int8())
    if pa.types.is_floating(part.type) and part.type != pa.float64():
        return pa.chunked_array([pa.array(floats(part), from_pandas=True)])
    return part


def _speaks_of_truth(texts: Sequence[Any]) -> bool:
    """Whether the files that hold text write true and false, and not 1 and 0."""
    found = {str(text).lower() for part in texts for text in part.filter(pc.invert(is_missing(part))).unique().to_pylist()[:64]}
    return bool(found) and found <= {*_TRUTH, "t", "f"}


def _times(origin: Origin, column: str, parts: Sequence[Any], which: Callable[[int], str]) -> Any:
    if any(is_text(part.type) for part in parts):
        return _chunks([_iso(part) for part in parts])
    zoned = [pa.types.is_timestamp(part.type) and part.type.tz is not None for part in parts]
    if any(zoned) and not all(zoned):
        one, other = zoned.index(True), zoned.index(False)
        what = f"column {column!r} holds instants in one file and local times or dates in another"
        local = f"column {column!r} holds instants in {which(one)} and local times or dates in {which(other)}"
        raise origin.fault(what, local=local, remedy="Write all as dates.")
    return _chunks([part.cast(pa.timestamp("us", "UTC" if zoned[0] else None)) for part in parts])


def _iso(part: Any) -> Any:
    """Dates as YYYY-MM-DD; times as text that keeps whether a zone stands behind."""
    if is_text(part.type):
        return part.cast(pa.string())
    if pa.types.is_date(part.type):
        return part.cast(pa.date32()).cast(pa.string())
    zoned = part.type.tz is not None
    seconds = part.cast(pa.timestamp("s", "UTC" if zoned else None), safe=False)
    return pc.strftime(seconds, "%Y-%m-%dT%H:%M:%S" + ("Z" if zoned else ""))
