from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from common.trial.forkserver import MODULE, Running, fork_server
from common.trial.processes import Trial
from tests.source import ROOT

_begin = Trial.begin


@pytest.fixture(scope="session", autouse=True)
def forked() -> Iterator[None]:
    """Daemons start as copies of a process that has imported all they need, as those of `try` and the demo do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        copied = fork_server()
    with copied as forks, pytest.MonkeyPatch.context() as patch:

        def begin(trial: Trial, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Running:
            if forks is not None and MODULE in command:
                return forks.start(command, environment, log)
            return _begin(trial, command, environment, log)

        patch.setattr(Trial, "begin", begin)
        yield
