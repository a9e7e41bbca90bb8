"""What the coordinator tells Prometheus, looked up on its board and in the running job when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from common.coordinator.board import Board
from common.party import Member
from common.plan.job_states import State
from common.process.metrics import ENDS, KINDS, Callback, Links


class Watched(Protocol):
    """The view of a coordinator at work."""

    links: Links

    @property
    def members(self) -> tuple[Member, ...]: ...

    def attends(self, party: Member) -> bool: ...

    def outstanding(self, party: Member) -> int: ...


def watch_coordinator(registry: CollectorRegistry, board: Board, coordinator: Watched) -> None:
    registry.register(Callback(lambda: [*jobs(board), *now(coordinator)]))
    registry.register(coordinator.links)


def jobs(board: Board) -> Iterable[Metric]:
    """The counts of all jobs the coordinator was given, those before its last start and those it has forgotten too."""
    over = CounterMetricFamily("wattscore_jobs", "Jobs that are over.", labels=("kind", "state"))
    errors = CounterMetricFamily("wattscore_job_errors", "Jobs that ended badly, by kind of error.", labels=("error",))
    found, faults = Counter[tuple[str, str]](), Counter[str]()
    for (kind, state, error), count in board.counts().items():
        found[kind, state] += count
        if error:
            faults[error] += count
    for kind in KINDS:
        for state in ENDS:
            over.add_metric((kind, state), found[kind, state])
    for error, count in faults.items():
        errors.add_metric((error,), count)
    states = Counter[str]()
    for (_, state), count in found.items():
        states[state] += count
    running = states[State.OFFERED.value] + states[State.RUNNING.value]
    return [
        over,
        errors,
        GaugeMetricFamily("wattscore_jobs_running", "Jobs that run.", running),
        GaugeMetricFamily("wattscore_jobs_queued", "Jobs that wait.", states[State.QUEUED.value]),
        GaugeMetricFamily("wattscore_jobs_held", "Jobs that wait for people to approve them.", states[State.HELD.value]),
        GaugeMetricFamily("wattscore_jobs_waiting", "Jobs that were interrupted and go on.", states[State.WAITING.value]),
    ]


def now(coordinator: Watched) -> Iterable[Metric]:
    attending = GaugeMetricFamily("wattscore_party_attending", "1 while the party is connected.", labels=("party",))
    waiting = GaugeMetricFamily(
        "wattscore_dealt_outstanding_arrays", "Arrays dealt to the party and not yet consumed.", labels=("party",)
    )
    for party in coordinator.members:
        attending.add_metric((party.value,), coordinator.attends(party))
        waiting.add_metric((party.value,), coordinator.outstanding(party))
    return [attending, waiting]
