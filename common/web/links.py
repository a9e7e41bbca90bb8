"""Links that log people of this machine into a console, as the command that makes them prints them."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.hashes import SHA256

from common.disk.data_folder import Name
from common.errors import ConfigError
from common.process.settings import ConsoleConfig
from common.trust.authority import read_certificate
from common.web.login import Tickets
from common.wire.tls import TlsConfig


def print_link(config: ConsoleConfig | None, tls: TlsConfig, data: Path, person: str, serve: str) -> None:
    """Prints a link for this person, and what tells the server's certificate. Raises ConfigError where there is no console.

    serve: the command of the daemon, for remedies.
    """
    if config is None:
        raise ConfigError("the configuration has no [console]", remedy=f"Add one, and start `{serve}` anew.")
    host, _, port = config.listen.rpartition(":")
    address = config.host or f"{host}:{port}"
    if not config.by_link:
        click.echo(f"https://{address}/")
        return
    if port == "0":
        raise ConfigError("[console] listens on any free port", remedy="Name one in listen.")
    shown = read_certificate(config.certificate or tls.certificate).fingerprint(SHA256()).hex(":").upper()
    click.echo(f"https://{address}/login?ticket={Tickets(data / Name.LOGINS).issue(person)}")
    click.echo(f"It logs in {person}, once, within two minutes. SHA-256 of the server's certificate:", err=True)
    click.echo(shown, err=True)
