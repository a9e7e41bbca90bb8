"""A daemon's command: ready when it says so, ended in order by a signal, whenever it comes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.process.serve import _beat, loop_factory
from tests.patience import patience
from tests.source import ROOT

SCRIPT = """
import asyncio, errno, gc, os, signal, sys
from common.errors import ConfigError, PeerLost
from common.process.serve import serve_command

class Daemon:
    port, anew = 7, 0
    def reload(self):
        self.anew += 1
    async def run(self):
        if LOST == "lost":
            raise PeerLost("the disk is gone")
        while not os.path.exists(sys.argv[-1]):
            await asyncio.sleep(0.01)
        signal.raise_signal(signal.SIGHUP)
        while not self.anew:
            await asyncio.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()
    async def stop(self, reason):
        with open(sys.argv[-1] + ".apart", "w") as file:
            file.write(str(gc.get_freeze_count()))
        signal.raise_signal(signal.SIGINT)
        print(reason, flush=True)
        if LOST == "grpc":
            await self.server.stop(1.0)

async def start(config):
    if config.name == "bad.toml":
        raise ConfigError("no such key", remedy="Mend it.")
    daemon = Daemon()
    if LOST == "grpc":
        import grpc
        daemon.server = grpc.aio.server()
        await daemon.server.start()
        os.fsync = full
    return daemon

def full(handle):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

LOST = sys.argv.pop()
try:
    serve_command("tester", start).main(sys.argv[1:], standalone_mode=False)
finally:
    for number in (signal.SIGINT, signal.SIGTERM):
        if sys.exc_info()[0] is None:
            signal.raise_signal(number)  # as late as one can come
print("ended")
"""


def run(folder: Path, config: str = "good.toml", how: str = "well") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", SCRIPT, "--config", str(folder / config), "--ready-file", str(folder / "ready")]
    words += ["--heartbeat", str(folder / "alive"), how]
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=patience(60))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("serve")
    return folder, run(folder)


def test_a_signal_ends_it_in_order_and_later_ones_change_nothing(
    ended: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = ended
    assert (done.returncode, done.stdout) == (0, "the tester is shutting down\nended\n"), done.stderr


def test_what_was_imported_is_looked_through_no_more(ended: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """A look through all of it, at whatever moment, kept a request waiting for longer than all else."""
    folder, _ = ended
    assert int((folder / "alive.apart").read_text()) > 20_000


def test_the_ready_file_says_where_and_who(ended: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    file = ended[0] / "ready"
    assert json.loads(file.read_text()).keys() == {"port", "pid"} and json.loads(file.read_text())["port"] == 7
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_it_cannot_start_with_or_recover_from_ends_it_with_2(tmp_path: Path) -> None:
    for config, how, says in (("bad.toml", "well", "no such key. Mend it."), ("good.toml", "lost", "the disk is gone")):
        done = run(tmp_path, config, how)
        assert done.returncode == 2 and f"tester: {says}" in done.stderr and "ended" not in done.stdout


def test_what_ends_it_is_the_last_thing_it_says_though_a_server_was_open(tmp_path: Path) -> None:
    """The disk is full on which the ready file is to lie: what was begun is ended before the process is."""
    done = run(tmp_path, how="grpc")
    assert done.returncode == 2 and "the tester is shutting down" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("tester: a file cannot be written or read in")


def test_the_heartbeat_comes_while_it_serves_and_goes_with_it(ended: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = ended
    assert done.returncode == 0 and not (folder / "alive").exists()  # `run` above ends once it is there


async def test_a_heartbeat_that_cannot_be_written_is_logged_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    beating = asyncio.ensure_future(_beat(tmp_path / "none" / "alive"))
    async with asyncio.timeout(patience(5)):
        while "no heartbeat can be written" not in caplog.text:
            await asyncio.sleep(0.01)
    assert not beating.done()
    beating.cancel()


def test_a_daemons_loop_is_libuvs_where_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        assert type(runner.get_loop()).__module__ == "uvloop"
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        assert type(runner.get_loop()).__module__.startswith("asyncio")
