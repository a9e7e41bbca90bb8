"""The helper process of one alignment: started with a private folder, fed, watched, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

from common.errors import HelperFailed

SCRIPT = Path(__file__).with_name("rr22_helper.py")
_GRACE = 1.0  # seconds for what should follow at once
_POLL = 0.05
_LAST_LINES = 10  # of what it printed, for the log of a failure


class Helper:
    """A running matcher. Use `start`, `ready`, `go`, `linked`, `go`, `done`; `stop` at the end, whatever happened."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self._log = process, log

    @classmethod
    async def start(cls, python: Path, folder: Path, *arguments: int) -> Helper:
        """Runs the script by `python` in `folder`, with nothing of this process's environment but PATH. Raises HelperFailed."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C"}
        log = folder / "log"
        try:
            with log.open("wb") as printed:
                process = await asyncio.create_subprocess_exec(
                    *(str(python), "-I", str(SCRIPT), str(folder), *map(str, arguments)),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=printed,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,  # so that what it starts ends with it
                )
        except OSError as error:
            raise HelperFailed(
                "the matcher could not be started",
                remedy="Check matcher.python in this party's configuration.",
                local=f"{python}: {error.strerror}",
            ) from None
        return cls(process, log)

    async def ready(self) -> str:
        """Its name and version, once it has loaded."""
        return str(await self._line("ready"))

    def go(self) -> None:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(b"go\n")

    async def linked(self) -> None:
        """Returns once it is connected with the other side's; `go` lets it begin."""
        await self._line("linked")

    async def done(self) -> int:
        """The number of common ids it has found. It stays until `stop`, to answer the other side's."""
        count = await self._line("done")
        if not isinstance(count, int):
            raise await self._failure()
        return count

    async def stop(self) -> None:
        """Kills it and what it has started, and waits until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _line(self, key: str) -> object:
        """The value of the next line it writes, which must be of this key; raises HelperFailed if none comes."""
        assert self._process.stdout is not None  # noqa: S101
        reading = asyncio.create_task(self._process.stdout.readline())
        exit = asyncio.create_task(self._exit())
        try:
            await asyncio.wait({reading, exit}, return_when=asyncio.FIRST_COMPLETED)
            return json.loads(await asyncio.wait_for(reading, _GRACE))[key]
        except (TimeoutError, ValueError, KeyError, TypeError):
            raise await self._failure() from None
        finally:
            reading.cancel()
            exit.cancel()

    async def _exit(self) -> int:
        """Its exit code. `Process.wait` may also wait for what it has started, which holds its pipes."""
        while (code := self._process.returncode) is None:
            await asyncio.sleep(_POLL)
        return code

    async def _failure(self) -> HelperFailed:
        """What is known of its end. What it printed stays on this side."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exit(), _GRACE)
        said = self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        code = self._process.returncode
        how = "gave no result" if code in (0, None) else f"ended with signal {-code}" if code < 0 else f"ended with code {code}"
        return HelperFailed(
            f"the matcher {how}",
            remedy="See the log of this party; check that its matcher's environment has spu, and memory enough.",
            local="It last said: " + " | ".join(said) if said else "",
        )
