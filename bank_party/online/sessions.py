"""The session that scores what is asked for: begun anew when it ends, or when champion or rows are others, without a gap.

The next session is warm before the last one is retired, so requests wait for neither. PROTOCOL.md section 10.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bank_party.direct import fresh_name, make_plan, suited
from bank_party.home import BankHome
from bank_party.online.config import OnlineConfig
from bank_party.online.decoys import Decoys
from bank_party.online.desk import SessionDesk
from bank_party.online.pace import Pace
from bank_party.online.queue import Queue
from bank_party.online.stocks import check_left
from common.daemon.answers import Answers
from common.daemon.runner import Runner
from common.errors import PeerLost, PolicyError, WattScoreError
from common.home.models import CHAMPION
from common.party import Identity, Party
from common.rows.declare import DatasetConfig
from common.rows.formats.paths import Stamp, stamp_of
from common.stages.champion import no_champion

_log = logging.getLogger(__name__)

_LOOK = 1.0  # seconds between looks at champion, rows and stocks
_PAUSE = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0)  # seconds between attempts to begin a session
_VAIN = (0.2, 1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0)  # between those that came to a job in vain: 18 a day
_SELDOM = (2.0, 60.0, 1800.0, 7200.0, 21600.0)  # between those of a challenger: the champion has the rest
_HOPE = 5  # attempts for which those who ask wait
_END = 10.0  # seconds that a retired session has to end
_UNTOLD = "a model of this kind tells no reasons of the grid on request: a scoring job of matched rows may"
_FIRST, _SAME = "the champion's session comes first", "the model is the champion by now"  # why a challenger has none: no fault


@dataclass(repr=False)
class Session:
    """A session that runs: of which rows, since when."""

    desk: SessionDesk
    task: asyncio.Task[None]
    answers: Answers
    rows: Stamp
    champion: str | None
    begun: float

    @property
    def read(self) -> datetime | None:
        """When the newest file of the bank's rows was last written."""
        return datetime.fromtimestamp(max(part[1] for part in self.rows) / 1e9, UTC) if self.rows else None


