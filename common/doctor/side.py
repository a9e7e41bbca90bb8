"""Whose configuration a doctor looks at: a party's, the coordinator's or a client's, told by its keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.config import StrictModel, read_toml
from common.party import Identity, Party
from common.process.settings import ClientSettings, CoordinatorSettings, PartySettings, load_settings
from common.wire.tls import TlsConfig

Settings = PartySettings | CoordinatorSettings | ClientSettings
_ANY = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  (where a daemon that listens everywhere is reached)


@dataclass(frozen=True)
class Side:
    """One process's configuration. `role` is grid, bank, coordinator or client."""

    role: str
    settings: Settings

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
            named = {"grid": Identity.parse(settings.grid), "bank": Identity.parse(settings.bank)}
            return named | {f"client {n}": Identity.parse(text) for n, text in enumerate(settings.clients, 1)}
        named = {"coordinator": settings.coordinator.who}
        return named | ({self._peer: settings.peer.who} if isinstance(settings, PartySettings) else {})

    @property
    def dialled(self) -> dict[str, tuple[Identity, str]]:
        """Whom this process dials, and at which HOST:PORT."""
        settings = self.settings
        if isinstance(settings, CoordinatorSettings):
            return {}
        remotes = {"coordinator": settings.coordinator}
        remotes |= {self._peer: settings.peer} if isinstance(settings, PartySettings) else {}
        return {name: (remote.who, remote.address) for name, remote in remotes.items() if remote.address}

    @property
    def _peer(self) -> str:
        return Party(self.role).other.value


def load_side(path: Path) -> Side:
    """Raises ConfigError that names each wrong key."""
    raw = read_toml(path)
    role = guess_role(raw)
    models: dict[str, type[StrictModel]] = {"coordinator": CoordinatorSettings, "client": ClientSettings}
    settings: Any = load_settings(models.get(role, PartySettings), path)
    return Side(role, settings)


def guess_role(raw: dict[str, Any]) -> str:
    """Of all keys, the ones that only one kind of process has; the bank dials its peer, so it has the address."""
    if any(key in raw for key in ("grid", "bank", "clients")):
        return "coordinator"
    if not any(key in raw for key in ("peer", "datasets", "data", "policy")):
        return "client"
    peer = raw.get("peer")
    return "bank" if isinstance(peer, dict) and "address" in peer else "grid"


def orgs(side: Side) -> Iterator[str]:
    """The organisations that `side` must trust besides its own."""
    yield from sorted({who.org for who in side.others.values()})
