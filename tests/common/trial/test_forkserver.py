"""Copies of one process: each has its own session, environment, files and randomness, and none outlives who asked for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import PeerLost
from common.trial.forkserver import ForkServer, python
from tests.patience import patience

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")

_TELLS = """
import json, os, random, secrets, sys, loaded
from cryptography.hazmat.primitives.asymmetric import ec
KEY = ec.generate_private_key(ec.SECP256R1())
print(json.dumps({
    "words": sys.argv[1:], "name": __name__, "session": os.getsid(0), "pid": os.getpid(), "told": os.environ.get("TOLD"),
    "home": os.environ.get("HOME"), "folder": os.getcwd(), "input": sys.stdin.read(), "at": loaded.AT,
    "drawn": [random.random(), secrets.token_hex(8), KEY.private_numbers().private_value % 2**50],
}))
print("heard", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    (tmp_path / "loaded.py").write_text("import os\nAT = os.getpid()\n")
    (tmp_path / "tells.py").write_text(_TELLS)
    (tmp_path / "waits.py").write_text("import signal\nsignal.pause()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ForkServer(["loaded"]) as made:
        yield made


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_copies_are_processes_of_their_own_that_draw_their_own_numbers(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")  # since the server began
    first, second = (server.start([*python("tells"), "a b", "c"], {"TOLD": k}, Path("..") / k) for k in "12")
    assert (first.wait(patience(30)), second.wait(patience(30))) == (3, 3) and first.poll() == 3
    texts = [(tmp_path / k).read_text() for k in "12"]
    told = [json.loads(text.splitlines()[0]) for text in texts]
    assert all("heard" in text for text in texts)
    assert [one["told"] for one in told] == ["1", "2"] and all(one["home"] is None for one in told)
    assert all(one["words"] == ["a b", "c"] and one["name"] == "__main__" and one["input"] == "" for one in told)
    assert {one["folder"] for one in told} == {str(tmp_path / "in")}
    assert [one["session"] for one in told] == [one["pid"] for one in told] == [first.pid, second.pid]
    assert told[0]["at"] == told[1]["at"] not in (os.getpid(), first.pid, second.pid)  # imported once, before
    assert not set(told[0]["drawn"]) & set(told[1]["drawn"])


def test_what_a_command_says_is_heard_apart(server: ForkServer) -> None:
    done = server.run(python("tells"))
    assert done.returncode == 3 and json.loads(done.stdout)["words"] == [] and done.stderr == "heard\n"


def test_a_copy_that_is_killed_has_ended(server: ForkServer, tmp_path: Path) -> None:
    copy = server.start(python("waits"), os.environ, tmp_path / "log")
    assert copy.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        copy.wait(0.0)
    copy.kill()
    assert copy.wait(patience(30)) == -signal.SIGKILL
    copy.send_signal(signal.SIGTERM)  # to nobody: its number may be another's by now


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the kernel tells nobody but its parent when a process ends")
def test_who_waits_for_a_copy_hears_of_its_end_and_does_not_ask_again_and_again(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, asked, ask, begin = (
        server.start(python("waits"), os.environ, tmp_path / "log"),
        list[object](),
        server.ask,
        time.monotonic(),
    )
    monkeypatch.setattr(server, "ask", lambda one: (asked.append(one), ask(one))[1])
    threading.Timer(0.5, copy.kill).start()
    assert copy.wait(patience(30)) == -signal.SIGKILL
    assert len(asked) <= 3 + (time.monotonic() - begin)  # before, after, and once a second


def test_copies_end_when_who_asked_for_them_ends_without_a_word(server: ForkServer, tmp_path: Path) -> None:
    copy = server.start(python("waits"), os.environ, tmp_path / "log")
    assert server._process.stdin is not None
    server._process.stdin.close()
    end = time.monotonic() + patience(30)
    while not gone(copy.pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_server_that_is_gone_is_said(server: ForkServer, tmp_path: Path) -> None:
    server._process.kill()
    server._process.wait()
    with pytest.raises(PeerLost, match="the process that starts daemons has ended"):
        server.start(python("waits"), os.environ, tmp_path / "log")


def test_packages_of_the_working_folder_are_not_taken_for_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").write_text("raise ImportError('of somebody else')\n")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run([*python("common.cli"), "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("wattscore"), done.stderr
