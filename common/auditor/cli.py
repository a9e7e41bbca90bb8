"""`wattscore audit`: on a third machine, whether the dealer dealt what it had committed itself to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from common.auditor.replay import Verdict, by_job, replay
from common.errors import DataError
from common.home.dealt import read_openings
from common.trust.authority import parse_key
from common.trust.sealed import unseal


@click.command()
@click.argument("openings", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="The auditor's private key, for whose certificate the files were sealed.",
)
@click.pass_context
def audit(ctx: click.Context, openings: tuple[Path, ...], key: Path) -> None:
    """Replay the dealing of one job from all parties' OPENINGS, files of their `audit open`, and name the first wrong array.

    And that of the stocks which the job took, each a job of its own.

    Run it where no party has access, by somebody who is as independent as the coordinator: who has the openings and a
    party's messages can read its rows.
    """
    own = parse_key(key.read_bytes(), str(key))
    found = [one for file in openings for one in read_openings(unseal(_read(file), own, str(file)), str(file))]
    for one in found:
        line = f", line {one.line}" if one.line else ""
        where = f"`take` of job {one.taken}" if one.taken else f"`end` of job {one.job}"
        click.echo(f"{one.party.value}{line}: opening {one.digest}, `dealt` of an entry {where} in its audit log")
    verdicts = {job: asyncio.run(replay(some)) for job, some in by_job(found).items()}
    for job, verdict in verdicts.items():
        for text in verdict.wrong:
            click.echo(f"{_named(job, verdict)}: {text}" if len(verdicts) > 1 else text)
        if not verdict.wrong:
            click.echo(f"{_named(job, verdict)}: {verdict.compared} arrays compared, each is what the opened seeds give")
    if any(verdict.wrong for verdict in verdicts.values()):
        ctx.exit(1)
    for job, verdict in verdicts.items():
        if verdict.stock and not any(other.taken == job for other in verdicts.values()):
            click.echo(f"What job {job} took from a stock is not among them: no party has opened that.")


def _named(job: str, verdict: Verdict) -> str:
    return f"stock {job}, which job {verdict.taken} took" if verdict.taken else f"job {job}"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        text = f"{file}: cannot be read ({error.strerror})"
        raise DataError(text, public=text, remedy="Name the files that `audit open` of all parties wrote.") from None
