"""A loopback of this process and its children alone, on which some of the segments of every connection are lost.

Of packets of 1,500 bytes, as a line between companies has them: TCP finds what is lost, and sends it again. Needs root on
Linux, iproute2 and iptables.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h
_PACKETS = "mtu 1500 gso_max_segs 1 gso_max_size 1500 up"


def why_not() -> str:
    """Why there can be none here; empty if there can."""
    if sys.platform != "linux" or os.geteuid():
        return "not root on Linux"
    missing = [name for name in ("ip", "iptables") if shutil.which(name) is None]
    return f"no {' and no '.join(missing)}" if missing else ""


def apart() -> None:
    """From here on this thread and what it starts are in a network of their own, which loses nothing yet."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "no network of its own")
    _run(f"ip link set lo {_PACKETS}")


def lose(percent: float) -> None:
    """So many of the segments are lost from here on."""
    _run("iptables -F INPUT")
    if percent:
        _run(f"iptables -A INPUT -i lo -p tcp -m statistic --mode random --probability {percent / 100.0:.6f} -j DROP")


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True)


def segments() -> tuple[int, int]:
    """How many were sent, and how many of these again."""
    names, values = (line.split()[1:] for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:"))
    found = dict(zip(names, map(int, values), strict=True))
    return found["OutSegs"] + found["RetransSegs"], found["RetransSegs"]
