"""What a node does: one work on one file, or a look at itself. Only paths and fingerprints reach it and leave it.

Loaded by Ray's workers, which know nothing of the command that sent them: what they are to do is in the company's own files.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import stat
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from common import __version__
from common.errors import WattScoreError
from common.process.memory import peak_mib


def do(work: str, given: str, digest: str, made: str) -> str:
    """Does `work` (module:name, of ours) on the file `given` and writes `made`, both of this user alone.

    digest: SHA-256 of `given`, hex. Returns JSON: the SHA-256 of `made`, and whether that holds what went wrong instead.
    """
    fault, begun = False, time.process_time()
    try:
        data = Path(given).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError("the file is not the one that was written")
        module, _, name = work.partition(":")
        if not module.startswith("common."):
            raise ValueError("work of another package")
        result: bytes = getattr(importlib.import_module(module), name)(data)
    except Exception as error:
        result, fault = _told(error), True
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(result)
    told = {"digest": hashlib.sha256(result).hexdigest(), "fault": fault}
    return json.dumps({**told, "peak": peak_mib(), "processor": time.process_time() - begun})


def _told(error: Exception) -> bytes:
    """An error of ours whole; of another its type and place: its text may hold what a row does."""
    if isinstance(error, WattScoreError):
        told = {"message": error.message, "remedy": error.remedy, "public": error.public, "local": error.local}
        return json.dumps({"kind": type(error).__name__, **told}).encode()
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
    if isinstance(error, OSError) and error.strerror:
        text += f" ({error.strerror})"
    return json.dumps({"kind": "", "message": text}).encode()


def look(folder: str, scratch: str, token: str) -> str:
    """JSON of this node: versions, bits of its arithmetic, whether others can look into `folder`, Ray's own, and whether it
    has the file `token` in `scratch`, which says that both have the same folder.
    """
    found: dict[str, Any] = {"kind": kind(), "host": platform.node(), "open": not _closed(Path(folder)), "folder": folder}
    there = Path(scratch) / token
    found["scratch"] = there.is_file() and os.access(there.parent, os.W_OK)
    found["user"] = os.geteuid()
    return json.dumps(found)


def kind() -> dict[str, str]:
    """What must be alike on all nodes, so that equal work gives equal bits."""
    rng = np.arange(1, 4097, dtype=np.float64) / 7.0  # no random numbers: any values will do
    bits = hashlib.sha256()
    for values in (np.sqrt(rng), np.log1p(rng), np.exp(-rng), 1.0 / rng, rng.astype(np.float32), np.add.reduceat(rng, [0, 9])):
        bits.update(values.tobytes())
    python = ".".join(platform.python_version_tuple()[:2])
    return {"WattScore": __version__, "numpy": np.__version__, "Python": python, "arithmetic": bits.hexdigest()[:16]}


def _closed(folder: Path) -> bool:
    """Whether a folder, or one that it is in, lets nobody but its owner in."""
    for one in (folder, *folder.parents):
        found = one.stat()
        if not found.st_mode & 0o077 and found.st_uid == os.geteuid() and stat.S_ISDIR(found.st_mode):
            return True
    return False
