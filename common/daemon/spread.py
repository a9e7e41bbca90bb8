"""How the runs of rows of one attempt at a job are computed: by the daemon's workers, or by itself where it has none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from common.daemon.handing import Given
from common.daemon.meet import Meeting
from common.daemon.run import Asked, Streams, open_streams
from common.daemon.workers import Elsewhere, Workers
from common.home.dealt import Heard
from common.mpc.abreast import Runner
from common.mpc.beside import side_by_side
from common.mpc.session import Array
from common.party import Party
from common.wire.client import Connection
from common.wire.lanes import Purpose, joining_key
from common.wire.peer import Counter
from common.wire.peer_pb2 import Fault
from common.wire.rows import Roads

_log = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class Dealt:
    """This party's seed of an attempt, the nonce with which it joined who deals, and what notes what it is dealt."""

    party: Party
    seed: bytes
    nonce: bytes
    heard: Heard


@dataclass(frozen=True)
class Lines:
    """Whom a run's streams go to, what counts their bytes, and what the other party is told of how a run ended here.

    weigh: told how many MiB the workers had of their own at most.
    """

    meeting: Meeting
    coordinator: Connection
    peer: Counter
    dealer: Counter
    fault: Callable[[BaseException], Fault]
    weigh: Callable[[float], None]


class Spread:
    """See `mpc.abreast.Spread`."""

    def __init__(self, dealt: Dealt, roads: Roads, most: int, lines: Lines, workers: Workers | None) -> None:
        """most: runs that who deals serves."""
        self.most = min(roads.lanes, most)
        self._dealt, self._roads, self._lines = dealt, roads, lines
        where = dealt.party is Party.BANK or bool(roads.ports)  # the bank dials them, or else the grid's daemon
        self._workers = workers if workers is not None and len(workers) and where else None

    @property
    def elsewhere(self) -> bool:
        return self._workers is not None

    @asynccontextmanager
    async def opened(
        self, learner: str, about: Mapping[str, Any], arrays: Mapping[str, Array], lanes: int
    ) -> AsyncIterator[Sequence[Runner]]:
        asked = [self._asked(learner, about, run, lanes) for run in range(1, lanes + 1)]
        runners = list[Elsewhere | Streams]()
        why: Fault | None = None
        try:
            given = await asyncio.to_thread(Given.of, arrays) if self.elsewhere else None
            await side_by_side(self._open(one, arrays, given, runners) for one in asked)
            runners.sort(key=lambda one: one.run)
            count = len(self._workers) if self._workers is not None else 0
            _log.info("job %s: rows in %d runs, by %d workers", self._roads.job, lanes, count)
            yield runners
        except BaseException as error:
            why = self._lines.fault(error)
            raise
        finally:
            self._dealt.heard.runs = [one.dealt for one in runners]
            of_each = {one.process: one.peak_mib for one in runners if isinstance(one, Elsewhere)}
            self._lines.weigh(sum(of_each.values()))
            await asyncio.gather(*(one.close(why) for one in runners), return_exceptions=True)

    def _asked(self, learner: str, about: Mapping[str, Any], run: int, lanes: int) -> Asked:
        road = self._roads.run(run, lanes)
        key = joining_key(self._dealt.nonce, road.job, road.attempt, 0, run, Purpose.ROWS)
        return Asked(self._dealt.party, learner, about, road, self._dealt.seed.hex(), key.hex())

    async def _open(
        self, asked: Asked, arrays: Mapping[str, Array], given: Given | None, runners: list[Elsewhere | Streams]
    ) -> None:
        """given: the same arrays for workers, where these compute."""
        lines = self._lines
        if self._workers is None or given is None:
            runners.append(await open_streams(asked, arrays, lines.meeting, lines.coordinator, lines.peer, lines.dealer))
            return
        process = self._workers.processes[(asked.road.run - 1) % len(self._workers)]
        runner = Elsewhere(process, next(self._workers.numbers), asked, lines.peer, lines.dealer)
        runners.append(runner)
        await runner.open(given)
