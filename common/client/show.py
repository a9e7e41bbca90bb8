"""What the command line prints of jobs: lists, results, what was opened, what happened when."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.client.client import failure
from common.client.progress import clock, org, waits, warn
from common.disclosure import CATALOGUE, Opened
from common.plan.job_stages import MEANING
from common.plan.job_states import State
from common.text.visible import escape, visible
from common.wire import coordinator_pb2 as wire

_ROUNDED = "each figure is rounded by itself, as the bank's policy has it for others"


def print_jobs(jobs: Sequence[wire.Job], console: Console) -> None:
    """A line a job, its id whole and the rest cut at the width, its cause beneath."""
    wide = max((len(job.id) for job in jobs), default=3)
    lines = [f"{'job':<{wide}}  state      submitted    time     AUC    name"]
    for job in jobs:
        took = clock(job.ended - job.started) if job.ended and job.started else ""
        found = job.bank.report
        auc = f"{found.evaluation.joint.auc:.3f}" if found.HasField("evaluation") else ""
        lines.append(f"{job.id:<{wide}}  {job.state:<9}  {_when(job.submitted)}  {took:<7}  {auc:<5}  {job.name}")
        if job.state == "held":
            lines.append(f"  {waits(job)}")
        if job.state == "waiting":
            lines.append(f"  interrupted by: {job.disturbed.message}")
        if job.fault.message:
            lines.append(f"  {job.fault.origin or 'coordinator'}: {job.fault.message}")
    for line in lines:
        console.print(Text(visible(line)), no_wrap=True, overflow="ellipsis", highlight=False)


def print_job(job: wire.Job, console: Console, opened: bool = True) -> None:
    """One job: state, cause, and if it is over what it found and, in full or in a line, what it opened."""
    console.print(f"{job.id}  {escape(job.name)}  [bold]{job.state}[/]", highlight=False)
    if (error := failure(job)) is not None:
        console.print(f"[red]{error.origin or 'coordinator'}:[/] {escape(str(error))}", highlight=False)
    if said := waits(job):
        console.print(escape(said), highlight=False)
    warn(job, set(), console)
    if State(job.state) is State.SUCCEEDED:
        if opened:
            print_opened(job, console)
        if job.banks:
            print_banks(job, console)
        elif job.bank.report.HasField("evaluation"):
            print_evaluation(job, console)
            console.print(f"{_ROUNDED}: `bank-party report {job.id}` there has them in full", highlight=False)
        if job.kind == "score":
            print_scored(job, console)
        print_production(job, console)
        if not opened:
            console.print(f"what was opened, and to whom: `wattscore show {job.id}`", highlight=False)


def print_scored(job: wire.Job, console: Console) -> None:
    """Prints what became of the rows asked for; decisions are the bank's, and are counted there."""
    bank, grid = job.bank.report.counts, job.grid.report.counts
    without = bank.own_rows - bank.matched_rows
    console.print(
        f"{bank.own_rows:,} rows of the bank asked for: {bank.matched_rows:,} scored, {without:,} without a match among the"
        f" grid's {grid.own_rows:,}",
        highlight=False,
    )
    console.print(f"scores, grades, decisions and reasons: scores/{job.id}.csv in the bank's data folder", highlight=False)


def print_history(job: wire.Job, console: Console, since: int = 0) -> int:
    """Prints the job's events from number `since` on, a line each; how many there are now."""
    for event in job.events[since:]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
        meaning = f" {event.stage}: {MEANING.get(event.stage, '')}".rstrip(": ") if event.what == "stage" else ""
        by = f" by {job.submitter}" if event.what == "submitted" else ""
        said = f" in stage {event.stage}" if event.what == "warned" else ""
        console.print(escape(f"{at}  {event.who:<11}  {event.what}{meaning}{by}{said}"), highlight=False, soft_wrap=True)
    return len(job.events)


def _when(at: float) -> str:
    return time.strftime("%m-%d %H:%M", time.localtime(at))


def print_evaluation(job: wire.Job, console: Console) -> None:
    found, counts = job.bank.report.evaluation, job.bank.report.counts
    console.print(
        f"{counts.matched_rows:,} matched rows of {counts.matched_ids:,} enterprises: "
        f"{counts.train_rows:,} trained, {counts.test_rows:,} held out; "
        f"columns trained, after coding: grid {job.grid.report.counts.trained_columns}, bank {counts.trained_columns - 1}",
        highlight=False,
    )
    table = Table("held out", "AUC", "KS", "Gini", "log-loss", "Brier", box=None)
    for name, m in (("joint", found.joint), ("bank alone", found.bank_only)):
        table.add_row(name, *(f"{v:.4f}" for v in (m.auc, m.ks, m.gini, m.logloss, m.brier)))
    console.print(table)
    d = found.auc_difference
    console.print(f"AUC gained: {d.difference:+.4f} (95 % interval {d.low:+.4f} to {d.high:+.4f}, DeLong)", highlight=False)


def print_banks(job: wire.Job, console: Console) -> None:
    """Prints what a model of several banks is worth at each of them, and over all."""
    grid = f"grid {columns}, " if (columns := job.grid.report.counts.trained_columns) else ""  # else banks alone
    own = job.bank.report.counts.trained_columns - 1
    console.print(f"columns trained, after coding: {grid}each bank {own} and an intercept", highlight=False)
    table = Table("bank", "trained", "held out", "AUC", "its own", "log-loss", "KS", "AUC gained (95 %)", box=None)
    for bank in job.banks:
        if bank.left_out:
            table.add_row(org(bank.who), *["left out"] * 7)
            continue
        found, counts = bank.report.evaluation, bank.report.counts
        if not bank.report.HasField("evaluation"):
            table.add_row(org(bank.who), f"{counts.train_rows:,}", f"{counts.test_rows:,}", *["kept there"] * 5)
            continue
        d = found.auc_difference
        quality = (f"{value:.4f}" for value in (found.joint.auc, found.bank_only.auc, found.joint.logloss, found.joint.ks))
        gain = f"{d.difference:+.4f} ({d.low:+.4f} to {d.high:+.4f})"
        table.add_row(org(bank.who), f"{counts.train_rows:,}", f"{counts.test_rows:,}", *quality, gain)
    console.print(table)
    every = job.bank.report.pooled
    if every.rows:
        console.print(f"all banks together: AUC {every.auc:.3f}, KS {every.ks:.3f} over {every.rows:,} rows", highlight=False)


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
            heard = "no drift alarm" if not alarms else f"{alarms} drift alarm{'' if alarms == 1 else 's'}"
            look = f"; see `{who}-party monitor` there" if alarms else ""
            console.print(f"{who}: {heard}, the largest stability index (PSI) {psi:.2f}{look}", highlight=False)


def print_opened(job: wire.Job, console: Console) -> None:
    table = Table("opened", "to", box=None, pad_edge=False)
    for value in sorted({*job.grid.report.opened, *job.bank.report.opened}):
        disclosure = CATALOGUE[Opened(value)]
        table.add_row(disclosure.what, ", ".join(disclosure.to))
    console.print(table)
