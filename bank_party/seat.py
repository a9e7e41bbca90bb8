"""The bank's seat, and `bank-party serve`, which loads what a daemon needs and nothing that other commands alone do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bank_party.dial import approach
from bank_party.home import BankHome
from bank_party.role import BankRole
from bank_party.settings import BankSettings
from common.daemon.daemon import start
from common.daemon.seat import Beside, Seat, Station
from common.party import Party
from common.process.extra import extra
from common.process.serve import serve_command

if TYPE_CHECKING:
    from common.monitor.history import History


def history(settings: BankSettings) -> History:
    """What was scored by month, as this party saw its own columns then, and outcomes that are known by now."""
    from bank_party.monitor.history import read_history

    return read_history(settings.data, settings.datasets, settings.monitor, settings.overrides)


def _online(station: Station[BankSettings, BankHome]) -> Beside | None:
    if station.settings.online is None:
        return None
    with extra("online"):
        from bank_party.online.run import Online  # an extra, which other banks need not install
    return Online(station, station.settings.online)


def _console(station: Station[BankSettings, BankHome]) -> Beside | None:
    if station.settings.console is None:
        return None
    with extra("console"):
        from bank_party.pipeline.page import make_pages  # an extra, which other parties need not install
        from common.console.run import make_console
    return make_console(SEAT.party, history, station, make_pages(station.settings.data))


SEAT = Seat(Party.BANK, BankSettings, BankHome.of, BankRole, approach, (_online, _console))
serve = serve_command(SEAT.name, partial(start, SEAT))
