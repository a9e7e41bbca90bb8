"""What tests reach is seen line by line, also in a process that was copied and is killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.reached import WHERE, left
from tests.source import ROOT

USUAL = """
from tests import reached
from common.errors import IdentityError
from common.party import Identity
reached.trace.tell("usual")
Identity.parse("wattscore://bank/client").dns
"""
KILLED = """
import os, signal
if (pid := os.fork()) == 0:
    reached.trace.tell("of the copy")
    try:
        Identity.parse("bank")
    except IdentityError:
        os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(pid, 0)
"""


def run(file: Path, calls: str) -> None:
    environment = {**os.environ, WHERE: str(file), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", calls], env=environment, check=True)


def test_what_the_rest_alone_reaches_is_told_with_the_test_that_did(tmp_path: Path) -> None:
    run(tmp_path / "usual", USUAL)
    run(tmp_path / "rest", USUAL + KILLED)
    code = (ROOT / "common" / "party.py").read_text(encoding="utf-8").splitlines()
    found = list(left(tmp_path))
    here = [int(where.partition(":")[2]) for where, test in found if where.startswith("common/party.py:")]
    assert {test for _, test in found} == {"of the copy"} and re.search("raise IdentityError", code[here[0] - 1])
    assert all(not re.search("return cls", code[line - 1]) for line in here)
    run(tmp_path / "usual", USUAL + KILLED)
    assert list(left(tmp_path)) == []
