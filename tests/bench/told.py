"""A command that says at its end what it took: `python -m tests.bench.told ARGUMENTS`, as `wattscore ARGUMENTS`.

The last line on its standard error: processor seconds, those of the process that speaks to Ray among them, and peak MiB. The
kernel's own figure of a child's memory has its parent's in it.
"""

from __future__ import annotations

import resource
import sys
import time

from common.cli import main
from common.process.memory import peak_mib

if __name__ == "__main__":
    try:
        main()
    finally:
        other = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(time.process_time() + other.ru_utime + other.ru_stime, peak_mib(), file=sys.stderr)
