"""What this process has asked of glibc's malloc: what no counter of Python's objects sees."""

from __future__ import annotations

import ctypes
import sys

import pytest


class _Malloc(ctypes.Structure):
    """struct mallinfo2 of malloc.h."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]
    )


def in_use() -> int:
    """Bytes that were asked of glibc and not freed, without what it has freed itself and keeps."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Malloc
    found = libc.mallinfo2()
    return int(found.uordblks + found.hblkhd)


def asks_glibc(test: object) -> object:
    """Leaves a test out where there is no such malloc."""
    there = sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallinfo2")
    return pytest.mark.skipif(not there, reason="glibc's malloc is asked")(test)
