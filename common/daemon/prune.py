"""`prune`: deletes what is old enough of what may go, as the table of the data folder says. Books are never touched."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from common.daemon.seat import Seat, open_home
from common.disk.data_folder import BANK, GRID, Kept, Name
from common.disk.files import sync_folder
from common.disk.pages import beside, find_pages
from common.errors import PlanError
from common.home.audit import What
from common.home.home import Home
from common.home.rates import DAY
from common.home.registry import Stage
from common.home.stocks import wanted
from common.party import Party
from common.plan.read import parse_plan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.process.person import person

_KEPT: Mapping[Party, Sequence[Kept]] = {Party.GRID: GRID, Party.BANK: BANK}
REPORTS = "reports"
_LISTED = 200  # names that an entry of the audit log holds


@dataclass(frozen=True)
class Old:
    """Something that may go. kind: as its option is called; at: when it was last written, in seconds since 1970."""

    kind: str
    name: str
    bytes: int
    at: float
    delete: Callable[[], object]


def prune_command(seat: Seat[Any, Any]) -> click.Command:
    kinds = [kept.goes for kept in _KEPT[seat.party] if kept.goes is not None]

    @click.command()
    @click.option("--pages", type=click.Path(path_type=Path), help="The folder of this party's pages, for --reports.")
    @click.option("--delete", is_flag=True, help="Do it; without, it is only said what would go.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
    @click.option(
        "--config",
        type=click.Path(path_type=Path),
        required=True,
        envvar="WATTSCORE_CONFIG",
        help="This party's configuration file (TOML).",
    )
    def prune(config: Path, pages: Path | None, delete: bool, as_json: bool, **days: float | None) -> None:
        """Delete what is older than so many DAYS of what may go; without --delete it is only said what that would be.

        Of each kind only if it is asked for. Books of what was spent, told and decided stay: they are the budget. The audit log
        has who deleted what.
        """
        asked = {kind: limit for kind, limit in days.items() if limit is not None}
        if not asked:
            raise PlanError("nothing is asked for", remedy=f"Give --{' or --'.join(days)} with a number of days.")
        if (REPORTS in asked) != (pages is not None):
            raise PlanError("--reports and --pages go together", remedy="Say how old, and in which folder.")
        home, now = open_home(seat, config), time.time()
        data = seat.load(config).data
        found = [old for old in _everything(home, data, pages) if old.at < now - asked.get(old.kind, float("inf")) * DAY]
        if delete and found:
            _enter(home, found)
            for old in found:
                old.delete()
        if as_json:
            told = [{"kind": o.kind, "name": o.name, "bytes": o.bytes, "at": o.at} for o in found]
            click.echo(json.dumps({"deleted": delete, "found": told}, indent=1))
        else:
            _print(found, delete)

    for goes in (*kinds, None):
        name, what = (
            (goes.option, goes.what) if goes is not None else (REPORTS, "reports in --pages that are not of the champion")
        )
        option = click.option(f"--{name}", type=click.FloatRange(min=1.0), metavar="DAYS", help=f"Delete {what}.")
        prune = option(prune)
    return prune


def _everything(home: Home, data: Path, pages: Path | None) -> Iterator[Old]:
    yield from _models(home)
    yield from _scores(data / Name.SCORES)
    yield from _stocks(home)
    yield from _logs(data)
    yield from _reports(pages, {chain.champion for chain in home.registry.chains()}) if pages is not None else ()


def _models(home: Home) -> Iterator[Old]:
    stay = {job for chain in home.registry.chains() for job in chain.champions()} | set(home.unfinished.jobs())
    for version in home.registry.versions():
        folder = home.models.folder(version.job)
        if version.stage is not Stage.CHAMPION and version.job not in stay and folder.is_dir():
            yield Old("models", version.job, _size(folder), version.at, partial(_remove, folder))


def _scores(folder: Path) -> Iterator[Old]:
    for file in sorted(folder.glob("*.*")) if folder.is_dir() else ():
        if file.suffix in (".csv", ".parquet"):
            yield Old("scores", file.name, file.stat().st_size, file.stat().st_mtime, partial(_remove, file))


def _stocks(home: Home) -> Iterator[Old]:
    stay, uses = set(home.unfinished.jobs()), _uses(home)
    for held in home.stocks.held():  # spent like any other: a copy that comes back is refused
        if held.label.name in stay or held.label.dealing in uses:
            continue
        yield Old("stock", held.label.name, held.bytes, held.at, partial(home.stocks.drop, held.label))


def _uses(home: Home) -> set[str]:
    """What stocks are dealt for of which a job that this party has accepted, and that is not over, may take one."""
    found = set[str]()
    for job in home.unfinished.jobs():
        begun = home.unfinished.begun(job)
        with suppress(PlanError):  # of another release, which this one does not go on with
            plan = None if begun is None else parse_plan(begun.plan, f"job {job}")
            if isinstance(plan, TrainPlan | ScorePlan) and plan.dealt == "ahead":
                found |= wanted(plan)
    return found


def _logs(data: Path) -> Iterator[Old]:
    """A daemon that runs goes on writing to the newest: that one is emptied."""
    for file in sorted(data.glob(f"{Name.LOG}*")):
        status = file.stat()
        if status.st_size:
            delete = partial(os.truncate, file, 0) if file.name == Name.LOG else partial(_remove, file)
            yield Old("log", file.name, status.st_size, status.st_mtime, delete)


def _reports(folder: Path, champions: set[str | None]) -> Iterator[Old]:
    """With what stands beside each page."""
    for page in find_pages(folder):
        if page.kind == "report" and page.job not in champions:
            files = [page.file, *beside(page.file)]
            size = sum(_size(file) for file in files)
            yield Old(REPORTS, str(page.file.relative_to(folder)), size, page.at, partial(_remove, *files))


def _size(place: Path) -> int:
    """Bytes of a file, or of all files of a folder; 0 for what is not there."""
    if place.is_dir():
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    return place.stat().st_size if place.exists() else 0


def _remove(*places: Path) -> None:
    for place in places:
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    sync_folder(places[0].parent)


def _enter(home: Home, found: Sequence[Old]) -> None:
    """Before anything is deleted."""
    names = [f"{old.kind}/{old.name}" for old in found]
    home.audit.add(What.PRUNE, "", person=person(), count=len(names), names=names[:_LISTED])


def _print(found: Sequence[Old], delete: bool) -> None:
    width = max((len(old.name) for old in found), default=0)
    for old in found:
        day = time.strftime("%Y-%m-%d", time.localtime(old.at))
        click.echo(f"{old.kind:<8} {old.name:<{width}}  {day}  {old.bytes / 2**20:10,.2f} MiB")
    size = f"{sum(old.bytes for old in found) / 2**20:,.2f} MiB"
    if delete:
        click.echo(f"{len(found)} deleted, {size}")
    else:
        click.echo(f"{len(found)} would go, {size}" + ("; --delete does it" if found else ""))
