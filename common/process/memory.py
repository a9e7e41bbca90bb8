"""How much memory this process has used, and may still take. Apart from the report: the coordinator loads no stages for it."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # this process's own, in a container
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h


def peak_mib() -> float:
    """The largest resident size of this process so far."""
    try:  # getrusage counts the parent's size at the fork as well
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024.0
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def own_peak_mib() -> float:
    """The same without what it reads of another process's memory now."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return max(0.0, peak_mib() - int(status.split("RssShmem:")[1].split()[0]) / 1024.0)
    except (OSError, IndexError):
        return peak_mib()


def free_memory() -> int:
    """Bytes that a process may still take: what Linux calls available, or what is left of its control group's limit."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")]
    try:
        line = next(t for t in Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if t.startswith("MemAvailable:"))
        found = [int(line.split()[1]) << 10]
    except (OSError, StopIteration):
        pass
    try:
        limit, used = (int((CGROUP / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        held = dict(line.split() for line in (CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        # pages of files that were read count as used, and are given up for who needs them
        found.append(limit - used + int(held.get("inactive_file", 0)) + int(held.get("active_file", 0)))
    except (OSError, ValueError):  # no such group, or its limit is "max"
        pass
    return max(0, min(found))


def share_one_heap() -> None:
    """Has all threads take memory from one heap. To be called before there are any: what has a heap of its own keeps it.

    `give_memory_back` gives nothing back from the top of a thread's own heap, where up to 64 MiB stay as a job leaves them.
    """
    _mallopt((_ARENA_MAX, 1))


def take_arrow_from_the_heap() -> None:
    """Has Arrow, once it is imported, take memory from malloc: its own allocators keep some 20 to 50 MiB that were freed."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def keep_freed_memory() -> None:
    """Lets glibc hand freed blocks out again instead of giving them back: training allocates megabytes at every step.

    Fresh pages cost more than the encryption that fills them. Blocks above 64 MiB, columns of very many rows, are given back:
    kept, they would lie between others as holes that nothing of another size fills. Elsewhere than on glibc this does nothing.
    """
    _mallopt((_MMAP_THRESHOLD, 1 << 26), (_TRIM_THRESHOLD, (1 << 31) - 1))


def return_freed_memory() -> None:
    """Lets freed blocks be given back at once: for who was asked to get by with little. To be called before Arrow is imported.

    Arrow's allocators keep what they were given, and its Parquet writer asks the one that the import has chosen, whatever pool
    is set later. Blocks below 1 MiB go back by its pool's `release_unused`: one by one, their pages would be fetched from the
    system again at once, which took 40 % more of a processor in all.
    """
    share_one_heap()
    take_arrow_from_the_heap()
    _mallopt((_MMAP_THRESHOLD, 1 << 20), (_TRIM_THRESHOLD, 1 << 20))


def set_imports_apart() -> None:
    """Has Python's collector look no more through what there is by now, of which nothing goes, such as imported modules.

    To look through all of a daemon's takes 80 ms of one processor, in which it answers nothing.
    """
    gc.collect()
    gc.freeze()


def give_memory_back() -> None:
    """Gives back what is freed by now, though freed blocks are kept: for a daemon whose job is over.

    Without it a daemon holds the most that any of its jobs took, and a little more after each, as blocks come to lie otherwise.
    Takes milliseconds in which nobody else allocates. Elsewhere than on glibc only Arrow's memory is given back.
    """
    if (arrow := sys.modules.get("pyarrow")) is not None:  # a coordinator has not loaded it
        arrow.default_memory_pool().release_unused()
    if (trim := _of_libc("malloc_trim")) is not None:
        trim(0)


def _mallopt(*options: tuple[int, int]) -> None:
    if (mallopt := _of_libc("mallopt")) is not None:
        for option, value in options:
            mallopt(option, value)


def _of_libc(name: str) -> Callable[..., int] | None:
    """None where the C library has no such function."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return found
