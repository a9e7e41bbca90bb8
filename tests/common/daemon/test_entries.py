"""A party's command line, before anything that it lists is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
