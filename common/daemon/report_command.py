"""`wattscore report`: a training job's report, from this party's own files."""

from __future__ import annotations

from pathlib import Path

import click

from common.process.settings import PartySettings, load_settings
from common.report.texts import Choice


@click.command()
@click.argument("job")
@click.option(
    "--config", type=click.Path(path_type=Path), required=True, help="This party's configuration: bank.toml or grid.toml."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="The page to write."
)
@click.option(
    "--lang",
    type=click.Choice(["en", "zh", "both"]),
    default="both",
    show_default=True,
    help="Its language; both: with a switch.",
)
def report(job: str, config: Path, out: Path, lang: Choice) -> None:
    """Write the report of a training JOB for review and signature; needs this party's data folder, no daemon."""
    from common.report.write import write_report  # draws charts: other commands need not wait for that library

    write_report(load_settings(PartySettings, config).data, job, out, lang)
    click.echo(f"{out}: open it in a browser, print it to sign it")
