"""Jobs through the three real daemons, under the profiler and over a slow line where asked."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from common.client.client import Client
from common.disk.data_folder import Name
from common.features.options import Preparation
from common.home.audit import BEHIND, AuditLog, What
from common.plan.request import Plan
from common.plan.train import Limits
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire
from tests.bench.line import Lines, Shape
from tests.bench.profiled import OUT, STAGES_ALONE

SMALL = Limits(min_matched=20, min_rows=200)
AS_THEY_ARE = Preparation(coding="linear")  # so that the columns asked for are the columns trained
_POLICY = {
    "min_iterations": 1,
    "min_matched": 20,
    "min_rows": 200,
    "least_difference": 1,
    "reasons_per_row": 2,
    "own_weights": True,
    "finest_score_bits": 16,
    "half_dealer": True,
    "no_dealer": True,
    **dict.fromkeys(("jobs_per_day", "rows_per_day", "models_per_day"), 10**9),
}
SETTINGS = {
    "grid": {"policy": {**_POLICY, "scores_per_row": 1000, "min_columns": 1}},
    "bank": {"policy": {**_POLICY, "min_per_class": 20, "min_test_per_class": 5, "label_bits": 1000.0, "metric_bits": 1000.0}},
}


class ProfiledTrial(Trial):
    """A trial whose daemons say, in NAME.profile of its folder, what each measured stage cost them."""

    kinds = True  # of work, told apart

    def launch(self, name: str) -> None:
        os.environ[OUT] = str(self.folder / f"{name}.profile")
        os.environ[STAGES_ALONE] = "" if self.kinds else "1"
        super().launch(name)

    def command(self, name: str) -> list[str]:
        *_, module = super().command(name)
        return [sys.executable, "-m", "tests.bench.profiled", module]

    def profile(self, stage: str) -> dict[str, dict[str, Any]]:
        """The last cost of a stage, by process."""
        files = {name: self.folder / f"{name}.profile" for name in self.processes}
        lines = {
            name: [json.loads(line) for line in file.read_text().splitlines()] for name, file in files.items() if file.exists()
        }
        found = {name: [entry for entry in entries if entry["stage"] == stage] for name, entries in lines.items()}
        return {name: entries[-1] for name, entries in found.items() if entries}


class CountedTrial(ProfiledTrial):
    """The same of stages as a whole, which costs them nothing."""

    kinds = False


def start(
    folder: Path,
    datasets: Mapping[str, Mapping[str, Any]],
    shape: Shape | None = None,
    kind: type[Trial] = Trial,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Trial, Any]:
    """A trial to enter, and the context that must be entered before it. settings: further ones of a process, by its name."""
    every = {name: {**SETTINGS.get(name, {}), **own} for name, own in {**SETTINGS, **(settings or {})}.items()}
    lines = Lines(shape) if shape else nullcontext()
    via = {"via": lines.via} if isinstance(lines, Lines) else {}
    return kind(folder / "trial", datasets, every, **via), lines


def run(client: Client, plan: Plan) -> tuple[wire.Job, float]:
    """A finished job and its seconds from submission; ends the benchmark if it did not succeed."""
    begin = time.monotonic()
    job = list(client.watch(client.submit(plan).id))[-1]  # type: ignore[arg-type]
    if job.state != "succeeded":
        raise SystemExit(f"the job {job.state}: {job.fault.message}")
    return job, time.monotonic() - begin


def forget_scores(trial: Trial) -> None:
    """Empties the grid's book of scored rows, which would rightly refuse to have the same rows scored again and again."""
    with closing(sqlite3.connect(trial.folder / "grid-data" / "ledger.sqlite", timeout=30.0)) as book, book:
        book.executescript("delete from leaves; delete from owners")
    AuditLog(trial.folder / "grid-data" / Name.AUDIT).add(What.OVERRIDE, rule=BEHIND, note="emptied on purpose")


def stage_seconds(job: wire.Job) -> dict[str, float]:
    """Of each stage, at the party that took longer."""
    reports = [job.grid.report, job.bank.report]
    names = [entry.stage for entry in reports[1].seconds]
    return {name: max(entry.seconds for report in reports for entry in report.seconds if entry.stage == name) for name in names}


def declare(paths: Mapping[str, Path], *, period: bool = True) -> dict[str, dict[str, Any]]:
    """The tables of `write_tables` as configurations declare them, by party."""
    keys = {"id": "id", "period": "month"} if period else {"id": "id"}
    return {side: {"path": path, **keys, **({"label": "y"} if side == "bank" else {})} for side, path in paths.items()}


def processor(process: int) -> float:
    """Milliseconds of processor that a process has taken."""
    user, system = Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()[11:13]
    return 10.0 * (int(user) + int(system))
