"""`wattscore try`: your own two files, three real processes, one command."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from common.client.client import failure
from common.client.show import follow, print_evaluation, print_opened
from common.config import validate
from common.disclosure import CATALOGUE, Opened
from common.errors import ConfigError, PlanError, WattScoreError
from common.plan.plans import TrainPlan
from common.rows.dataset import DatasetConfig
from common.trial.compare import pooled
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire

_SMALL: dict[str, int] = {"min_matched": 20, "min_rows": 20, "rows_per_column": 2, "min_per_class": 5, "min_test_per_class": 2}


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("try")
@click.option("--grid", type=_FILE, required=True, help="The grid's table (CSV or Parquet).")
@click.option("--bank", type=_FILE, required=True, help="The bank's table, with the label.")
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
def try_(**options: Any) -> None:
    """Train on your own two files: throw-away certificates, the three real daemons on this machine, a real client."""
    result = run_trial(options, Console(stderr=True))
    _print_result(result, Console())
    if options["out"]:
        options["out"].write_text(json.dumps(result["json"], indent=1) + "\n", encoding="utf-8")


def end_in_order() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, by leaving every context."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def make_plan(options: dict[str, Any]) -> TrainPlan:
    """Raises PlanError for options out of range."""
    small = options["allow_small"]
    raw = {
        "name": "try",
        "grid": {"dataset": "table"},
        "bank": {"dataset": "table"},
        "keys": ("id", "period") if options["period"] else ("id",),
        "split": {"test": options["test"], "seed": options["seed"]},
        "preparation": {"min_binary": 5} if small else {},
        "model": {
            "link": options["link"],
            "period": options["link_period"],
            "terms": options["link_terms"],
            "ridge": options["ridge"],
            "iterations": options["iterations"],
        },
        "limits": _SMALL if small else {},
    }
    return validate(TrainPlan, raw, "options", PlanError)


def _check_outputs(options: dict[str, Any]) -> None:
    """What would otherwise be found out after training."""
    if options["keep"] and options["keep"].exists():
        raise ConfigError(f"{options['keep']}: exists already", remedy="Name a new folder for --keep.")
    for option, path in (("--json", options["out"]), ("--report", options["report"])):
        if path and path.is_dir():
            raise ConfigError(f"{path}: is a folder", remedy=f"Name a file for {option}.")
        if path and not path.resolve().parent.is_dir():
            raise ConfigError(f"{path}: its folder does not exist", remedy="Make it first.")


def run_trial(options: dict[str, Any], console: Console) -> dict[str, Any]:
    """Starts everything, trains, stops everything. Raises the job's failure."""
    start = time.monotonic()
    end_in_order()
    plan = make_plan(options)
    _check_outputs(options)
    keys = {"id": options["key"], "period": options["period"]}
    grid = {"path": options["grid"].resolve(), **keys}
    bank = {"path": options["bank"].resolve(), "label": options["label"], **keys}
    for name, dataset in (("--grid", grid), ("--bank", bank)):
        validate(DatasetConfig, dataset, name)
    policy = {**_SMALL, "min_binary": 5, "min_columns": 1} if options["allow_small"] else {}
    if options["keep"]:
        options["keep"] = options["keep"].resolve()
        options["keep"].mkdir(parents=True, mode=0o700)
    with nullcontext(options["keep"]) if options["keep"] else tempfile.TemporaryDirectory(prefix="wattscore-") as folder:
        with (
            Trial(Path(folder), {"grid": {"table": grid}, "bank": {"table": bank}}, policy) as trial,
            trial.client() as client,
        ):
            job = follow(client.watch(client.submit(plan).id), console)
        settle(trial, job, console)
        if options["report"]:
            from common.report.write import write_report  # draws charts: other commands need not wait for that library

            write_report(trial.folder / "bank-data", job.id, options["report"])
    total = time.monotonic() - start
    exact = None
    if options["compare"]:
        console.print("--compare pools both tables in one process: for development only, never in production.")
        exact = pooled(plan, DatasetConfig.model_validate(grid), DatasetConfig.model_validate(bank))
    return {"job": job, "json": as_json(job, total, exact)}


def settle(trial: Trial, job: wire.Job, console: Console) -> None:
    """After the daemons have ended: prints what each party alone knows of `job`. Raises its failure."""
    for name in ("grid", "bank"):
        model = trial.folder / f"{name}-data" / "models" / job.id / "model.json"
        _print_warnings(name, model, set(getattr(job, name).report.warnings), console)
    if (error := failure(job)) is not None:
        if error.origin in ("grid", "bank"):
            _print_cause(error, trial.log(error.origin), job.id, console)
        raise error


