"""Without root or `ip` the pages are not followed; that is said at the end in capitals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.separate.land import why_not

_missing: list[str] = []


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _missing:
        terminalreporter.section("DEPLOYMENT PAGES NOT FOLLOWED", sep="!", red=True, bold=True)
        terminalreporter.line(f"The pages of deploy/ are UNTESTED here: {_missing[0]}. Run the tests as root on Linux.")


@pytest.fixture(scope="session")
def namespaces() -> None:
    if reason := why_not():
        _missing.append(reason)
        pytest.skip(f"DEPLOYMENT PAGES NOT FOLLOWED: {reason}")
