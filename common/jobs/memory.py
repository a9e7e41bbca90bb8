"""How much memory this process has used. Apart from the report, so that the coordinator need not load a party's stages."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_mib() -> float:
    """The largest resident size of this process so far."""
    try:  # getrusage counts the parent's size at the fork as well
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024.0
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
