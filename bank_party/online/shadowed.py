"""`bank-party shadow`: the challenger beside the champion, over all that both have scored as programs of the bank asked."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bank_party.home import BankHome
from bank_party.settings import BankSettings
from common.daemon.seat import Seat
from common.disk.data_folder import Name
from common.errors import DataError
from common.text.visible import visible

_PAIRS = 20  # of champion and challenger, the newest


def shadow_command(seat: Seat[BankSettings, BankHome]) -> click.Command:
    @click.command()
    @click.option("--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="The bank's.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
    def shadow(config: Path, as_json: bool) -> None:
        """Compare the challenger of [online.shadow] with the champion, over the rows that both have scored.

        PSI of the probabilities, rank correlation of the scores, the share of rows decided otherwise, and of those approved.
        """
        found = _compared(seat.load(config).data)
        if as_json:
            click.echo(json.dumps(found, indent=1))
            return
        if not found:
            click.echo("no row was scored by a challenger yet: see [online.shadow]")
        for one in found:
            click.echo(visible(_line(one)))

    return shadow


def _compared(data: Path) -> list[dict[str, Any]]:
    from bank_party.judge.shadow import compare  # pandas
    from bank_party.online.shadow import ShadowBook

    if not (file := data / Name.SHADOWS).exists():
        return []
    book, found = ShadowBook(file), list[dict[str, Any]]()
    for champion, challenger, first, last in book.compared()[-_PAIRS:]:
        if (one := compare(champion, *book.read(champion, challenger))) is None:
            raise DataError(f"{file}: rows without their keys", public="the book of a challenger is damaged")
        found.append({"challenger": challenger, **asdict(one), "first": first, "last": last})
    return found


def _line(one: dict[str, Any]) -> str:
    rank = "-" if one["rank"] is None else f"{one['rank']:.4f}"
    since, until = (time.strftime("%Y-%m-%d", time.localtime(one[key])) for key in ("first", "last"))
    return (
        f"{one['challenger']} beside {one['champion']}, {since} to {until}: {one['rows']:,} rows, PSI {one['psi']:.4f},"
        f" rank correlation {rank}, decided otherwise {one['otherwise']:.2%},"
        f" approved {one['approved']:.2%} against {one['champion_approved']:.2%}"
    )
