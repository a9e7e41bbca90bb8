"""The commands of `grid-party` but `serve`: those that both parties have, at the grid's seat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from common.console.command import console_command
from common.daemon.approving import approve_command, deny_command
from common.daemon.auditing import audit_command
from common.daemon.backup import backup_command, restore_command
from common.daemon.budget_command import allow_command, budget_command
from common.daemon.commands import models_command, monitor_command, report_command, verify_command
from common.daemon.granting import grant_command
from common.daemon.index import index_command
from common.daemon.jobs_command import jobs_command
from common.daemon.prune import prune_command
from common.doctor.cli import doctor_command
from common.doctor.side import Side
from common.report.texts import Choice
from grid_party.seat import SEAT, history

if TYPE_CHECKING:
    from common.report.page import Report
    from grid_party.settings import GridSettings


def load_side(config: Path) -> Side:
    """This party's, for its doctor."""
    return Side(SEAT.party.value, SEAT.load(config))


def _page(settings: GridSettings, job: str, lang: Choice, look: int | None) -> Report:
    from grid_party.report import make_report  # draws charts: the other commands need not wait for that library

    return make_report(settings.data, job, lang, settings.card)


jobs = jobs_command(SEAT)
models = models_command(SEAT)
budget = budget_command(SEAT)
allow = allow_command(SEAT)
approve = approve_command(SEAT)
grant = grant_command(SEAT)
deny = deny_command(SEAT)
audit = audit_command(SEAT)
monitor = monitor_command(SEAT, history)
report = report_command(SEAT, _page)
index = index_command(SEAT, history)
prune = prune_command(SEAT)
backup = backup_command(SEAT)
restore = restore_command(SEAT)
verify = verify_command(SEAT, _page)
console = console_command(SEAT)
doctor = doctor_command(load_side, "This party's configuration")
