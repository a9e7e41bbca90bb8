"""A daemon that counts what it holds when it is asked to: tasks of its loop, descriptors by kind, objects by type.

    python -m tests.scenarios.end_to_end.counted NAME serve --config FOLDER/NAME.toml

SIGUSR1 has it write `NAME.counted` beside its configuration, and a victim does likewise.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from common.process.memory import give_memory_back
from tests.malloc import in_use
from tests.scenarios.mains import MAIN

_COMMON = 60  # types of which the number is told
_WORK = ("common.mpc.", "common.learn.", "common.match.", "common.stages.")  # of jobs: what of them is told to the last one


def count() -> dict[str, Any]:
    """What this process holds now. Called in the thread of the loop."""
    tasks = Counter(task.get_coro().__qualname__ for task in asyncio.all_tasks())  # type: ignore[union-attr]
    links = (_link(path) for path in Path("/proc/self/fd").iterdir())
    gc.collect()
    give_memory_back()  # what lies free just now says when it was asked, not what is held
    objects = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    work = {name: number for name, number in objects.items() if name.startswith(_WORK)}
    threads = Counter(re.sub(r"\d+", "", thread.name) for thread in threading.enumerate())
    files = Counter(re.sub(r"\d{2,}|[0-9a-f]{8,}", "_", link) for link in links)
    held = {"blocks": sys.getallocatedblocks(), "malloc": in_use()}
    found = {"tasks": tasks, "threads": threads, "files": files, "work": work}
    return {**found, "objects": dict(objects.most_common(_COMMON)), **held}


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return "closed"


def answer(config: Path) -> None:
    """Has this process, of this configuration, say what it holds when it is asked to."""
    file = config.with_suffix(".counted")

    def told(*_: object) -> None:
        part = file.with_suffix(".part")
        part.write_text(json.dumps(count()))
        part.replace(file)

    signal.signal(signal.SIGUSR1, told)


def main() -> None:
    answer(Path(sys.argv[sys.argv.index("--config") + 1]))
    MAIN[sys.argv.pop(1)](prog_name="counted")


if __name__ == "__main__":
    main()
