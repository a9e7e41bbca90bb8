"""A daemon that counts what it holds when it is asked to: tasks of its loop, descriptors by kind, objects by type.

    python -m tests.scenarios.end_to_end.counted NAME serve --config FOLDER/NAME.toml

SIGUSR1 has it write `NAME.counted` beside its configuration.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import re
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from tests.scenarios.kill.victim import MAIN

_COMMON = 60  # types of which the number is told


def count() -> dict[str, Any]:
    """What this process holds now. Called in the thread of the loop."""
    tasks = Counter(task.get_coro().__qualname__ for task in asyncio.all_tasks())  # type: ignore[union-attr]
    links = (_link(path) for path in Path("/proc/self/fd").iterdir())
    gc.collect()
    objects = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    threads = Counter(re.sub(r"\d+", "", thread.name) for thread in threading.enumerate())
    files = Counter(re.sub(r"\d{2,}|[0-9a-f]{8,}", "_", link) for link in links)
    held = {"blocks": sys.getallocatedblocks(), "malloc": _in_use()}
    return {"tasks": tasks, "threads": threads, "files": files, "objects": dict(objects.most_common(_COMMON)), **held}


class _Malloc(ctypes.Structure):
    """struct mallinfo2 of malloc.h."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]
    )


def _in_use() -> int:
    """Bytes that were asked of glibc and not freed, without what it has freed itself and keeps."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Malloc
    found = libc.mallinfo2()
    return int(found.uordblks + found.hblkhd)


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return "closed"


def main() -> None:
    config = Path(sys.argv[sys.argv.index("--config") + 1])
    file = config.with_suffix(".counted")

    def told(*_: object) -> None:
        part = file.with_suffix(".part")
        part.write_text(json.dumps(count()))
        part.replace(file)

    signal.signal(signal.SIGUSR1, told)
    MAIN[sys.argv.pop(1)](prog_name="counted")


if __name__ == "__main__":
    main()
