"""`wattscore-health --config FILE.toml`: does the daemon of this configuration, on this machine, serve?

It asks with the daemon's own certificate, and reads no more of the configuration than that takes.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from common import __version__
from common.config import read_toml, validate
from common.errors import ConfigError, WattScoreError
from common.text.visible import visible
from common.wire.health import check_health
from common.wire.tls import Credentials, TlsConfig

_ANY = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  (where a daemon that listens everywhere is reached)


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    envvar="WATTSCORE_CONFIG",
    help="The daemon's configuration file (TOML).",
)
@click.option("--timeout", type=click.FloatRange(min=0.1), default=4.0, show_default=True, help="Seconds to wait.")
@click.version_option(__version__, prog_name="wattscore-health")
def main(config: Path, timeout: float) -> None:
    """Exit code 0 if the daemon of this configuration serves, 1 if not, 2 if the configuration cannot be used."""
    try:
        address, credentials = read_daemon(config)
    except WattScoreError as error:
        _end(error, 2)
    try:
        asyncio.run(check_health(address, credentials.identity, credentials, timeout))
    except WattScoreError as error:
        _end(error, 1)
    click.echo(f"{credentials.identity} serves at {address}")


def read_daemon(config: Path) -> tuple[str, Credentials]:
    """The HOST:PORT at which this machine reaches the daemon of `config`, and the daemon's credentials.

    Raises ConfigError for a file without `listen` or a usable `tls`, IdentityError for an unusable certificate.
    """
    raw = read_toml(config)
    host, colon, port = str(raw.get("listen", "")).rpartition(":")
    if not (host and colon and port.isdigit()):
        raise ConfigError(f"{config}: no 'listen' to ask", remedy='At the bank, listen = "127.0.0.1:7002" is enough.')
    return f"{_ANY.get(host, host)}:{port}", Credentials.load(validate(TlsConfig, _tls(raw, config), f"{config}: tls"))


def _tls(raw: dict[str, Any], config: Path) -> dict[str, Any]:
    """The table `tls`, its paths relative to the file's folder."""
    table = raw.get("tls")
    if not isinstance(table, dict):
        raise ConfigError(f"{config}: missing key 'tls'")
    folder = config.resolve().parent
    return {key: str(folder / value) if isinstance(value, str) else value for key, value in table.items()}


def _end(error: WattScoreError, code: int) -> NoReturn:
    click.echo(visible(f"wattscore-health: {error}"), err=True)
    sys.exit(code)
