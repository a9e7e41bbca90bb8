"""PostgreSQL for the tests of this folder, and a loud word at the end where there is none."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.common.records.postgres import server

_missing: list[str] = []


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real server. Set WATTSCORE_REQUIRE_POSTGRES to fail rather than skip where none can be started."""
    with ExitStack() as stack:
        try:
            pytest.importorskip("psycopg", exc_type=ImportError)
            url = stack.enter_context(server())
        except (OSError, subprocess.SubprocessError, pytest.skip.Exception) as error:
            if os.environ.get("WATTSCORE_REQUIRE_POSTGRES"):
                raise
            _missing.append(str(error))
            pytest.skip(f"PostgreSQL IS NOT TESTED: {error}")
        yield url


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _missing:
        terminalreporter.write_line(f"PostgreSQL WAS NOT TESTED: {_missing[0]}", red=True, bold=True)
