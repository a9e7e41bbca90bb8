"""Lines of the product that tests with `--thorough` alone reach, in daemons too: a `why` of `extent.cases` says there are none.

    python -m tests.reached FOLDER PATH...

runs the tests below each path, first those that always run, then those that `cases` and `thorough` leave for `--thorough`, and
prints each line that the latter alone have reached, with the test that did so first. FOLDER keeps what was seen; what is run
into it later counts too, with `--usual` or `--rest` for one of both. The exit code is 1 where lines are left. It is a trace of
Python's own and takes some three times as long as the tests do, of which those with limits may fail: it is run by hand, after a
case was moved. Processes that a test begins by its own means, and not as a `Trial` does, are not seen.
"""

from __future__ import annotations

import atexit
import mmap
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from tests.extent import LEFT
from tests.source import ROOT

WHERE, REST = "WATTSCORE_REACHED", "WATTSCORE_REACHED_REST"
MODULE = "tests.reached"
_OURS = re.compile(rf"{re.escape(str(ROOT))}/((?:common|grid_party|bank_party|wattscore)/.*)")
_LENGTH = 512  # bytes of a test's name


class Trace:
    """What is called for each function that begins and, in the product's, for each line until all of it were reached."""

    def __init__(self, file: Path) -> None:
        """file: to whose end a line of text goes for each line of the product, once in each process, kills notwithstanding."""
        self._out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        name = os.open(file.with_suffix(".test"), os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(name, _LENGTH)
        self._test = mmap.mmap(name, _LENGTH)
        os.close(name)
        self.tell("")
        self._codes: dict[int, tuple[CodeType, str, set[int]]] = {}

    def begin(self) -> None:
        threading.settrace(self.call)
        sys.settrace(self.call)
        atexit.register(self.end)

    def end(self) -> None:
        """What the interpreter calls while it takes itself apart finds no names of this module any more."""
        threading.settrace(None)
        sys.settrace(None)

    def tell(self, test: str) -> None:
        """The test that runs now, to all processes."""
        self._test[:] = test.encode()[:_LENGTH].ljust(_LENGTH)

    def call(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if (known := self._codes.get(id(code))) is None:
            ours = _OURS.match(code.co_filename)
            lines = {line for *_, line in code.co_lines() if line} if ours else set()
            known = self._codes[id(code)] = code, ours[1] if ours else "", lines
        return self._line if known[2] else None

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        _, name, left = self._codes[id(frame.f_code)]
        if event == "line" and (line := frame.f_lineno) in left:
            left.discard(line)
            os.write(self._out, f"{name}:{line} {self._test[:].rstrip(b' ').decode(errors='replace')}\n".encode())
        return self._line


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With REST those alone that run with `--thorough` alone."""
    if REST in os.environ:
        reasons = {item: [mark.kwargs.get("reason", "") for mark in item.iter_markers("skipif")] for item in items}
        chosen = [item for item in items if any(reason.startswith(LEFT) for reason in reasons[item])]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart(nodeid: str) -> None:
    if trace is not None:
        trace.tell(nodeid)


def seen(file: Path) -> dict[str, str]:
    """Where, and by which test first."""
    found: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        where, _, test = line.partition(" ")
        found.setdefault(where, test)
    return found


def left(folder: Path) -> Iterator[tuple[str, str]]:
    """The lines that tests with `--thorough` alone have reached, in order."""
    usual, rest = (seen(folder / name) for name in ("usual", "rest"))
    key = {where: (where.partition(":")[0], int(where.partition(":")[2])) for where in rest}
    yield from ((where, rest[where]) for where in sorted(rest, key=key.__getitem__) if where not in usual)


def main(words: list[str]) -> int:
    kinds = [word for word in words if word in ("--usual", "--rest")] or ["--usual", "--rest"]
    folder, *paths = (word for word in words if word not in kinds)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for kind in kinds if paths else ():
        more = {WHERE: str(Path(folder, kind.removeprefix("--")).absolute()), **({REST: "1"} if kind == "--rest" else {})}
        thorough = ["--thorough"] if kind == "--rest" else []
        command = [sys.executable, "-m", "pytest", "-p", MODULE, "-m", "not containers", *thorough, *paths]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **more})
    found = list(left(Path(folder)))
    for where, test in found:
        print(f"{where}  {test}")
    return 1 if found else 0


trace = Trace(Path(os.environ[WHERE])) if WHERE in os.environ and __name__ == MODULE else None
if trace is not None:
    trace.begin()

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
