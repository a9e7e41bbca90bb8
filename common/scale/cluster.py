"""A company's own Ray cluster as an engine: every check before, a process beside this one that speaks to Ray, files between."""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import errors
from common.disk.lock import Lock
from common.errors import ConfigError
from common.process.extra import need
from common.scale.reach import answers, check_tls
from common.scale.settings import SILENCE, RayCluster

_START = 180.0  # seconds in which it must have joined the cluster and looked at every node
_RUN = "wattscore-"  # how the folders of runs begin in `scratch`
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "NPY_DISABLE_CPU_FEATURES")
"""Of this process's environment, what the driver gets: no password of a database."""


@dataclass(frozen=True)
class Done:
    """What a run came to. parts: node -> how many it made. lost: how often one was made again. peak: MiB of the largest
    worker. processor: seconds of all workers.
    """

    parts: dict[str, int]
    lost: int
    peak: float
    processor: float

    def __str__(self) -> str:
        made = ", ".join(f"{node} ({count} parts)" for node, count in sorted(self.parts.items()))
        again = f", {self.lost} of them again" if self.lost else ""
        return f"made on {made}{again}; {self.processor:.1f} s of processor time, {self.peak:.0f} MiB at most a worker"


@contextmanager
def joined(cluster: RayCluster) -> Iterator[Cluster]:
    """The cluster, looked at and joined. Raises ConfigError for whatever of it is refused.

    What a run that was killed has left in `scratch` is removed first; the own folder of this run at its end.
    """
    need("--ray", "ray", "ray")
    host, _, port = cluster.address.rpartition(":")
    check_tls(cluster, host, int(port))
    folder, lock = _folder(cluster.scratch)
    found = Cluster(cluster, folder)
    try:
        found.start()
        yield found
    finally:
        found.end()
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _folder(scratch: Path) -> tuple[Path, Lock]:
    """This run's own, locked; those of runs that are no more are removed."""
    alone = Lock(scratch)  # two commands at once: one would take the other's new folder for a dead one
    try:
        for left in scratch.glob(f"{_RUN}*"):
            with suppress(ConfigError):
                lock = Lock(left)
                shutil.rmtree(left, ignore_errors=True)
                lock.release()
        folder = Path(tempfile.mkdtemp(prefix=_RUN, dir=scratch))
        return folder, Lock(folder)
    finally:
        alone.release()


