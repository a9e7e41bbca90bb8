"""What the tests' client does, run in its container by `python -c`: one act, whose result it prints as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.client.client import Client, as_dict
from common.errors import PeerLost
from common.plan.job_states import State
from common.plan.read import load_plan
from common.plan.train import TrainPlan

CONFIG, PLAN = Path("/data/client.toml"), Path("/data/plan.toml")
PATIENCE = 60.0  # seconds


def until(job: str, good: Callable[[Any], bool]) -> dict[str, Any]:
    """The job once it is `good` or over, whatever becomes of the coordinator meanwhile; ends after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with Client.from_config(CONFIG) as client:
                while time.monotonic() < end:
                    found = client.show(job)
                    if State(found.state).final or good(found):
                        return as_dict(found)
                    time.sleep(0.1)
        except PeerLost:
            time.sleep(0.5)
    sys.exit(f"after {PATIENCE} s job {job} is not there yet")


def submit(**fields: Any) -> str:
    plan = TrainPlan.model_validate({**load_plan(PLAN).model_dump(), **fields})
    with Client.from_config(CONFIG) as client:
        name: str = client.submit(plan).id
    return name


def start() -> dict[str, Any]:
    """A job of a thousand steps that both parties are training."""
    return until(submit(model={"iterations": 1000}), lambda j: j.grid.progress.stage == j.bank.progress.stage == "train")


def end(job: str) -> dict[str, Any]:
    """A job once it is over."""
    return until(job, lambda _: False)


def interrupted(job: str) -> dict[str, Any]:
    """A job once it is known what interrupted it; it is cancelled, so that it goes on no more."""
    found = until(job, lambda j: bool(j.disturbed.message))
    with Client.from_config(CONFIG) as client:
        if not State(client.show(job).state).final:
            client.cancel(job)
    return found


def train() -> dict[str, Any]:
    """The demo's plan, once it is over."""
    return end(submit())


if __name__ == "__main__":
    acts: dict[str, Callable[..., dict[str, Any]]] = {"start": start, "end": end, "interrupted": interrupted, "train": train}
    print(json.dumps(acts[sys.argv[1]](*sys.argv[2:])))
