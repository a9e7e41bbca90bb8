"""`python -m tests.bench`: a few minutes; `full`: all workloads; and each workload by itself. See README.md here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click

from common.plan.linear import Model
from common.plan.network import Network
from common.plan.section import Section
from common.plan.trees import Trees
from tests.bench import report
from tests.bench.align import bench_align
from tests.bench.banks import SKEWS, bench_banks, line, worth
from tests.bench.bare import GUARDS, bench_guarded, guarded_line
from tests.bench.beside import MODELS, bench_beside, beside_line
from tests.bench.codings import bench_codings
from tests.bench.dealers import bench_dealers
from tests.bench.dealers import line as dealers_line
from tests.bench.features import bench_features
from tests.bench.learners import COMMANDS
from tests.bench.line import Shape
from tests.bench.memory import memory
from tests.bench.one_row import bench_one_row
from tests.bench.online import bench_online
from tests.bench.options import JSON, LINE, OUT, PROFILED, REPEAT, SPU, sizes, tell
from tests.bench.peers import Spu
from tests.bench.rare import bench_rare
from tests.bench.reasons import bench_reasons
from tests.bench.safeguards import bench_safeguards
from tests.bench.safeguards import line as safeguards_line
from tests.bench.score import SCORED, bench_alone, bench_score
from tests.bench.suite import FULL, QUICK, run_suite
from tests.bench.train import Dealing, Workload, bench_train
from tests.bench.worlds import bench_worlds


@click.group(invoke_without_command=True)
@OUT
@SPU
@click.pass_context
def main(context: click.Context, out: Path, spu_python: str | None) -> None:
    """Measure the three real daemons beside plaintext on the same rows."""
    if context.invoked_subcommand is None:
        run_suite(QUICK, out, Spu.find(spu_python))


@main.command()
@click.option("--banks", default=3, show_default=True)
@click.option("--rows", default=4000, show_default=True, help="Rows a bank, half of them held out.")
@click.option("--skew", type=click.Choice(SKEWS), multiple=True, default=SKEWS, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--draws", default=1, show_default=True, help="Draws of each skew, and what they say together.")
@click.option("--model", type=click.Choice(["linear", "network"]), default="linear", show_default=True)
@JSON
def banks(banks: int, rows: int, skew: tuple[str, ...], seed: int, draws: int, model: Any, out: Path | None) -> None:
    """Several banks on UCI's table, beside the pooled twin and the grid with a bank's own rows."""
    found = []
    for one in skew:
        for draw in range(draws):
            found.append(bench_banks(banks, rows, one, seed=seed + draw, model=model))
            click.echo(line(found[-1]))
        if draws > 1:
            click.echo(worth(found[-draws:]))
    if out is not None:
        out.write_text(json.dumps(found, indent=1), encoding="utf-8")


@main.command()
@click.option("--banks", default=3, show_default=True)
@click.option("--rows", default=40_000, show_default=True, help="Rows a bank.")
@click.option("--model", "models", type=click.Choice([*MODELS]), multiple=True, default=["linear"], show_default=True)
@LINE
@REPEAT
def beside(banks: int, rows: int, models: tuple[str, ...], repeat: int, line: str | None) -> None:
    """Several banks beside one bank of all of their rows: the training stage, and the processor's seconds."""
    click.echo("\n".join(map(beside_line, bench_beside(banks, rows, repeat, line, models))))


@main.command()
@REPEAT
@JSON
def dealers(repeat: int, out: Path | None) -> None:
    """UCI's table, as it is and with 3 % overdue, by a whole dealer and by half a dealer; means of the jobs of each."""
    found = bench_dealers(repeat)
    click.echo("\n".join(map(dealers_line, found)))
    if out is not None:
        out.write_text(json.dumps(found, indent=1), encoding="utf-8")


@main.command()
@OUT
@SPU
def full(out: Path, spu_python: str | None) -> None:
    """The quick workloads and the large ones, over a thin line too."""
    run_suite(FULL, out, Spu.find(spu_python))


def _training(command: Any) -> Any:
    link = click.option("--link", type=click.Choice(["fourier", "taylor"]), default="fourier", show_default=True)
    dealer = click.option("--dealer", type=click.Choice(["whole", "half", "none"]), default="whole", show_default=True)
    return sizes(click.option("--iterations", default=12, show_default=True)(link(dealer(command))))


@main.command()
@_training
@REPEAT
@LINE
@click.option("--predeal", is_flag=True, help="Deal ahead what training consumes.")
@SPU
@JSON
def train(
    rows: int, grid: int, bank: int, iterations: int, link: Literal["fourier", "taylor"], dealer: Dealing,
    repeat: int, line: str | None, predeal: bool, spu_python: str | None, out: Path | None,
) -> None:  # fmt: skip
    """One training workload."""
    work = Workload(rows, grid, bank, iterations, link, predeal, dealer)
    found = bench_train(work, repeat, line, spu=Spu.find(spu_python))
    tell(found, out, report.training([found]), report.spu([found]))