def as_json(job: wire.Job, total: float, exact: Any) -> dict[str, Any]:
    """What `--json` writes."""
    grid, bank, dealer = job.grid.report, job.bank.report, job.dealer
    found = bank.evaluation
    quality = {
        name: {
            "joint": getattr(found.joint, name),
            "bank_only": getattr(found.bank_only, name),
            **({"pooled": getattr(exact, name)} if exact else {}),
        }
        for name in ("auc", "ks", "gini", "logloss", "brier")
    }
    seconds = {s.stage: max(s.seconds, *(o.seconds for o in grid.seconds if o.stage == s.stage)) for s in bank.seconds}
    difference = found.auc_difference
    return {
        "job": job.id,
        "rows": {
            "grid": grid.counts.own_rows,
            "bank": bank.counts.own_rows,
            "matched": bank.counts.matched_rows,
            "train": bank.counts.train_rows,
            "test": bank.counts.test_rows,
        },
        "columns": {"grid": grid.counts.trained_columns, "bank": bank.counts.trained_columns - 1},
        **quality,
        "auc_difference": {
            "value": difference.difference,
            "low": difference.low,
            "high": difference.high,
            "p_value": difference.p_value,
        },
        "largest_u": found.largest_u,
        "iterations": bank.counts.iterations,
        "seconds": {**seconds, "total": total},
        "rounds": {s.stage: s.rounds for s in bank.seconds},
        "bytes": {
            "grid_bank": {"grid_to_bank": grid.peer.sent, "bank_to_grid": bank.peer.sent},
            "coordinator_grid": {"coordinator_to_grid": dealer.grid.sent, "grid_to_coordinator": dealer.grid.received},
            "coordinator_bank": {"coordinator_to_bank": dealer.bank.sent, "bank_to_coordinator": dealer.bank.received},
        },
        "peak_mib": {"grid": grid.peak_mib, "bank": bank.peak_mib, "coordinator": dealer.peak_mib},
        "warnings": {"grid": list(grid.warnings), "bank": list(bank.warnings)},
        "disclosures": disclosures(job),
    }


def disclosures(*jobs: wire.Job) -> list[dict[str, Any]]:
    """All that these jobs opened, once each."""
    opened = {value for job in jobs for side in (job.grid, job.bank) for value in side.report.opened}
    found = [CATALOGUE[Opened(value)] for value in sorted(opened)]
    return [{"value": d.value.value, "to": list(d.to), "what": d.what, "why": d.why} for d in found]


def _print_warnings(name: str, model: Path, told: set[str], console: Console) -> None:
    """A party's own warnings name its columns and stay with it; here both parties are this one user."""
    if model.exists():
        warnings = json.loads(model.read_text(encoding="utf-8"))["about"]["warnings"]
        for text in (text for text in warnings if text not in told):
            console.print(f"[yellow]{name}:[/] {escape(text)}", highlight=False)


def _print_cause(error: WattScoreError, log: Path, job: str, console: Console) -> None:
    """A party's own words on why it ended the job, where they say more: they may name a row, the public text does not."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if (f" job {job} ended: " in line or f" job {job} refused: " in line) and str(error) not in line:
            console.print(f"[yellow]log of the {error.origin}:[/] {escape(line.split(': ', 1)[1])}", highlight=False)


def _print_result(result: dict[str, Any], console: Console) -> None:
    values = result["json"]
    print_evaluation(result["job"], console)
    if "pooled" in values["auc"]:
        console.print(
            "pooled plaintext fit: " + ", ".join(f"{k} {values[k]['pooled']:.4f}" for k in ("auc", "ks", "logloss")),
            highlight=False,
        )
    print_opened(result["job"], console)
    print_costs(values, console)


def print_costs(values: dict[str, Any], console: Console) -> None:
    seconds = ", ".join(f"{name} {value:.2f}" for name, value in values["seconds"].items())
    console.print(f"seconds: {seconds}", highlight=False)
    links = ", ".join(f"{link.replace('_', '-')} {sum(ways.values()) / 1e6:.1f}" for link, ways in values["bytes"].items())
    console.print(
        f"MB: {links}; peak MiB: " + ", ".join(f"{k} {v:.0f}" for k, v in values["peak_mib"].items()), highlight=False
    )
