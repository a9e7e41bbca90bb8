"""Processes as copies of one that has imported what they import: they start in a tenth of the time.

Each is a process of its own all the same, with its own session, files, environment and sockets. The one that is copied runs no
loop, opens no channel and starts no thread: gRPC and linear algebra begin theirs in the copies, as they do in a new process.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self

from common.errors import PeerLost

PRELOADED = ("common.coordinator.daemon", "grid_party.seat", "bank_party.seat")
ENVIRONMENT = {"GRPC_VERBOSITY": "NONE", "OPENBLAS_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // 2))}
"""Of all daemons on this machine: spinning linear-algebra threads of one would hold up the others."""
MODULE = "-m"  # the word of a command after which a copy goes on by itself
_PAUSE, _TURN = 0.01, 1.0  # seconds until who waits for a copy asks again: the server may have ended, too


def python(module: str) -> list[str]:
    """The command that runs a module of ours, whatever packages the working folder has."""
    return [sys.executable, "-P", MODULE, module]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Holds SIGINT and SIGTERM back, so that no daemon is left behind between its start or stop and the book of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {number: signal.signal(number, lambda got, _: held.append(got)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for got in held[:1]:
            signal.raise_signal(got)


class Running(Protocol):
    """What is used of a process, new or copied; as subprocess.Popen has it."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class Copy:
    """A process that was copied. Its number is not given away before `poll` or `wait` has said that it has ended."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server, self.pid = server, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.ask({"ended": self.pid})["code"]
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left < 0.0:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            _until_ended(self.pid, _TURN if left is None else min(left, _TURN))
        return code

    def send_signal(self, sig: int, /) -> None:
        if self.returncode is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _until_ended(pid: int, seconds: float) -> None:
    """Waits until a process that is no child of this one has ended, or so long; where the kernel cannot tell, for a moment."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # another system, an older kernel
        time.sleep(_PAUSE)
        return
    try:
        ends = select.poll()
        ends.register(descriptor, select.POLLIN)
        ends.poll(1000.0 * seconds)
    finally:
        os.close(descriptor)


class ForkServer:
    """The process that is copied; a context manager, whose copies are to have ended when it is left.

    When this process ends without a word, that one ends its copies.
    """

    def __init__(self, preloaded: Sequence[str] = PRELOADED) -> None:
        """preloaded: the modules that it imports, which begins at once and which nobody waits for here."""
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603
            [*python(__name__), *preloaded],
            env={**os.environ, **ENVIRONMENT},
            text=True,
            bufsize=1,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches this process, which then stops the copies in order
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):  # of an answer that nobody read, or a question
                    stream.close()

    def start(self, command: Sequence[str], environment: Mapping[str, str], out: Path, errors: Path | None = None) -> Copy:
        """A copy that does as `command` in this working folder, writing to the ends of `out` and `errors`, or both to `out`."""
        module, *arguments = command[command.index(MODULE) + 1 :]
        asked = {"module": module, "arguments": arguments, "environment": dict(environment), "folder": str(Path.cwd())}
        return Copy(self, self.ask({**asked, "out": str(out), "errors": str(errors or out)})["pid"])

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """As subprocess.run, which captures its text."""
        with tempfile.TemporaryDirectory(prefix="wattscore-") as folder:
            out, errors = Path(folder) / "out", Path(folder) / "errors"
            code = self.start(command, {**os.environ, **ENVIRONMENT}, out, errors).wait()
            texts = [file.read_text(encoding="utf-8") for file in (out, errors)]
        return subprocess.CompletedProcess(list(command), code, *texts)

    def ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Raises PeerLost where that process has ended; what ended it stands in this one's standard error."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101
        with undisturbed(), self._lock:
            try:
                process.stdin.write(json.dumps(asked) + "\n")
                answer = process.stdout.readline()
            except BrokenPipeError:
                answer = ""
        if not answer:
            raise PeerLost("the process that starts daemons has ended", remedy="Was it killed, for lack of memory?")
        found: dict[str, Any] = json.loads(answer)
        return found


def fork_server() -> AbstractContextManager[ForkServer | None]:
    """One where processes can be copied after so much has been imported; elsewhere none, and they are started anew."""
    return ForkServer() if sys.platform == "linux" else nullcontext()


def _serve() -> None:
    gc.disable()  # nothing of what is imported goes
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.freeze()
    copies = set[int]()
    for line in sys.stdin:
        asked = json.loads(line)
        if (pid := asked.get("ended")) is None:
            if (pid := _fork()) == 0:
                _run(asked)
            copies.add(pid)
            answer: dict[str, Any] = {"pid": pid}
        else:
            ended, status = os.waitpid(pid, os.WNOHANG)
            answer = {"code": os.waitstatus_to_exitcode(status) if ended else None}
            copies -= {ended}
        print(json.dumps(answer), flush=True)
    for pid in copies:
        os.kill(pid, signal.SIGTERM)


def _fork() -> int:
    with warnings.catch_warnings():  # Python 3.12 warns where it counts two threads: Arrow's allocator has one, made for this
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _run(asked: Mapping[str, Any]) -> NoReturn:
    """In the copy: what a new process would do."""
    os.setsid()
    gc.enable()
    os.chdir(asked["folder"])
    appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for target, name, flags in ((0, os.devnull, os.O_RDONLY), (1, asked["out"], appended), (2, asked["errors"], appended)):
        os.dup2(os.open(name, flags, 0o600), target)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = [asked["module"], *asked["arguments"]]
    code: Any = 1
    try:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    _serve()
