"""Words modulo 2^40, 2^48 or 2^56 as they cross a line: 5, 6 or 7 bytes each. PROTOCOL.md section 2.

Of all words the low 32 bits come first, then the next 16 of each but where there are 5 bytes, then the upper 8 but where there
are 6: planes, which the processor's wide instructions take apart and put together. Parties send them as bytes; what is dealt
and stored is words of 8 bytes, the last of which is filled up with zeros.
"""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import LocalProtocolError
from common.mpc.fixedpoint import Words
from common.mpc.narrow import word_count

WIDE = 8  # bytes of a word that is not short
WIDTHS = (6, 7)  # of words that are dealt and what they mask
LEAST = 5  # of what is sent of samples, which are cut
_FEW = 1 << 12  # words
_BLOCK = 1 << 14  # words that stay in the processor's cache from one plane to the next

Sent = npt.NDArray[Any]


def dealt_shape(shape: tuple[int, ...], width: int) -> tuple[int, ...]:
    """The shape of the words that are dealt for words of this shape: their own if they are not short."""
    return shape if width == WIDE else (word_count(width * math.prod(shape)),)


def sent_as(shape: tuple[int, ...], width: int) -> tuple[Any, tuple[int, ...]]:
    """Type and shape of what a party sends of words of this shape: they themselves if they are not short, else bytes."""
    return (np.uint64, shape) if width == WIDE else (np.uint8, (width * math.prod(shape),))


class Short:
    """Words, (n,), of `width` bytes each, in an array that crosses the line; read and written by slices.

    Bits above the width are zero when read, and left out when written.
    """

    def __init__(self, sent: Sent, count: int, width: int) -> None:
        """sent: as dealt or sent. Raises LocalProtocolError for another size, or another width than 5, 6 or 7."""
        data = sent.view(np.uint8)
        if width not in (LEAST, *WIDTHS) or data.ndim != 1 or not 0 <= len(data) - width * count < 8:
            raise LocalProtocolError("short words of another size", got=(sent.dtype, sent.shape, count, width))
        self._low: Sent = data[: 4 * count].view("<u4")
        self._middle: Sent = data[4 * count : (width & 6) * count].view("<u2")  # of no words where there are 5 bytes
        self._upper: Sent = data[(width & 6) * count : width * count]  # and these where there are 6

    def rows(self, size: int) -> list[Short]:
        """Their rows of `size` words, one after the other."""
        return [self._part(slice(first, first + size)) for first in range(0, len(self._low), size)]

    def _part(self, part: slice) -> Short:
        row = copy(self)
        row._low, row._middle, row._upper = self._low[part], self._middle[part], self._upper[part]
        return row

    def __getitem__(self, part: slice) -> Words:
        if len(self._upper):
            words: Words = self._upper[part].astype(np.uint64)
            if len(self._middle):
                words <<= np.uint64(16)
                words |= self._middle[part]
        else:
            words = self._middle[part].astype(np.uint64)
        words <<= np.uint64(32)
        words |= self._low[part]
        return words

    def __setitem__(self, part: slice, words: Words) -> None:
        self._low[part] = words.view("<u4")[::2]
        if len(self._middle):
            self._middle[part] = words.view("<u2")[2::4]
        if len(self._upper):
            self._upper[part] = words.view(np.uint8)[6 if len(self._middle) else 4 :: 8]


def dealt_place(shape: tuple[int, ...], width: int) -> Words:
    """A place for what is dealt for words of this shape, `dealt_shape`; what fills its last word is zero."""
    place: Words = np.empty(dealt_shape(shape, width), np.uint64)
    place[-1:] = 0
    return place


def shorten(words: Words, width: int) -> Sent:
    """What a party sends of words, of any shape: see `sent_as`."""
    if width == WIDE:
        return words
    flat = np.ascontiguousarray(words).reshape(-1)
    sent = np.empty(width * len(flat), np.uint8)
    short = Short(sent, len(flat), width)
    for low in range(0, len(flat), _BLOCK):
        short[low : low + _BLOCK] = flat[low : low + _BLOCK]
    return sent


def lengthen(sent: Sent, width: int, shape: tuple[int, ...]) -> Words:
    """What `shorten` was given, of this shape, with zeros above the width."""
    if width == WIDE:
        return sent
    count = math.prod(shape)
    if count <= _FEW:  # as of a row that is asked for: a third of what taking it by rows and blocks does
        return Short(sent, count, width)[:].reshape(shape)
    words: Words = np.empty(count, np.uint64)
    fill(words[None], sent, width)
    return words.reshape(shape)


def fill(rows: Words, sent: Sent, width: int) -> None:
    """Overwrites rows, (k, n), which may lie apart, with the words that `shorten` was given, of less than 8 bytes."""
    short = Short(sent, rows.size, width)
    for row, words in zip(rows, short.rows(rows.shape[1]) if rows.size else [short] * len(rows), strict=True):
        for low in range(0, len(row), _BLOCK):
            row[low : low + _BLOCK] = words[low : low + _BLOCK]
