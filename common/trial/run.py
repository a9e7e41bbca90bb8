"""A whole trial: three real processes, one training, its result."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from common.client.progress import follow
from common.config import validate
from common.errors import ConfigError, DataError, PlanError, WattScoreError
from common.party import Party
from common.plan.several import ALONE, SeveralPlan
from common.plan.train import TrainPlan
from common.rows.dataset import read_table
from common.rows.declare import DatasetConfig
from common.stats.metrics import Metrics
from common.trial.forkserver import ForkServer
from common.trial.heads import SMALL, check_alike, check_columns, with_option
from common.trial.own import write_report
from common.trial.processes import BANK, Trial, more_bank
from common.trial.result import as_json, banks_as_json, settle
from common.wire import coordinator_pb2 as wire

_TWICE = 64 << 20  # bytes of a table that is read here before the daemons read it
_SMALL: dict[str, int] = {"min_matched": SMALL, "min_rows": 20, "rows_per_column": 2}
_SMALL_POLICY: dict[str, dict[str, Any]] = {
    "grid": {**_SMALL, "min_binary": 5, "min_columns": 1},
    "bank": {**_SMALL, "min_binary": 5, "min_per_class": 5, "min_test_per_class": 2, "label_bits": 1.0},
}
_OWN: dict[str, dict[str, str]] = {
    "linear": {"link": "link", "link_period": "period", "link_terms": "terms", "ridge": "ridge", "iterations": "iterations"},
    "trees": {"trees": "trees", "depth": "depth"},
    "network": {"hidden": "hidden", "epochs": "epochs", "batch": "batch", "decay": "decay", "early_stop": "early_stop"},
}
"""Options that are of one kind of model alone, with their keys in its section."""
_ALONE: dict[str, dict[str, Any]] = {"grid": {"rows_per_day": 1 << 31}, "bank": {"rows_per_day": 1 << 31, "metric_bits": 1e6}}
"""Policies of one job, whose files go when it is over."""
_BANKS: dict[str, dict[str, Any]] = {"grid": {}, "bank": {"coalition_rows": 0.0, "label_bits": 1.0}}
"""Of several banks: all their files lie where `try` runs."""
_BANKS_ALONE: dict[str, dict[str, Any]] = {"grid": {"banks_alone": True}, "bank": {"banks_alone": True, "label_bits": 1.0}}


@dataclass(frozen=True)
class TrialOptions:
    """The options of `wattscore try`."""

    datasets: Mapping[str, DatasetConfig]  # by party
    by_period: bool
    test: float
    seed: int
    coding: Literal["linear", "auto", "bins", "woe"]
    out: Path | None
    compare: bool
    allow_small: bool
    report: Path | None
    keep: Path | None
    strict: bool = False
    model: Literal["linear", "trees", "network"] = "linear"
    link: Literal["fourier", "taylor"] | None = None
    link_period: int | None = None
    link_terms: int | None = None
    ridge: float | None = None
    iterations: int | None = None
    trees: int | None = None
    depth: int | None = None
    hidden: int | None = None
    epochs: int | None = None
    batch: int | None = None
    decay: float | None = None
    early_stop: int | None = None


@dataclass(frozen=True)
class TrialResult:
    """The job as the client saw it, and what `--json` writes of it."""

    job: wire.Job
    values: dict[str, Any]


def make_plan(options: TrialOptions) -> TrainPlan | SeveralPlan:
    """Raises PlanError for options out of range."""
    raw: dict[str, Any] = {
        "name": "try",
        "grid": {"dataset": "table"} if "grid" in options.datasets else ALONE,
        "bank": {"dataset": "table"},
        "keys": ("id", "period") if options.by_period else ("id",),
        "split": {"test": options.test, "seed": options.seed},
        "preparation": {"coding": options.coding, **({"min_binary": 5} if options.allow_small else {})},
        "model": _section(options),
        "limits": _SMALL if options.allow_small else {},
    }
    further = [name for name in options.datasets if name not in ("grid", "bank")]
    if not further:
        return validate(TrainPlan, raw, "options", PlanError)
    del raw["bank"]
    raw["banks"] = [{"who": str(bank), "dataset": "table"} for bank in (BANK, *map(more_bank, further))]
    return validate(SeveralPlan, raw, "options", PlanError)


def _section(options: TrialOptions) -> dict[str, Any]:
    """The plan's `[model]`. Raises PlanError for an option of another kind of model."""
    for kind, keys in _OWN.items():
        if kind != options.model and (given := [name for name in keys if getattr(options, name) is not None]):
            raise PlanError(
                f"--{given[0].replace('_', '-')} is an option of --model {kind}",
                remedy=f"Leave it out, or train with --model {kind}.",
            )
    given_keys = {key: getattr(options, name) for name, key in _OWN[options.model].items()}
    return {"kind": options.model} | {key: value for key, value in given_keys.items() if value is not None}


