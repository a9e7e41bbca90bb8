from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from common.trial.processes import Trial
from tests.scenarios import forking


@pytest.fixture(scope="session", autouse=True)
def forked() -> Iterator[None]:
    """Daemons start as copies of a process that has imported all they need."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            patch.setattr(Trial, "begin", forking.begin)
        yield
