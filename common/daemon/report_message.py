"""A party's outcome as the message that leaves it, and progress on its way there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from common.errors import WattScoreError
from common.home.outcome import Evaluation, Outcome, Steps
from common.process.memory import peak_mib
from common.stages.price import LARGEST_LOSS, LARGEST_U
from common.stats.measures import p_value
from common.stats.metrics import Interval, Metrics
from common.wire import party_pb2 as wire
from common.wire.peer import Counter

_EVERY = 0.1  # seconds between progress messages


def to_message(outcome: Outcome, peer: Counter, coordinator: Counter, workers_mib: float = 0.0) -> wire.Report:
    """The typed message of a finished job. workers_mib: memory of processes beside this one."""
    message = wire.Report(
        counts=wire.Counts(**outcome.counts),
        seconds=[
            wire.StageSeconds(stage=stage, seconds=seconds, rounds=outcome.rounds.get(stage, 0))
            for stage, seconds in outcome.seconds.items()
        ],
        peer=wire.LinkBytes(sent=peer.sent, received=peer.received),
        coordinator=wire.LinkBytes(sent=coordinator.sent, received=coordinator.received),
        peak_mib=peak_mib() + workers_mib,
        warnings=outcome.public_warnings,
        opened=outcome.opened,
        model_digest=outcome.model_digest,
        champion=outcome.champion,
    )
    if outcome.drift is not None:
        message.drift.CopyFrom(wire.Drift(largest_psi=round(outcome.drift.largest_psi, 2), alarms=outcome.drift.alarms))
    if (rival := outcome.challenge) is not None:
        auc, before = (_in_steps(value, rival.steps.rank) for value in (rival.auc, rival.champion_auc))
        interval = _interval(rival.auc_difference, rival.steps)
        message.challenge.CopyFrom(
            wire.Challenge(champion=rival.champion, auc=auc, champion_auc=before, auc_difference=interval, rows=rival.rows)
        )
    if (every := outcome.pooled) is not None:
        area, apart = _in_steps(every.auc, every.step), _in_steps(every.ks, every.step)
        message.pooled.CopyFrom(wire.PooledMetrics(auc=area, ks=apart, rows=every.rows))
    if (found := outcome.evaluation) is not None:
        message.evaluation.CopyFrom(evaluation_message(found, found.steps))
    return message


def evaluation_message(found: Evaluation, steps: Steps) -> wire.Evaluation:
    """The evaluation in these steps."""
    return wire.Evaluation(
        joint=_metrics(found.joint, steps),
        bank_only=_metrics(found.bank_only, steps),
        auc_difference=_interval(found.auc_difference, steps),
        largest_u=min(round(found.largest_u, 1), LARGEST_U),
    )


def _in_steps(value: float, step: float) -> float:
    """Finer digits would tell of single rows."""
    return round(round(value / step) * step, 9)


def _metrics(found: Metrics, steps: Steps) -> wire.Metrics:
    area = _in_steps(found.auc, steps.rank)
    return wire.Metrics(
        auc=area,
        ks=_in_steps(found.ks, steps.rank),
        gini=round(2.0 * area - 1.0, 9),
        logloss=_in_steps(min(found.logloss, LARGEST_LOSS), steps.mean),
        brier=_in_steps(found.brier, steps.mean),
    )


def _interval(found: Interval, steps: Steps) -> wire.Interval:
    """The upper end is as far away as the lower one, and the p-value that of the interval: both tell nothing more."""
    middle, low = (_in_steps(value, steps.rank) for value in (found.difference, found.low))
    high = round(min(1.0, 2.0 * middle - low), 9)
    return wire.Interval(difference=middle, low=low, high=high, p_value=round(p_value(middle, low, high), 3))


class ProgressReporter:
    """Keeps the latest progress of a job and sends it a few times a second, so that computing never waits for it."""

    def __init__(
        self,
        job: str,
        send: Callable[[wire.FromParty], Awaitable[None]],
        counters: tuple[Counter, ...],
        on_stage: Callable[[str], None] = lambda name: None,
        attempt: int = 0,
    ) -> None:
        self._send, self._counters, self._on_stage = send, counters, on_stage
        self._latest = self.latest = wire.Progress(job=job, attempt=attempt)
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def stage(self, name: str) -> None:
        self._on_stage(name)
        self._latest.stage, self._latest.done, self._latest.total = name, 0, 0
        self._changed.set()

    def met(self, following: str) -> None:
        """The other party is here: a line that is cut from now on has carried this job. following: the next stage."""
        self._latest.stage = following
        self._changed.set()

    def progress(self, done: int, total: int) -> None:
        self._latest.done, self._latest.total = done, total
        self._changed.set()

    def rows(self, count: int) -> None:
        self._latest.rows = count
        self._changed.set()

    def expect(self, size: int) -> None:
        self._latest.expected = self._bytes() + size
        self._changed.set()

    def warn(self, text: str) -> None:
        self._latest.warnings.append(text)
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._tell()
            await asyncio.sleep(_EVERY)

    async def _tell(self) -> None:
        self._latest.bytes = self._bytes()
        with suppress(WattScoreError):  # without the coordinator there is nobody to tell
            await self._send(wire.FromParty(progress=self._latest))

    async def last(self) -> None:
        """Tells how far the job was as it failed, and nothing after that: what it fails of is judged by that."""
        self.stop()
        await self._tell()

    def _bytes(self) -> int:
        return sum(counter.sent + counter.received for counter in self._counters)

    def stop(self) -> None:
        self._task.cancel()