@main.command()
@_training
@LINE
@JSON
def profile(
    rows: int, grid: int, bank: int, iterations: int, link: Literal["fourier", "taylor"], dealer: Dealing,
    line: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Where the training stage's time goes in each process. The second of two jobs, so that nothing is new."""
    found = bench_train(Workload(rows, grid, bank, iterations, link, dealer=dealer), 2, line, profiled=True)
    tell(found, out, report.training([found]), report.profile("Training stage", found["profile"]))


_UNDEALT = Model(dealer="none")
_SCORED: dict[str, Section] = {
    "linear": SCORED,
    "undealt": _UNDEALT,
    "trees": Trees(kind="trees"),
    "network": Network(kind="network", hidden=8),
}


@main.command()
@sizes
@REPEAT
@click.option("--predeal", is_flag=True, help="Deal ahead what scoring consumes.")
@click.option("--model", "kind", type=click.Choice([*_SCORED]), default="linear", show_default=True)
@click.option("--texts", default=0, show_default=True, help="Of the grid's columns: two reasons a row are told, if any.")
@PROFILED
@JSON
def score(
    rows: int, grid: int, bank: int, repeat: int, predeal: bool, kind: str, texts: int, profiled: bool, out: Path | None
) -> None:
    """Score aligned rows with a small model (undealt: without a dealer), 80 trees of depth 3, or a network of 8 units."""
    how: dict[str, Any] = {"section": _SCORED[kind], "texts": texts}
    found = bench_score(rows, grid, bank, repeat, ahead=predeal, profiled=profiled, **how)
    tables = [report.profile("Score stage", found["profile"])] if profiled else []
    tell(found, out, report.stage("Batch scoring", [found], "score"), *tables)


@main.command("score-alone")
@sizes
@JSON
def score_alone(rows: int, grid: int, bank: int, out: Path | None) -> None:
    """Score `rows` aligned rows from a stock by the bank's own command, the coordinator having ended."""
    found = bench_alone(rows, grid, bank)
    tell(found, out, report.alone(found))


@main.command("one-row")
@click.option("--requests", default=1000, show_default=True)
@click.option("--grid", default=20, show_default=True, help="The grid's columns.")
@click.option("--bank", default=20, show_default=True, help="The bank's columns.")
@click.option("--trees", "count", default=0, help="So many boosted trees in place of a line.")
@JSON
def one_row(requests: int, grid: int, bank: int, count: int, out: Path | None) -> None:
    """One row at a time from a stock, the coordinator having ended: milliseconds from asking to knowing."""
    found = bench_one_row(requests, grid, bank, Trees(kind="trees", trees=count) if count else None)
    tell(found, out, report.one_row(found))


@main.command()
@click.option("--rate", default=50.0, show_default=True, help="Requests a second, at random times.")
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--grid", default=20, show_default=True, help="The grid's columns.")
@click.option("--bank", default=20, show_default=True, help="The bank's columns.")
@click.option("--model", type=click.Choice(["linear", "trees", "network"]), default="linear", show_default=True)
@click.option(
    "--reasons", default=0, show_default=True, help="So many of the grid's columns have a text, two of which are told."
)
@click.option("--grpc", is_flag=True, help="By gRPC in place of HTTPS.")
@LINE
@JSON
def online(
    rate: float, seconds: float, grid: int, bank: int, model: str, reasons: int, grpc: bool, line: str | None, out: Path | None
) -> None:
    """Scores on request over HTTPS, arriving whether or not the last was answered: milliseconds from when each was due."""
    section: Section = {"linear": Model(), "trees": Trees(kind="trees"), "network": Network()}[model]
    shape = Shape.parse(line) if line else None
    found = bench_online(rate, seconds, grid, bank, line=shape, section=section, reasons=reasons, by_grpc=grpc)
    tell(found, out, report.online(found))


@main.command()
@click.option("--ids", type=int, required=True, help="Ids at each side; nine of ten at both.")
@click.option("--matching", type=click.Choice(["neutral", "ecdh"]), default="neutral", show_default=True)
@REPEAT
@LINE
@SPU
@JSON
def align(
    ids: int, matching: Literal["neutral", "ecdh"], repeat: int, line: str | None, spu_python: str | None, out: Path | None
) -> None:
    """Match ids."""
    found = bench_align(ids, repeat, line, matching, Spu.find(spu_python))
    tell(found, out, report.stage("Alignment", [found], "align"), report.spu_matching([found]))


@main.command()
@click.option("--rows", type=int, required=True, help="Enterprise-months that the bank has records of; the grid has more.")
@click.option("--memory-mib", type=int, help="As of `wattscore features`.")
@click.option("--workers", type=int, default=1, help="As of `wattscore features`.")
@click.option("--ray", type=click.Path(path_type=Path), help="As of `wattscore features`, on a node of that cluster.")
@REPEAT
@JSON
def features(rows: int, memory_mib: int | None, workers: int, ray: Path | None, repeat: int, out: Path | None) -> None:
    """Monthly records into features by `wattscore features`, at both parties, from CSV and Parquet."""
    memory = [] if memory_mib is None else ["--memory-mib", str(memory_mib)]
    cluster = [] if ray is None else ["--ray", str(ray.resolve())]
    found = bench_features(rows, repeat, (*memory, "--workers", str(workers), *cluster))
    tell(found, out, report.features(found))


@main.command()
@click.option("--rows", default=200_000, show_default=True, help="Matched enterprise-months, about.")
@click.option("--overdue", default=0.03, show_default=True, help="Share of repayments overdue.")
@click.option(
    "--iterations", multiple=True, type=int, default=(12,), show_default=True, help="Of each job; give it many times."
)
@click.option("--step", type=float, help="Step size; default: the plan's.")
@JSON
def rare(rows: int, overdue: float, iterations: tuple[int, ...], step: float | None, out: Path | None) -> None:
    """Few rows overdue, the last months held out, beside the pooled optimum."""
    found = bench_rare(rows, overdue, iterations, step)
    tell(found, out, report.rare(found))


@main.command()
@click.option("--every", default=1, show_default=True, help="Only every so many-th of the worlds.")
@click.option("--iterations", type=int, help="Default: the plan's.")
@click.option("--overdue", type=float, help="Only worlds of this rate: 0.5, 0.2, 0.05, 0.02 or 0.01.")
@click.option("--rows", type=int, help="Only worlds of so many rows.")
@click.option("--held", default=0, show_default=True, help="Further rows, on which AUC is lost, and lost by chance.")
@JSON
def worlds(every: int, iterations: int | None, overdue: float | None, rows: int | None, held: int, out: Path | None) -> None:
    """How far from the optimum trainings end, over many worlds, all peers in this process."""
    found = bench_worlds(Model() if iterations is None else Model(iterations=iterations), every, overdue, rows, held)
    tell(found, out, report.worlds(found))


@main.command()
@click.option("--rows", default=100_000, show_default=True, help="Rows of the training.")
@click.option("--grid", default=20, show_default=True, help="The grid's columns.")
@click.option("--bank", default=20, show_default=True, help="The bank's columns.")
@click.option("--repeat", default=5, show_default=True, help="Trainings of each kind, in turns.")
@click.option("--daemons", is_flag=True, help="Through the three real daemons, with what compares both parties' words too.")
@click.option("--guard", "guards", type=click.Choice(GUARDS), multiple=True, default=GUARDS, help="Only these, of daemons.")
@JSON
def safeguards(rows: int, grid: int, bank: int, repeat: int, daemons: bool, guards: tuple[str, ...], out: Path | None) -> None:
    """What it costs a training to be resumed, checked and audited, by default all peers in this process."""
    sizes = rows, grid, bank, repeat
    found = bench_guarded(*sizes, guards) if daemons else bench_safeguards(*sizes)
    click.echo((guarded_line if daemons else safeguards_line)(found))
    tell(found, out)


@main.command()
@click.option("--rows", multiple=True, type=int, default=(1500, 20_000), show_default=True, help="Training rows of each world.")
@click.option("--overdue", default=0.2, show_default=True, help="Share overdue.")
@click.option("--seeds", default=2, show_default=True, help="Draws of each world to take means of.")
@click.option("--uci", type=click.Path(exists=True, path_type=Path), help="UCI's default of credit card clients, as CSV.")
@JSON
def codings(rows: tuple[int, ...], overdue: float, seeds: int, uci: Path | None, out: Path | None) -> None:
    """What each coding of columns gives in worlds of different shapes, in plaintext."""
    found = bench_codings([(count, overdue) for count in rows], seeds, uci)
    tell({"worlds": found}, out, report.codings(found))


@main.command()
@click.option("--rows", default=100_000, show_default=True)
@click.option("--grid", "columns", default=13, show_default=True, help="Columns of the grid.")
@click.option("--texts", default=8, show_default=True)
@JSON
def reasons(rows: int, columns: int, texts: int, out: Path | None) -> None:
    """Reasons of the grid from a model that nobody holds, all roles in this process, beside the same choice in numpy."""
    found = bench_reasons(rows, columns, texts)
    click.echo(json.dumps(found, indent=1))
    tell(found, out)


for _command in (*COMMANDS, memory):
    main.add_command(_command)


if __name__ == "__main__":
    main()
