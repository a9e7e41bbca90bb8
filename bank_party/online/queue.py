"""Rows that wait to be scored, in the order in which they were asked for, whichever session takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.errors import WattScoreError


@dataclass(frozen=True)
class Row:
    """A row that is asked for: the id as both parties compare it, the month from year 0; None: the newest, or no months.

    given: its columns, where they came with the request.
    """

    id: str
    period: int | None
    given: Mapping[str, Any] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Scored:
    """What was decided of a row, by column; why not, where nothing was. period: of the row that was scored."""

    row: Row
    period: int | None
    decided: dict[str, object] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class Batch:
    """The answers to what was asked for at once: job, model, and rows that stocks still serve, where any is needed.

    untold: why rows have no reasons of the grid, where they should.
    """

    job: str
    model: str
    rows: tuple[Scored, ...]
    stock_left: int | None
    untold: str = ""


@dataclass(eq=False, repr=False)
class Wanted:
    """Rows asked for at once, and who waits for them."""

    rows: tuple[Row, ...]
    answer: asyncio.Future[Batch]

    @property
    def given(self) -> bool:
        """Whether its columns came with the request: of all rows, or of none."""
        return self.rows[0].given is not None

    def goes_with(self, others: Sequence[Wanted]) -> bool:
        """Whether it can be scored at once with these: none has the same row with other columns."""
        if not others or not self.given:
            return not (others and others[0].given)
        ids = {row.id for row in self.rows}
        return others[0].given and not any(row.id in ids for other in others for row in other.rows)


class Busy(Exception):
    """More rows wait already than may."""


class Queue:
    """First come, first served; at most so many rows wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Wanted] = deque()
        self.changed = asyncio.Event()

    @property
    def rows(self) -> int:
        """How many rows wait."""
        return sum(len(wanted.rows) for wanted in self._waiting)

    def put(self, rows: tuple[Row, ...]) -> asyncio.Future[Batch]:
        """Raises Busy where too many wait."""
        if self.rows + len(rows) > self._most:
            raise Busy
        wanted = Wanted(rows, asyncio.get_running_loop().create_future())
        self._waiting.append(wanted)
        self.changed.set()
        return wanted.answer

    def take(self, most: int) -> list[Wanted]:
        """As many whole requests as have at most so many rows in all, and go together; none where none waits."""
        taken: list[Wanted] = []
        while self._waiting and sum(len(w.rows) for w in (*taken, self._waiting[0])) <= most:
            if self._waiting[0].answer.done():  # nobody waits for it any more
                self._waiting.popleft()
            elif self._waiting[0].goes_with(taken):
                taken.append(self._waiting.popleft())
            else:
                break
        return taken

    def give_back(self, taken: Sequence[Wanted]) -> None:
        """They were not scored, and are the first again."""
        self._waiting.extendleft(reversed([wanted for wanted in taken if not wanted.answer.done()]))
        self.changed.set()

    def fail(self, error: WattScoreError) -> None:
        """Whoever waits hears this."""
        while self._waiting:
            if not (wanted := self._waiting.popleft()).answer.done():
                wanted.answer.set_exception(error)
