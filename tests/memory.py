"""What is held in memory while something is done, as Python and numpy allocate it: the same on a busy machine."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_at_most(mib: int) -> Iterator[None]:
    """Fails where more than this is held at one time, beside what was there before."""
    tracemalloc.start()
    try:
        yield
        held = tracemalloc.get_traced_memory()[1] / (1 << 20)
    finally:
        tracemalloc.stop()
    assert held < mib, f"{held:.1f} MiB"
