from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.client.client import Client
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.town import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One for all tests of a module, each of which leaves it whole."""
    with Lines() as lines, Town(tmp_path_factory.mktemp("town"), lines) as town:
        yield town


@pytest.fixture
def client(town: Town) -> Iterator[Client]:
    town.revive()
    with town.client() as client:
        yield client
