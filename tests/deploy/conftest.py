"""An engine and the demo, once for all tests of this folder; without an engine they skip, and say so at the end in capitals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import docker
import pytest

from tests.deploy.engine import IMAGE, Demo, find_compose, find_engine

_missing: list[str] = []


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _missing:
        terminalreporter.section("CONTAINER TESTS SKIPPED", sep="!", red=True, bold=True)
        terminalreporter.line(f"Image, compose file and recovery of containers are UNTESTED here: {_missing[0]}.")
        terminalreporter.line("Start an engine (and set DOCKER_HOST if it is elsewhere), then: make test-containers")


def _skip(reason: str) -> None:
    _missing.append(reason)
    pytest.skip(f"CONTAINER TESTS SKIPPED: {reason}")


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    found = find_engine()
    if isinstance(found, str):
        _skip(found)
        return
    yield found
    found.close()


@pytest.fixture(scope="session")
def compose() -> list[str]:
    found = find_compose()
    if isinstance(found, str):
        _skip(found)
        return []
    return found


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient, compose: list[str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The image, built from this working copy."""
    Demo(engine, compose, tmp_path_factory.mktemp("unused")).compose("build", "volumes")
    return engine.images.get(IMAGE)


@pytest.fixture(scope="session")
def demo(image: Any, compose: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, up. Taken down at the end, whatever happened."""
    found = Demo(image.client, compose, tmp_path_factory.mktemp("demo-out"))
    try:
        found.compose("up", "-d")
        found.await_healthy()
        yield found
    finally:
        found.leave()
        found.compose("down", "--volumes", "--timeout", "5")