class Cluster:
    """The engine; `joined` makes it. nodes: address -> processors. done: of the last run."""

    def __init__(self, cluster: RayCluster, folder: Path) -> None:
        self.nodes: dict[str, int] = {}
        self.done = Done({}, 0, 0.0, 0.0)
        self._cluster, self._folder = cluster, folder
        self._driver: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def start(self) -> None:
        """Raises ConfigError where the cluster takes drivers without a token, and for whatever the driver refuses."""
        with self._process(RAY_AUTH_MODE="disabled") as probe:
            try:
                self._driver = self._process()
                _tell(probe, {"probe": True, "address": self._cluster.address})
                token = self._folder / "seen"
                token.touch(0o600)
                given = json.loads(self._cluster.model_dump_json())
                _tell(self._driver, {"cluster": given, "scratch": str(self._folder), "token": token.name})
                told, _ = probe.communicate(timeout=_START)
            except subprocess.TimeoutExpired:
                what = f"ray: whether the cluster wants a token was not answered within {_START:g} s"
                raise ConfigError(what, remedy="Look at the logs of its head.") from None
            finally:
                probe.kill()
        found = json.loads(told or b'{"refused": "Ray could not be started", "remedy": "Try `python -c \'import ray\'`."}')
        if "refused" in found:
            raise ConfigError(f"ray: {found['refused']}", remedy=found["remedy"])
        if found["open"]:
            raise ConfigError(
                "ray: the cluster takes drivers without a token",
                remedy="Start all of its nodes with RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH; deploy/RAY.md says how.",
            )
        self.nodes = self._heard(_START)["ready"]

    def _process(self, **more: str) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | self._cluster.environment | more
        if "disabled" in more.values():
            del environment["RAY_AUTH_TOKEN_PATH"]
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "common.scale.ray_driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # an interrupt is this process's, which ends it
        )

    def end(self) -> None:
        """The driver ends at once; Ray's head then ends what it left at the nodes."""
        if self._driver is not None:
            self._driver.kill()
            self._driver.wait()
            for stream in (self._driver.stdin, self._driver.stdout):
                with suppress(OSError):
                    if stream is not None:
                        stream.close()

    def run(self, work: str, parts: int, give: Callable[[int], bytes], take: Callable[[int, bytes], None]) -> None:
        """As `Engine.run`: parts lie in `scratch`, mode 0600, while they are made and no longer."""
        most = 3 * sum(self.nodes.values())
        at: dict[str, int] = {}
        lost, peak, processor, next_, running = 0, 0.0, 0.0, 0, set[int]()
        failed: dict[int, bytes] = {}
        while running or (next_ < parts and not failed):
            while next_ < parts and len(running) < most and not failed:
                self._ask(work, next_, give(next_))
                running.add(next_)
                next_ += 1
            said = self._heard(SILENCE)
            lost += "lost" in said
            if "done" not in said:
                continue
            part = int(said["done"])
            running.discard(part)
            made = self._made(said)
            if said["fault"]:
                failed[part] = made
                running = {other for other in running if other < part}  # an earlier one that fails is the one to be told
                continue
            take(part, made)
            at[said["node"]], peak = at.get(said["node"], 0) + 1, max(peak, said["peak"])
            processor += said["processor"]
        if failed:
            raise fault(failed[min(failed)], min(failed))
        self.done = Done(at, lost, peak, processor)

    def _ask(self, work: str, part: int, data: bytes) -> None:
        given = self._folder / f"{part}.given"
        with os.fdopen(os.open(given, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(data)
        digest = hashlib.sha256(data).hexdigest()
        assert self._driver is not None  # noqa: S101
        made = str(self._folder / f"{part}.made")
        _tell(self._driver, {"part": part, "work": work, "given": str(given), "digest": digest, "made": made})

    def _made(self, said: dict[str, Any]) -> bytes:
        """What a node has written, if it is that; its files are removed."""
        made = self._folder / Path(said["file"]).name  # of this run, whatever the driver says
        data = made.read_bytes()
        if hashlib.sha256(data).hexdigest() != said["digest"]:
            raise ConfigError(
                f"ray: part {said['done']} from {said['node']} is not what that node wrote",
                remedy="Every node must have the same folder as `scratch`: look at its mount.",
            )
        for file in self._folder.glob(f"{said['done']}.*"):
            file.unlink(missing_ok=True)
        return data

    def _heard(self, patience: float) -> dict[str, Any]:
        """The driver's next word. Raises ConfigError for what it refuses, and where it is silent."""
        assert self._driver is not None and self._driver.stdout is not None  # noqa: S101
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._driver.stdout], [], [], patience)
            more = os.read(self._driver.stdout.fileno(), 1 << 16) if ready else b""
            if not more:
                what = "the driver beside this command ended" if ready else f"no word from the cluster for {patience:g} s"
                if not answers(self._cluster):
                    what = f"the cluster's head at {self._cluster.address} is lost"
                raise ConfigError(f"ray: {what}", remedy="Start it again, then this command: nothing was written.")
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        if "refused" in found:
            raise ConfigError(f"ray: {found['refused']}", remedy=found["remedy"])
        return found


def _tell(process: subprocess.Popen[bytes], told: dict[str, Any]) -> None:
    assert process.stdin is not None  # noqa: S101
    with suppress(BrokenPipeError):  # why it ended is read next
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()


def fault(told: bytes, part: int) -> Exception:
    """The error that the work raised, of ours as it was."""
    found = json.loads(told)
    kind = getattr(errors, found["kind"] or "", None)
    if not (isinstance(kind, type) and issubclass(kind, errors.WattScoreError)):  # the file is of whoever reaches the folder
        return RuntimeError(f"part {part}: {found['message']}")
    error = kind(found["message"], public=found["public"], remedy=found["remedy"])
    error.local = found["local"]
    return error
