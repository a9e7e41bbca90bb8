"""What both parties' configuration files have; each party's own package says what its own has besides."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from common.errors import PolicyError
from common.monitor.config import MonitorConfig
from common.party import Identity
from common.plan.policy import Policy
from common.process.settings import Address, Named, Process, Remote
from common.report.card import Card
from common.rows.consent import ConsentConfig
from common.rows.dataset import DatasetConfig


class PartySettings(Process):
    """The settings that `grid-party` and `bank-party` both have."""

    listen: Address | None = Field(default=None, description="HOST:PORT to serve on.")
    coordinator: Remote = Field(description="The coordinator this party attends.")
    peer: Named = Field(description="The other party.")
    datasets: dict[str, DatasetConfig] = Field(default_factory=dict, description="What plans may ask for, by name.")
    consent: dict[str, ConsentConfig] = Field(
        default_factory=dict, description="By dataset: the table of enterprises whose rows may be in jobs. None: all may."
    )
    policy: Policy = Field(default=Policy(), description="What this party allows.")
    memory_mib: int = Field(
        default=1024, ge=0, description="What a job may hold in memory of its columns; larger ones go to files in data/scratch."
    )
    monitor: MonitorConfig = Field(default=MonitorConfig(), description="From where on a change of the data is an alarm.")
    card: Card = Field(default=Card(), description="What the report says of purpose, target, limits and columns.")

    @model_validator(mode="after")
    def _consent_is_of_datasets(self) -> Self:
        if unknown := sorted(set(self.consent) - set(self.datasets)):
            raise ValueError(f"consent: there is no dataset {', '.join(unknown)}")
        return self

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
