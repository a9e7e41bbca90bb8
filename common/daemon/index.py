"""`index`: one page of what a party has, read in its own folders, beside its other pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common.daemon.seat import S, Seat, open_home
from common.daemon.settings import PartySettings
from common.disk.data_folder import Name
from common.disk.files import make_folder, write_private
from common.disk.pages import INDEX, find_pages
from common.errors import ConfigError, WattScoreError
from common.home.home import Home
from common.home.jobbook import Offered
from common.home.outcome import EVALUATION, parse_evaluation
from common.home.registry import Version
from common.monitor.history import History
from common.party import Party
from common.report.contents import Contents, Dataset, Model, ScoresFile
from common.rows.dataset import DatasetConfig, check_declared
from common.rows.extent import extent_of
from common.rows.featurefile import declared
from common.text.visible import counted

if TYPE_CHECKING:
    from common.report.texts import Choice

_RATES = ("jobs_per_day", "rows_per_day", "models_per_day")


def index_command(seat: Seat[S, Any], read: Callable[[S], History]) -> click.Command:
    """read: this party's history, from its data folder."""

    @click.command()
    @click.option(
        "--config",
        type=click.Path(path_type=Path),
        required=True,
        envvar="WATTSCORE_CONFIG",
        help="This party's configuration file (TOML).",
    )
    @click.option(
        "--out",
        type=click.Path(path_type=Path),
        default=Path(INDEX),
        show_default=True,
        help="The page to write; pages in its folder, and one below, are linked.",
    )
    @click.option(
        "--lang",
        type=click.Choice(["en", "zh", "both"]),
        default="both",
        show_default=True,
        help="Its language; both: with a switch.",
    )
    def index(config: Path, out: Path, lang: Choice) -> None:
        """Write one page of what this party has: models, jobs, datasets, scores, stocks, budgets, alarms, other pages."""
        if out.name != INDEX:
            raise ConfigError(f"{out}: other pages look for {INDEX}", remedy=f"Let --out end in {INDEX}.")
        from common.report.index import make_index  # loads what fills in templates: a daemon need not wait for it

        home, settings = open_home(seat, config), seat.load(config)
        make_folder(out.resolve().parent)
        contents = gather(seat.party, settings, home, lambda: read(settings), out.resolve().parent)
        write_private(out, make_index(contents, out, lang).encode())
        told = (len(contents.models), "model"), (len(contents.jobs), "job"), (len(contents.pages), "page")
        click.echo(f"{out}: {', '.join(counted(*one) for one in told)}")

    return index


def gather(party: Party, settings: PartySettings, home: Home, read: Callable[[], History], pages: Path) -> Contents:
    """What there is now; what cannot be read says so. read: the party's history; pages: the folder of its pages."""
    found, unread = None, ""
    try:
        found = read().alarms
    except WattScoreError as error:
        unread = str(error)
    jobs = home.jobs.jobs()
    return Contents(
        party=party,
        at=time.time(),
        data=str(settings.data),
        datasets=[_dataset(name, config, party) for name, config in settings.datasets.items()],
        models=[_model(version, home, jobs) for version in home.registry.versions()],
        jobs=jobs,
        waiting=home.unfinished.jobs(),
        scores=list(_scores(settings.data / Name.SCORES, home)),
        stocks=home.stocks.held(),
        standings=home.standings(),
        clients=home.rates.usage(),
        rates={key: getattr(home.policy, key) for key in _RATES},
        alarms=found,
        unread=unread,
        pages=find_pages(pages),
        entries=home.audit.head.number,
    )


def _dataset(name: str, config: DatasetConfig, party: Party) -> Dataset:
    where = str(config.features or config.path)
    try:
        file, config = check_declared(config, name=name, party=party), declared(config)
    except WattScoreError as error:
        return Dataset(name, where, trouble=str(error))
    size, keys = extent_of(file, config), tuple(key for key in (config.id, config.period) if key)
    return Dataset(name, where, size.rows, size.columns, keys, config.label or "")


def _model(version: Version, home: Home, jobs: list[Offered]) -> Model:
    """AUC is exact and the bank's own: others were told it in steps."""
    try:
        auc = parse_evaluation((home.models.folder(version.job) / EVALUATION).read_bytes()).joint.auc
    except (OSError, ValueError, KeyError, TypeError):
        auc = None
    name = next((job.name for job in jobs if job.job == version.job), "")
    return Model(version, name, auc, home.models.has(version.job))


def _scores(folder: Path, home: Home) -> Iterator[ScoresFile]:
    for job, model, name in home.history.scored():
        if (file := folder / name).exists():
            status = file.stat()
            yield ScoresFile(job, model, name, status.st_size, status.st_mtime)
