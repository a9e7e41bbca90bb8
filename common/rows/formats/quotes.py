"""Quotes of a delimited file, strictly: each opens before a value and closes behind it, and no value swallows rows.

Readers of CSV take a quote that was never closed for the beginning of one long value, and all rows up to the next quote are
lost without a word. All of the bytes are looked at before any row is believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_BLOCK = 1 << 22
_BREAK = re.compile(rb"\r\n|\r|\n")
_QUOTE, _LINE, _RETURN = 34, 10, 13
_WIDEST = 3  # columns, from which on a line within a value that has as many is taken for a row


@dataclass(frozen=True)
class Fault:
    """What is wrong, the line on which it begins, and the remedy."""

    line: int
    what: str
    remedy: str = "Close the quote, or write it twice within a quoted value."


@dataclass
class Quotes:
    """Walks the bytes of a UTF-8 file. broken: values that hold a line break so far; first: the line of the first."""

    separator: bytes
    width: int
    broken: int = 0
    first: int = 0
    _line: int = 1
    _inside: bool = False
    _opened: int = 0
    _held: bytes = b""
    _before: int = _LINE

    def check(self, stream: IO[bytes]) -> Fault | None:
        """The first fault of the whole stream, or None."""
        left = b""
        while block := stream.read(_BLOCK):
            data = left + block
            cut = len(data) - 1 if data[-1] == _QUOTE else len(data)  # what a quote means depends on what follows it
            data, left = data[:cut], data[cut:]
            if data and (fault := self._walk(data, left)) is not None:
                return fault
        if left and (fault := self._walk(left, b"")) is not None:
            return fault
        if self._inside:
            return Fault(self._opened, "a quote opens a value and is never closed")
        return None

    def _walk(self, data: bytes, following: bytes) -> Fault | None:
        if 0 in data:
            line = self._line + data[: data.index(0)].count(b"\n")
            return Fault(line, "a byte of zero: the file is damaged, or no text", "Copy the file, or export it, again.")
        if _QUOTE not in data:
            if self._inside:
                self._held += data
            self._line += data.count(b"\n")
            self._before = data[-1]
            return None
        fault = self._of_quotes(data, following)
        self._line += data.count(b"\n")
        self._before = data[-1]
        return fault

    def _of_quotes(self, data: bytes, following: bytes) -> Fault | None:
        codes = np.frombuffer(data, np.uint8)
        at = np.flatnonzero(codes == _QUOTE)
        before = np.where(at > 0, codes[at - 1], self._before)
        after = codes[np.minimum(at + 1, len(codes) - 1)].copy()
        if at[-1] == len(codes) - 1:
            after[-1] = following[0] if following else _LINE
        closes = (np.arange(len(at)) + self._inside) % 2 == 1
        ends = np.array([self.separator[0], _LINE, _RETURN, _QUOTE], np.uint8)
        bad = np.where(closes, ~np.isin(after, ends), ~np.isin(before, ends))
        if bad.any():
            return self._stray(data, at, closes, int(bad.argmax()))
        fault = self._swallowed(data, at, closes, np.flatnonzero((codes == _LINE) | (codes == _RETURN)))
        self._inside = not bool(closes[-1])
        if self._inside:
            self._opened = self._line_of(data, int(at[-1]))
            self._held = data[at[-1] + 1 :]
        return fault

    def _stray(self, data: bytes, at: Places, closes: Mask, k: int) -> Fault:
        """A quote that neither opens nor closes a value; the line is that of the quote that opened it."""
        if not closes[k]:
            return Fault(self._line_of(data, int(at[k])), "a quote within a value that does not begin with one")
        opened = k - 1
        while opened > 0 and at[opened] == at[opened - 1] + 1:  # two quotes within the value
            opened -= 2
        line = self._line_of(data, int(at[opened])) if opened >= 0 else self._opened
        return Fault(line, "a quote opens a value and the next one does not close it")

    def _swallowed(self, data: bytes, at: Places, closes: Mask, lines: Places) -> Fault | None:
        """A quoted value whose lines look like rows."""
        ends = at[closes]
        starts = np.concatenate([[-1], at[~closes]])[: len(ends)] if self._inside else at[~closes][: len(ends)]
        broken = np.flatnonzero(np.searchsorted(lines, starts) != np.searchsorted(lines, ends))
        if self._inside and _BREAK.search(self._held):
            broken = np.union1d(broken, [0])
        for k in broken.tolist():
            held = starts[k] < 0
            text = (self._held if held else b"") + data[starts[k] + 1 : ends[k]]
            line = self._opened if held else self._line_of(data, int(starts[k]))
            self.broken += 1
            self.first = self.first or line
            if self.width >= _WIDEST and any(part.count(self.separator) == self.width - 1 for part in _BREAK.split(text)[1:]):
                return Fault(line, "a quoted value holds what looks like rows: its quote may be a stray one")
        return None

    def _line_of(self, data: bytes, at: int) -> int:
        return self._line + data.count(b"\n", 0, at)
