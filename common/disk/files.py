"""Files for their owner's eyes: mode 0600, on disk whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from common.errors import ConfigError

PART = ".part"  # of the name of a file that is not whole yet


def part_of(path: Path) -> Path:
    """What becomes `path` once it is whole; left behind by who is killed before."""
    return path.with_name(f".{path.name}{PART}")


def remove_parts(folder: Path, seconds: float) -> None:
    """Removes such files, in all folders within, to which nobody has written for so long."""
    before = time.time() - seconds
    for within, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(PART):
                with suppress(FileNotFoundError):  # it may have its name by now
                    if (part := Path(within, name)).stat().st_mtime < before:
                        part.unlink()


@contextmanager
def private_file(path: Path, mode: int = 0o600) -> Iterator[BufferedRandom]:
    """A stream to what becomes `path` when the block ends well; what was there before stays otherwise.

    Once the block has ended well the file outlasts a power cut, under its name. mode: of the file, whatever the umask.
    """
    part = part_of(path)
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # a write knows its handle only
        raise


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """`data` into `path`, replacing an earlier file."""
    with private_file(path, mode) as stream:
        stream.write(data)


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """`data` into a file that is not there yet, and its folders. Raises ConfigError where it is, or cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None


def make_once(path: Path, data: bytes) -> None:
    """`data` into a file that is not there yet; one that another process has made meanwhile stays."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write_private(part, data)
        os.link(part, path)
        sync_folder(path.parent)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Makes `folder` and those above it where they are missing, mode 0700, so that they outlast a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def by_age(paths: Iterable[Path]) -> list[Path]:
    """These, the one written longest ago first; one that another process or thread removes meanwhile is left out."""
    found = list[tuple[int, Path]]()
    for path in paths:
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def sync_folder(folder: Path) -> None:
    """Makes what was created, renamed or unlinked in `folder` outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
