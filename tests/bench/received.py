"""Bytes that a peer's process has been sent, as the kernel counts them; for scripts that a Python of their own runs."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path

_RECEIVED = 128  # offset of tcpi_bytes_received in Linux's struct tcp_info


def received() -> int:
    """Bytes received by all TCP connections that this process has open, with whatever frames and handshakes they came in."""
    total = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as one:
                if one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM:
                    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                    total += int(struct.unpack_from("Q", info, _RECEIVED)[0]) if len(info) >= _RECEIVED + 8 else 0
        except OSError:  # closed since it was listed
            continue
    return total