class Sessions:
    """The sessions of one model, one after another. down: why there is none."""

    def __init__(
        self,
        runner: Runner,
        home: BankHome,
        config: OnlineConfig,
        own: Identity,
        dataset: Callable[[], DatasetConfig | None],
        queue: Queue,
        reach: Callable[[], Awaitable[None]],
        *,
        after: Sessions | None = None,
        what: str = "scores on request",
    ) -> None:
        """dataset: the bank's, as it is configured now. reach: raises why the grid cannot be reached, if it cannot.

        after: the champion's, of a challenger: they begin first, and are left a stock; a session then has one, and ends with
        it. what: as the log calls them.
        """
        self._runner, self._home, self._config, self._own = runner, home, config, own
        self._dataset, self._queue, self._reach = dataset, queue, reach
        self._after, self._what, self._said = after, what, ""
        # Two that begin at once would take the same stock.
        self._beginning: asyncio.Lock = asyncio.Lock() if after is None else after._beginning
        # So would one that begins and one whose stock is used up; held for three rounds, as requests wait meanwhile.
        self._taken: asyncio.Lock = asyncio.Lock() if after is None else after._taken
        self._asked, self._vain = False, 0  # whether the last attempt came to a job; how many such have failed, in a row
        self._ending: set[asyncio.Task[None]] = set()
        self.current: Session | None = None
        self.down: WattScoreError | None = PeerLost("the first session is being made ready", remedy="Ask again in a moment.")
        self._warned, self._failures = False, 0
        self._pace, self._counted = Pace(), 0

    def model(self) -> str | None:
        """The training whose model the next session scores by; None where none is champion. It reads the disk."""
        return self._home.registry.champion if self._config.model == CHAMPION else self._config.model

    @property
    def stock_rows(self) -> int:
        """Fewest rows of a stock that a session takes."""
        return self._config.stock_rows

    @property
    def stock_left(self) -> int | None:
        return self.current.desk.left if self.current is not None else None

    @property
    def runs_out(self) -> bool:
        """Whether stocks serve fewer rows, or last for less, than should be told ahead."""
        left, hours = self.stock_left, self.stock_hours
        return left is not None and hours is not None and (left < self._config.warn_rows or hours < self._config.warn_hours)

    @property
    def stock_hours(self) -> float | None:
        """How long stocks last, at the last day's pace; None while there is no session, and for a model that needs none."""
        session = self.current
        if session is None or session.desk.left is None:
            return None
        every = self._config.renew_hours
        renewed = max(0.0, every - (time.monotonic() - session.begun) / 3600.0)
        return self._pace.lasts(session.desk.rows, session.desk.behind, renewed, every)

    @property
    def lasts_until(self) -> datetime | None:
        return None if (hours := self.stock_hours) is None else datetime.now(UTC) + timedelta(hours=hours)

    @property
    def soon(self) -> bool:
        """Whether there is a session, or is likely to be one in a moment: who asks now may wait for it."""
        return self.current is not None or (isinstance(self.down, PeerLost) and self._failures < _HOPE)

    async def run(self) -> None:
        """Until cancelled; then the session that runs is ended in order."""
        try:
            while True:
                begun = await self._renew()
                self._failures = 0 if begun else self._failures + 1
                if self.current is None and not self.soon and self.down is not None:
                    self._queue.fail(self.down)
                if not begun:
                    await asyncio.sleep(self._pause())
                if self.current is not None:
                    await self._while_good(self.current)
        finally:
            await self._stop()

    def _pause(self) -> float:
        """Seconds until the next attempt. What came to a job counts as one of the day's, of which a challenger leaves some."""
        pauses, count = (_SELDOM if self._after else _VAIN, self._vain) if self._vain else (_PAUSE, self._failures)
        return pauses[min(count, len(pauses)) - 1]

    async def _renew(self) -> bool:
        """Whether a new session serves; the one before, which goes on if not, is retired."""
        try:
            async with self._beginning:
                fresh = await self._begin()
        except Exception as error:
            self._vain = self._vain + 1 if self._asked else 0
            self._failed(error)
            return False
        self._vain = 0
        if self.current is not None:
            self._retire(self.current)
        self.current, self.down, self._warned, self._counted, self._said = fresh, None, False, 0, ""
        assert fresh.desk.warm is not None  # noqa: S101
        _log.info("%s: session %s by model %s", self._what, fresh.desk.warm.job, fresh.desk.warm.model)
        return True

    def _failed(self, error: Exception) -> None:
        cause = error if isinstance(error, WattScoreError) else PeerLost(f"no session could begin: {type(error).__name__}")
        if not isinstance(error, WattScoreError):
            _log.exception("no session could begin")
        expected = cause.message in (_FIRST, _SAME)
        if cause.message == _SAME and self.current is not None:
            self._retire(self.current)
            self.current = None
        if self.current is None:
            if str(cause) != str(self.down):
                level = logging.INFO if expected else logging.ERROR
                _log.log(level, "%s are not served: %s", self._what, cause, extra={"public": cause.public})
            self.down = cause
        elif str(cause) != self._said:  # not each time that it is tried
            self._said = str(cause)
            level = logging.INFO if expected else logging.WARNING
            _log.log(level, "the session before goes on, as a new one cannot begin: %s", cause, extra={"public": cause.public})

    async def _begin(self) -> Session:
        """Raises why there is none."""
        self._asked = False
        if (first := self._after) is not None:
            if first.current is None or first.current.task.done():
                raise PeerLost(_FIRST, remedy="Wait a moment.")
            if await asyncio.to_thread(first.model) == self._config.model:
                raise PolicyError(_SAME, remedy="Take [online.shadow] out, or name another model.")
        await self._reach()  # first: a job that is begun counts as one of the day's
        config, registry = self._config, self._home.registry
        champion = await asyncio.to_thread(lambda: registry.champion)
        if config.model == CHAMPION and champion is None and await asyncio.to_thread(registry.prepared) is None:
            raise no_champion()
        dataset = self._dataset()
        rows = await asyncio.to_thread(stamp_of, dataset.features or dataset.path) if dataset is not None else ()
        plan = make_plan(
            config.model,
            config.grid_dataset,
            config.bank_dataset,
            by_period=config.by_period,
            grid_reasons=config.grid_reasons,
            on_request=config.stock_rows,
            name="online" if first is None else "online shadow",
            purpose=config.purpose,
            own=self._own,
        )
        plan = await asyncio.to_thread(suited, plan, self._home)
        untold = _UNTOLD if config.grid_reasons and not plan.grid_reasons else ""
        # Also looked at when the job is begun, which enters each refusal in the list of jobs.
        await asyncio.to_thread(self._home.stocks.check, plan, Party.BANK)
        await self._check_left()
        self._asked = True
        desk = SessionDesk(
            self._queue,
            by_period=config.by_period,
            one_stock=first is not None,
            taking=self._taking,
            untold=untold,
            decoys=Decoys(config.decoys, self._home.key) if config.decoys else None,
        )
        task, answers = await self._runner.begin(fresh_name(), plan.canonical(), self._own, own=True, desk=desk)
        opened = asyncio.ensure_future(desk.opened.wait())
        session = Session(desk, task, answers, rows, champion, time.monotonic())
        try:
            await asyncio.wait({task, opened}, return_when=asyncio.FIRST_COMPLETED)
            if not desk.opened.is_set():
                answers.check()
                raise PeerLost("a session ended before it was ready")
            await asyncio.to_thread(desk.look)
        except BaseException:  # nobody would know of a session that serves all the same, and it would take a stock
            self._retire(session)
            raise
        finally:
            opened.cancel()
        return session

    async def _check_left(self) -> None:
        """Raises PolicyError for a challenger where the champion would be left no stock."""
        if (first := self._after) is not None and (serving := await asyncio.to_thread(first.model)) is not None:
            least, config = first.stock_rows, self._config
            await asyncio.to_thread(check_left, self._home, serving, least, config.model, config.stock_rows)

    @asynccontextmanager
    async def _taking(self) -> AsyncIterator[None]:
        """One session at a time takes a stock; looked at again, as the champion's may have taken one since it was asked for."""
        async with self._taken:
            await self._check_left()
            yield

    async def _while_good(self, session: Session) -> None:
        """Until the session has ended, or another one should take its place."""
        while not session.task.done() and not await self._should_end(session):
            await asyncio.wait({session.task}, timeout=_LOOK)
        if session.task.done() and self.current is session:
            self.current = None
            session.desk.give_back()
            try:
                session.answers.check()
                raise PeerLost("the session has ended")
            except WattScoreError as error:
                self.down = error if isinstance(error, PolicyError) else PeerLost(error.public, remedy="Ask again in a moment.")
                _log.warning("the session of %s has ended: %s", self._what, error, extra={"public": error.public})

    async def _should_end(self, session: Session) -> bool:
        """What cannot be looked at now, as a book that another process holds for long, ends no session and not the service."""
        try:
            found = await self._outdated(session)
        except Exception as error:
            if (said := type(error).__name__) != self._said:
                self._said = said
                _log.exception("the session of %s goes on: whether another should take its place cannot be told", self._what)
            return False
        return found

    async def _outdated(self, session: Session) -> bool:
        await asyncio.to_thread(session.desk.look)
        self._pace.add(session.desk.used - self._counted)
        self._counted = session.desk.used
        if self.runs_out and not self._warned:
            self._warned = True
            _log.warning(
                "stocks serve %s rows more, until %s: deal the next with `wattscore predeal --scores`",
                self.stock_left,
                f"{self.lasts_until:%Y-%m-%d %H:%M} UTC",
            )
        if session.desk.stale.is_set() or time.monotonic() > session.begun + 3600.0 * self._config.renew_hours:
            return True
        champion = await asyncio.to_thread(lambda: self._home.registry.champion)
        if self._config.model == CHAMPION and champion not in (None, session.champion):
            return True
        if self._after is not None and await asyncio.to_thread(self._after.model) == self._config.model:
            return True
        dataset = self._dataset()
        if dataset is None:
            return False
        return await asyncio.to_thread(stamp_of, dataset.features or dataset.path) not in ((), session.rows)

    def _retire(self, session: Session) -> None:
        session.desk.retire()
        task = asyncio.ensure_future(_ended(session))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _stop(self) -> None:
        if self.current is not None:
            self._retire(self.current)
        if self._ending:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END):
                    await asyncio.gather(*self._ending, return_exceptions=True)


async def _ended(session: Session) -> None:
    """What a session that was retired has not answered waits again for the next."""
    await asyncio.wait({session.task})
    session.desk.give_back()
