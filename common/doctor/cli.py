"""`wattscore doctor`, and a party's own: is this side ready, and is the other?"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from common.doctor.cluster import check_cluster
from common.doctor.examine import Load, examine
from common.doctor.finding import Machine, Report, Status
from common.doctor.side import load_side
from common.text.visible import escape

_COLOURS = {Status.PASS: "green", Status.WARN: "yellow", Status.FAIL: "red"}


def doctor_command(load: Load, whose: str) -> click.Command:
    """`doctor` for the configurations that `load` reads."""

    @click.command()
    @click.option(
        "--config", type=click.Path(path_type=Path), required=True, envvar="WATTSCORE_CONFIG", help=f"{whose} (TOML)."
    )
    @click.option(
        "--plan", type=click.Path(path_type=Path), help="Also: would this side accept this plan, and has it room for it?"
    )
    @click.option("--ray", type=click.Path(path_type=Path), help="Also: may features be made on this Ray cluster (TOML)?")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
    @click.option(
        "--patience",
        type=click.FloatRange(min=1.0),
        default=1.0,
        envvar="WATTSCORE_PATIENCE",
        show_default=True,
        help="Wait so many times as long: on a busy machine, over a slow line.",
    )
    def doctor(config: Path, plan: Path | None, ray: Path | None, as_json: bool, patience: float) -> None:
        """Check this side, and through it the other; exit code 1 if anything fails. It changes nothing and takes seconds."""
        report = asyncio.run(examine(config, load, plan, Machine(patience=patience)))
        if ray is not None:
            report = replace(report, findings=(*report.findings, check_cluster(ray)))
        if as_json:
            click.echo(json.dumps(as_dict(report), indent=1))
        else:
            print_report(report, Console())
        sys.exit(0 if report.ok else 1)

    return doctor


doctor = doctor_command(load_side, "Configuration of a client or of the coordinator")


def as_dict(report: Report) -> dict[str, Any]:
    checks = [{"check": f.check, "status": f.status.value, "found": f.found, "remedy": f.remedy} for f in report.findings]
    return {"role": report.role, "identity": report.identity, "ok": report.ok, "checks": checks}


def print_report(report: Report, console: Console) -> None:
    found, remedy = Column("found", overflow="fold"), Column("what to do", overflow="fold")
    table = Table("", Column("check", no_wrap=True), found, remedy, box=None)
    for finding in report.findings:
        colour = _COLOURS[finding.status]
        table.add_row(f"[{colour}]{finding.status.value}[/]", finding.check, escape(finding.found), escape(finding.remedy))
    console.print(table)
    counts = {status: sum(f.status is status for f in report.findings) for status in Status}
    console.print(
        f"{report.role} {report.identity}: {counts[Status.FAIL]} failed, {counts[Status.WARN]} warned,"
        f" {counts[Status.PASS]} passed",
        highlight=False,
    )
