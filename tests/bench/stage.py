"""The result of a workload that measures one stage: score, align."""

from __future__ import annotations

import statistics
from typing import Any

from common.wire import coordinator_pb2 as wire
from tests.bench import jobs


def outcome(workload: dict[str, Any], stage: str, runs: list[tuple[wire.Job, float]], plaintext: float) -> dict[str, Any]:
    """Medians and spread of every stage's seconds, the ratio of one to plaintext, and what the last job moved and took."""
    every = [{**jobs.stage_seconds(job), "total": total} for job, total in runs]
    seconds = {name: statistics.median(run[name] for run in every) for name in every[0]}
    grid, bank, dealer = runs[-1][0].grid.report, runs[-1][0].bank.report, runs[-1][0].dealer
    return {
        **workload,
        "repeat": len(runs),
        "seconds": {**seconds, "plaintext": plaintext},
        "spread": {name: [min(run[name] for run in every), max(run[name] for run in every)] for name in seconds},
        "ratio_to_plaintext": seconds[stage] / plaintext,
        "megabytes": (grid.peer.sent + bank.peer.sent) / 1e6,
        "bytes": {
            "grid_bank": {"grid_to_bank": grid.peer.sent, "bank_to_grid": bank.peer.sent},
            "coordinator_grid": {"coordinator_to_grid": dealer.grid.sent, "grid_to_coordinator": dealer.grid.received},
            "coordinator_bank": {"coordinator_to_bank": dealer.bank.sent, "bank_to_coordinator": dealer.bank.received},
        },
        "peak_mib": {"grid": grid.peak_mib, "bank": bank.peak_mib, "coordinator": dealer.peak_mib},
        "rounds": {entry.stage: entry.rounds for entry in bank.seconds},
    }
