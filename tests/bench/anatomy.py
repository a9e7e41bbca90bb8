"""Where a stage's processor time went in each of the three processes, from what `tests.bench.profiled` wrote."""

from __future__ import annotations

from typing import Any

from tests.bench.machine import encryption_rate

GRPC, LOOP, REST = "gRPC's own threads: HTTP/2, TLS, sockets", "event loop and glue", "other native threads"


def anatomy(profile: dict[str, dict[str, Any]], sizes: dict[str, dict[str, int]]) -> dict[str, Any]:
    """For each process: seconds of the stage, core-seconds and shares by kind of work, seconds of waiting by cause.

    The named kinds are of Python's threads; what these spent beside them is glue. gRPC's own threads have what remains of
    the process. encryption: an estimate, and part of gRPC's: bytes of the links both ways over this core's AES-GCM rate.
    Waiting is by the wall clock, summed over tasks that may wait at the same time, and may overlap with computing.
    """
    rate = encryption_rate()
    return {name: _process(entry, _carried(name, sizes) / rate) for name, entry in profile.items()}


def _process(entry: dict[str, Any], encryption: float) -> dict[str, Any]:
    total, ran, named = entry["process"]["total"], entry["threads"], dict(entry["named"])
    python = ran.get("loop", 0.0) + ran.get("workers", 0.0)
    work = {
        **named,
        LOOP: max(0.0, python - sum(named.values())),
        REST: ran.get("other", 0.0),
        GRPC: max(0.0, total - python - ran.get("other", 0.0)),
    }
    ready = entry["ready"]
    return {
        "seconds": entry["seconds"],
        "core_seconds": total,
        "work": {name: seconds for name, seconds in sorted(work.items(), key=lambda item: -item[1]) if seconds > 0.0},
        "share": {name: seconds / total for name, seconds in work.items() if seconds > 0.0},
        "encryption_estimate": encryption,
        "waiting": {**entry["waited"], "a free core": ready.get("loop", 0.0) + ready.get("workers", 0.0)},
    }


def _carried(process: str, sizes: dict[str, dict[str, int]]) -> int:
    """Bytes of the whole job over the links of a process, both ways; nearly all of them are training's."""
    return sum(sum(ways.values()) for link, ways in sizes.items() if process in link.split("_"))
