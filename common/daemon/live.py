"""The jobs that run at a party, and how far each is, as its own people see it."""

from __future__ import annotations

from dataclasses import dataclass

from common.daemon.conduct import Running


@dataclass(frozen=True)
class Progress:
    """How far a job is. done, total: of what its stage counts; rounds: with the other party; bytes: by link, both ways."""

    kind: str
    stage: str
    done: int
    total: int
    rows: int
    rounds: int
    peer: tuple[int, int]
    coordinator: tuple[int, int]
    expected: int
    warnings: tuple[str, ...]


class Live(dict[str, Running]):
    """The jobs of a runner, by name."""

    def progress(self, job: str) -> Progress | None:
        """None for a job that does not run here, or has not begun."""
        running = self.get(job)
        if running is None or running.reporter is None:
            return None
        latest, peer, coordinator = running.reporter.latest, running.peer, running.coordinator
        return Progress(
            kind=running.plan.kind,
            stage=latest.stage,
            done=latest.done,
            total=latest.total,
            rows=latest.rows,
            rounds=running.session.traffic.rounds if running.session is not None else 0,
            peer=(peer.sent, peer.received),
            coordinator=(coordinator.sent, coordinator.received),
            expected=latest.expected,
            warnings=tuple(latest.warnings),
        )
