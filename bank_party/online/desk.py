"""A warm session's end of the queue: it asks for what waits, and hands out the answers. PROTOCOL.md section 10."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

from bank_party.online.decoys import Crowd, Decoys, parts_of, together
from bank_party.online.queue import Batch, Queue, Row, Scored, Wanted
from common.rows.given import BadValue
from common.rows.table import FeatureTable
from common.stages.align import row_name
from common.stages.asked import MOST
from common.stages.desk import Answer, Remains, Warm

Taking = Callable[[], AbstractAsyncContextManager[None]]
_NO_MONTH = "this side's dataset has no row of it in a month that both have"


class SessionDesk:
    """The rows of one session, whose job ends once the desk is retired and nothing more is asked at it."""

    def __init__(
        self,
        queue: Queue,
        *,
        by_period: bool,
        one_stock: bool = False,
        taking: Taking = nullcontext,
        untold: str = "",
        decoys: Decoys | None = None,
    ) -> None:
        """one_stock: no other stock is taken once the first serves too few rows; the session is then over (`stale`).

        taking: within it a stock is taken. untold: why no row of this session has reasons of the grid, where they should.
        decoys: asked for beside each row, of which nobody hears.
        """
        self._queue, self._by_period, self._one_stock = queue, by_period, one_stock
        self._taking, self._untold, self._decoys = taking, untold, decoys
        self._crowd: Crowd | None = None
        self._beside: dict[str, list[str]] = {}  # what is asked for beside each name that is meant
        self.decoys: Collection[str] = frozenset()
        self._taken: list[Wanted] = []
        self._names: list[list[str | None]] = []  # of each row taken; None for one that this side cannot name
        self._newest: Mapping[str, int] = {}
        self._retired = False
        self.opened, self.stale = asyncio.Event(), asyncio.Event()
        self.warm: Warm | None = None
        self.given: FeatureTable | None = None
        self.rows = 0  # that the stock in use serves
        self.behind: Sequence[int] = ()  # and each of those behind it
        self.used = 0  # rows scored

    @property
    def left(self) -> int | None:
        """Rows that stocks still serve, the one in use and those behind it; None for a model that needs none."""
        if self.warm is None or not self.warm.stocked:
            return None
        return self.rows + sum(self.behind)

    def look(self) -> None:
        """Counts the stocks on disk anew; in a thread."""
        if self.warm is not None:
            self.behind = self.warm.waiting()

    def taking(self) -> AbstractAsyncContextManager[None]:
        return self._taking()

    def ready(self, warm: Warm) -> None:
        self.warm, self.rows = warm, warm.rows
        if self._by_period:
            self._newest = newest(warm.places)
        self.opened.set()

    def retire(self) -> None:
        """What is being scored is answered still; nothing more is asked for here."""
        self._retired = True
        self._queue.changed.set()

    def give_back(self) -> None:
        """The session has ended: what it has not answered waits again."""
        self._queue.give_back(self._taken)
        self._taken = []

    async def ask(self) -> Sequence[str] | None:
        if self._decoys is not None and self._crowd is None and self.warm is not None:
            among = partial(self._decoys.among, self.warm.places, by_period=self._by_period)
            self._crowd = await asyncio.to_thread(among)
        while not self._retired:
            if self._taken_now():
                if names := list(dict.fromkeys(name for names in self._names for name in names if name is not None)):
                    return names if self._crowd is None else await asyncio.to_thread(self._hide, names, self._crowd)
                await self.hear([], Remains(self.rows, stale=False))
                continue
            self._queue.changed.clear()
            await self._queue.changed.wait()
        return None

    def _taken_now(self) -> bool:
        most = MOST
        if self._one_stock and self.warm is not None and self.warm.stocked:
            most = min(MOST, self.rows)
        taken = self._taken = self._queue.take(most if self._decoys is None else self._decoys.least(most))
        if self._one_stock and not taken and self._queue.rows:
            self.stale.set()
        self.given = self._read_given() if taken and taken[0].given else None
        self._names = [[self._name(row) for row in wanted.rows] for wanted in self._taken]
        return bool(taken)

    def _read_given(self) -> FeatureTable | None:
        """The rows that came with what was taken; a request with a wrong value hears so, and is taken no more."""
        assert self.warm is not None  # noqa: S101  (nobody asks before)
        while rows := [(wanted, row) for wanted in self._taken for row in wanted.rows if self._name(row) is not None]:
            ids, columns = [row.id for _, row in rows], [row.given or {} for _, row in rows]
            months = [self._month(row) or 0 for _, row in rows] if self._by_period else None
            try:
                return self.warm.given.table(ids, months, columns)
            except BadValue as error:
                wanted, row = rows[error.row]
                error.row = wanted.rows.index(row)
                if not wanted.answer.done():
                    wanted.answer.set_exception(error)
                self._taken = [one for one in self._taken if one is not wanted]
        return None

    def _hide(self, names: Sequence[str], crowd: Crowd) -> list[str]:
        """These rows and their decoys in one order; decoys have the columns of a row that came with its own."""
        assert self.warm is not None  # noqa: S101  (nobody asks before)
        sent = [name for name in names if self.given is not None or name in self.warm.places]
        self._beside = {name: crowd.of(name) for name in sent}
        every = together(sent, self._beside)
        self.decoys = frozenset(every).difference(names)
        if self.given is not None:
            came = {self._name(row): row.given or {} for wanted in self._taken for row in wanted.rows}
            like = {other: came[name] for name, others in self._beside.items() for other in others} | came
            months, ids = zip(*(parts_of(name, by_period=self._by_period) for name in every), strict=True)
            self.given = self.warm.given.table(ids, months if self._by_period else None, [like[name] for name in every])
        return [*every, *(name for name in names if name not in self._beside)]

    def _name(self, row: Row) -> str | None:
        month = self._month(row)
        return None if self._by_period and month is None else row_name(row.id, month)

    def _month(self, row: Row) -> int | None:
        """Of a row that came with its columns the newest that both have rows of."""
        if not self._by_period or row.period is not None:
            return row.period
        return self._newest.get(row.id) if row.given is None else max(self._newest.values(), default=None)

    async def hear(self, answers: Sequence[Answer], remains: Remains) -> None:
        assert self.warm is not None  # noqa: S101  (nobody asks before)
        self.rows = remains.rows
        self.used += sum(not answer.refused for answer in answers)
        if remains.stale:
            self.stale.set()
        found = {answer.name: answer for answer in answers}
        charged = {name for name in self.decoys if not found[name].refused}
        taken, self._taken = self._taken, []
        self._queue.answered(taken)
        for wanted, names in zip(taken, self._names, strict=True):
            rows = tuple(self._scored(row, name, found) for row, name in zip(wanted.rows, names, strict=True))
            own = {other for name in names for other in self._beside.get(name or "", ())} & charged
            charged -= own  # one that is beside rows of several requests is charged once
            untold = remains.untold or self._untold
            if not wanted.answer.done():
                wanted.answer.set_result(Batch(self.warm.job, self.warm.model, rows, self.left, untold, len(own)))
        self._beside, self.decoys = {}, frozenset()

    def _scored(self, row: Row, name: str | None, found: Mapping[str, Answer]) -> Scored:
        if name is None:
            return Scored(row, row.period, refused=_NO_MONTH)
        period = int(name.split(" ", 1)[0]) if self._by_period else None
        return Scored(row, period, dict(found[name].decided), found[name].refused)


def newest(names: Iterable[str]) -> dict[str, int]:
    """The latest month of each id among names of rows by month, as `align.row_name` makes them."""
    latest: dict[str, int] = {}
    for name in names:
        month, _, id = name.partition(" ")
        if int(month) > latest.get(id, -1):
            latest[id] = int(month)
    return latest
