"""How much memory this process has used. Apart from the report, so that the coordinator need not load a party's stages."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h


def peak_mib() -> float:
    """The largest resident size of this process so far."""
    try:  # getrusage counts the parent's size at the fork as well
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024.0
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def keep_freed_memory() -> None:
    """Lets glibc hand freed blocks out again instead of giving them back: training allocates megabytes at every step.

    Fresh pages cost more than the encryption that fills them. Elsewhere than on glibc this does nothing.
    """
    _mallopt((_ARENA_MAX, 1), (_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, (1 << 31) - 1))


def return_freed_memory() -> None:
    """Lets glibc give freed blocks back at once: for who was asked to get by with little. Elsewhere this does nothing."""
    _mallopt((_ARENA_MAX, 2), (_MMAP_THRESHOLD, 1 << 20), (_TRIM_THRESHOLD, 1 << 20))


def _mallopt(*options: tuple[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for option, value in options:
        mallopt(option, value)
