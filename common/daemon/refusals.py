"""Refused offers in the audit log: so many a day in full, the rest counted, so that nobody fills a disk by being refused."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from common.home.audit import AuditLog, What

_log = logging.getLogger(__name__)

MOST = 200  # in full, a day
_DAY = 86_400.0


class Refusals:
    """What is entered of offers that are refused. clock: seconds since 1970."""

    def __init__(self, audit: AuditLog, most: int = MOST, clock: Callable[[], float] = time.time) -> None:
        self._audit, self._most, self._clock = audit, most, clock
        self._since, self._count = clock(), 0

    def enter(self, job: str, error: str, offer: Mapping[str, Any] | None) -> None:
        """One refused offer. offer: what it was, where that could be read."""
        if not 0 <= self._clock() - self._since < _DAY:
            self.count()
        self._count += 1
        if self._count > self._most:
            return
        try:
            if offer is not None:
                self._audit.add(What.OFFER, job, **offer)
            self._audit.add(What.REFUSE, job, error=error)
        except OSError:  # as of a full disk, which is why it was refused
            _log.exception("the refusal of job %s is not in the audit log", job)

    def count(self) -> None:
        """Enters how many were left out since the day began, if any were; a new day begins."""
        if (more := self._count - self._most) > 0:
            try:
                self._audit.add(What.REFUSE, more=more, since=self._since)
            except OSError:
                _log.exception("%d refusals are not in the audit log", more)
        self._since, self._count = self._clock(), 0
