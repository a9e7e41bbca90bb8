"""A party's home: what outlives a job, and what the party allows. Each party's own package adds its own books."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from common.disk.data_folder import Name
from common.disk.files import make_folder, make_once, remove_parts
from common.errors import DataError
from common.home.approvals import Approvals
from common.home.audit import AuditLog, What
from common.home.dealt import DealtBook
from common.home.jobbook import JobBook
from common.home.models import ModelStore
from common.home.rates import Rates
from common.home.registry import Registry
from common.home.seedbook import SeedBook
from common.home.setbook import SetBook
from common.home.standing import Standing
from common.home.stock import StockFile
from common.home.stocks import Stocks
from common.home.unfinished import Unfinished
from common.monitor.book import Book
from common.monitor.config import MonitorConfig
from common.mpc.prg import SEED_BYTES, Prg
from common.plan.policy import Policy


def lasting_key(file: Path) -> bytes:
    """The secret of 32 bytes in `file`, which is made where there is none. Raises DataError for one of another size."""
    if not file.exists():
        make_folder(file.parent)
        make_once(file, Prg.fresh_seed())
    if len(key := file.read_bytes()) != SEED_BYTES:
        text = f"{Name.TAGS} is damaged"
        raise DataError(text, public=text, remedy="Put it back from a back-up; else delete it, and train closed models again.")
    return key


class Home:
    """What both parties keep. Opening one makes the data folder and the books in it, where they are new."""

    command: ClassVar[str]  # of this party, for remedies

    def __init__(self, data: Path, dealer: str, policy: Policy, monitor: MonitorConfig, banks: int = 1) -> None:
        """dealer: the coordinator's identity; stocks of another one are not used. banks: with how many a grid has jobs."""
        self.policy, self.monitor, self._data = policy, monitor, data
        self._charged, self._charging = dict[str, Counter[str]](), threading.Lock()
        self.key = lasting_key(data / Name.TAGS)
        self.models = ModelStore(data / Name.MODELS)
        self.stocks = Stocks(data / Name.STOCK, data / Name.SPENT, dealer, policy.stock_mib, banks)
        self.audit, self.dealt = AuditLog(data / Name.AUDIT), DealtBook(data / Name.DEALT, self.stocks.holds)
        self.seeds = SeedBook(data / Name.SEEDS)
        self.rates = Rates(data / Name.RATES, self.command)
        self.approvals = Approvals(data / Name.APPROVALS, policy.approvals, policy.hold_days)
        self.jobs = JobBook(data / Name.JOBS)
        self.unfinished = Unfinished(data / Name.UNFINISHED)
        self.sets = SetBook(data / Name.SETS)
        self.registry, self.history = Registry(data / Name.REGISTRY), Book(data / Name.HISTORY)

    def positions(self) -> dict[str, int]:
        """How much stands in each book that only grows, by its name: less than before is a book restored or deleted."""
        return {
            str(Name.SEEDS): self.seeds.position,
            str(Name.SETS): self.sets.position,
            str(Name.REGISTRY): self.registry.moved,
            str(Name.SPENT): self.stocks.position,
            str(Name.RATES): self.rates.position,
            str(Name.APPROVALS): self.approvals.position,
            str(Name.JOBS): self.jobs.position,
        }

    def tidy(self) -> None:
        """Removes what a process of this party that was killed left half written, and nothing that another one is writing.

        Such as a half file of scores, of seeds, or of a model. Nobody stops for an hour in the middle of one.
        """
        self.stocks.tidy()
        remove_parts(self._data, 3600.0)

    def close(self) -> None:
        """Closes the books that stay open; they open again when they are used."""
        self.rates.close()

    def standings(self) -> list[Standing]:
        """Where each budget of this party's stands."""
        return []

    def discard(self, job: str) -> None:
        """Nothing of what a job that is not over has made is left, nor of its model's number in the registry."""
        self.registry.forget(job)
        shutil.rmtree(self.models.folder(job), ignore_errors=True)
        self.stocks.remove(job)

    def charged(self, job: str, key: str, rows: int) -> None:
        """Notes that a job has been charged for so many rows: key names the policy's limit. For `left_charged`."""
        with self._charging:
            self._charged.setdefault(job, Counter())[key] += rows

    def left_charged(self, job: str) -> dict[str, int]:
        """Rows by limit that an attempt at a job, now over, was charged for in this process; asked for once."""
        with self._charging:
            return dict(self._charged.pop(job, {}))

    def bind(self, job: str, stock: StockFile) -> None:
        """Enters in the audit log that the job takes this stock, and what that was dealt: nothing, if both parties made it."""
        name, detail = stock.label.name, dict[str, Any]()
        if stock.label.made:
            detail["made"] = True
        elif (opening := self.dealt.of_seed(name, stock.seed)) is not None:
            detail |= {"attempt": opening.attempt, "dealt": opening.digest}
            self.dealt.renew(opening)
        self.audit.add(What.TAKE, job, stock=name, **detail)

    def knows(self, job: str) -> bool:
        """Whether a job of this name has run here or left something: charged and counted, two of one name would be one."""
        return self.models.has(job) or self.stocks.has(job) or self.jobs.ran(job)
