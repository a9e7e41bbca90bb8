"""What each side of the demo sees when its columns drift: its own alarms, and its page of `monitor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from common.monitor.drift import Alarm
from common.monitor.reference import SCORE
from common.party import Party
from common.text.visible import escape
from common.trial.forkserver import ForkServer
from common.trial.own import read_own
from common.wire import coordinator_pb2 as wire


def look(party: Party, config: Path, page: Path, forks: ForkServer | None = None) -> Sequence[Alarm]:
    """The alarms of the party whose configuration this is; its history as `page`."""
    found = read_own(party, "monitor", "--config", config, "--out", page, forks=forks)
    return [Alarm(**alarm) for alarm in found["alarms"]]


def print_alarms(found: Mapping[str, Sequence[Alarm]], console: Console) -> None:
    """found: by side. Columns' names stay at their owner; here one user is both."""
    table = Table(
        "at", "month", "alarm", "column", Column("value", justify="right"), Column("limit", justify="right"), box=None
    )
    for side, alarms in found.items():
        for a in alarms:
            name = "score" if a.feature == SCORE else escape(a.feature)
            table.add_row(side, a.month, a.what, name, f"{a.value:.2f}", f"{a.limit:.2f}")
    console.print(table if any(found.values()) else "no alarm")


def heard(job: wire.Job) -> dict[str, dict[str, Any]]:
    """All that the client is told of it: by side, the largest stability index and the number of alarms."""
    drifts = {"grid": job.grid.report.drift, "bank": job.bank.report.drift}
    return {side: {"largest_psi": round(drift.largest_psi, 2), "alarms": drift.alarms} for side, drift in drifts.items()}


def as_values(found: Mapping[str, Sequence[Alarm]]) -> dict[str, list[dict[str, Any]]]:
    """Alarms by side, for `result.json`."""
    return {side: [asdict(alarm) for alarm in alarms] for side, alarms in found.items()}
