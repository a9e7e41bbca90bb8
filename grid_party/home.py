"""The grid's home: with the ledger of scored rows."""

from __future__ import annotations

from pathlib import Path

from common.disk.data_folder import Name
from common.home.home import Home
from common.home.standing import Standing
from common.monitor.config import MonitorConfig
from grid_party.ledger import Ledger
from grid_party.settings import GridPolicy, GridSettings


class GridHome(Home):
    """What the grid keeps."""

    policy: GridPolicy
    command = "grid-party"

    def __init__(self, data: Path, dealer: str, policy: GridPolicy, monitor: MonitorConfig, banks: int = 1) -> None:
        super().__init__(data, dealer, policy, monitor, banks)
        self.ledger = Ledger(data / Name.LEDGER)

    @classmethod
    def of(cls, settings: GridSettings) -> GridHome:
        return cls(settings.data, settings.coordinator.identity, settings.policy, settings.monitor, len(settings.others))

    def positions(self) -> dict[str, int]:
        return super().positions() | {str(Name.LEDGER): self.ledger.position}

    def close(self) -> None:
        super().close()
        self.ledger.close()

    def standings(self) -> list[Standing]:
        return [self.ledger.standing("models that scored a row", "scores_per_row", self.policy.scores_per_row)]

    def knows(self, job: str) -> bool:
        return super().knows(job) or self.ledger.knows(job)
