"""A party's outcome as the message that leaves it, and progress on its way there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict

from common.errors import WattScoreError
from common.home.outcome import Outcome
from common.process.memory import peak_mib
from common.stats.measures import Interval, Metrics
from common.wire import party_pb2 as wire
from common.wire.peer import Counter

_EVERY = 0.1  # seconds between progress messages


def to_message(outcome: Outcome, peer: Counter, coordinator: Counter) -> wire.Report:
    """The typed message of a finished job."""
    message = wire.Report(
        counts=wire.Counts(**outcome.counts),
        seconds=[
            wire.StageSeconds(stage=stage, seconds=seconds, rounds=outcome.rounds.get(stage, 0))
            for stage, seconds in outcome.seconds.items()
        ],
        peer=wire.LinkBytes(sent=peer.sent, received=peer.received),
        coordinator=wire.LinkBytes(sent=coordinator.sent, received=coordinator.received),
        peak_mib=peak_mib(),
        warnings=outcome.public_warnings,
        opened=outcome.opened,
        model_digest=outcome.model_digest,
        champion=outcome.champion,
    )
    if outcome.drift is not None:
        message.drift.CopyFrom(wire.Drift(largest_psi=round(outcome.drift.largest_psi, 2), alarms=outcome.drift.alarms))
    if (rival := outcome.challenge) is not None:
        auc, before = round(rival.auc, 5), round(rival.champion_auc, 5)
        interval = wire.Interval(**_rounded(rival.auc_difference))
        message.challenge.CopyFrom(
            wire.Challenge(champion=rival.champion, auc=auc, champion_auc=before, auc_difference=interval, rows=rival.rows)
        )
    if (found := outcome.evaluation) is not None:
        message.evaluation.CopyFrom(
            wire.Evaluation(
                joint=wire.Metrics(**_rounded(found.joint)),
                bank_only=wire.Metrics(**_rounded(found.bank_only)),
                auc_difference=wire.Interval(**_rounded(found.auc_difference)),
                largest_u=round(found.largest_u, 1),
            )
        )
    return message


def _rounded(found: Metrics | Interval) -> dict[str, float]:
    """To five places: all that means anything. Finer digits would tell more of single rows."""
    return {name: round(value, 5) for name, value in asdict(found).items()}


class ProgressReporter:
    """Keeps the latest progress of a job and sends it a few times a second, so that computing never waits for it."""

    def __init__(
        self,
        job: str,
        send: Callable[[wire.FromParty], Awaitable[None]],
        counters: tuple[Counter, ...],
        on_stage: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._send, self._counters, self._on_stage = send, counters, on_stage
        self._latest = wire.Progress(job=job)
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def stage(self, name: str) -> None:
        self._on_stage(name)
        self._latest.stage, self._latest.done, self._latest.total = name, 0, 0
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
            self._latest.bytes = self._bytes()
            with suppress(WattScoreError):  # without the coordinator there is nobody to tell
                await self._send(wire.FromParty(progress=self._latest))
            await asyncio.sleep(_EVERY)

    def _bytes(self) -> int:
        return sum(counter.sent + counter.received for counter in self._counters)

    def stop(self) -> None:
        self._task.cancel()
