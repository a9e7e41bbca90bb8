"""`console`: a link that logs the person who runs it into the pages of the daemon on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from common.daemon.seat import Seat, open_home
from common.process.person import person
from common.web.links import print_link

_config = click.option(
    "--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="This party's configuration."
)


def console_command(seat: Seat[Any, Any]) -> click.Command:
    @click.command()
    @_config
    def console(config: Path) -> None:
        """Print a link to this party's pages, which its daemon serves.

        It logs in whoever opens it first, once, within two minutes, as the account that logged in here.
        """
        settings = seat.load(config)
        open_home(seat, config)
        print_link(settings.console, settings.tls, settings.data, person(), f"{seat.name} serve")

    return console