def _check_outputs(options: TrialOptions) -> None:
    """Refuses at once what would otherwise be found out after training."""
    if options.keep and options.keep.exists():
        raise ConfigError(f"{options.keep}: exists already", remedy="Name a new folder for --keep.")
    for option, path in (("--json", options.out), ("--report", options.report)):
        if path and path.is_dir():
            raise ConfigError(f"{path}: is a folder", remedy=f"Name a file for {option}.")
        if path and not path.resolve().parent.is_dir():
            raise ConfigError(f"{path}: its folder does not exist", remedy="Make it first.")


def _read_whole(datasets: Mapping[str, DatasetConfig], allow_small: bool) -> None:
    """Raises what the daemons would once they run, of tables small enough to be read twice: a cell that is no number."""
    banks = dict[str, Mapping[str, str]]()
    for side, config in datasets.items():
        if config.path is None or not config.path.is_file() or config.path.stat().st_size > _TWICE:
            continue
        try:
            loaded = read_table(config, name=config.path.name, party=Party.GRID if side == "grid" else Party.BANK)
        except DataError as error:
            raise with_option(error) from None
        if side != "grid":
            banks[str(config.path)] = {name: loaded.columns[name].kind for name in loaded.table.order}
        elif not allow_small:
            check_columns(str(config.path), loaded.table.order)
    if len(banks) > 1:
        check_alike(banks)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="wattscore-") as made:
            yield Path(made)
    else:
        keep.resolve().mkdir(parents=True, mode=0o700)
        yield keep.resolve()


def run_trial(options: TrialOptions, console: Console, forks: ForkServer | None) -> TrialResult:
    """Starts everything, trains, stops everything. Raises what is wrong, or the job's failure. forks: as a Trial's."""
    start = time.monotonic()
    plan, datasets = make_plan(options), options.datasets
    _check_outputs(options)
    if options.compare and isinstance(plan, SeveralPlan):
        message = "--compare is of one bank: what several hold out, no process outside them can repeat"
        raise ConfigError(message, remedy="Leave it out, or give one --bank.")
    if options.compare and importlib.util.find_spec("sklearn") is None:
        raise ConfigError("--compare needs scikit-learn, which is not installed", remedy="Run: pip install scikit-learn")
    tables = {party: {"table": dataset.model_dump(mode="json", exclude_defaults=True)} for party, dataset in datasets.items()}
    alone = isinstance(plan, SeveralPlan) and plan.alone
    if alone:  # who has the grid's seat brings no table
        tables["grid"] = {}
    kinds = {name: "grid" if name == "grid" else "bank" for name in tables}
    small = _SMALL_POLICY if options.allow_small else {"grid": {}, "bank": {}}
    further = _BANKS_ALONE if alone else _BANKS if isinstance(plan, SeveralPlan) else {"grid": {}, "bank": {}}
    settings = {name: {"policy": _ALONE[kind] | further[kind] | small[kind]} for name, kind in kinds.items()}
    with _folder(options.keep) as folder:
        with (
            Trial(folder, tables, settings, meanwhile=lambda: _read_whole(datasets, options.allow_small), forks=forks) as trial,
            trial.client() as client,
        ):
            job = follow(client.watch(client.submit(plan).id), console, warnings=False)
        warnings = settle(trial, job, console)
        for name, path in _reports(options):
            write_report(trial.folder / f"{name}.toml", job.id, path, forks)
    total = time.monotonic() - start
    if isinstance(plan, SeveralPlan):
        return TrialResult(job, banks_as_json(job, total, warnings))
    return TrialResult(job, as_json(job, total, _pooled(options, plan, console), warnings))


def _reports(options: TrialOptions) -> list[tuple[str, Path]]:
    """Each bank, and the file of its report: of a further bank, bank-2 say, the name given and then that."""
    if options.report is None:
        return []
    path = options.report
    names = [name for name in options.datasets if name != "grid"]
    return [(name, path if name == "bank" else path.with_name(f"{path.stem}-{name}{path.suffix}")) for name in names]


def _pooled(options: TrialOptions, plan: TrainPlan, console: Console) -> Metrics | None:
    """The pooled fit, if asked for; what goes wrong with it costs the result nothing."""
    if not options.compare:
        return None
    from common.trial.compare import pooled  # and with it what computes

    console.print("--compare pools both tables in one process: for development only, never in production.")
    try:
        return pooled(plan, options.datasets["grid"], options.datasets["bank"])
    except (WattScoreError, ImportError, ValueError, MemoryError) as error:
        console.print(f"[yellow]--compare failed[/], the joint result stands: {error}", highlight=False)
        return None
