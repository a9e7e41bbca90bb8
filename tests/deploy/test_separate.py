"""deploy/grid, deploy/bank and deploy/coordinator in containers, as section 13 of their pages says: three Compose projects that
share no network or folder, and meet at the two published ports only."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.engine import IMAGE, eventually
from tests.scenarios.separate.pages import CONFIGURATION, DATA, KEYS, ROLES, TRUST, blocks
from tests.scenarios.separate.test_follow import ORGS, exports
from tests.source import ROOT

pytestmark = pytest.mark.containers

CONTAINERS = 13
NAMES = {"extra_hosts": ["coordinator.example:host-gateway", "grid.example:host-gateway"]}  # what a name server would say


class Organisation:
    """One page, followed: the first sections on this machine, the last in containers."""

    def __init__(self, role: str, compose: list[str], engine: Any, folder: Path) -> None:
        self.role, self.engine, self.home = role, engine, folder / role
        self.project = f"wattscoretest{os.getpid()}{role}"
        file = ROOT / "deploy" / role / "compose.yaml"
        names = folder / f"{role}.json"
        services = (role, "client") if role == "bank" else (role,)
        names.write_text(json.dumps({"services": dict.fromkeys(services, NAMES)}))
        self._compose = [*compose, "-f", str(file), "-f", str(names), "-p", self.project]
        self.home.mkdir()

    def follow(self, section: int) -> None:
        """Types what the page says there, with the commands of this installation."""
        bin_, table = Path(sys.executable).parent, self.home.parent / f"{self.role}.csv"
        own = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        for script in blocks(self.role)[section]:
            self._call(["sh", "-euc", script], own | {"SOURCE": str(ROOT), "TABLE": str(table)}, self.home)

    def contained(self, verb: str) -> str:
        """What the page's `docker compose VERB ...` prints, with the image that is built already."""
        (line,) = [line for line in blocks(self.role)[CONTAINERS][0].splitlines() if line.startswith(f"docker compose {verb} ")]
        words = [word for word in shlex.split(line)[3:] if word != "--build"]
        return self.compose(verb, *(["-T"] if verb in ("exec", "run") else []), *words)

    def compose(self, *words: str) -> str:
        own = {**os.environ, "WATTSCORE_IMAGE": IMAGE, "WATTSCORE_HOME": str(self.home)}
        return self._call([*self._compose, *words], own, ROOT)

    def _call(self, words: list[str], env: dict[str, str], folder: Path) -> str:
        done = subprocess.run(words, env=env, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{self.role}: {words}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout

    def give_to(self, user: int) -> None:
        """Makes `user` the folder's owner, by a container, since this process may not be root."""
        mount = {str(self.home): {"bind": "/home", "mode": "rw"}}
        self.engine.containers.run(IMAGE, ["chown", "-R", f"{user}:{user}", "/home"], user="0:0", volumes=mount, remove=True)

    def health(self) -> str:
        asked = {"label": [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={self.role}"]}
        (found,) = self.engine.containers.list(all=True, filters=asked)
        return str(found.attrs["State"].get("Health", {}).get("Status"))


@pytest.fixture
def organisations(image: Any, compose: list[str], tmp_path: Path) -> Iterator[list[Organisation]]:
    """The three with their folders; taken down at the end, whatever happened."""
    found = [Organisation(role, compose, image.client, tmp_path) for role in ROLES]
    try:
        yield found
    finally:
        for one in found:
            one.compose("down", "--volumes", "--timeout", "5")
            one.give_to(os.getuid())


def test_three_projects_train_together(organisations: list[Organisation], tmp_path: Path) -> None:
    exports(tmp_path)
    for one in organisations:
        one.follow(KEYS)
    for one in organisations:
        for other in organisations:
            bundle = f"{ORGS[other.role]}.pem"
            (one.home / bundle).write_bytes((other.home / bundle).read_bytes())
        one.follow(TRUST)
        one.follow(CONFIGURATION)
        if blocks(one.role)[DATA]:
            one.follow(DATA)
        one.give_to(10001)
        one.contained("up")
    eventually(lambda: all(one.health() == "healthy" for one in organisations), 90, lambda: logs(organisations))
    for one in organisations:
        one.contained("exec")  # the dry run: it ends with 0 only if nothing fails
    (bank,) = [one for one in organisations if one.role == "bank"]
    assert "AUC gained" in bank.contained("run")


def logs(organisations: list[Organisation]) -> str:
    return "".join(one.compose("logs", "--tail", "20") for one in organisations)
