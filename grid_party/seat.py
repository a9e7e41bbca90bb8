"""The grid's seat, and `grid-party serve`, which loads what a daemon needs and nothing that other commands alone do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from common.daemon.daemon import start
from common.daemon.seat import Beside, Seat, Station
from common.disk.data_folder import Name
from common.party import Party
from common.process.extra import extra
from common.process.serve import serve_command
from grid_party.home import GridHome
from grid_party.listen import approach
from grid_party.role import GridRole
from grid_party.settings import GridSettings

if TYPE_CHECKING:
    from common.monitor.history import History


def history(settings: GridSettings) -> History:
    """What was scored by month, as this party saw its own columns then."""
    from common.monitor.book import Book
    from common.monitor.history import make_history

    book = Book(settings.data / Name.HISTORY)
    return make_history(book.readings(), settings.monitor, entered=book.entered())


def _console(station: Station[GridSettings, GridHome]) -> Beside | None:
    if station.settings.console is None:
        return None
    with extra("console"):
        from common.console.run import make_console  # an extra, which other parties need not install
    return make_console(SEAT.party, history, station)


SEAT = Seat(Party.GRID, GridSettings, GridHome.of, GridRole, approach, (_console,))
serve = serve_command(SEAT.name, partial(start, SEAT))
