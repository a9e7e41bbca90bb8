"""The bank's configuration: it dials the grid, and it decides."""

from __future__ import annotations

from pydantic import Field

from common.daemon.settings import PartySettings
from common.decision.config import DecisionConfig
from common.process.settings import Address, Remote


class BankSettings(PartySettings):
    """`bank.toml`."""

    listen: Address | None = Field(default=None, description="HOST:PORT to answer health checks on; nobody dials the bank.")
    peer: Remote = Field(description="The grid, which the bank dials.")
    decision: DecisionConfig = Field(
        default=DecisionConfig(), description="How a score becomes points, a grade and a decision."
    )
