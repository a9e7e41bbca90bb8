"""Two joined Ray nodes for all tests of this folder, a world of records, and what is made of it by one process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.party import Party
from common.trial.world import make_world, world_config
from tests.scenarios.ray.nodes import Node, nodes, why_not


@pytest.fixture(scope="session", autouse=True)
def _where_there_is_ray() -> None:
    if why := why_not():
        pytest.skip(why)


@pytest.fixture(scope="session")
def pair(_where_there_is_ray: None) -> Iterator[list[Node]]:
    """Two nodes of one processor each; the first is the head."""
    with nodes(2) as found:
        head, other = found
        head.start(None)
        other.start(head)
        yield found


@pytest.fixture(scope="session")
def records(_where_there_is_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_world(folder, enterprises=600, months=24)
    return world_config(Party.BANK, folder)


@pytest.fixture(scope="session")
def whole(pair: list[Node], records: Path) -> dict[str, Any]:
    """Digest and report of all in one part, without Ray."""
    found: dict[str, Any] = json.loads(pair[0].act("features", records, 1))
    return found
