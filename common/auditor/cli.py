"""`wattscore audit`: on a third machine, whether the dealer dealt what it had committed itself to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from common.auditor.replay import replay
from common.errors import DataError
from common.home.dealt import Opening, read_opening
from common.party import Party
from common.trust.authority import parse_key
from common.trust.sealed import unseal


@click.command()
@click.argument("openings", nargs=2, type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="The auditor's private key, for whose certificate both files were sealed.",
)
@click.pass_context
def audit(ctx: click.Context, openings: tuple[Path, Path], key: Path) -> None:
    """Replay the dealing of one job from both parties' OPENINGS, files of their `audit open`, and name the first wrong array.

    Run it where neither party has access, by somebody who is as independent as the coordinator: who has both openings and a
    party's messages can read its rows.
    """
    own = parse_key(key.read_bytes(), str(key))
    found: dict[Party, Opening] = {}
    for file in openings:
        opening = read_opening(unseal(_read(file), own, str(file)), str(file))
        found[opening.party] = opening
    if len(found) < len(Party):
        text = "both openings are of the same party"
        raise DataError(text, public=text, remedy="One has to be the grid's and one the bank's.")
    for party in Party:
        click.echo(f"{party.value}: opening {found[party].digest}, `dealt` of an entry `end` of the job in its audit log")
    verdict = asyncio.run(replay(found))
    for line in verdict.wrong:
        click.echo(line)
    if verdict.wrong:
        ctx.exit(1)
    click.echo(f"job {found[Party.GRID].job}: {verdict.compared} arrays compared, each is what the opened seeds give")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        text = f"{file}: cannot be read ({error.strerror})"
        raise DataError(text, public=text, remedy="Name the files that `audit open` of both parties wrote.") from None
