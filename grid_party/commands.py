"""The commands of `grid-party`: those that both parties have, at the grid's seat."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from common.console.command import console_command
from common.daemon.approving import approve_command, deny_command
from common.daemon.auditing import audit_command
from common.daemon.backup import backup_command, restore_command
from common.daemon.budget_command import allow_command, budget_command
from common.daemon.commands import models_command, monitor_command, report_command, verify_command
from common.daemon.daemon import start
from common.daemon.granting import grant_command
from common.daemon.index import index_command
from common.daemon.jobs_command import jobs_command
from common.daemon.prune import prune_command
from common.daemon.seat import Beside, Seat, Station
from common.disk.data_folder import Name
from common.doctor.cli import doctor_command
from common.doctor.side import Side
from common.monitor.book import Book
from common.monitor.history import History, make_history
from common.party import Party
from common.process.extra import extra
from common.process.serve import serve_command
from common.report.card import Card
from common.report.texts import Choice
from grid_party.home import GridHome
from grid_party.listen import approach
from grid_party.role import GridRole
from grid_party.settings import GridSettings

if TYPE_CHECKING:
    from common.report.page import Report


def _console(station: Station[GridSettings, GridHome]) -> Beside | None:
    if station.settings.console is None:
        return None
    with extra("console"):
        from common.console.run import make_console  # an extra, which other parties need not install
    return make_console(SEAT.party, _history, station)


SEAT = Seat(Party.GRID, GridSettings, GridHome.of, GridRole, approach, (_console,))


def load_side(config: Path) -> Side:
    """This party's, for its doctor."""
    return Side(SEAT.party.value, SEAT.load(config))


def _history(settings: GridSettings) -> History:
    return make_history(Book(settings.data / Name.HISTORY).readings(), settings.monitor)


def _page(data: Path, job: str, lang: Choice, card: Card) -> Report:
    from grid_party.report import make_report  # draws charts: the other commands need not wait for that library

    return make_report(data, job, lang, card)


serve = serve_command(SEAT.name, partial(start, SEAT))
jobs = jobs_command(SEAT)
models = models_command(SEAT)
budget = budget_command(SEAT)
allow = allow_command(SEAT)
approve = approve_command(SEAT)
grant = grant_command(SEAT)
deny = deny_command(SEAT)
audit = audit_command(SEAT)
monitor = monitor_command(SEAT, _history)
report = report_command(SEAT, _page)
index = index_command(SEAT, _history)
prune = prune_command(SEAT)
backup = backup_command(SEAT)
restore = restore_command(SEAT)
verify = verify_command(SEAT, _page)
console = console_command(SEAT)
doctor = doctor_command(load_side, "This party's configuration")
