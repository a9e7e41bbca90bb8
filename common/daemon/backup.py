"""`backup` and `restore`: a party's data folder by the rules of its table; taken beside a daemon, put back where none runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from common.daemon.seat import Seat, open_home
from common.disk.book import copy_book, is_whole
from common.disk.data_folder import BANK, GRID, BackUp, Kept, Name
from common.disk.files import make_folder, sync_folder, write_private
from common.disk.lock import Lock
from common.errors import ConfigError
from common.home.audit import AuditLog, What
from common.party import Party
from common.process.person import person

_KEPT: Mapping[Party, Sequence[Kept]] = {Party.GRID: GRID, Party.BANK: BANK}
_BOOK = ".sqlite"
_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    envvar="WATTSCORE_CONFIG",
    help="This party's configuration file (TOML).",
)


def backed_up(party: Party) -> list[Name]:
    """The names that a back-up holds, in the order in which they are taken beside a daemon that writes.

    The audit log first: what it says of the other books, and they of the models, is then true of what is taken after it.
    """
    names = [kept.name for kept in _KEPT[party] if kept.back_up in (BackUp.DAILY, BackUp.YES)]
    return sorted(names, key=lambda name: (not name.endswith(_BOOK), name is not Name.AUDIT))


def backup_command(seat: Seat[Any, Any]) -> click.Command:
    @click.command()
    @click.argument("out", type=click.Path(path_type=Path))
    @_config
    def backup(out: Path, config: Path) -> None:
        """Copy to OUT, a new folder, what is backed up of this party's data; its daemon may run.

        Certificates, configuration and the party's own tables are not among it.
        """
        open_home(seat, config)  # says so where nothing is there yet
        data = seat.load(config).data
        part = _new_folder(out)
        try:
            for name in backed_up(seat.party):
                _copy(data / name, part / name)
            _finish(part, out)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        click.echo(f"{out}: {', '.join(name for name in backed_up(seat.party) if (out / name).exists())}")

    return backup


def restore_command(seat: Seat[Any, Any]) -> click.Command:
    @click.command()
    @click.argument("folder", type=click.Path(path_type=Path))
    @click.option("--note", required=True, help="Why, for whoever reads the log.")
    @_config
    def restore(folder: Path, note: str, config: Path) -> None:
        """Put a back-up in the place of this party's data folder, which is moved aside; its daemon must not run.

        Stocks and interrupted jobs do not come back. The audit log says who has restored what.
        """
        settings = seat.load(config)
        data: Path = settings.data
        _check(folder, seat.party)
        lock = Lock(data)
        try:
            part = _new_folder(data.with_name(f"{data.name}-restored"))
            for name in backed_up(seat.party):
                _copy(folder / name, part / name)
            before = data.with_name(f"{data.name}-before-{time.strftime('%Y%m%d-%H%M%S')}")
            try:
                data.rename(before)
            except OSError as error:
                shutil.rmtree(part, ignore_errors=True)
                message = f"{data}: cannot be moved aside ({error.strerror})"
                raise ConfigError(message, remedy="Move all of it elsewhere by hand, and copy the back-up into it.") from None
            _finish(part, data)
        finally:
            lock.release()
        head = AuditLog(data / Name.AUDIT).add(What.RESTORE, "", person=person(), note=note[:500])
        other = seat.party.other.value
        click.echo(f"{data}: restored, {head.number} entries in its audit log; what was there is in {before}")
        click.echo(
            f"Tell the {other}: where jobs ran since the back-up, it refuses the next until `{other}-party audit accept`."
        )

    return restore


def _new_folder(out: Path) -> Path:
    """The folder that becomes `out`. Raises ConfigError where `out` is there."""
    if out.exists():
        raise ConfigError(f"{out}: is there already", remedy="Name a new folder.")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    make_folder(part)
    return part


def _finish(part: Path, out: Path) -> None:
    """What was copied outlasts a power cut, under its name."""
    for folder in (part, *(path for path in part.rglob("*") if path.is_dir())):
        sync_folder(folder)
    part.rename(out)
    sync_folder(out.parent)


def _copy(source: Path, target: Path) -> None:
    """A book, a key, or a folder's files but for those that are being written; nothing where nothing is."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*.part"))
        target.chmod(0o700)
    elif source.suffix == _BOOK and source.exists():
        copy_book(source, target)
    elif source.exists():
        write_private(target, source.read_bytes())


def _check(folder: Path, party: Party) -> None:
    """Raises ConfigError for a folder that is no back-up of this party, or holds what must not come back, or a damaged book."""
    if not folder.is_dir() or not (folder / Name.AUDIT).is_file():
        raise ConfigError(f"{folder}: no back-up of a party, it has no {Name.AUDIT}", remedy="Name what `backup` has written.")
    allowed = set(backed_up(party))
    for path in sorted(folder.iterdir()):
        if path.name not in allowed:
            remedy = "Take it out: stocks, interrupted jobs and logs of open books never come back. `backup` leaves them out."
            raise ConfigError(f"{path}: does not belong into the back-up of a {party.value}", remedy=remedy)
        if path.suffix == _BOOK and not is_whole(path):
            raise ConfigError(f"{path}: is damaged", remedy="Take an earlier back-up, whole: books of two days do not fit.")
