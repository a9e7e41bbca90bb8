"""A challenger beside the champion: it scores what callers ask for, once they have their answer, for the bank alone.

Sessions, queue and stock are its own: what it scores, or cannot, delays and changes no answer. The day's rows and jobs are both
models', so rates are to be doubled as stocks are.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bank_party.online.config import SHADOW_ROWS, OnlineConfig, ShadowConfig
from bank_party.online.queue import Batch, Busy, Queue, Row, Scored
from bank_party.online.sessions import Sessions
from common.disk.book import open_book
from common.disk.elapsed import MACHINE, Elapsed, Times
from common.errors import WattScoreError
from common.rows.given import BadValue
from common.rows.months import month_text

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)

_VERSION = 1
_DAY = 86_400.0
_SIDES = ("", "_champion")
_VALUES = ("u", "probability", "grade", "decision")
_TABLE = """
create table if not exists pairs (
    champion text not null, challenger text not null, id text not null, period text not null, at real not null,
    u real not null, probability real not null, grade text not null, decision text not null,
    u_champion real not null, probability_champion real not null, grade_champion text not null, decision_champion text not null,
    primary key (champion, challenger, id, period)
) without rowid;
create index if not exists pairs_at on pairs (at);
"""


@dataclass(frozen=True, repr=False)
class Pair:
    """One row as both models decided it: the champion first."""

    champion: str
    challenger: str
    one: Scored
    other: Scored

    def row(self, at: float) -> tuple[Any, ...]:
        period = "" if self.one.period is None else month_text(self.one.period)
        values = [scored.decided[name] for scored in (self.other, self.one) for name in _VALUES]
        texts = [str(value) if isinstance(value, str | int) else value for value in values]
        return (self.champion, self.challenger, self.one.row.id, period, at, *texts)


class ShadowBook:
    """One SQLite file: of a row that both models scored again the last. It holds ids and scores: for the bank alone."""

    def __init__(self, file: Path, keep_days: float = 0.0, times: Times = MACHINE) -> None:
        """keep_days: 0 where nothing is to go."""
        self._file, self._keep = file, keep_days * _DAY
        with self._open() as book, closing(book.cursor()) as cursor:
            for statement in filter(str.strip, _TABLE.split(";")):
                cursor.execute(statement)
            self._now = Elapsed(book, times)

    def _open(self) -> Any:
        return open_book(self._file, version=_VERSION)

    def enter(self, pairs: Sequence[Pair]) -> None:
        """Enters pairs, all or none; those that are too old go."""
        now = self._now()
        with self._open() as book:
            if self._keep:
                self._now.keep(book)
                book.execute("delete from pairs where at <= ?", (now - self._keep,))
            marks = ", ".join("?" * (5 + len(_SIDES) * len(_VALUES)))
            book.executemany(f"insert or replace into pairs values ({marks})", [pair.row(now) for pair in pairs])  # noqa: S608

    def compared(self) -> list[tuple[str, str, float, float]]:
        """Champion and challenger of all pairs there are, and when the first and the last was entered, oldest first."""
        with self._open() as book:
            return list(
                book.execute("select champion, challenger, min(at), max(at) from pairs group by 1, 2 order by 3").fetchall()
            )

    def read(self, champion: str, challenger: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The challenger's decisions and the champion's, a row each: id, period, u, probability, grade, decision."""
        import pandas as pd

        with self._open() as book:
            found = book.execute("select * from pairs where champion = ? and challenger = ?", (champion, challenger))
            names = [column[0] for column in found.description]
            rows = pd.DataFrame(found.fetchall(), columns=names)
        keys = ["id", "period"]
        sides = [rows[keys + [f"{name}{side}" for name in _VALUES]] for side in _SIDES]
        return sides[0], sides[1].rename(columns=lambda name: name.removesuffix(_SIDES[1]))


class Shadow:
    """The challenger's sessions, and what is scored in them. scored: rows; left_out: rows that it could not score."""

    def __init__(
        self, config: ShadowConfig, queue: Queue, sessions: Sessions, book: ShadowBook, most: int = SHADOW_ROWS
    ) -> None:
        """most: rows that its sessions can be asked for at once."""
        self._config, self._queue, self.sessions, self._book = config, queue, sessions, book
        self._most = min(SHADOW_ROWS, most)
        self._running: set[asyncio.Task[None]] = set()
        self._said = ""
        self.scored = self.left_out = 0

    def beside(self, batch: Batch) -> None:
        """Begins to score what the champion has scored. It never raises, and waits for nothing."""
        if batch.model == self._config.model:
            return  # it has become the champion
        rows = list({scored.row: scored for scored in batch.rows if not scored.refused}.values())
        for low in range(0, len(rows), self._most):
            task = asyncio.ensure_future(self._score(batch.model, rows[low : low + self._most]))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _score(self, champion: str, rows: Sequence[Scored]) -> None:
        try:
            pairs = await self._pairs(champion, rows)
            if pairs:
                await asyncio.to_thread(self._book.enter, pairs)
        except (Busy, BadValue, WattScoreError, OSError, sqlite3.Error) as error:
            self._missed(len(rows), error)
        else:
            self.scored += len(pairs)
            if len(pairs) < len(rows):
                self._missed(len(rows) - len(pairs), None)

    async def _pairs(self, champion: str, rows: Sequence[Scored]) -> list[Pair]:
        sessions = self.sessions
        if sessions.current is None and sessions.down is not None and not sessions.soon:
            raise sessions.down
        asked = tuple(Row(one.row.id, one.period, one.row.given) for one in rows)
        batch = await self._queue.put(asked)
        both = zip(rows, batch.rows, strict=True)
        return [Pair(champion, batch.model, one, other) for one, other in both if not other.refused]

    def _missed(self, count: int, error: Exception | None) -> None:
        """Counts rows that were left out; says a new reason once."""
        self.left_out += count
        why = {Busy: "too many rows wait", BadValue: "the request's columns are not those of this model"}.get(
            type(error), "" if error is None else str(error)
        )
        if why and why != self._said:
            self._said = why
            public = error.public if isinstance(error, WattScoreError) else type(error).__name__
            _log.warning("the challenger %s leaves rows out: %s", self._config.model, why, extra={"public": public})

    async def stop(self) -> None:
        """What has not been scored is not."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)


def shadow_config(config: OnlineConfig, shadow: ShadowConfig) -> OnlineConfig:
    """The configuration of the challenger's sessions: no stock is warned of, as the champion's are, and no reason told."""
    unlike = {"warn_rows": 0, "warn_hours": 0.0, "grid_reasons": 0, "shadow": None}
    return config.model_copy(update={"model": shadow.model, "stock_rows": shadow.stock_rows, **unlike})
