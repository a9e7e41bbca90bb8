"""Ray nodes in network namespaces of their own, each with its own folder, started as deploy/RAY.md says; Ray itself is real."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.common.scale.sites import site
from tests.patience import patience
from tests.scenarios.separate.land import BIN, ip
from tests.scenarios.separate.land import why_not as no_spaces
from tests.source import ROOT

PORT = 6379
_SPACES = itertools.count()
SEEN = 80_000_000  # bytes of a node's object store, the least that Ray takes
_SOON = {"period_ms": "1000", "timeout_ms": "2000", "failure_threshold": "3"}
_QUICK = {f"RAY_health_check_{name}": value for name, value in _SOON.items()}
_QUICK["RAY_raylet_start_wait_time_s"] = "120"  # Ray's own 30 s are few on a busy machine


def why_not() -> str:
    """Why no Ray nodes can be started here; empty if they can."""
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed: `make test-ray`"
    return no_spaces()


def until(good: Callable[[], bool]) -> None:
    end = time.monotonic() + patience(60)
    while not good():
        assert time.monotonic() < end
        time.sleep(0.02)


class Node:
    """A namespace with one address, 10.78.0.N, and in it one Ray node, once it is started."""

    def __init__(self, site: Site, number: int) -> None:
        self.site, self.address = site, f"10.78.0.{number}"
        self.space = f"wr{os.getpid()}n{next(_SPACES)}"
        self.folder = site.folder / f"n{number}"

    def start(self, head: Node | None, *, folder: Path | None = None, words: tuple[str, ...] = (), **environment: str) -> None:
        """`ray start`, of a head where none is given. environment: over what the configuration gives; empty: left out."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        where = [f"--address={head.address}:{PORT}"] if head else ["--head", f"--port={PORT}", "--include-dashboard=false"]
        command = ["ray", "start", *where, f"--node-ip-address={self.address}", "--node-manager-port=6380"]
        command += ["--object-manager-port=6381", f"--temp-dir={folder or self.folder / 'ray'}", "--num-cpus=1"]
        command += [f"--object-store-memory={SEEN}", "--worker-port-list=6390,6391,6392,6393", "--disable-usage-stats", *words]
        done = self._run(command, {**self.site.environment, **_QUICK, **environment})
        assert done.returncode == 0, done.stdout + done.stderr

    def act(self, act: str, *given: object) -> str:
        """What `acts.py` prints for it, in this namespace."""
        done = self.try_(act, *given)
        assert done.returncode == 0, f"{act}: {done.stdout}{done.stderr}"
        return done.stdout

    def try_(self, act: str, *given: object) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "tests.scenarios.ray.acts", act, *map(str, given)], {})

    def type_(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of WattScore, as somebody types it there."""
        return self._run(list(words), {})

    def _run(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        own = {"PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.site.folder), "LANG": "C.UTF-8"}
        own |= {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200"}
        own |= {name: value for name, value in environment.items() if value}
        with tempfile.TemporaryFile("w+") as out:  # a node outlives `ray start` and would keep a pipe open
            done = subprocess.run(
                ["ip", "netns", "exec", self.space, *command], env=own, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.site.folder, timeout=patience(120), start_new_session=True, umask=0o077,
            )  # fmt: skip
            out.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, out.read(), "")

    def processes(self, name: str = "") -> dict[int, str]:
        """Those of this namespace in whose command line the pattern `name` is found."""
        listed = subprocess.run(["ip", "netns", "pids", self.space], capture_output=True, text=True).stdout.split()
        found = {}
        for number in map(int, listed):
            try:
                words = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if re.search(name, words):
                found[number] = words
        return found

    def kill(self, name: str = "", how: signal.Signals = signal.SIGKILL) -> int:
        """Ends those processes at once; how many there were."""
        found = self.processes(name)
        for number in found:
            with suppress(ProcessLookupError):
                os.kill(number, how)
        return len(found)


class Site:
    """A company's folder: ray.toml and its files, and its nodes: one, or two that a line joins."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.folder = folder
        self.config, self.scratch = site(folder, PORT, "10.78.0.1"), folder / "scratch"
        self.nodes = [Node(self, number) for number in range(1, nodes + 1)]

    @property
    def environment(self) -> dict[str, str]:
        from common.scale.settings import load_cluster

        return load_cluster(self.config).environment

    def connect(self) -> None:
        # A disk of its own, that a test can fill. Before any node: each sees the mounts that were there when it began.
        command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "scratch", str(self.scratch)]
        subprocess.run(command, check=True, capture_output=True)
        for node in self.nodes:
            ip("netns", "add", node.space)
            ip("-n", node.space, "link", "set", "lo", "up")
        first, *others = self.nodes
        there = ("eth", "netns", others[0].space) if others else ("end", "netns", first.space)
        ip("link", "add", "name", "eth", "netns", first.space, "type", "veth", "peer", "name", *there)
        if not others:
            ip("-n", first.space, "link", "set", "end", "up")  # a line with one end up carries nothing, its own address neither
        for node in self.nodes:
            ip("-n", node.space, "addr", "add", f"{node.address}/24", "dev", "eth")
            ip("-n", node.space, "link", "set", "eth", "up")

    def end(self) -> None:
        for node in self.nodes:
            while node.kill():
                pass
            subprocess.run(["ip", "netns", "del", node.space], capture_output=True)
        subprocess.run(["umount", "--lazy", str(self.scratch)], capture_output=True)


@contextmanager
def nodes(count: int) -> Iterator[list[Node]]:
    """So many, not yet started; all is taken away at the end. Their folder's path is short: Ray's sockets are in it."""
    folder = Path(tempfile.mkdtemp(prefix="wr-"))  # mode 0700
    found = Site(folder, count)
    try:
        found.connect()
        yield found.nodes
    finally:
        found.end()
        shutil.rmtree(folder, ignore_errors=True)
