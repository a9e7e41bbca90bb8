"""Requests answered once each: from the book where one was answered before, by the session of the moment otherwise."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from bank_party.decision.reasons import SEPARATOR
from bank_party.home import BankHome
from bank_party.online.book import AnotherRequest, AnswerBook, Entry, digest
from bank_party.online.config import OnlineConfig
from bank_party.online.messages import Asked, Health
from bank_party.online.problem import Problem, later, wrong
from bank_party.online.queue import Batch, Busy, Queue, Row, Scored
from bank_party.online.sessions import Sessions
from bank_party.online.shadow import Shadow
from common.disk.refused import refused
from common.errors import DataError, WattScoreError
from common.rows.given import BadValue
from common.rows.ids import normal_ids
from common.rows.months import month_number, month_text
from common.text import traces

_log = logging.getLogger(__name__)

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_LAST = 10.0  # seconds in which answers are entered once nothing is scored any more


class ScoringService:
    """What is behind the addresses of this service."""

    def __init__(
        self,
        config: OnlineConfig,
        home: BankHome,
        queue: Queue,
        sessions: Sessions,
        book: AnswerBook,
        shadow: Shadow | None = None,
    ) -> None:
        self._config, self._home, self._queue, self.sessions, self._book = config, home, queue, sessions, book
        self._shadow = shadow
        self._running: dict[tuple[str, str], tuple[bytes, asyncio.Task[tuple[dict[str, Any], bool]]]] = {}
        self._versions: dict[str, int] = {}
        self.scored, self.replayed = 0, 0  # rows; answers

    def health(self) -> Health:
        sessions = self.sessions
        why = None if sessions.down is None else sessions.down.public
        warm = sessions.current.desk.warm if sessions.current is not None else None
        model = warm.model if warm is not None else None
        serving = warm is not None
        return Health(
            serving=serving,
            model=model,
            stock_left=sessions.stock_left,
            runs_out=sessions.runs_out,
            lasts_until=sessions.lasts_until,
            why=why,
        )

    async def score(self, caller: str, key: str, asked: Asked) -> tuple[dict[str, Any], bool]:
        """The answer, and whether it was given before. Raises Problem."""
        if not _KEY.fullmatch(key):
            raise wrong("Idempotency-Key", "it is 1 to 200 letters, digits and signs", "Use a UUID, say.")
        rows, known = self._rows(asked), digest(asked.known_by())
        if (running := self._running.get((caller, key))) is None:
            # entered before the book is looked into, else an answer that is entered meanwhile is in neither
            task = asyncio.ensure_future(self._once(caller, key, known, asked, rows))
            running = self._running[caller, key] = (known, task)
            task.add_done_callback(lambda done: self._over(caller, key, done))
        if running[0] != known:
            raise _reused()
        # wait_for and shield would take two turns of the loop more
        if not (await asyncio.wait((running[1],), timeout=self._config.wait_seconds))[0]:
            down = self.sessions.down
            why = "the answer takes longer than it may" if down is None else down.public
            raise later(why, "Send the same request again, with the same Idempotency-Key.")
        return running[1].result()

    async def finish(self) -> None:
        """Until what was scored is in the book: a request that is repeated in the next process would else be charged again."""
        if running := [task for _, task in self._running.values()]:
            await asyncio.wait(running, timeout=_LAST)

    def _over(self, caller: str, key: str, done: asyncio.Task[tuple[dict[str, Any], bool]]) -> None:
        self._running.pop((caller, key), None)
        if not done.cancelled():
            done.exception()  # whoever still waits hears it

    async def _once(
        self, caller: str, key: str, known: bytes, asked: Asked, rows: tuple[Row, ...]
    ) -> tuple[dict[str, Any], bool]:
        try:
            found = self._book.find(caller, key, known)  # a row by its key, in a tenth of what a thread costs
            if found is None:
                return await self._answer(caller, key, known, asked, rows), False
        except AnotherRequest:
            raise _reused() from None
        except OSError as error:
            if (fault := refused(error)) is None:
                raise
            _log.error("a request was not answered: %s", fault)
            raise self._unserved(fault) from None
        self.replayed += 1
        return found, True

    async def _answer(self, caller: str, key: str, known: bytes, asked: Asked, rows: tuple[Row, ...]) -> dict[str, Any]:
        """Goes on though its caller is gone: who asks again gets what was scored."""
        sessions = self.sessions
        if sessions.current is None and sessions.down is not None and not sessions.soon:
            raise self._unserved(sessions.down)
        try:
            with traces.spanning("score on request") as span:
                batch = await self._queue.put(rows)
                span.of(batch.job)
        except Busy:
            raise later(
                f"{self._queue.rows} rows wait to be scored already", "Send the same request again in a second, or fewer rows."
            ) from None
        except BadValue as error:
            at = "" if asked.id is not None else f"rows.{error.row}."
            raise wrong(f"{at}columns.{error.column}", error.what, error.remedy) from None
        except WattScoreError as error:
            raise self._unserved(error, math.ceil(self._queue.seconds(rows)) or 30) from None
        answer = await self._put(asked, batch)
        scored = len({one.row for one in batch.rows if not one.refused})
        self.scored += scored
        if scored:  # else nothing is lost, and what stood in the way may be gone next time
            await self._book.keep(Entry(caller, key, known, answer))
            if self._shadow is not None:
                self._shadow.beside(batch)
        elif asked.id is not None:
            raise wrong("id", batch.rows[0].refused, "Check the id, and the period; see the log of the bank's daemon.")
        return answer

    def _unserved(self, error: WattScoreError, seconds: int = 30) -> Problem:
        return later(error.public, error.remedy or "See the log of the bank's daemon, and ask again.", seconds)

    def _rows(self, asked: Asked) -> tuple[Row, ...]:
        """Raises Problem for what names no row."""
        if asked.period is not None and not self._config.by_period:
            raise wrong("period", "rows here have no period", "Leave it out.")
        month = month_number(asked.period) if asked.period is not None else None
        try:
            ids = normalized(asked.all)
        except DataError as error:
            field = "id" if asked.id is not None else "ids" if asked.ids is not None else "rows"
            raise wrong(field, error.public, "Give ids as both companies have them.") from None
        if len(ids) > (most := self._config.rows_at_once):
            field = "ids" if asked.ids is not None else "rows"
            text = f"there are {len(ids)}, each with {self._config.decoys} decoys"
            raise wrong(field, text, f"Ask for at most {most} at once.")
        for place, id in enumerate(ids):
            if not id:
                raise wrong(_field(asked, place), "an id is empty", "Give one, or leave it out.")
            if asked.rows is not None and id in ids[:place]:
                raise wrong(_field(asked, place), "an id is there twice", "Give its columns once.")
        given: Sequence[dict[str, Any] | None] = asked.given or (None,) * len(ids)
        return tuple(Row(id, month, columns) for id, columns in zip(ids, given, strict=True))

    async def _put(self, asked: Asked, batch: Batch) -> dict[str, Any]:
        """As `Answered` has it in JSON, which to make and write out takes six times as long."""
        results = [_result(id, scored, told=not batch.untold) for id, scored in zip(asked.all, batch.rows, strict=True)]
        months = [scored.period for scored in batch.rows if scored.period is not None and not scored.refused]
        current = self.sessions.current
        read = current.read if current is not None and asked.given is None else None
        return {
            "session": batch.job,
            "model": {"job": batch.model, "version": await self._version(batch.model)},
            "results": results,
            "features": {
                "bank_read": None if read is None else read.isoformat().replace("+00:00", "Z"),
                "as_of": month_text(max(months)) if months else None,
            },
            "cost": {
                "scores_charged": len({s.row for s in batch.rows if not s.refused}) + batch.decoys,
                "stock_left": batch.stock_left,
            },
            "grid_reasons_untold": batch.untold or None,
        }

    async def _version(self, model: str) -> int:
        if model not in self._versions:
            self._versions[model] = (await asyncio.to_thread(self._home.registry.version, model)).number
        return self._versions[model]


def normalized(ids: Sequence[str]) -> list[str]:
    """The ids as both parties compare them. Raises DataError."""
    if all(id.isascii() and id.isalnum() for id in ids):
        return [id.upper() for id in ids]  # the same, for a twentieth of what Arrow takes for one
    found: list[str] = normal_ids(pa.array(ids, pa.string())).to_pylist()
    return found


def _field(asked: Asked, place: int) -> str:
    """The field that the id at this place came in."""
    return "id" if asked.id is not None else f"ids.{place}" if asked.ids is not None else f"rows.{place}.id"


def _result(id: str, scored: Scored, *, told: bool) -> dict[str, Any]:
    """As `messages.Result` has it in JSON. told: whether reasons of the grid are, if any are asked for."""
    found: dict[str, Any] = scored.decided
    decided = not scored.refused
    return {
        "id": id,
        "period": month_text(scored.period) if scored.period is not None else None,
        "bank_columns": "dataset" if scored.row.given is None else "request",
        "score": found["score"] if decided else None,
        "grade": str(found["grade"]) if decided else None,
        "decision": found["decision"] if decided else None,
        "probability": found["probability"] if decided else None,
        "log_odds": found["u"] if decided else None,
        "reasons": _texts(found["reasons"]) if decided else [],
        "grid_reasons": _texts(found["grid_reasons"]) if decided and told and "grid_reasons" in found else None,
        "refused": scored.refused or None,
    }


def _texts(said: str) -> list[str]:
    return [reason for reason in said.split(SEPARATOR) if reason]


def _reused() -> Problem:
    return Problem(
        422,
        "The key was used before",
        "this Idempotency-Key was sent with another request",
        "Use a new key for each request, and the same one only to repeat it.",
        field="Idempotency-Key",
    )
