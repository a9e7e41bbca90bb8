"""What the command line draws: progress bars, tables of jobs and results."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

from common.client.client import failure
from common.disclosure import CATALOGUE, Opened
from common.plan.state import State
from common.wire import coordinator_pb2 as wire

_STAGES = ("connect", "load", "align", "prepare", "train", "reveal", "evaluate", "score", "watch", "predeal", "promote")


def follow(updates: Iterable[wire.Job], console: Console) -> wire.Job:
    """Draws a bar a stage while a job runs; its last state. Warnings are printed as they come."""
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    job, told = wire.Job(), set[tuple[str, str]]()
    with Progress(*columns, console=console, transient=False) as bars:
        shown: dict[str, TaskID] = {}
        for job in updates:
            _warn(job, told, console)
            _draw(job, bars, shown)
        for task in shown.values():
            if failure(job) is None:
                bars.update(task, completed=bars.tasks[task].total or 1, total=bars.tasks[task].total or 1)
            bars.stop_task(task)
    return job


def _draw(job: wire.Job, bars: Progress, shown: dict[str, TaskID]) -> None:
    furthest = max((job.grid.progress, job.bank.progress), key=lambda p: _STAGES.index(p.stage) if p.stage in _STAGES else -1)
    stage = furthest.stage or job.state
    if stage not in shown:
        for task in shown.values():
            bars.update(task, completed=bars.tasks[task].total or 1, total=bars.tasks[task].total or 1)
            bars.stop_task(task)
        shown[stage] = bars.add_task(stage, total=None, note="")
    total = furthest.total or None
    unit = {"align": "points", "train": "rounds", "score": "rows", "predeal": "arrays"}.get(stage, "")
    count = f"{furthest.done}/{furthest.total} {unit} " if total and unit else ""
    sent = f"{(job.grid.progress.bytes + job.bank.progress.bytes) / 1e6:.1f} MB" if furthest.bytes else ""
    rows = f"{furthest.rows:,} rows " if furthest.rows else ""
    bars.update(shown[stage], total=total, completed=furthest.done, note=rows + count + sent)


def _warn(job: wire.Job, told: set[tuple[str, str]], console: Console) -> None:
    for who, party in (("grid", job.grid), ("bank", job.bank)):
        for text in (*party.progress.warnings, *party.report.warnings):  # the last ones come with the report only
            if (who, text) not in told:
                told.add((who, text))
                console.print(f"[yellow]{who}:[/] {escape(text)}", highlight=False)


def print_jobs(jobs: list[wire.Job], console: Console) -> None:
    table = Table(Column("job", no_wrap=True), "name", "state", "submitted", "seconds", "cause", box=None)
    for job in jobs:
        submitted = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.submitted))
        seconds = f"{job.ended - job.started:.1f}" if job.ended and job.started else ""
        table.add_row(job.id, escape(job.name), job.state, submitted, seconds, escape(job.fault.message))
    console.print(table)


def print_job(job: wire.Job, console: Console) -> None:
    """One job: state, cause, and if it is over what it found and what it opened."""
    console.print(f"{job.id}  {escape(job.name)}  [bold]{job.state}[/]", highlight=False)
    if (error := failure(job)) is not None:
        console.print(f"[red]{error.origin or 'coordinator'}:[/] {escape(str(error))}", highlight=False)
    _warn(job, set(), console)
    if State(job.state) is State.SUCCEEDED:
        if job.bank.report.HasField("evaluation"):
            print_evaluation(job, console)
        print_production(job, console)
        print_opened(job, console)


def print_evaluation(job: wire.Job, console: Console) -> None:
    found, counts = job.bank.report.evaluation, job.bank.report.counts
    console.print(
        f"{counts.matched_rows} matched rows of {counts.matched_ids} enterprises: "
        f"{counts.train_rows} trained, {counts.test_rows} held out; "
        f"columns trained: grid {job.grid.report.counts.trained_columns}, bank {counts.trained_columns - 1}",
        highlight=False,
    )
    table = Table("held out", "AUC", "KS", "Gini", "log-loss", "Brier", box=None)
    for name, m in (("joint", found.joint), ("bank alone", found.bank_only)):
        table.add_row(name, *(f"{v:.4f}" for v in (m.auc, m.ks, m.gini, m.logloss, m.brier)))
    console.print(table)
    d = found.auc_difference
    console.print(f"AUC gained: {d.difference:+.4f} (95 % interval {d.low:+.4f} to {d.high:+.4f}, DeLong)", highlight=False)


def print_production(job: wire.Job, console: Console) -> None:
    """Prints the outcome of a promotion, a challenge or a scoring job's drift."""
    if job.bank.report.champion:
        console.print(f"the champion is now [bold]{job.bank.report.champion}[/]", highlight=False)
    if job.bank.report.HasField("challenge"):
        found = job.bank.report.challenge
        d = found.auc_difference
        console.print(
            f"AUC {found.auc:.4f}, the champion {found.champion} {found.champion_auc:.4f}, on {found.rows} held-out rows:"
            f" {d.difference:+.4f} (95 % interval {d.low:+.4f} to {d.high:+.4f}, DeLong)",
            highlight=False,
        )
    for who, report in (("grid", job.grid.report), ("bank", job.bank.report)):
        if report.HasField("drift"):
            alarms, psi = report.drift.alarms, report.drift.largest_psi
            look = f"; see `{who}-party monitor` there" if alarms else ""
            console.print(f"{who}: {alarms} drift alarms, largest stability index {psi:.2f}{look}", highlight=False)


def print_opened(job: wire.Job, console: Console) -> None:
    table = Table("opened", "to", "why", box=None)
    for value in sorted({*job.grid.report.opened, *job.bank.report.opened}):
        disclosure = CATALOGUE[Opened(value)]
        table.add_row(disclosure.what, ", ".join(disclosure.to), disclosure.why)
    console.print(table)
