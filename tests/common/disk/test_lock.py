"""One process a folder: the second is told by whose number, and the lock goes with the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from common.disk.lock import Lock
from common.errors import ConfigError

HOLD = """
import pathlib, sys
from common.disk.lock import Lock
lock = Lock(pathlib.Path(sys.argv[1]))
print(1, flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_who_has_the_folder(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None and first.stdout.readline() == b"1\n"
        with pytest.raises(ConfigError, match=f"{tmp_path} is in use by process {first.pid}"):
            Lock(tmp_path)
        first.kill()  # whatever ends it
        first.wait()
    Lock(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_it_is_free_again_once_released(tmp_path: Path) -> None:
    for _ in range(2):
        Lock(tmp_path / "new").release()
