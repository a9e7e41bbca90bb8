"""Jobs through daemons that run already, elsewhere: what the demo in containers does."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rich.console import Console

from common.client.client import Client, failure
from common.client.progress import follow
from common.errors import ConfigError, PeerLost
from common.plan.read import AnyPlan
from common.wire import coordinator_pb2 as wire

_PATIENCE = 60.0  # seconds in which a coordinator that starts at the same time must answer
_PAUSE = 0.5


def run_through(client: Client, plan: AnyPlan, console: Console) -> wire.Job:
    """The job of `plan` once it has succeeded. Raises its failure."""
    job = follow(client.watch(client.submit(plan).id), console)
    if (error := failure(job)) is not None:
        raise error
    return job


def await_coordinator(client: Client, patience: float = _PATIENCE) -> None:
    """Returns once the coordinator answers. Raises PeerLost after `patience` seconds, and at once what is not that."""
    end = time.monotonic() + patience
    while True:
        try:
            client.jobs()
            return
        except PeerLost:
            if time.monotonic() > end:
                raise
        time.sleep(_PAUSE)


def check_folder(out: Path) -> None:
    """Makes `out` if it is new. Raises ConfigError unless files can be written there: better now than after training."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be made ({error.strerror})", remedy="Name another folder.") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise ConfigError(f"{out}: cannot be written by this user", remedy="Change its owner or mode, or name another folder.")
