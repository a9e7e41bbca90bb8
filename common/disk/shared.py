"""Arrays in memory that other processes of this machine may read too, given a descriptor of it. Linux alone has it."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_NEVER_RUN = 8  # MFD_NOEXEC_SEAL of linux/memfd.h: kernels from 6.3 on may insist on it, and older ones do not know it


class Memory(mmap.mmap):
    """So many bytes without a name, zero at first: gone once nobody has them any more, whatever ends their processes."""

    descriptor: int
    address: int

    @classmethod
    def of(cls, size: int) -> Memory:
        try:
            descriptor = os.memfd_create("wattscore", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | _NEVER_RUN)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            descriptor = os.memfd_create("wattscore", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, size)
            # who reads it would be ended by a shorter one
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            memory = cls(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise
        weakref.finalize(memory, os.close, descriptor)
        memory.descriptor, memory.address = descriptor, np.frombuffer(memory, np.uint8).ctypes.data
        return memory


def can_share() -> bool:
    """Whether this system has such memory."""
    return hasattr(os, "memfd_create")


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """An array of zeros, column-major, that others may read by `descriptor_of`."""
    return np.ndarray(shape, dtype, Memory.of(_size(shape, dtype)), order="F")


def descriptor_of(values: Array) -> int | None:
    """By which another process reads what `empty` made, while it is there; None of any other array, or of a part of one."""
    base: Any = values
    while isinstance(base, np.ndarray):
        base = base.base
    whole = isinstance(base, Memory) and values.flags.f_contiguous and values.ctypes.data == base.address
    return base.descriptor if whole and len(base) == _size(values.shape, values.dtype) else None


def memory_of(values: Array) -> Memory:
    """What an array that `empty` made lies in."""
    assert isinstance(values.base, Memory)  # noqa: S101
    return values.base


def opened(descriptor: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """The same array, which cannot be written, in a process that was given its descriptor; that may be closed then."""
    return np.ndarray(shape, dtype, mmap.mmap(descriptor, _size(shape, dtype), prot=mmap.PROT_READ), order="F")


def _size(shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    return max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
