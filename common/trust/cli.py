"""`wattscore certs`: an organisation's CA, the certificates of its processes, and whom it trusts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from common.errors import IdentityError
from common.party import Identity
from common.trust import authority, revoked

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_folder = click.option(
    "--dir", "folder", type=_FOLDER, default=Path("certs"), show_default=True, help="The organisation's folder."
)


@click.group()
def certs() -> None:
    """Make certificates and exchange trust with other organisations."""


@certs.command()
@click.option("--org", required=True, help="The organisation's name, as in wattscore://ORG/role.")
@click.option("--days", type=click.IntRange(1), default=3650, show_default=True, help="How long the CA is valid.")
@_folder
def init(org: str, days: int, folder: Path) -> None:
    """Make the organisation's CA, and trust it in DIR/trust."""
    file = authority.make_ca(org, folder, days)
    authority.import_bundle(file, folder / "trust", org)
    click.echo(f"{file}\nKeep {folder / 'ca.key'} off the machines that run WattScore.")


@certs.command()
@click.option("--role", "roles", required=True, multiple=True, help="A process, as in wattscore://org/ROLE; repeatable.")
@click.option("--days", type=click.IntRange(1), default=365, show_default=True, help="How long they are valid.")
@click.option("--out", type=_FOLDER, help="Where to put them (default: DIR).")
@_folder
def issue(roles: tuple[str, ...], days: int, out: Path | None, folder: Path) -> None:
    """Issue ROLE.key and ROLE.pem for each role by the CA in DIR."""
    org = authority.org_of(authority.read_certificate(folder / "ca.pem"))
    for identity in [Identity.parse(f"wattscore://{org}/{role}") for role in roles]:
        click.echo(authority.issue(folder, identity, out or folder, days))


@certs.command()
@click.option("--role", "roles", required=True, multiple=True, help="A process, as in wattscore://org/ROLE; repeatable.")
@click.option("--days", type=click.IntRange(1), default=365, show_default=True, help="How long the new ones are valid.")
@click.option("--out", type=_FOLDER, help="Where the old ones are (default: DIR).")
@_folder
def renew(roles: tuple[str, ...], days: int, out: Path | None, folder: Path) -> None:
    """Replace ROLE.key and ROLE.pem by new ones; running processes take them up, and running jobs go on."""
    org = authority.org_of(authority.read_certificate(folder / "ca.pem"))
    for identity in [Identity.parse(f"wattscore://{org}/{role}") for role in roles]:
        old = authority.read_certificate(target := (out or folder) / f"{identity.role}.pem")
        authority.renew(folder, identity, target.parent, days)
        click.echo(f"{target}\nreplaces fingerprint {authority.shown_fingerprint(old)}")


@certs.command()
@click.argument("certificate")
@click.option("--note", default="", help="Why, for whoever reads the list.")
@_folder
def revoke(certificate: str, note: str, folder: Path) -> None:
    """Refuse a CERTIFICATE (a file, a fingerprint, or "ORG SERIAL") from now on: list it in DIR/trust/revoked.txt.

    Every organisation that must refuse it does so in its own folder; open connections are cut within seconds.
    """
    file = Path(certificate)
    entry = authority.fingerprint(file.read_bytes()) if file.is_file() else certificate
    click.echo(f"{revoked.revoke(folder / 'trust', entry, note)}\nrevoked {entry}")


@certs.command()
@click.option("--out", type=_FILE, help="The file to write (default: DIR/ORG.pem).")
@_folder
def bundle(out: Path | None, folder: Path) -> None:
    """Write what the other organisations need to trust this one."""
    file = authority.export_bundle(folder, out)
    click.echo(f"{file}\nfingerprint {authority.fingerprint(file.read_bytes())}")


@certs.command()
@click.argument("file", type=_FILE)
@click.option("--org", required=True, help="Whose bundle it must be.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), help="Where it replaces another: the last day (UTC) of the one before."
)
@_folder
def trust(file: Path, org: str, until: datetime | None, folder: Path) -> None:
    """Trust another organisation's bundle: check it and copy it to DIR/trust."""
    target = authority.import_bundle(file, folder / "trust", org, until=until.date() if until else None)
    click.echo(f"{target}\nfingerprint {authority.fingerprint(target.read_bytes())}")
    if org not in authority.orgs_in(folder):
        click.echo(f"Compare this fingerprint with {org} by telephone before you connect.")


@certs.command()
@click.argument("file", type=_FILE)
def show(file: Path) -> None:
    """Show a certificate's identity, issuer, dates and fingerprint."""
    certificate = authority.read_certificate(file)
    try:
        who = str(authority.identity_of(certificate))
    except IdentityError:
        who = f"none (subject {certificate.subject.rfc4514_string()})"
    days = authority.days_left(certificate, datetime.now(UTC))
    click.echo(f"identity     {who}")
    click.echo(f"issuer       {certificate.issuer.rfc4514_string()}")
    click.echo(f"valid from   {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    click.echo(f"valid until  {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC ({days} days left)")
    click.echo(f"serial       {certificate.serial_number:X}")
    click.echo(f"fingerprint  {authority.shown_fingerprint(certificate)}")
