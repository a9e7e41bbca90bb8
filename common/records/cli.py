"""`wattscore features`: one party's raw monthly records into features, by itself; no other process is involved."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from rich.console import Console
from rich.table import Table

from common.config import quoted
from common.process.memory import return_freed_memory
from common.records.options import STRICT, strict_option
from common.text.visible import escape
from common.text.words import Lang

if TYPE_CHECKING:
    from common.records.build import Features
    from common.records.clean import Cleaned
    from common.records.config import RecordsConfig

    Made = tuple[Features, Cleaned, RecordsConfig]


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The Parquet file of features to write.")
@click.option("--report", type=click.Path(path_type=Path), help="Folder for quality.json and quality.html, for yourself only.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of quality.html.")
@click.option(
    "--memory-mib",
    type=click.IntRange(min=1),
    help="Memory for arrays; the rest goes to files beside --out. Default: all of it.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Threads that make features.")
@click.option(
    "--ray",
    type=click.Path(path_type=Path),
    help="Make them on the company's own Ray cluster, which this file (TOML) names.",
)
@click.option(
    "--watch",
    type=click.FloatRange(min=0.01),
    metavar="MINUTES",
    help="Go on, and make them anew when the files are others; of a database, look so often whether they would be.",
)
@strict_option
def features(
    config: Path,
    out: Path,
    report: Path | None,
    lang: str,
    memory_mib: int | None,
    workers: int,
    ray: Path | None,
    watch: float | None,
    strict: bool,
) -> None:
    """Read, clean and turn into features the monthly records that CONFIG (TOML) names."""
    if ray is not None and workers > 1:
        raise click.UsageError("--workers is of this machine; with --ray the cluster has its own.")
    if watch is not None and strict:
        raise click.UsageError("--strict ends with a code, --watch does not end.")
    if memory_mib is not None or watch is not None:
        return_freed_memory()
    from common.records.make import check_outputs, make_features  # now, as it loads Arrow

    def make(file: Path) -> Made:
        return make_features(
            config, file, report, cast(Lang, lang), memory_mib=memory_mib, workers=workers, ray=ray, say=click.echo
        )

    if watch is None:
        _tell(*make(out), out=out, report=report, strict=strict)
        return
    from common.records.kept import keep

    def kept(file: Path) -> Callable[[], None]:
        _, cleaned, settings = make(file)
        return partial(_remarks, settings, cleaned)

    check_outputs(out, report)
    keep(config, out, kept, 60.0 * watch, click.echo)


def _tell(made: Features, cleaned: Cleaned, settings: RecordsConfig, *, out: Path, report: Path | None, strict: bool) -> None:
    import numpy as np

    from common.records.make import suspects

    console = Console()
    _print_cleaning(cleaned, console)
    _remarks(settings, cleaned, console)
    console.print(
        f"{made.count:,} samples of {np.count_nonzero(np.bincount(made.rows)):,} enterprises, {len(made.columns)} features"
    )
    if report:
        console.print(f"quality.json and quality.html are in {escape(str(report))}/", highlight=False)
    suspicious = suspects(made)
    for text in suspicious:
        console.print(f"[yellow]look at:[/] {escape(text)}", highlight=False)
    console.print("\nIn the daemon's configuration:\n", highlight=False)
    print_section(settings, out)
    if strict and suspicious:
        sys.exit(STRICT)


def _remarks(settings: RecordsConfig, cleaned: Cleaned, console: Console | None = None) -> None:
    for text in (*cleaned.warnings, *_unlabelled(cleaned, settings), *_left_out(cleaned, settings)):
        (console or Console()).print(f"[yellow]look at:[/] {escape(text)}", highlight=False)


def _unlabelled(cleaned: Cleaned, settings: RecordsConfig) -> list[str]:
    """What a bank is told whose features cannot be trained on, unless it says that they are to be scored."""
    if settings.party != "bank" or cleaned.panel.label is not None or not settings.samples.labelled:
        return []
    return ['no field is the label: these features can be scored and not trained on; give one role = "label"']


def _left_out(cleaned: Cleaned, settings: RecordsConfig) -> list[str]:
    """What a bank is told of samples whose outcome is not known: to train on, they are none; to score, they are the point."""
    from common.records.samples import left_out

    months, others = left_out(cleaned.panel, settings.samples)
    said = []
    if months:
        which = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
        said.append(f"{which} left out: no label is known yet; samples.labelled = false makes a file to score, with them")
    if others:
        said.append(f"{others:,} samples of earlier months left out: their label is not known")
    return said


def _print_cleaning(cleaned: Cleaned, console: Console) -> None:
    panel = cleaned.panel
    console.print(
        f"{cleaned.rows:,} rows read; {int(panel.present.sum()):,} records of {panel.enterprises:,} enterprises kept",
        highlight=False,
    )
    if not cleaned.findings:
        return
    table = Table("rule", "field", "done", "rows", "share", box=None)
    table.columns[3].justify = table.columns[4].justify = "right"
    for f in cleaned.findings:
        table.add_row(f.rule, escape(f.field), f.action, f"{f.rows:,}", f"{f.rows / cleaned.records:.2%}")
    console.print(table)


def print_section(settings: RecordsConfig, out: Path) -> None:
    """The daemon's dataset: the file says the rest itself."""
    scored = "" if settings.samples.labelled else "-new"  # beside the one to train on, whose outcomes are looked for
    name = "meters" if settings.party == "grid" else f"loans{scored}"
    click.echo(f"[datasets.{name}]\nfeatures = {quoted(str(out.resolve()))}")
