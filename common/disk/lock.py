"""A folder in use by one process at a time, whatever ends that process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from common.errors import ConfigError


class Lock:
    """The folder itself, locked; no file stands for it, so nothing is left behind."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError that names the other process."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._file = folder, os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            number = _holder(self._file)
            os.close(self._file)
            raise ConfigError(
                f"{folder} is in use by {f'process {number}' if number else 'another process'}",
                remedy="End that process first, or give this one a folder of its own.",
            ) from None

    @property
    def stands(self) -> bool:
        """Whether the folder still has its name: whoever removes it holds the lock until then."""
        try:
            return os.path.samestat(os.fstat(self._file), self._folder.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Only once."""
        os.close(self._file)


def _holder(file: int) -> int | None:
    """The process that has locked it, where the system says: `1: FLOCK ADVISORY WRITE 4711 fe:01:1234 0 EOF`."""
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    inode = str(os.fstat(file).st_ino)
    found = [line.split() for line in lines if " FLOCK " in line and "->" not in line]
    return next((int(parts[4]) for parts in found if parts[5].rpartition(":")[2] == inode), None)
