"""What a party's own package hands to what both run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from common.daemon.meet import Approach
from common.daemon.settings import PartySettings
from common.home.home import Home
from common.party import Party
from common.process.settings import load_settings
from common.stages.job import Role
from common.wire.tls import Credentials

S = TypeVar("S", bound=PartySettings)
H = TypeVar("H", bound=Home)


@dataclass(frozen=True)
class Seat(Generic[S, H]):
    """A party's seat: which one, its configuration, what it keeps, what it does alone, how it meets the other party."""

    party: Party
    settings: type[S]
    home: Callable[[S], H]
    role: Callable[[H], Role]
    approach: Callable[[S, Credentials], Approach]

    @property
    def name(self) -> str:
        """The name of its command, also used in its log."""
        return f"{self.party.value}-party"

    def load(self, config: Path) -> S:
        """This party's configuration. Raises ConfigError, also for what only the other party has."""
        return load_settings(self.settings, config)
