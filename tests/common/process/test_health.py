"""The heartbeat by which a container engine knows a daemon: fresh, old, none; and how little it takes to look."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.process.health import EVERY, check_beat


def test_a_fresh_heartbeat_is_health_and_an_old_or_lacking_one_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beat = tmp_path / "alive"
    assert check_beat(beat) == 1 and "no heartbeat" in capsys.readouterr().err
    beat.touch()
    assert check_beat(beat) == 0 and capsys.readouterr().err == ""
    os.utime(beat, (time.time() - 3600, time.time() - 3600))
    assert check_beat(beat) == 1 and "3600 s old" in capsys.readouterr().err
    os.utime(beat, (time.time() + 3600, time.time() + 3600))  # of a daemon that hung before the clock was set back
    assert check_beat(beat) == 1 and "ahead of the clock" in capsys.readouterr().err
    os.utime(beat, (time.time() - 4 * EVERY, time.time() - 4 * EVERY))  # a loop that was busy
    assert check_beat(beat) == 0


def test_looking_loads_nothing_but_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "alive").touch()
    code = (
        "import sys\nfrom common.process.health import main\nsys.argv = ['wattscore-health']\n"
        "try: main()\nexcept SystemExit as end: print(end.code, *sys.modules)"
    )
    environment = {**os.environ, "WATTSCORE_HEARTBEAT": str(tmp_path / "alive")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    ended, *loaded = done.stdout.split()
    assert ended == "0" and not {"click", "grpc", "numpy", "pydantic", "cryptography"} & set(loaded)
