"""What a party's own package hands to what both run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import CollectorRegistry

from common.daemon.meet import Approach
from common.daemon.runner import Runner
from common.daemon.settings import PartySettings
from common.errors import ConfigError
from common.home.home import Home
from common.party import Party
from common.process.settings import load_settings
from common.stages.job import Role
from common.wire.tls import Credentials

S = TypeVar("S", bound=PartySettings)
H = TypeVar("H", bound=Home)


class Beside(Protocol):
    """What a party's daemon runs besides its jobs."""

    async def start(self) -> None:
        """Raises ConfigError for an address that cannot be bound."""

    async def stop(self) -> None:
        """Before the jobs are ended."""


@dataclass(frozen=True)
class Station(Generic[S, H]):
    """A daemon as what runs beside its jobs sees it."""

    settings: S
    home: H
    runner: Runner
    credentials: Credentials
    registry: CollectorRegistry
    file: Path  # its configuration


@dataclass(frozen=True)
class Seat(Generic[S, H]):
    """A party's seat: which one, its configuration, what it keeps, what it does alone, how it meets the other party."""

    party: Party
    settings: type[S]
    home: Callable[[S], H]
    role: Callable[[H], Role]
    approach: Callable[[S, Credentials], Approach]
    beside: tuple[Callable[[Station[S, H]], Beside | None], ...] = ()  # what its daemon runs besides jobs, if configured

    @property
    def name(self) -> str:
        """The name of its command, also used in its log."""
        return f"{self.party.value}-party"

    def load(self, config: Path) -> S:
        """This party's configuration. Raises ConfigError, also for what only the other party has."""
        return load_settings(self.settings, config)


def open_home(seat: Seat[Any, H], config: Path) -> H:
    """What the party keeps. Raises ConfigError where its daemon has never run, so that nothing is made there."""
    settings = seat.load(config)
    if not settings.data.is_dir():
        message = f"{settings.data}: there is no data folder yet"
        raise ConfigError(message, remedy=f"Start `{seat.name} serve`, or see to `data` in {config}.")
    return seat.home(settings)
