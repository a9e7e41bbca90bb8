"""What a training through the daemons gave: quality, rows, seconds, rounds, bytes, what was opened; as values and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from common.client.client import failure
from common.daemon.report_message import evaluation_message
from common.disclosure import CATALOGUE, Opened
from common.disk.data_folder import Name
from common.errors import WattScoreError
from common.home.outcome import EVALUATION, Steps, parse_evaluation
from common.stats.metrics import Metrics
from common.text.visible import escape
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire

_ELSEWHERE = ("see the log of the grid", "see the log of the bank")
METRICS = ("auc", "ks", "gini", "logloss", "brier")


def settle(trial: Trial, job: wire.Job, console: Console) -> dict[str, list[str]]:
    """After the daemons have ended: prints, and returns by party, what each alone knows of `job`. Raises its failure."""
    found = {}
    for name, told in parties(job).items():
        model = trial.folder / f"{name}-data" / Name.MODELS / job.id / "model.json"
        own = _own(model)
        for text in own.get("notes", ()):
            console.print(f"{name}: {escape(text)}", highlight=False)
        found[name] = _with(own, list(told.report.warnings))
        for text in found[name]:
            console.print(f"[yellow]{name}:[/] {escape(text)}", highlight=False)
    if (error := failure(job)) is not None:
        if (name := process_of(error.origin)) in found:
            _print_cause(error, trial.folder / f"{name}-data" / Name.LOG, job.id, console)
        raise error
    reveal(trial, job)
    return found


def reveal(trial: Trial, job: wire.Job) -> None:
    """Puts the evaluation as a bank keeps it in place of what others hear in steps: all parties are this one user."""
    for name, told in parties(job).items():
        if not told.report.HasField("evaluation"):
            continue
        file = trial.folder / f"{name}-data" / Name.MODELS / job.id / EVALUATION
        told.report.evaluation.CopyFrom(evaluation_message(parse_evaluation(file.read_bytes()), Steps(1e-5, 1e-5)))


def parties(job: wire.Job) -> dict[str, wire.PartyProgress]:
    """What each party told of a job, by its process: grid, bank, and of several banks bank-2 and so on."""
    banks = list(job.banks) or [job.bank]
    return {"grid": job.grid} | {"bank" if k == 1 else f"bank-{k}": bank for k, bank in enumerate(banks, 1)}


def process_of(origin: str) -> str:
    """The process of a party that a failure names: of several banks by its organisation."""
    return origin.removeprefix("bank try-")


def _own(model: Path) -> dict[str, Any]:
    """What a party says of its model; nothing where it has none."""
    return dict(json.loads(model.read_text(encoding="utf-8"))["about"]) if model.exists() else {}


def _with(own: Mapping[str, Any], heard: list[str]) -> list[str]:
    """A party's own warnings name its columns and stay with it; here both parties are this one user. Else what others hear."""
    if not own:
        return heard
    texts: list[str] = own["warnings"]
    return [*texts, *(text for text in heard if text not in texts and not text.endswith(_ELSEWHERE))]


def _print_cause(error: WattScoreError, log: Path, job: str, console: Console) -> None:
    """A party's own words on why it ended the job, where they say more: they may name a row, the public text does not."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else ():
        if (f" job {job} ended: " in line or f" job {job} refused: " in line) and str(error) not in line:
            console.print(f"[yellow]log of the {error.origin}:[/] {escape(line.split(': ', 1)[1])}", highlight=False)


def as_json(
    job: wire.Job, total: float, exact: Metrics | None, warnings: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """The result that `--json` writes. total: seconds of all of it; exact: of the pooled fit, if it was made.

    warnings: the parties' own; without, what others hear of them.
    """
    grid, bank, dealer = job.grid.report, job.bank.report, job.dealer
    found = bank.evaluation
    quality = {
        name: {
            "joint": getattr(found.joint, name),
            "bank_only": getattr(found.bank_only, name),
            **({"pooled": getattr(exact, name)} if exact else {}),
        }
        for name in METRICS
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
        "warnings": dict(warnings or {"grid": list(grid.warnings), "bank": list(bank.warnings)}),
        "disclosures": disclosures(job),
    }


def banks_as_json(job: wire.Job, total: float, warnings: Mapping[str, list[str]]) -> dict[str, Any]:
    """The same of a job of several banks: of each what it held out and how well that was ranked; of all together the rest."""
    grid, dealer, banks = job.grid.report, job.dealer, {}
    for (name, told), dealt in zip(list(parties(job).items())[1:], dealer.banks, strict=True):
        report, found = told.report, told.report.evaluation
        difference = found.auc_difference
        banks[name] = {
            "rows": {"own": report.counts.own_rows, "matched": report.counts.matched_rows,
                     "train": report.counts.train_rows, "test": report.counts.test_rows},
            **{m: {"joint": getattr(found.joint, m), "bank_only": getattr(found.bank_only, m)} for m in METRICS},
            "auc_difference": {"value": difference.difference, "low": difference.low, "high": difference.high,
                               "p_value": difference.p_value},
            "largest_u": found.largest_u,
            "seconds": {s.stage: s.seconds for s in report.seconds},
            "bytes": {"to_grid": report.peer.sent, "from_grid": report.peer.received, "dealt": dealt.sent},
            "peak_mib": report.peak_mib,
        }  # fmt: skip
    every = job.bank.report.pooled
    return {
        "job": job.id,
        "columns": {"grid": grid.counts.trained_columns, "bank": job.bank.report.counts.trained_columns - 1},
        "banks": banks,
        "pooled": {"auc": every.auc, "ks": every.ks, "rows": every.rows} if every.rows else None,
        "iterations": grid.counts.iterations,
        "seconds": {**{s.stage: s.seconds for s in grid.seconds}, "total": total},
        "bytes": {
            "grid_banks": {"grid_to_banks": grid.peer.sent, "banks_to_grid": grid.peer.received},
            "coordinator_grid": {"coordinator_to_grid": dealer.grid.sent, "grid_to_coordinator": dealer.grid.received},
        },
        "peak_mib": {"grid": grid.peak_mib, "coordinator": dealer.peak_mib},
        "warnings": dict(warnings),
        "disclosures": disclosures(job),
    }


def disclosures(*jobs: wire.Job) -> list[dict[str, Any]]:
    """All that these jobs opened, once each."""
    opened = {value for job in jobs for side in (job.grid, job.bank, *job.banks) for value in side.report.opened}
    found = [CATALOGUE[Opened(value)] for value in sorted(opened)]
    return [{"value": d.value.value, "to": list(d.to), "what": d.what, "why": d.why} for d in found]


def print_costs(values: Mapping[str, Any], console: Console) -> None:
    seconds = ", ".join(f"{name} {value:.2f}" for name, value in values["seconds"].items())
    console.print(f"seconds: {seconds}", highlight=False)
    links = ", ".join(f"{link.replace('_', '-')} {sum(ways.values()) / 1e6:.1f}" for link, ways in values["bytes"].items())
    console.print(
        f"MB: {links}; peak MiB: " + ", ".join(f"{k} {v:.0f}" for k, v in values["peak_mib"].items()), highlight=False
    )
