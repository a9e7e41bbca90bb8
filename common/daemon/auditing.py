"""`audit`: what a party reads, checks and lets pass of its own audit log."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from common.daemon.opening import find_openings
from common.daemon.seat import Seat, open_home
from common.disk.data_folder import Name
from common.disk.files import write_private
from common.errors import ConfigError, DataError
from common.home.audit import BEHIND, AuditLog, What
from common.process.person import person
from common.text.visible import visible
from common.trust.authority import identity_of, read_certificate, shown_fingerprint
from common.trust.sealed import seal

_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    envvar="WATTSCORE_CONFIG",
    help="This party's configuration file (TOML).",
)


def audit_command(seat: Seat[Any, Any]) -> click.Command:
    """The group `audit` of this party's command."""

    @click.group()
    def audit() -> None:
        """Show or check the account of what this party was offered, decided and opened."""

    @audit.command()
    @click.option("--job", default="", help="Of this job alone.")
    @_config
    def show(job: str, config: Path) -> None:
        """Print the entries, a JSON line each."""
        for entry in _log(seat, config).entries(job):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.at))
            shown = {"number": entry.number, "at": at, "job": entry.job, "what": entry.what, **json.loads(entry.detail)}
            click.echo(visible(json.dumps(shown, ensure_ascii=False)))

    @audit.command()
    @click.option(
        "--heads", type=click.Path(path_type=Path), help="What the other party was told: a file of its `audit heads`."
    )
    @_config
    def verify(heads: Path | None, config: Path) -> None:
        """Check that every entry follows from the one before, and that the other party was told of this very log."""
        log = _log(seat, config)
        told = _read_heads(heads) if heads is not None else {}
        head = log.verify_against(told)
        against = f", as the other party was told {len(told)} times" if heads is not None else ""
        click.echo(f"{head.number} entries, each follows from the one before{against}\nhead {head.digest.hex()}")

    @audit.command()
    @click.argument("out", type=click.Path(path_type=Path))
    @_config
    def heads(out: Path, config: Path) -> None:
        """Write to OUT what this party was told of the other's log, for the other to be verified against."""
        found = {str(number): digest.hex() for number, digest in sorted(_log(seat, config).heard().items())}
        write_private(out, json.dumps(found, indent=1).encode(), mode=0o644)
        click.echo(f"{out}: {len(found)} heads")

    @audit.command()
    @click.option("--note", required=True, help="Why, for whoever reads the log.")
    @_config
    def accept(note: str, config: Path) -> None:
        """Let jobs go on although the other party's log, or a book of this one, is behind what it was; entered with who did."""
        log = _log(seat, config)
        log.add(What.OVERRIDE, "", rule=BEHIND, person=person(), note=note[:500])
        click.echo("entered: what stands now counts from now on")

    @audit.command("open")
    @click.argument("job")
    @click.argument("out", type=click.Path(path_type=Path))
    @click.option(
        "--to",
        "auditor",
        type=click.Path(path_type=Path, exists=True),
        required=True,
        help="The auditor's certificate: only its key opens OUT.",
    )
    @click.option(
        "--attempt", type=click.IntRange(0), help="Of a job that was interrupted: after how many times. Default: the last."
    )
    @click.option("--discard", is_flag=True, help="Give up the stock that JOB has dealt, if nobody has used it.")
    @click.option("--killed", is_flag=True, help="Say that the process which ran JOB was killed, and that nothing runs it now.")
    @_config
    def open_(job: str, out: Path, auditor: Path, attempt: int | None, discard: bool, killed: bool, config: Path) -> None:
        """Seal into OUT what this party's seeds of JOB were made of and the hashes of what it was dealt, for an auditor alone.

        Of the stocks that it took, too. Only where the dealer is in dispute: who has it and this party's messages of the job
        can read its rows of that job.
        """
        home, certificate = open_home(seat, config), read_certificate(auditor)
        found = find_openings(home, job, attempt, discard=discard, killed=killed)
        whom = f"{identity_of(certificate)} {shown_fingerprint(certificate)}"
        sealed = seal("\n".join(opening.text for opening in found.openings).encode(), certificate)
        stocks: dict[str, Any] = {"stocks": found.stocks} if found.stocks else {}
        home.audit.add(What.OPEN, job, value="seed", kind="audit", way="out", to=whom, person=person(), **stocks)
        write_private(out, sealed)
        for text in found.left_out:
            click.echo(f"Not among it: {text}")
        click.echo(f"{out}: sealed for {whom}\nIt is for the auditor alone. Never give it to the other party.")

    return audit


def _log(seat: Seat[Any, Any], config: Path) -> AuditLog:
    file = seat.load(config).data / Name.AUDIT
    if not file.exists():
        raise ConfigError(f"{file}: there is no audit log yet", remedy=f"Start `{seat.name} serve`, or see to `data`.")
    return AuditLog(file)


def _read_heads(file: Path) -> dict[int, bytes]:
    """Raises DataError for what `audit heads` did not write."""
    try:
        return {int(number): bytes.fromhex(digest) for number, digest in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        text = f"{file}: not what `audit heads` writes"
        raise DataError(text, public=text, remedy="Ask the other party to write it anew.") from None
