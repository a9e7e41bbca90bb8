"""Arrays too large for memory, in files that have no name: gone with the process, whatever ends it."""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from common.disk import shared

Array = npt.NDArray[Any]


class Stored:
    """An array of n rows, (n,) or (n, m), in a file, a column after the other. Rows are read and written by slice.

    `stored[low:high]` is a fresh array, column-major; `stored[low:high] = values` writes it through. What is read is no
    part of this process's memory until then: pages are copied, not mapped.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the array
        self._file.truncate(self.nbytes)

    @classmethod
    def opened(cls, descriptor: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Stored:
        """The same array, in a process that was given the descriptor of its file; that may be closed then."""
        stored = cls.__new__(cls)
        stored.shape, stored.dtype = shape, np.dtype(dtype)
        stored._file = os.fdopen(os.dup(descriptor), "rb")
        return stored

    @property
    def descriptor(self) -> int:
        """Of its file, which lives as long as this array."""
        return self._file.fileno()

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        low, high, _ = rows.indices(len(self))
        out = np.empty((high - low, *self.shape[1:]), self.dtype, order="F")
        for column, offset in self._columns(out, low):
            _read(self._file.fileno(), memoryview(column.view(np.uint8).data), offset)
        return out

    def __setitem__(self, rows: slice, values: Array) -> None:
        low, high, _ = rows.indices(len(self))
        given = np.asfortranarray(np.broadcast_to(values, (high - low, *self.shape[1:])), self.dtype)
        for column, offset in self._columns(given, low):
            _write(self._file.fileno(), memoryview(column.view(np.uint8).data), offset)

    def _columns(self, values: Array, low: int) -> list[tuple[Array, int]]:
        """Each column of `values`, contiguous, and its place in the file when the first row is `low`."""
        columns = values.T if values.ndim == 2 else values[None]
        return [(column, (j * len(self) + low) * self.dtype.itemsize) for j, column in enumerate(columns) if len(column)]

    def __repr__(self) -> str:
        return f"Stored({self.shape}, {self.dtype})"


def _read(file: int, into: memoryview, offset: int) -> None:
    while into:
        count = os.preadv(file, [into], offset)
        if not count:
            raise OSError("a scratch file is shorter than was written")
        into, offset = into[count:], offset + count


def _write(file: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(file, data, offset)
        data, offset = data[count:], offset + count


class Scratch:
    """A job's place for large arrays: in memory while they fit in `budget` bytes together, then in files in `folder`."""

    def __init__(self, folder: Path | None = None, budget: int = 1 << 62, *, sharing: bool = False) -> None:
        """sharing: whether other processes of this machine read rows of what is kept here."""
        self.folder, self._left, self._sharing = folder, budget, sharing

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike, *, rows: bool = False) -> Any:
        """An ndarray, column-major, or a `Stored`: alike for whoever reads and writes slices of rows.

        rows: whether it is of those that others read, where there are any; they then read it where it lies.
        """
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.folder is not None and size > self._left:
            return Stored(self.folder, shape, dtype)
        self._left -= size
        if rows and self._sharing:
            array = shared.empty(shape, dtype)
            weakref.finalize(shared.memory_of(array), self._give_back, size)
        else:
            array = np.empty(shape, dtype, order="F")
            weakref.finalize(array, self._give_back, size)
        return array

    def keep(self, values: Array) -> Any:
        """`values` themselves while they fit, else their copy in a file."""
        if self.folder is None:
            return values  # no file would ever take one, so nobody needs to count them
        size = values.nbytes
        if size <= self._left:
            self._left -= size
            weakref.finalize(values, self._give_back, size)
            return values
        stored = Stored(self.folder, values.shape, values.dtype)
        stored[:] = values
        return stored

    def file(self) -> BinaryIO:
        """A file without a name, to write and read; only where there is a folder."""
        if self.folder is None:
            raise ValueError("no scratch folder was given")
        self.folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self.folder)

    def fits(self, size: int) -> bool:
        """Whether `size` more bytes may be held in memory."""
        return self.folder is None or size <= self._left

    def _give_back(self, size: int) -> None:
        self._left += size
