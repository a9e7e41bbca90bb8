"""Files for their owner's eyes: mode 0600, on disk whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path


@contextmanager
def private_file(path: Path) -> Iterator[BufferedRandom]:
    """A stream to what becomes `path` when the block ends well; what was there before stays otherwise."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_private(path: Path, data: bytes) -> None:
    """`data` into `path`, replacing an earlier file."""
    with private_file(path) as stream:
        stream.write(data)
