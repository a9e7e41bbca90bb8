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
    write_of(load_settings(PartySettings, config).data, job, out, lang)
    click.echo(f"{out}: open it in a browser, print it to sign it")


def write_of(data: Path, job: str, out: Path, lang: Choice = "both") -> None:
    from bank_party.report import page as bank  # draws charts: other commands need not wait for that library
    from common.learn.linear.half import ModelStore
    from common.party import Party
    from common.report.write import write_report
    from grid_party import report as grid

    party = ModelStore(data / "models").load(job).party
    write_report((grid if party is Party.GRID else bank).make_report(data, job, lang), out)
