"""What both parties' configuration files have; each party's own package says what its own has besides."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from common.config import Address, StrictModel
from common.errors import PolicyError
from common.monitor.config import MonitorConfig
from common.party import Identity
from common.plan.policy import Policy
from common.process.settings import ConsoleConfig, Named, Process, Remote
from common.report.card import Card
from common.rows.consent import ConsentConfig, Consents
from common.rows.dataset import DatasetConfig


class GrantFile(StrictModel):
    """Where a grant is; at a grid with several banks, where those of one dataset are."""

    path: Path = Field(description="The file that `grant sign` wrote.")
    others: tuple[Path, ...] = Field(default=(), description="Further ones, each to or from another bank.")

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path, *self.others)


class PartyConsole(ConsoleConfig):
    """`[console]` of a party, whose people decide about jobs too."""

    approvers: dict[str, str] = Field(
        default_factory=dict,
        description="Who may approve and deny, of those that a certificate or token names: that name, and their account.",
    )

    @model_validator(mode="after")
    def _approvers_are_named(self) -> Self:
        if self.approvers and self.by_link:
            raise ValueError("approvers: need trust or oidc; who logs in by a link is the account that asked for it")
        if len(set(self.approvers.values())) < len(self.approvers):
            raise ValueError("approvers: two of them have one account, so that both count as one person")
        return self


class PartySettings(Process):
    """The settings that `grid-party` and `bank-party` both have."""

    whose: ClassVar[str] = "a party"

    listen: Address | None = Field(default=None, description="HOST:PORT to serve on.")
    coordinator: Remote = Field(description="The coordinator this party attends.")
    peer: Named = Field(description="The other party.")
    datasets: dict[str, DatasetConfig] = Field(default_factory=dict, description="What plans may ask for, by name.")
    consent: dict[str, ConsentConfig] = Field(
        default_factory=dict, description="By dataset: the table of enterprises whose rows may be in jobs. None: all may."
    )
    grants: dict[str, GrantFile] = Field(
        default_factory=dict,
        description="By own dataset: the grant without which it is in no job; others need none.",
    )
    granted: dict[str, GrantFile] = Field(
        default_factory=dict, description="By dataset of the other party: the grant received, to which this side holds itself."
    )
    policy: Policy = Field(default=Policy(), description="What this party allows.")
    console: PartyConsole | None = Field(default=None, description="Pages for this party's people; off by default.")
    memory_mib: int = Field(
        default=512, ge=0, description="What a job may hold in memory of its columns; larger ones go to files in data/scratch."
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=16,
        description="Processes beside the daemon that compute runs of rows of trainings; 0: the daemon alone.",
    )
    stall_timeout: float = Field(
        default=600.0, gt=0, description="Seconds in which nothing happens of a running job that no coordinator has offered."
    )
    monitor: MonitorConfig = Field(default=MonitorConfig(), description="From where on a change of the data is an alarm.")
    card: Card = Field(default=Card(), description="What the report says of purpose, target, limits and columns.")

    @model_validator(mode="after")
    def _are_of_datasets(self) -> Self:
        for name in ("consent", "grants"):
            if unknown := sorted(set(getattr(self, name)) - set(self.datasets)):
                raise ValueError(f"{name}: there is no dataset {', '.join(unknown)}")
        return self

    @property
    def worker_addresses(self) -> tuple[str, ...]:
        """Where each worker waits for the other party, at the grid."""
        return ()

    def consents(self, dataset: str) -> Consents | None:
        """The authorisations of a dataset, for one job; None where nobody has to agree."""
        return Consents(self.consent[dataset], dataset) if dataset in self.consent else None

    @property
    def others(self) -> tuple[Identity, ...]:
        """The other parties: at the bank the grid, at the grid each bank."""
        return (self.peer.who,)


def check_separate(own: Identity, settings: PartySettings) -> None:
    """Raises PolicyError when the coordinator, which deals, belongs to a party."""
    for who, identity in (("this party", own), *(("the other party", other) for other in settings.others)):
        if settings.coordinator.who.org == identity.org:
            raise PolicyError(
                f"the coordinator {settings.coordinator.identity} belongs to {who}",
                remedy="Use a coordinator of a third organisation: dealer and one party together can read the other's data.",
            )
