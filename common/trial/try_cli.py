"""`wattscore try`: your own two files, three real processes, one command."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console

from common.client.progress import follow
from common.client.show import print_evaluation, print_opened
from common.config import validate
from common.errors import ConfigError, PlanError
from common.features.leaks import PUBLIC
from common.plan.train import TrainPlan
from common.records.schema_cli import STRICT, dataset_of
from common.rows.declare import DatasetConfig
from common.trial.compare import pooled
from common.trial.own import write_report
from common.trial.processes import Trial
from common.trial.result import as_json, print_costs, settle
from common.wire import coordinator_pb2 as wire

_SMALL: dict[str, int] = {"min_matched": 20, "min_rows": 20, "rows_per_column": 2}
_SMALL_POLICY = {**_SMALL, "min_binary": 5}
_UNRATED = {"rows_per_day": 1 << 31}  # one job, whose files go when it is over
_FILE = click.Path(exists=True, path_type=Path)


@dataclass(frozen=True)
class TrialOptions:
    """The options of `wattscore try`."""

    grid: Path
    bank: Path
    key: str
    label: str
    period: str | None
    test: float
    seed: int
    link: Literal["fourier", "taylor"]
    link_period: int | None
    link_terms: int
    ridge: float
    iterations: int
    out: Path | None
    compare: bool
    allow_small: bool
    report: Path | None
    keep: Path | None
    strict: bool = False


@dataclass(frozen=True)
class TrialResult:
    """The job as the client saw it, and what `--json` writes of it."""

    job: wire.Job
    values: dict[str, Any]


@click.command("try")
@click.option("--grid", type=_FILE, required=True, help="The grid's table (CSV, Parquet, Excel), or its declaration (TOML).")
@click.option("--bank", type=_FILE, required=True, help="The bank's table, with the label, or its declaration.")
@click.option("--key", required=True, help="The column of enterprise ids, in both.")
@click.option("--label", required=True, help="The bank's column of 0/1 outcomes.")
@click.option("--period", help="The column of months in both, if rows are (enterprise, month).")
@click.option("--test", default=0.3, show_default=True, help="Share of rows held out.")
@click.option("--seed", default=42, show_default=True, help="Of the split.")
@click.option(
    "--link",
    type=click.Choice(["fourier", "taylor"]),
    default="fourier",
    show_default=True,
    help="Exact logistic, or its expansion.",
)
@click.option("--link-period", type=int, help="The link's period; 64 for wide margins (default 32, taylor 128).")
@click.option("--link-terms", type=int, default=8, show_default=True, help="Terms of the fourier link; 16 with period 64.")
@click.option("--ridge", default=1e-4, show_default=True, help="L2 penalty.")
@click.option("--iterations", default=15, show_default=True, help="Training steps.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the result here.")
@click.option("--compare", is_flag=True, help="For development: also fit scikit-learn on the pooled tables.")
@click.option("--allow-small", is_flag=True, help="Lower the minimum sizes, openly, for trials on tiny tables.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the bank's report, an HTML page, here.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep configurations, logs and models in this new folder.")
@click.option("--strict", is_flag=True, help="Exit code 3 if a column is the label in all but name, or known only after it.")
def try_(**given: Any) -> None:
    """Train on your own two files: throw-away certificates, the three real daemons on this machine, a real client."""
    options = TrialOptions(**given)
    result = run_trial(options, Console(stderr=True))
    _print_result(result, Console())
    if options.out:
        options.out.write_text(json.dumps(result.values, indent=1) + "\n", encoding="utf-8")
    if options.strict and any(text.startswith(PUBLIC) for text in result.job.bank.report.warnings):
        sys.exit(STRICT)


def end_in_order() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, by leaving every context."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def make_plan(options: TrialOptions) -> TrainPlan:
    """Raises PlanError for options out of range."""
    raw = {
        "name": "try",
        "grid": {"dataset": "table"},
        "bank": {"dataset": "table"},
        "keys": ("id", "period") if options.period else ("id",),
        "split": {"test": options.test, "seed": options.seed},
        "preparation": {"min_binary": 5} if options.allow_small else {},
        "model": {
            "link": options.link,
            "period": options.link_period,
            "terms": options.link_terms,
            "ridge": options.ridge,
            "iterations": options.iterations,
        },
        "limits": _SMALL if options.allow_small else {},
    }
    return validate(TrainPlan, raw, "options", PlanError)


def _check_outputs(options: TrialOptions) -> None:
    """Refuses at once what would otherwise be found out after training."""
    if options.keep and options.keep.exists():
        raise ConfigError(f"{options.keep}: exists already", remedy="Name a new folder for --keep.")
    for option, path in (("--json", options.out), ("--report", options.report)):
        if path and path.is_dir():
            raise ConfigError(f"{path}: is a folder", remedy=f"Name a file for {option}.")
        if path and not path.resolve().parent.is_dir():
            raise ConfigError(f"{path}: its folder does not exist", remedy="Make it first.")


def _datasets(options: TrialOptions) -> dict[str, DatasetConfig]:
    """By party; raises ConfigError for names that no column can have."""
    keys = {"id": options.key, "period": options.period}
    grid = {**keys, **_declaration(options.grid)}
    bank = {**keys, "label": options.label, **_declaration(options.bank)}
    return {"grid": validate(DatasetConfig, grid, "--grid"), "bank": validate(DatasetConfig, bank, "--bank")}


def _declaration(path: Path) -> dict[str, Any]:
    """A file as it is, or what `wattscore schema --out` says of it."""
    return dataset_of(path) if path.suffix == ".toml" else {"path": path.resolve()}


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="wattscore-") as made:
            yield Path(made)
    else:
        keep.resolve().mkdir(parents=True, mode=0o700)
        yield keep.resolve()


def run_trial(options: TrialOptions, console: Console) -> TrialResult:
    """Starts everything, trains, stops everything. Raises the job's failure."""
    start = time.monotonic()
    end_in_order()
    plan, datasets = make_plan(options), _datasets(options)
    _check_outputs(options)
    tables = {party: {"table": dataset.model_dump(mode="json", exclude_defaults=True)} for party, dataset in datasets.items()}
    own: dict[str, dict[str, Any]] = {
        "grid": {"min_columns": 1},
        "bank": {"min_per_class": 5, "min_test_per_class": 2, "label_bits": 1.0},
    }
    settings = {
        name: {"policy": _UNRATED | (_SMALL_POLICY | more if options.allow_small else {})} for name, more in own.items()
    }
    with _folder(options.keep) as folder:
        with Trial(folder, tables, settings) as trial, trial.client() as client:
            job = follow(client.watch(client.submit(plan).id), console)
        settle(trial, job, console)
        if options.report:
            write_report(trial.folder / "bank.toml", job.id, options.report)
    total = time.monotonic() - start
    exact = None
    if options.compare:
        console.print("--compare pools both tables in one process: for development only, never in production.")
        exact = pooled(plan, datasets["grid"], datasets["bank"])
    return TrialResult(job, as_json(job, total, exact))


def _print_result(result: TrialResult, console: Console) -> None:
    auc = result.values["auc"]
    print_evaluation(result.job, console)
    if "pooled" in auc:
        figures = ", ".join(f"{name} {result.values[name]['pooled']:.4f}" for name in ("auc", "ks", "logloss"))
        console.print(f"pooled plaintext fit: {figures}", highlight=False)
    print_opened(result.job, console)
    print_costs(result.values, console)
