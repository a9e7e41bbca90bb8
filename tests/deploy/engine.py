"""The demo in containers as the tests drive it: Compose to bring it up and down, the engine's own interface in between."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

from tests.patience import patience
from tests.source import ROOT

DAEMONS = ("coordinator", "grid", "bank")
IMAGE = "wattscore:test"
_ACTS = (Path(__file__).parent / "client_acts.py").read_text(encoding="utf-8")


def find_engine() -> docker.DockerClient | str:
    """A client of the engine that DOCKER_HOST or the default socket leads to, or why there is none."""
    try:
        engine = docker.from_env()
        engine.ping()
    except DockerException as error:
        return f"no container engine answers ({error})"
    return engine


def find_compose() -> list[str] | str:
    """`docker compose`, or the older `docker-compose`, or why neither can be used."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True).returncode == 0:
            return command
    return "neither `docker compose` nor `docker-compose` is installed"


class Demo:
    """One project of deploy/compose.yaml; results go to `out`."""

    def __init__(self, engine: docker.DockerClient, compose: list[str], out: Path, name: str = "") -> None:
        """Nothing is started yet. name: of a second project."""
        self.engine, self.out, self.project = engine, out, f"wattscoretest{name}{os.getpid()}"
        self._compose = [*compose, "-f", str(ROOT / "deploy" / "compose.yaml"), "-p", self.project]
        self._client: Any = None

    def compose(self, *words: str, code: int = 0) -> str:
        """What `docker compose ...` prints; fails with it if the exit code is another."""
        own = {**os.environ, "WATTSCORE_IMAGE": IMAGE, "WATTSCORE_OUT": str(self.out), "DOCKER_BUILDKIT": "1"}
        done = subprocess.run([*self._compose, *words], env=own, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == code, f"{words}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout

    def container(self, service: str) -> Any:
        """The service's container, as it is now."""
        asked = {"label": [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]}
        (found,) = self.engine.containers.list(all=True, filters=asked)
        return found

    def network(self, name: str) -> Any:
        return self.engine.networks.get(f"{self.project}_{name}")

    def run(self, service: str, *words: str, code: int = 0, **options: Any) -> str:
        """What a command prints in the service's container."""
        return execute(self.container(service), words, code, **options)

    def client(self, act: str, *words: str) -> Any:
        """What `act` of client_acts.py gives, by the Python client in a container that lives as long as the demo."""
        if self._client is None:
            self._client = self._start_client()
        return json.loads(execute(self._client, ("python", "-c", _ACTS, act, *words), 0))

    def _start_client(self) -> Any:
        return self.engine.containers.run(
            IMAGE,
            ["sleep", "infinity"],
            detach=True,
            init=True,
            network=f"{self.project}_clients",
            volumes={f"{self.project}_client": {"bind": "/data", "mode": "ro"}},
        )

    def await_healthy(self, *services: str, seconds: float = 60.0) -> None:
        eventually(lambda: all(self.health(name) == "healthy" for name in services or DAEMONS), seconds, self.report)

    def health(self, service: str) -> str:
        return str(self.container(service).attrs["State"].get("Health", {}).get("Status"))

    def report(self) -> str:
        found = [self.container(name) for name in DAEMONS]
        return "\n".join(f"{c.name}: {c.status}, {c.attrs['State']}\n{c.logs(tail=20).decode()}" for c in found)

    def volumes(self) -> set[str]:
        """Names of the volumes that the project's containers mount."""
        own = {"label": f"com.docker.compose.project={self.project}"}
        found = self.engine.containers.list(all=True, filters=own)
        return {mount["Name"] for container in found for mount in container.attrs["Mounts"] if mount["Type"] == "volume"}

    def leftovers(self) -> list[str]:
        """Names of the project's containers, networks and volumes."""
        own = {"label": f"com.docker.compose.project={self.project}"}
        engine = self.engine
        kinds = (
            engine.containers.list(all=True, filters=own),
            engine.networks.list(filters=own),
            engine.volumes.list(filters=own),
        )
        return [thing.name for found in kinds for thing in found]

    def leave(self) -> None:
        """Ends the tests' own client, which is none of the project's."""
        if self._client is not None:
            self._client.remove(force=True)
            self._client = None


def execute(container: Any, words: tuple[str, ...], code: int, **options: Any) -> str:
    done = container.exec_run(list(words), demux=True, **options)
    out, errors = ((part or b"").decode() for part in done.output)
    assert done.exit_code == code, f"{container.name}: {words[0]} ended with {done.exit_code}: {out}{errors}"
    return out


def eventually(good: Callable[[], bool], seconds: float, report: Callable[[], str] = str) -> None:
    end = time.monotonic() + patience(seconds)
    while not good():
        assert time.monotonic() < end, f"after {patience(seconds)} s it is still not so\n{report()}"
        time.sleep(0.3)
