"""The machine and software a figure was measured on, and how fast it encrypts."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_RECORD = 16 << 10  # bytes of a TLS record


def machine() -> dict[str, Any]:
    """Processor, cores, memory, versions: goes with every file of results."""
    names = ("wattscore", "numpy", "grpcio", "protobuf", "cryptography", "scikit-learn")
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory() / 2**30, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {name: version(name) for name in names},
        "load_before": os.getloadavg()[0],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def memory() -> int:
    """Bytes of memory free for use now."""
    found = _field("/proc/meminfo", "MemAvailable")
    return int(found.split()[0]) << 10 if found else 0


def _field(file: str, name: str) -> str:
    path = Path(file)
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def encryption_rate(megabytes: int = 64) -> float:
    """Bytes a core encrypts in a second as TLS does: AES-256-GCM in records of 16 KiB."""
    cipher, record = AESGCM(bytes(32)), bytes(_RECORD)
    count = (megabytes << 20) // _RECORD
    start = time.thread_time()
    for number in range(count):
        cipher.encrypt(number.to_bytes(12, "big"), record, None)
    return count * _RECORD / (time.thread_time() - start)
