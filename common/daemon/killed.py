"""Jobs that a process of this party ran when it was killed, and that no coordinator offers again: they are over."""

from __future__ import annotations

import logging
from contextlib import suppress

from common.errors import PeerLost, WattScoreError
from common.home.audit import What
from common.home.home import Home

_log = logging.getLogger(__name__)
_CAUSE = "the process that ran it was killed"


def end_killed(home: Home) -> None:
    """Enters the end of each job in the book that has none, is none to go on with, and that no process runs."""
    for job in home.jobs.accepted():
        if home.unfinished.begun(job) is not None:
            continue  # the coordinator says what becomes of it
        with suppress(WattScoreError):  # a command of this party runs it, beside this process
            with home.unfinished.alone(job):
                enter_end(home, job)
                home.jobs.end(job, "failed", _CAUSE)
            _log.warning("job %s is over: %s", job, _CAUSE)


def enter_end(home: Home, job: str) -> None:
    """In the audit log, of a job that was accepted and never began, or whose process was killed here."""
    accepted, ended = (home.audit.newest(1, job=job, what=what) for what in (What.ACCEPT, What.END))
    if accepted and (not ended or ended[0].number < accepted[0].number):
        home.audit.end(job, home.positions, error=PeerLost.__name__)
