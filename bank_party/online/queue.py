"""Rows that wait to be scored, in the order in which they were asked for, whichever session takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bank_party.online.suspects import Key, Suspects
from common.errors import WattScoreError


@dataclass(frozen=True)
class Row:
    """A row that is asked for: the id as both parties compare it, the month from year 0; None: the newest, or no months.

    given: its columns, where they came with the request.
    """

    id: str
    period: int | None
    given: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def key(self) -> Key:
        return self.id, self.period


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

    untold: why rows have no reasons of the grid, where they should. decoys: rows scored beside these, of which nobody hears.
    """

    job: str
    model: str
    rows: tuple[Scored, ...]
    stock_left: int | None
    untold: str = ""
    decoys: int = 0


@dataclass(eq=False, repr=False)
class Wanted:
    """Rows asked for at once, and who waits for them."""

    rows: tuple[Row, ...]
    answer: asyncio.Future[Batch]

    @property
    def keys(self) -> list[Key]:
        return [row.key for row in self.rows]

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
    """First come, first served; at most so many rows wait. One whose rows ended a session goes by itself, or later."""

    def __init__(self, most: int, suspects: Suspects | None = None) -> None:
        self._most, self._suspects = most, suspects or Suspects()
        self._waiting: deque[Wanted] = deque()
        self.changed = asyncio.Event()

    @property
    def rows(self) -> int:
        """How many rows wait."""
        return sum(len(wanted.rows) for wanted in self._waiting)

    def put(self, rows: tuple[Row, ...]) -> asyncio.Future[Batch]:
        """Raises Busy where too many wait, PeerLost where sessions have ended with such rows again and again."""
        if (why := self._suspects.why_not(row.key for row in rows)) is not None:
            raise why
        if self.rows + len(rows) > self._most:
            raise Busy
        wanted = Wanted(rows, asyncio.get_running_loop().create_future())
        self._waiting.append(wanted)
        self.changed.set()
        return wanted.answer

    def seconds(self, rows: tuple[Row, ...]) -> float:
        """Until rows that have ended sessions may be put; 0 where they may now."""
        return self._suspects.seconds(row.key for row in rows)

    def take(self, most: int) -> list[Wanted]:
        """As many whole requests as have at most so many rows in all, and go together; none where none waits."""
        taken: list[Wanted] = []
        while self._waiting and sum(len(w.rows) for w in (*taken, self._waiting[0])) <= most:
            first = self._waiting[0]
            alone = self._suspects.any(first.keys)
            if first.answer.done() or self._refused(first):  # nobody waits for it any more
                self._waiting.popleft()
            elif first.goes_with(taken) and not (alone and taken):
                taken.append(self._waiting.popleft())
            else:
                break
            if alone and taken:
                break
        return taken

    def answered(self, taken: Sequence[Wanted]) -> None:
        """A session has scored them, or said why not."""
        for wanted in taken:
            self._suspects.answered(wanted.keys)

    def give_back(self, taken: Sequence[Wanted]) -> None:
        """Their session has ended and they were not scored: they are the first again, or hear that they have ended too many."""
        self._suspects.lost(key for wanted in taken for key in wanted.keys)
        self._waiting.extendleft(reversed([one for one in taken if not (one.answer.done() or self._refused(one))]))
        self.changed.set()

    def _refused(self, wanted: Wanted) -> bool:
        """Whether rows of it have ended too many sessions, which it then hears."""
        if (why := self._suspects.why_not(wanted.keys)) is None:
            return False
        wanted.answer.set_exception(why)
        return True

    def fail(self, error: WattScoreError) -> None:
        """Whoever waits hears this."""
        while self._waiting:
            if not (wanted := self._waiting.popleft()).answer.done():
                wanted.answer.set_exception(error)
