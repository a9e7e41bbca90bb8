"""A party's home: the books and stores of what outlives a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from common.decision.config import DecisionConfig
from common.disk.folder import Name
from common.home.models import ModelStore
from common.home.registry import Registry
from common.home.rowbook import CountedLedger, Ledger
from common.home.stocks import Stocks
from common.monitor.book import Book
from common.monitor.config import MonitorConfig
from common.plan.policy import Policy


@dataclass(frozen=True)
class Home:
    """The books and stores of a party, and what it allows."""

    models: ModelStore
    ledger: Ledger
    scores: Path
    policy: Policy
    stocks: Stocks
    registry: Registry
    history: Book
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)

    @property
    def counted(self) -> CountedLedger:
        """The bank's book of rows whose labels were counted for the grid."""
        return CountedLedger(self.scores.parent / Name.COUNTED)

    def knows(self, job: str) -> bool:
        """Whether a job of this name has left something here."""
        scored = any((self.scores / f"{job}.{kind}").exists() for kind in ("csv", "parquet"))
        booked = self.ledger.knows(job) or self.counted.knows(job)
        return scored or booked or self.models.has(job) or self.stocks.has(job)

    def scores_of(self, job: str) -> Path:
        return self.scores / f"{job}.{self.decision.output}"
