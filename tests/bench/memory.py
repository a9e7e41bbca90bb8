"""Memory and processor time of one job by stage, at each process: `python -m tests.bench.memory MODULE serve ...` is a daemon.

Beside `align` and `train`, which hold the same rows once more in plaintext, this holds none of them: for sizes at which that
is too much.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from common.plan.job_stages import Stage
from common.plan.linear import Model
from common.plan.request import Side
from common.plan.train import Split, TrainPlan
from common.process.memory import peak_mib
from common.stages.job import Told
from common.trial.processes import Trial
from tests.bench import jobs
from tests.bench.align import COMMON
from tests.bench.options import JSON, tell
from tests.bench.report import Text
from tests.bench.tables import HELD_OUT, write_tables
from tests.bench.train import Workload

OUT = "WATTSCORE_BENCH_MEMORY"


class MeasuredTrial(Trial):
    """A trial whose parties say, in NAME.memory of its folder, what each stage took."""

    def launch(self, name: str) -> None:
        os.environ[OUT] = str(self.folder / f"{name}.memory")
        super().launch(name)

    def command(self, name: str) -> list[str]:
        *_, module = super().command(name)
        return [sys.executable, "-m", "tests.bench.memory", module]

    def stages(self, name: str) -> list[dict[str, Any]]:
        file = self.folder / f"{name}.memory"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def bench_memory(
    plan: TrainPlan, paths: dict[str, Path], folder: Path, *, period: bool, settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What one training took: peak MiB of each process, and by stage, at the parties, MiB, seconds and processor seconds.

    settings: of processes, by name, beside the benchmarks' own.
    """
    datasets = {party: {"t": dataset} for party, dataset in jobs.declare(paths, period=period).items()}
    daemons, lines = jobs.start(folder, datasets, kind=MeasuredTrial, settings=settings)
    with lines, daemons as trial, trial.client() as client:
        job, seconds = jobs.run(client, plan)
        grid, bank, dealer = job.grid.report, job.bank.report, job.dealer
        stages = {name: trial.stages(name) for name in ("grid", "bank")}
        most = {name: max(one["peak_mib"] for one in found) for name, found in stages.items()}
        return {
            "seconds": {**jobs.stage_seconds(job), "total": seconds},
            "processor": {name: jobs.processor(process.pid) / 1000.0 for name, process in trial.processes.items()},
            "peak_mib": {**most, "coordinator": dealer.peak_mib},
            "megabytes": {
                "peer": (grid.peer.sent + bank.peer.sent) / 1e6,
                "dealt": (dealer.grid.sent + dealer.bank.sent) / 1e6,
            },
            "matched": bank.counts.matched_rows,
            "load": os.getloadavg(),
            "stages": stages,
        }


def table(found: dict[str, Any]) -> Text:
    parties = ("grid", "bank")
    rows = [
        [one["stage"], f"{one['seconds']:.1f}", *(f"{found['stages'][p][k][what]:.{digits}f}" for what, digits in
         (("peak_mib", 0), ("processor", 1)) for p in parties)]
        for k, one in enumerate(found["stages"]["bank"])
    ]  # fmt: skip
    peak, used = found["peak_mib"], found["processor"]
    whole = [
        "all",
        f"{found['seconds']['total']:.1f}",
        *(f"{peak[p]:.0f}" for p in parties),
        *(f"{used[p]:.1f}" for p in parties),
    ]
    dealer = f"coordinator: {peak['coordinator']:.0f} MiB, {used['coordinator']:.1f} processor s"
    moved = f"{found['megabytes']['peer']:.0f} MB between the parties, {found['megabytes']['dealt']:.0f} MB dealt"
    load = f"load {found['load'][0]:.1f}"
    return Text(
        f"Memory by stage; {dealer}; {moved}; {load}",
        ("stage", "bank s", "grid MiB", "bank MiB", "grid cpu s", "bank cpu s"),
        [*rows, whole],
    )


@click.command()
@click.option("--ids", type=int, help="As of `align`.")
@click.option("--rows", type=int, help="As of `train`.")
@click.option("--grid", default=10, show_default=True, help="The grid's columns, with --rows.")
@click.option("--bank", default=10, show_default=True, help="The bank's columns, with --rows.")
@click.option("--memory-mib", default=512, show_default=True, help="What a party may hold in memory of its columns.")
@click.option("--workers", default=2, show_default=True, help="The coordinator's threads that deal.")
@JSON
def memory(ids: int | None, rows: int | None, grid: int, bank: int, memory_mib: int, workers: int, out: Path | None) -> None:
    """Memory by stage of the job of `align --ids`, or of `train --rows`, without the plaintext beside it."""
    if (ids is None) == (rows is None):
        raise click.UsageError("give --ids or --rows")
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name:
        folder = Path(name)
        if ids is not None:
            side = Side(dataset="t")
            model = Model(link="taylor", iterations=6)
            plan = TrainPlan(
                grid=side, bank=side, split=Split(test=0.3), model=model, limits=jobs.SMALL, preparation=jobs.AS_THEY_ARE
            )
            paths = write_tables(folder, ids, 4, 4, months=1, common=COMMON)
        else:
            work = Workload(rows or 0, grid, bank)
            plan, paths = work.plan(), write_tables(folder, round(work.rows / (1.0 - HELD_OUT)), grid, bank)
        settings = {**{name: {"memory_mib": memory_mib} for name in ("grid", "bank")}, "coordinator": {"workers": workers}}
        found = bench_memory(plan, paths, folder, period=ids is None, settings=settings)
    tell(found, out, table(found))


def _measure_stages() -> None:
    """Each stage's peak: Linux begins it anew when asked to."""
    run = Told.stage

    @contextmanager
    def stage(self: Told, which: Stage) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        begin, used = time.monotonic(), time.process_time()
        with run(self, which):
            yield
        spent = {"seconds": time.monotonic() - begin, "processor": time.process_time() - used}
        with Path(os.environ[OUT]).open("a", encoding="utf-8") as out:
            out.write(json.dumps({"stage": which.value, "peak_mib": peak_mib(), **spent}) + "\n")

    Told.stage = stage  # type: ignore[method-assign]


def main() -> None:
    module, sys.argv = sys.argv[1], sys.argv[1:]
    if module != "common.coordinator":  # which has no stages of rows, and need not load a party's
        _measure_stages()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
