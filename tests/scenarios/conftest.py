from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.forked import forked


@pytest.fixture(scope="session", autouse=True)
def _forked() -> Iterator[None]:
    with forked():
        yield
