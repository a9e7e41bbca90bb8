"""Whose configuration a doctor looks at: a party's, the coordinator's or a client's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.config import read_toml
from common.daemon.settings import PartySettings
from common.doctor.finding import Finding, Machine
from common.errors import ConfigError
from common.party import Identity, Party
from common.process.settings import ClientSettings, CoordinatorSettings, Remote, load_settings
from common.wire.tls import TlsConfig

Settings = PartySettings | CoordinatorSettings | ClientSettings
_ANY = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  (where a daemon that listens everywhere is reached)


@dataclass(frozen=True)
class Side:
    """One process's configuration. `role` is grid, bank, coordinator or client."""

    role: str
    settings: Settings
    more: Callable[[Machine], Iterator[Finding]] = lambda machine: iter(())  # further checks of what this side alone has

    @property
    def tls(self) -> TlsConfig:
        return self.settings.tls

    @property
    def party(self) -> Party | None:
        return Party(self.role) if isinstance(self.settings, PartySettings) else None

    @property
    def listens(self) -> str | None:
        """HOST:PORT at which this machine itself reaches the daemon; None for a process that does not listen."""
        address = None if isinstance(self.settings, ClientSettings) else self.settings.listen
        if address is None:
            return None
        host, _, port = address.rpartition(":")
        return f"{_ANY.get(host, host)}:{port}"

    @property
    def others(self) -> dict[str, Identity]:
        """Every other process that the configuration names, by what it is."""
        settings = self.settings
        if isinstance(settings, CoordinatorSettings):
            named = {member.value: who for who, member in settings.members.items()}
            return named | {f"client {n}": Identity.parse(text) for n, text in enumerate(settings.clients, 1)}
        named = {"coordinator": settings.coordinator.who}
        if not isinstance(settings, PartySettings):
            return named
        first, *more = settings.others
        return named | {self._peer: first} | {f"bank {who.org}": who for who in more}

    @property
    def dialled(self) -> dict[str, tuple[Identity, str]]:
        """Whom this process dials, and at which HOST:PORT."""
        settings = self.settings
        if isinstance(settings, CoordinatorSettings):
            return {}
        remotes = {"coordinator": settings.coordinator}
        if isinstance(settings, PartySettings) and isinstance(settings.peer, Remote):
            remotes[self._peer] = settings.peer
        return {name: (remote.who, remote.address) for name, remote in remotes.items()}

    @property
    def _peer(self) -> str:
        return Party(self.role).other.value


def load_side(path: Path) -> Side:
    """A client's or the coordinator's: what each must have tells them apart. Raises ConfigError, also for a party's."""
    raw = read_toml(path)
    if "peer" in raw:
        raise ConfigError(f"{path}: a party's configuration", remedy="Run `grid-party doctor` or `bank-party doctor`.")
    if "coordinator" in raw:
        return Side("client", load_settings(ClientSettings, path))
    return Side("coordinator", load_settings(CoordinatorSettings, path))


def orgs(side: Side) -> Iterator[str]:
    """The organisations that `side` must trust besides its own."""
    yield from sorted({who.org for who in side.others.values()})
