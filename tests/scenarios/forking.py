"""Daemons of tests, forked from a process that has imported what they import: they start in a tenth of the time.

Each is a process of its own all the same, in its own session, with its own files and environment, and a child of the tests.
The one that forks has started nothing: no loop, no channel, no thread of Python's. Pages, `try`, and who is refused at the
start, are started as a shell does.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import importlib
import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from common.trial import processes
from common.trial.processes import Trial
from tests.source import ROOT

_PRELOADED = ("common.coordinator.daemon", "grid_party.commands", "bank_party.commands")
_SUBREAPER = 36  # prctl(2): who inherits processes whose parent has ended
_begin = Trial.begin


class Forked(subprocess.Popen[bytes]):
    """As Popen, of a process that exists."""

    def __init__(self, pid: int, command: Sequence[str]) -> None:
        self.pid, self.args, self.returncode = pid, list(command), None  # type: ignore[assignment]
        self.stdin = self.stdout = self.stderr = None
        self._child_created, self._waitpid_lock, self._sigint_wait_secs = True, threading.Lock(), 0.25  # as Popen's own has it


class Forker:
    """The process that forks; it lives as long as this one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.scenarios.forking"], cwd=ROOT, env=dict(environment), text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        atexit.register(self._process.kill)

    def fork(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Forked:
        """command: Python, `-m`, a module and its arguments."""
        assert self._process.stdin is not None and self._process.stdout is not None
        asked = {"module": command[2], "arguments": list(command[3:]), "environment": dict(environment), "log": str(log)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        return Forked(int(self._process.stdout.readline()), command)


def begin(trial: Trial, command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """In place of `Trial.begin`."""
    if command[1] != "-m":
        return _begin(trial, command, environment, log)
    return _forker().fork(command, environment, log)


@functools.cache
def _forker() -> Forker:
    return Forker({**os.environ, **processes._ENVIRONMENT})


def _serve() -> None:
    for module in _PRELOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        read, write = os.pipe()
        if (between := os.fork()) == 0:  # ends at once, so that the daemon is inherited by who asked
            os.close(read)
            if (daemon := os.fork()) == 0:
                os.close(write)
                _run(json.loads(line))
            os.write(write, str(daemon).encode())
            os._exit(0)
        os.close(write)
        os.waitpid(between, 0)
        with os.fdopen(read) as told:
            print(told.read(), flush=True)


def _run(asked: dict[str, Any]) -> NoReturn:
    os.setsid()
    for target, name, flags in ((0, os.devnull, os.O_RDONLY), (1, asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)):
        os.dup2(os.open(name, flags, 0o600), target)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path and path not in sys.path]
    sys.argv = [asked["module"], *asked["arguments"]]
    code: Any = 1
    try:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    _serve()
