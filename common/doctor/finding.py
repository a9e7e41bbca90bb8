"""What a doctor says: one line a check, and what it takes for true of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from common import __version__
from common.errors import WattScoreError
from common.process.memory import free_memory
from common.wire.peer import PROTOCOL
from common.wire.unproven import obtainable

SOON = 30  # days of a certificate that are few


class Status(Enum):
    PASS = "pass"  # noqa: S105
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line. `check` is the same text for the same question on every machine; `remedy` is empty only for a pass."""

    check: str
    status: Status
    found: str
    remedy: str = ""


def passed(check: str, found: str) -> Finding:
    return Finding(check, Status.PASS, found)


def warned(check: str, found: str, remedy: str) -> Finding:
    return Finding(check, Status.WARN, found, remedy)


def failed(check: str, error: WattScoreError | str, remedy: str = "") -> Finding:
    """`error` with its own remedy, or with `remedy` where it has none."""
    if isinstance(error, str):
        return Finding(check, Status.FAIL, error, remedy)
    own = " ".join(part for part in (error.remedy or remedy, error.local) if part)
    found = str(error).removesuffix(own).strip().removesuffix(".") if own else str(error)
    return Finding(check, Status.FAIL, found, own or "See the message.")


def lifetime(check: str, end: datetime, now: datetime, remedy: str) -> Finding:
    """Whether a certificate that ends at `end` lasts: none left fails, less than 30 days warns."""
    left = (end - now).days
    if end < now:
        return failed(check, f"expired on {end:%Y-%m-%d}", remedy)
    if left < SOON:
        return warned(check, f"{left} days left, until {end:%Y-%m-%d}", remedy)
    return passed(check, f"{left} days left")


@dataclass(frozen=True)
class Report:
    """All findings about one configuration; `role` is grid, bank, coordinator or client, `identity` empty if unknown."""

    role: str
    identity: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(finding.status is not Status.FAIL for finding in self.findings)


def free_disk(folder: Path) -> int:
    """Bytes that this user may still write where `folder` is, or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def cores() -> int:
    """Those that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Machine:
    """The surroundings that checks ask: clock, disk, memory, cores, descriptors, versions."""

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    free_disk: Callable[[Path], int] = free_disk
    free_memory: Callable[[], int] = free_memory
    cores: Callable[[], int] = cores
    descriptors: Callable[[], int] = obtainable
    software: str = __version__
    protocol: int = PROTOCOL
    patience: float = 1.0  # by which every limit of seconds is multiplied

    def seconds(self) -> float:
        """Since 1970."""
        return self.now().timestamp()


def worst(findings: Iterable[Finding]) -> Status:
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.PASS)
