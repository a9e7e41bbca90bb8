"""The jobs of a daemon in the party's own book of them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from common.errors import WattScoreError
from common.home.jobbook import JobBook, Offered
from common.home.unfinished import Unfinished

_log = logging.getLogger(__name__)


class Booked:
    """A book that cannot be written is logged, and ends no daemon: what must not be lost is charged elsewhere."""

    def __init__(self, book: JobBook) -> None:
        self._book = book

    def enter(self, asked: Offered, *, again: bool = False) -> None:
        """The answer to a job. again: it goes on; one that was held keeps its place."""
        try:
            if not ((again and self._book.again(asked.job, asked.grants)) or self._book.answer(asked)):
                self._book.enter(asked)
        except (OSError, sqlite3.Error):
            _log.exception("job %s: not entered in the book of jobs", asked.job)

    def end(self, job: str, state: str, cause: str = "", counts: Mapping[str, int] | None = None) -> None:
        try:
            self._book.end(job, state, cause, counts)
        except (OSError, sqlite3.Error):
            _log.exception("job %s: its end is not entered in the book of jobs", job)

    @contextmanager
    def alone(self, asked: Offered, unfinished: Unfinished) -> Iterator[dict[str, int]]:
        """A job of this party by itself, from its beginning to its end. Gives what is counted of it, to be filled."""
        counts = dict[str, int]()
        with unfinished.alone(asked.job):
            self.enter(asked)
            try:
                yield counts
            except BaseException as error:
                self.end(asked.job, "failed", error.public if isinstance(error, WattScoreError) else type(error).__name__)
                raise
            self.end(asked.job, "done", counts=counts)

    def give_back(self, job: str) -> None:
        """A job that ended before anything was said to another party counts for no grant."""
        try:
            self._book.give_back(job)
        except (OSError, sqlite3.Error):
            _log.exception("job %s: it still counts for its grants", job)
