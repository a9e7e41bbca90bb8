"""Which rows of a long column have the same text, found without a table of all texts: by keyed hashes, some rows at a time.

Arrow's dictionaries take ten times a text's own room while they are made; where hardly a text comes again nothing is gained.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.rows.cmac import KEY_BYTES, Words, cmac
from common.rows.origin import Data, Mask, Origin, pieces
from common.rows.text import as_text

_SOME = 1 << 18  # rows at a time
_PARTS = 16  # of the hashes, by their first bits, that are sorted one after another

Places = npt.NDArray[np.int64]


def read_alike(origin: Origin, column: str, data: Data) -> tuple[npt.NDArray[np.int32], Any]:
    """As `read_words`: (int32 (n,), -1 where null; the distinct texts as they come, a chunked array), not trimmed.

    Two texts count as the same by 128 bits under a random key: 2^-79 for 2 * 10^7 texts. The column is read twice, and of
    it 16 bytes a row are held.
    """
    tags, null = np.empty((2, data.num_rows), np.uint64), np.zeros(data.num_rows, np.bool_)
    key, low = os.urandom(KEY_BYTES), 0
    for chunk in _chunks(data, column):
        for part, found in _tagged(origin, column, chunk, key):
            rows = slice(low, low := low + len(part))
            tags[:, rows], null[rows] = found.T, np.asarray(part.is_null())
    codes, first = _numbered(tags, null)
    del tags
    texts, low = [pa.array([], pa.string())], 0
    for chunk in _chunks(data, column):
        for part in ranges(chunk):
            begin, end = np.searchsorted(first, (low, low + len(part)))
            at = first[begin:end] - low
            texts.append(_text(origin, column, part if len(at) == len(part) else part.take(pa.array(at))))
            low += len(part)
    return codes, pa.chunked_array(texts)


def ranges(texts: Any) -> Iterator[Any]:
    """An array of text, or a chunked one, some at a time; none of none."""
    for chunk in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        yield from (chunk.slice(low, _SOME) for low in range(0, len(chunk), _SOME))


def told(texts: Any, test: Callable[[Any], Any]) -> Mask:
    """What `test` says of each text, (n,); null is no."""
    found = [np.asarray(test(part).fill_null(False)) for part in ranges(texts)]
    return np.concatenate([np.empty(0, np.bool_), *found])


def changed(texts: Any, change: Callable[[Any], Any]) -> Any:
    """Each text as `change` makes it: one Arrow array."""
    return pa.concat_arrays([pa.array([], pa.string()), *map(change, ranges(texts))])


def same(one: Any, other: Any) -> bool:
    """Whether two arrays of text, either of which may be chunked, are the same."""
    low, high = 0, 0
    for part in ranges(one):
        low, high = high, high + len(part)
        if not part.equals(other.slice(low, len(part))):
            return False
    return high == len(other)


def _chunks(data: Data, column: str) -> Iterator[Any]:
    for piece in pieces(data, column, plain=True):
        yield from piece.chunks


def _text(origin: Origin, column: str, chunk: Any) -> Any:
    return as_text(origin, column, pa.chunked_array([chunk])).combine_chunks()


def _tagged(origin: Origin, column: str, chunk: Any, key: bytes) -> Iterator[tuple[Any, Words]]:
    """Some rows of the chunk after the other, with the tag of each, (k, 2); what stands for null is of no account."""
    if not pa.types.is_dictionary(chunk.type):
        yield from ((part, cmac(_text(origin, column, part), key)) for part in ranges(chunk))
        return
    each = np.append(cmac(_text(origin, column, chunk.dictionary), key), np.zeros((1, 2), np.uint64), axis=0)
    for part in ranges(chunk):
        yield part, each[part.indices.fill_null(len(each) - 1).to_numpy()]


def _numbered(tags: Words, null: Mask) -> tuple[npt.NDArray[np.int32], Places]:
    """Each row's number among the distinct tags (2, n), in the order in which they come; the first row of each."""
    codes, firsts, count = np.full(len(null), -1, np.int32), [np.empty(0, np.int64)], 0
    part_of = (tags[0] >> np.uint64(60)).astype(np.uint8)
    part_of[null] = _PARTS
    for part in range(_PARTS):
        rows = np.flatnonzero(part_of == part)
        high, low = tags[0, rows], tags[1, rows]
        order = np.argsort(high, kind="stable")
        new = np.append(True, high[order[1:]] != high[order[:-1]])
        if not new.all() and (low[order[1:]] != low[order[:-1]])[~new[1:]].any():  # two texts with one first half
            order = np.lexsort((low, high))
            new = np.append(True, (high[order[1:]] != high[order[:-1]]) | (low[order[1:]] != low[order[:-1]]))
        if len(rows):
            codes[rows[order]] = count + np.cumsum(new, dtype=np.int32) - 1
            firsts.append(rows[order[new]])  # the sort is stable
            count += len(firsts[-1])
    first = np.concatenate(firsts)
    if count == len(codes):
        return np.arange(count, dtype=np.int32), np.arange(count)
    place = np.empty(count + 1, np.int32)
    place[np.argsort(first)] = np.arange(count, dtype=np.int32)
    place[-1] = -1
    for start in range(0, len(codes), _SOME):
        codes[start : start + _SOME] = place[codes[start : start + _SOME]]
    return codes, np.sort(first)
