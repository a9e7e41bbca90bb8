"""Daemons of the tests: copies of a process that has imported all they need, as those of `try` and the demo are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.trial.forkserver import MODULE, Running, fork_server
from common.trial.processes import Trial
from tests.source import ROOT

PROFILED = "tests.bench.profiled"  # which puts its own functions in place before it imports what calls them
_begin = Trial.begin


@contextmanager
def forked() -> Iterator[None]:
    """As long as it lasts, whoever begins a trial."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        copied = fork_server()
    with copied as forks, pytest.MonkeyPatch.context() as patch:

        def begin(trial: Trial, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Running:
            if forks is not None and MODULE in command and PROFILED not in command:
                return forks.start(command, environment, log)
            return _begin(trial, command, environment, log)

        patch.setattr(Trial, "begin", begin)
        yield
