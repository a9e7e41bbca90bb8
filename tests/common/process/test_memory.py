"""Freed memory is handed out again: fresh pages would cost more than the work done in them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from common.process.memory import peak_mib

_SCRIPT = """
import resource, sys
import numpy as np
from common.process.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(5):
    np.ones(6 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(6 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    return int(subprocess.run([sys.executable, "-c", _SCRIPT, mode], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="page faults of glibc's malloc are counted")
def test_large_arrays_come_from_memory_already_mapped() -> None:
    assert faults("keep") < 1000 < faults("give back")


def test_peak_memory_is_this_processs_own() -> None:
    held = bytearray(64 << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    assert 64 < peak_mib() < 4096
