"""A party's command line, and the coordinator's, before anything that it lists is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.malloc import asks_glibc

PROGRAM = """
import bank_party.__main__, sys
assert "pyarrow" not in sys.modules
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize("named", [None, "mimalloc"])
def test_what_arrow_frees_a_daemon_can_give_back_unless_its_operator_chooses(named: str | None) -> None:
    env = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    if named is not None:
        env["ARROW_DEFAULT_MEMORY_POOL"] = named
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == (named or "system")


HEAPS = """
import ctypes, sys
if sys.argv[2:]:
    __import__(sys.argv[2])
import threading
import pyarrow
done = threading.Thread(target=lambda: bytearray(1 << 20))
done.start()
done.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
print(open(sys.argv[1]).read().count("<heap nr="))
"""


@asks_glibc
@pytest.mark.parametrize("main", ["bank_party.__main__", "grid_party.__main__", "common.coordinator.__main__"])
def test_all_threads_of_a_daemon_share_one_heap_those_of_libraries_too(main: str, tmp_path: Path) -> None:
    """Of which all that is free can be given back."""

    def heaps(*before: str) -> int:
        run = [sys.executable, "-c", HEAPS, str(tmp_path / "heaps.xml"), *before]
        return int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)

    assert heaps() > 1 == heaps(main)
