"""The bank's home: with its scores, and the book of what was told of its labels."""

from __future__ import annotations

from pathlib import Path

from bank_party.decision.config import DecisionConfig
from bank_party.monitor.config import BankMonitorConfig
from bank_party.settings import BankPolicy, BankSettings
from bank_party.told import LABELS, METRICS, ToldBook
from common.disk.data_folder import Name
from common.disk.files import part_of
from common.home.home import Home
from common.home.standing import Standing


class BankHome(Home):
    """What the bank keeps, and how it decides."""

    policy: BankPolicy
    monitor: BankMonitorConfig
    command = "bank-party"

    def __init__(
        self, data: Path, dealer: str, policy: BankPolicy, monitor: BankMonitorConfig, decision: DecisionConfig
    ) -> None:
        super().__init__(data, dealer, policy, monitor)
        self.decision, self._scores = decision, data / Name.SCORES
        self.told = ToldBook(data / Name.TOLD)

    @classmethod
    def of(cls, settings: BankSettings) -> BankHome:
        return cls(settings.data, settings.coordinator.identity, settings.policy, settings.monitor, settings.decision)

    def positions(self) -> dict[str, int]:
        return super().positions() | {str(Name.TOLD): self.told.position}

    def standings(self) -> list[Standing]:
        limits = ((LABELS, self.policy.label_bits), (METRICS, self.policy.metric_bits))
        return [self.told.standing(limit, account) for account, limit in limits]

    def knows(self, job: str) -> bool:
        scored = any((self._scores / f"{job}.{kind}").exists() for kind in ("csv", "parquet"))
        scored = scored or any(job == one for one, *_ in self.history.scored())  # its file may be pruned
        return super().knows(job) or scored or self.told.knows(job)

    def discard(self, job: str) -> None:
        super().discard(job)
        for kind in ("csv", "parquet"):
            file = self._scores / f"{job}.{kind}"
            file.unlink(missing_ok=True)
            part_of(file).unlink(missing_ok=True)
        self.history.forget(job)

    def scores_of(self, job: str) -> Path:
        """The file of a scoring job's results."""
        return self._scores / f"{job}.{self.decision.output}"
