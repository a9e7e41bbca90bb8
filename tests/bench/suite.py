"""The whole benchmark: workloads one after the other, into one JSON, one Markdown file of tables and a chart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.align import bench_align
from tests.bench.chart import draw
from tests.bench.growth import COLUMN_SIZES, ROW_SIZES, ROW_SIZES_FULL, bench_growth
from tests.bench.machine import machine
from tests.bench.peers import Spu
from tests.bench.score import bench_score
from tests.bench.train import Workload, bench_train

SPU_WORKLOAD = Workload(30_000, 13, 10, 8)  # the workload on which peers are compared
LINE = "20mbit,20ms"


@dataclass(frozen=True)
class Suite:
    """train, profile: workloads. line: workloads over LINE. repeat: jobs of each; growth_repeat: of each size of a series."""

    train: Sequence[Workload]
    profile: Workload
    line: Sequence[Workload]
    rows: Sequence[int]
    columns: Sequence[int]
    score_rows: int
    align_ids: int
    repeat: int = 5
    growth_repeat: int = 1


QUICK = Suite(
    train=[SPU_WORKLOAD, Workload(30_000, 13, 10, link="taylor"), Workload(200_000, 25, 25)],
    profile=Workload(300_000, 20, 20),
    line=[Workload(20_000, 13, 10, 8)],
    rows=ROW_SIZES[:-1],
    columns=COLUMN_SIZES,
    score_rows=200_000,
    align_ids=50_000,
    repeat=3,
)
FULL = Suite(
    train=[*QUICK.train, Workload(1_000_000, 20, 20), Workload(1_000_000, 20, 20, link="taylor"), Workload(100_000, 30, 300)],
    profile=Workload(1_000_000, 20, 20),
    line=[*QUICK.line, Workload(111_618, 13, 10, 8)],
    rows=(*ROW_SIZES, *ROW_SIZES_FULL),
    columns=COLUMN_SIZES,
    score_rows=1_000_000,
    align_ids=1_000_000,
    growth_repeat=3,
)


def run_suite(suite: Suite, out: Path, spu: Spu | None) -> None:
    """bench.json, bench.md, growth.svg, growth.png in `out`; written anew after each workload, so that nothing is lost."""
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"machine": machine()}
    if spu is None:
        print(f"no comparison with SPU: name a Python that has the package spu by --spu-python or {Spu.variable}", flush=True)
    for name, found in _measure(suite, spu):
        results[name] = [*results.get(name, []), found] if name in ("train", "line") else found
        tables = tables_of(results)
        tables[-1].show()
        (out / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
        (out / "bench.md").write_text("\n".join(table.markdown() for table in tables))
    for table in tables_of(results):
        table.show()
    for path in draw(results["growth"], out):
        print(path)


def _measure(suite: Suite, spu: Spu | None) -> Iterator[tuple[str, dict[str, Any]]]:
    for work in suite.train:
        yield "train", bench_train(work, suite.repeat, spu=spu if work == SPU_WORKLOAD else None)
    for work in suite.line:
        yield "line", bench_train(work, min(suite.repeat, 3), LINE)
    yield "profile", bench_train(suite.profile, 2, profiled=True)
    yield "score", bench_score(suite.score_rows, 20, 20, suite.repeat, profiled=True)
    yield "align", bench_align(suite.align_ids, spu=spu)
    yield "growth", bench_growth(suite.rows, suite.columns, suite.growth_repeat)


def tables_of(results: dict[str, Any]) -> list[report.Text]:
    """A table for each kind of workload that has been measured, in the order of measuring."""
    made: list[report.Text | None] = []
    if trained := [*results.get("train", []), *results.get("line", [])]:
        made += [report.spu(trained), report.training(trained)]
    if found := results.get("profile"):
        made.append(
            report.profile(f"Where {found['rows']:,} x {found['grid'] + found['bank']} training goes", found["profile"])
        )
    if found := results.get("score"):
        made += [report.stage("Batch scoring", [found], "score"), report.profile("Where scoring goes", found["profile"])]
    if found := results.get("align"):
        made += [report.spu_matching([found]), report.stage("Alignment", [found], "align")]
    if found := results.get("growth"):
        made.append(report.growth(found))
    return [table for table in made if table is not None]
