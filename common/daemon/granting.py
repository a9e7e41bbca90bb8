"""`grant`: signs, shows and withdraws what a dataset may be used for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from common.config import validate
from common.daemon.seat import Seat, open_home
from common.disk.files import sync_folder, write_new
from common.errors import ConfigError, PolicyError
from common.home.audit import What
from common.process.person import person
from common.text.visible import visible
from common.trust.authority import TrustStore, org_of, read_certificate
from common.trust.grant import Grant, read_grant, sign

_config = click.option(
    "--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help="This party's configuration."
)


def grant_command(seat: Seat[Any, Any]) -> click.Command:
    """The group `grant` of this party's command."""

    @click.group()
    def grant() -> None:
        """Sign, show or withdraw what a dataset may be used for."""

    @grant.command("sign")
    @click.argument("dataset")
    @click.argument("out", type=click.Path(path_type=Path))
    @click.option("--ca", type=click.Path(path_type=Path), required=True, help="The folder of this organisation's CA.")
    @click.option("--to", required=True, help="The other organisation, by its name in identities.")
    @click.option("--purpose", required=True, help="What for: plans must say the very same.")
    @click.option("--columns", default="*", help="The columns, with commas between; * for all.")
    @click.option("--kinds", default="train,score", help="The kinds of jobs: train, score, or both.")
    @click.option("--first-month", help="The first month of rows, YYYY-MM.")
    @click.option("--last-month", help="The last month of rows, YYYY-MM.")
    @click.option("--jobs-per-month", type=int, help="Most jobs in a calendar month.")
    @click.option("--scores-per-row", type=int, help="Most models that may score a row, where the grid's policy has more.")
    @click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The last day.")
    def sign_(out: Path, ca: Path, kinds: str, columns: str, expires: datetime, **terms: Any) -> None:
        """Sign into OUT what DATASET may be used for, with the key of this organisation's CA; give the other party a copy."""
        listed = {"kinds": tuple(kinds.split(",")), "columns": tuple(name.strip() for name in columns.split(","))}
        org = org_of(read_certificate(ca / "ca.pem"))
        made = validate(Grant, {**terms, **listed, "org": org, "expires": expires.date()}, "grant")
        write_new(out, sign(made, ca), 0o644)
        click.echo(f"{out}: SHA-256 {made.fingerprint()}")

    @grant.command()
    @click.argument("file", type=click.Path(path_type=Path))
    @_config
    def show(file: Path, config: Path) -> None:
        """Print what FILE grants, once its signature is found to be its organisation's."""
        found = read_grant(file, TrustStore(seat.load(config).tls.trust))
        for name, value in found.model_dump(mode="json").items():
            if value is not None:
                text = ", ".join(value) if isinstance(value, list) else value
                click.echo(visible(f"{name:<14}  {text}"))
        click.echo(f"{'SHA-256':<14}  {found.fingerprint()}")

    @grant.command()
    @click.argument("dataset")
    @click.option("--note", default="", help="Why, for whoever reads the log.")
    @click.option("--bank", help="Of several: only the grant to this organisation.")
    @_config
    def withdraw(dataset: str, note: str, bank: str | None, config: Path) -> None:
        """Withdraw the grant of own DATASET: jobs on it end within a minute, and none begins until there is another."""
        for gone in _withdraw(seat, config, dataset, bank, note):
            click.echo(f"withdrawn; kept as {gone}")

    return grant


def _withdraw(seat: Seat[Any, Any], config: Path, dataset: str, bank: str | None, note: str) -> Iterator[Path]:
    """Each file put out of the way, by its new name, after the audit log has it. Raises ConfigError where there is none."""
    settings = seat.load(config)
    file, trust = settings.grants.get(dataset), TrustStore(settings.tls.trust)
    there = [] if file is None else [path for path in file.paths if path.exists()]
    found = there if bank is None else [path for path in there if _granted_to(path, trust) == bank]
    if not found:
        raise ConfigError(f"there is no grant of dataset {dataset!r} to withdraw", remedy=f"See `grants` in {config}.")
    more = {} if bank is None else {"to": bank}
    open_home(seat, config).audit.add(What.WITHDRAW, "", person=person(), dataset=dataset, note=note[:500], **more)
    for path in found:
        aside = path.replace(path.with_name(f"{path.name}.withdrawn-{datetime.now():%Y%m%dT%H%M%S}"))
        sync_folder(path.parent)  # else it would hold again after a power cut
        yield aside


def _granted_to(file: Path, trust: TrustStore) -> str | None:
    """Whom a file grants to; None, and said, where it cannot be read: nothing rests on it, and others can be withdrawn."""
    try:
        return read_grant(file, trust).to
    except PolicyError as error:
        click.echo(visible(f"not read: {error}"), err=True)
        return None
