"""Freed memory is handed out again: fresh pages would cost more than the work done in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from common.process import memory
from common.process.memory import free_memory, peak_mib

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
    assert 10 * faults("keep") < faults("give back")  # of huge pages, where there are some, there are few


_RETURNED = """
import sys
import numpy as np
from common.process.memory import return_freed_memory
if sys.argv[1] == "return":
    return_freed_memory()
def resident():
    return int(open("/proc/self/status").read().split("RssAnon:")[1].split()[0]) >> 10
np.ones(3 << 20)  # a freed one tells glibc to take such sizes from its heap
before = resident()
parts = [(np.ones(2 << 20), np.ones(1 << 10)) for _ in range(8)]  # 16 MiB each, with something small after it
small = [part[1] for part in parts]
del parts
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc is asked")
def test_freed_arrays_are_given_back_where_little_memory_was_asked_for() -> None:
    run = [sys.executable, "-c", _RETURNED, "return"]
    assert int(subprocess.run(run, capture_output=True, text=True, check=True).stdout) < 16


_AFTER_A_JOB = """
import sys
import pyarrow as pa
from common.process.memory import give_memory_back, keep_freed_memory
keep_freed_memory()
def resident():
    return int(open("/proc/self/status").read().split("RssAnon:")[1].split()[0]) >> 10
column = pa.array([1.0] * (1 << 20))
column.cast(pa.float32())
give_memory_back()
before = resident()
parts = [bytearray(b"x" * 4000) for _ in range(1 << 14)]  # 64 MiB of a job's
stays = bytearray(b"x" * 4000)  # and what outlasts it, above all that
table = [column.cast(pa.float32()) for _ in range(8)]  # 32 MiB of Arrow's
del parts, table
print(resident() - before)
give_memory_back()
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc is asked")
def test_what_a_job_took_is_given_back_once_it_is_over() -> None:
    said = subprocess.run([sys.executable, "-c", _AFTER_A_JOB], capture_output=True, text=True, check=True).stdout
    kept, left = map(int, said.split())
    assert kept > 80 > 24 > left


def test_peak_memory_is_this_processs_own() -> None:
    held = bytearray(64 << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    assert 64 < peak_mib() < 4096


@pytest.mark.parametrize(("limit", "left"), [(str(3 << 20), (3 << 20) - 2_000_000 + 1_500_000), ("max", None)])
def test_pages_of_files_in_a_control_group_are_free(
    limit: str, left: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (
        ("max", limit),
        ("current", "2000000"),
        ("stat", "anon 400000\ninactive_file 1000000\nactive_file 500000"),
    ):
        (tmp_path / f"memory.{name}").write_text(text + "\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert free_memory() == left if left is not None else free_memory() > 3 << 20
