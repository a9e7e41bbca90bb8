"""Daemons of the tests: copies of a process that has imported all they need, as those of `try` and the demo are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from common.party import Party
from common.trial import demo_cli, forkserver, own
from common.trial.forkserver import MODULE, PRELOADED, ForkServer, Running
from common.trial.processes import Trial
from tests import reached
from tests.source import ROOT

PROFILED = "tests.bench.profiled"  # which puts functions of its own in place before it imports what calls them, but of stages
STAGES_ALONE = "WATTSCORE_BENCH_STAGES_ALONE"
PAGES = ("common.report.write", "common.monitor.page")  # Matplotlib and Jinja: 0.8 s of each command that writes one
SERVED = ("bank_party.online.run", "common.console.run")  # FastAPI: 0.25 s of each daemon that serves requests or pages
TRACED = (reached.MODULE,) if reached.WHERE in os.environ else ()  # first: it sees what others do as they are imported
_begin, _run_own = Trial.begin, own.run_own


@contextmanager
def forked() -> Iterator[ForkServer | None]:
    """As long as it lasts, whoever begins a trial; `try`, the demo and a party's own commands in it take these copies too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        copied: AbstractContextManager[ForkServer | None] = nullcontext()
        if sys.platform == "linux":
            copied = ForkServer((*TRACED, *PRELOADED, *PAGES, *SERVED))
    with copied as copies, pytest.MonkeyPatch.context() as patch:

        def begin(trial: Trial, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Running:
            profiled = PROFILED in command and not environment.get(STAGES_ALONE)
            if copies is not None and MODULE in command and not profiled:
                return copies.start(command, environment, log)
            return _begin(trial, command, environment, log)

        def run_own(party: Party, *words: str | Path, forks: ForkServer | None = None) -> str:
            return _run_own(party, *words, forks=forks or copies)

        patch.setattr(Trial, "begin", begin)
        patch.setattr(own, "run_own", run_own)
        for module in (forkserver, demo_cli):  # the one that `try` finds as it begins, and the demo's
            patch.setattr(module, "fork_server", lambda: nullcontext(copies))
        yield copies
