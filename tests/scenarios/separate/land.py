"""Three network namespaces, joined by three lines, each with a folder that the other two cannot see."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.patience import patience
from tests.scenarios.separate.pages import ROLES, blocks
from tests.source import ROOT

HOSTS = {"coordinator": "coordinator.example", "grid": "grid.example"}
LINES = (("grid", "bank"), ("coordinator", "grid"), ("coordinator", "bank"))  # the first has the address that ends in 1
BIN = Path(sys.executable).parent


def why_not() -> str:
    """Why namespaces cannot be made here; empty if they can."""
    if os.geteuid():
        return "not root"
    if missing := [name for name in ("ip", "unshare", "mount") if shutil.which(name) is None]:
        return f"no {' and no '.join(missing)} (package iproute2)"
    if not (BIN / "grid-party").exists():
        return "the commands are not installed beside this Python"
    name = f"wsprobe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"the kernel refuses a network namespace ({made.stderr.strip()})"
    ip("netns", "del", name)
    return ""


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


class Place:
    """One organisation: its namespace, its folder, the daemon that runs there."""

    def __init__(self, role: str, folder: Path) -> None:
        self.role, self.space = role, f"ws{os.getpid()}{role[0]}"
        self.home = folder / role
        self._hidden = [folder / other for other in ROLES if other != role]
        self._daemon: subprocess.Popen[bytes] | None = None
        self._typed = set[tuple[int, int]]()

    def _command(self, script: str) -> tuple[list[str], dict[str, Any]]:
        hide = "".join(f"mount -t tmpfs none {folder}\n" for folder in self._hidden)
        words = ["ip", "netns", "exec", self.space, "bash", "-euc", f"{hide}cd {self.home}\n{script}"]
        own = {
            "PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
        }
        own |= {
            "SOURCE": str(ROOT),
            "TABLE": str(self.home / "export.csv"),
            "GRPC_VERBOSITY": "NONE",
            "WATTSCORE_PATIENCE": str(patience(1)),
            "OPENBLAS_NUM_THREADS": "1",
        }
        return words, {"env": own, "stdin": subprocess.DEVNULL, "start_new_session": True}

    def run(self, script: str, code: int = 0) -> str:
        """What the script prints, in this organisation's namespace and folder; it must end with `code`."""
        words, options = self._command(script)
        done = subprocess.run(words, capture_output=True, text=True, timeout=patience(60), **options)
        assert done.returncode == code, f"{self.role}: {script}\n{done.stdout}{done.stderr}{self.log()}"
        return done.stdout

    def follow(self, section: int, block: int = 0, code: int = 0) -> str:
        """Types what this organisation's page says there."""
        self._typed.add((section, block))
        return self.run(blocks(self.role)[section][block], code)

    def begin(self, section: int) -> None:
        """Types it and leaves it running."""
        self._typed.add((section, 0))
        words, options = self._command(f"exec {blocks(self.role)[section][0]}")
        with (self.home / "log").open("wb") as log:
            self._daemon = subprocess.Popen(words, stdout=log, stderr=log, **options)

    def untyped(self) -> list[str]:
        """The lines of this organisation's page that nobody has typed."""
        numbered = ((section, n, code) for section, found in blocks(self.role).items() for n, code in enumerate(found))
        return [line for section, n, code in numbered if (section, n) not in self._typed for line in code.splitlines()]

    def log(self) -> str:
        file = self.home / "log"
        return file.read_text(errors="replace")[-2000:] if file.exists() else ""

    def end(self) -> None:
        if self._daemon is not None and self._daemon.poll() is None:
            os.killpg(self._daemon.pid, signal.SIGTERM)
            try:
                self._daemon.wait(patience(10))
            except subprocess.TimeoutExpired:
                os.killpg(self._daemon.pid, signal.SIGKILL)
                self._daemon.wait()


@contextmanager
def land() -> Iterator[dict[str, Place]]:
    """The three, joined; all of it is taken away at the end."""
    with tempfile.TemporaryDirectory(prefix="wattscore-land-") as folder:
        places = {role: Place(role, Path(folder)) for role in ROLES}
        try:
            for place in places.values():
                place.home.mkdir(mode=0o700)
                ip("netns", "add", place.space)
                ip("-n", place.space, "link", "set", "lo", "up")
            _join(places)
            yield places
        finally:
            for place in places.values():
                place.end()
            for place in places.values():
                subprocess.run(["ip", "netns", "del", place.space], capture_output=True)
                shutil.rmtree(Path("/etc/netns") / place.space, ignore_errors=True)


def _join(places: dict[str, Place]) -> None:
    """A line for each two, so that no packet passes a third; who may be dialled is known by name."""
    names: dict[str, list[str]] = {role: ["127.0.0.1 localhost"] for role in places}
    for number, (one, two) in enumerate(LINES, 1):
        ends = [(places[one], f"ws{one[0]}{two[0]}", 1), (places[two], f"ws{two[0]}{one[0]}", 2)]
        (first, first_link, _), (second, second_link, _) = ends
        ip("link", "add", first_link, "netns", first.space, "type", "veth", "peer", "name", second_link, "netns", second.space)
        for place, link, last in ends:
            ip("-n", place.space, "address", "add", f"10.213.{number}.{last}/30", "dev", link)
            ip("-n", place.space, "link", "set", link, "up")
        names[two].append(f"10.213.{number}.1 {HOSTS[one]}")
    for role, lines in names.items():
        own = Path("/etc/netns") / places[role].space  # `ip netns exec` shows it as /etc/hosts
        own.mkdir(parents=True)
        (own / "hosts").write_text("\n".join(lines) + "\n")
