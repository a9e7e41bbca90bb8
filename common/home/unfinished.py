"""Jobs that are not over, and what this party goes on from: a folder a job, each point on disk before what follows it leaves.

Arrays are this party's own rows' places and its shares; no seed and no mask is among them. PROTOCOL.md section 10.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np

from common.disk.arrays import read_arrays
from common.disk.files import by_age, make_folder, private_file, sync_folder, write_private
from common.disk.lock import Lock
from common.errors import ConfigError, DataError
from common.home.models import is_job_name
from common.mpc.session import Array

_BEGUN, _READ, _CONFIRMED, _SUFFIX = "job.json", "read.json", "confirmed", ".npz"
DIRECT = ".direct"  # no job's name


@dataclass(frozen=True)
class Begun:
    """A job that this party has accepted: its canonical plan, who asked for it, when; seconds since 1970.

    grants: that it rests on, as `Grants.check` says them; None of a job from before they were kept.
    """

    plan: str
    client: str
    at: float
    grants: Mapping[str, str] | None = None


class Points:
    """One job's points, by ascending number; the numbers are the job's own affair."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def held(self) -> list[int]:
        return sorted(int(path.stem, 16) for path in self._folder.glob(f"*{_SUFFIX}"))

    def write(self, number: int, arrays: Mapping[str, Array]) -> None:
        """Outlasts a power cut once it returns. Raises OSError where the disk refuses."""
        with private_file(self._path(number)) as stream:
            np.savez(stream, **dict(arrays))  # type: ignore[arg-type]

    def read(self, number: int) -> dict[str, Array]:
        """Raises DataError for a point that is gone or damaged."""
        try:
            with self._path(number).open("rb") as stream:
                return read_arrays(stream)
        except (OSError, ValueError, EOFError, BadZipFile):
            text = "what was kept of an interrupted job is damaged"
            raise DataError(f"{self._path(number)}: {text}", public=text, remedy="Submit it again.") from None

    def drop(self, gone: Callable[[int], bool]) -> None:
        """Removes the points of which `gone` is true."""
        found = list(filter(gone, self.held()))
        for number in found:
            self._path(number).unlink()
        if found:
            sync_folder(self._folder)

    def first(self, facts: Mapping[str, str]) -> dict[str, str]:
        """The facts that were given in the job's first attempt that gave any: these, if it is this one."""
        file = self._folder / _READ
        if not file.exists():
            write_private(file, json.dumps(dict(facts)).encode())
        found: dict[str, str] = json.loads(file.read_bytes())
        return found

    def confirm(self, number: int) -> None:
        """Enters that both parties have this point on disk: neither goes back behind it."""
        write_private(self._folder / _CONFIRMED, str(number).encode())

    @property
    def confirmed(self) -> int:
        """The last point that both parties were known to have; 0 for none."""
        try:
            return int((self._folder / _CONFIRMED).read_bytes())
        except FileNotFoundError:
            return 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:016x}{_SUFFIX}"


class Alone:
    """A job that this process runs and nobody goes on with: others see that as long as it lives, whatever ends it."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError where another process runs it."""
        self._folder, self._lock = folder, _locked(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Only once, and once its end is entered. A folder that the disk keeps is nobody's."""
        try:
            with suppress(OSError):
                self._folder.rmdir()
        finally:
            self._lock.release()


def _locked(folder: Path) -> Lock:
    """The lock of a folder that its holder removes: who has opened it before has then locked one that nobody else finds."""
    while True:
        try:
            lock = Lock(folder)
        except FileNotFoundError:  # removed as it was opened
            continue
        if lock.stands:
            return lock
        lock.release()


class Unfinished:
    """clock: seconds since 1970."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        make_folder(folder)
        self._folder, self._clock = folder, clock

    def jobs(self) -> list[str]:
        """The jobs of which something is kept here, oldest first."""
        return [path.name for path in by_age(path for path in self._folder.iterdir() if is_job_name(path.name))]

    def begin(self, job: str, plan: str, client: str, grants: Mapping[str, str] | None = None) -> None:
        """Enters a job, durably, before this party says that it accepts it."""
        make_folder(self._folder / job)
        self.pin(job, Begun(plan, client, self._clock()), grants or {})

    def pin(self, job: str, begun: Begun, grants: Mapping[str, str]) -> None:
        """Enters, durably, on which grants the job rests from now on."""
        entry = asdict(replace(begun, grants=dict(grants)))
        write_private(self._folder / job / _BEGUN, json.dumps(entry, ensure_ascii=False).encode())

    def begun(self, job: str) -> Begun | None:
        """The job as it was entered; None for one that is not here."""
        if not is_job_name(job):
            return None
        try:
            raw: dict[str, Any] = json.loads((self._folder / job / _BEGUN).read_bytes())
            return Begun(**raw)
        except (FileNotFoundError, ValueError, TypeError):  # killed while it was entered: nobody was told of it
            return None

    def days(self, begun: Begun) -> float:
        """How long ago it was entered."""
        return max(0.0, self._clock() - begun.at) / 86_400

    def alone(self, job: str) -> Alone:
        """Says that this process runs a job which no coordinator offers again. Raises ConfigError where another one does."""
        return Alone(self._folder / DIRECT / job)

    def runs_alone(self, job: str) -> bool:
        """Whether a process of this party, this one or another, has said so of this job and lives."""
        if not is_job_name(job) or not (self._folder / DIRECT / job).exists():
            return False
        try:
            self.alone(job).release()
        except ConfigError:
            return True
        return False

    def points(self, job: str) -> Points:
        return Points(self._folder / job)

    def forget(self, job: str) -> None:
        """Nothing is kept of it."""
        if is_job_name(job):
            shutil.rmtree(self._folder / job, ignore_errors=True)
            sync_folder(self._folder)
