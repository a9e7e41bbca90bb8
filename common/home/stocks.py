"""A party's stocks of randomness dealt ahead: a folder within a disk budget, and a book of those that are spent.

A mask that hides two values shows their difference, so a stock serves one training at most, whatever crashes, restarts or is
restored. Before its first use it is entered in the book, its seed is erased from the file and the file unlinked, each step on
disk before the next. The book stands apart from the files and knows seeds by their hash: a file that comes back, under
another name too, is refused.

Until then a job has it alone by a lock on the file, which whatever ends the job, or its process, gives back: nothing was sent.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from common.disk.book import open_book
from common.disk.files import by_age, make_folder, sync_folder
from common.errors import DataError, PolicyError
from common.home.stock import StockFile, StockLabel, StockWriter, dealing, remove_part, stock_bytes
from common.learn import learners
from common.learn.dealt_ahead import Ahead
from common.learn.learner import Size
from common.learn.learners import learner_of, scores_dealt
from common.party import Party
from common.plan.predeal import AT_ONCE, PredealPlan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan

_log = logging.getLogger(__name__)

MOST = AT_ONCE  # stocks a party keeps: their list is one message
_SUFFIX = ".stock"
_MIB = 1 << 20
_SETTLED = 3600.0  # seconds


@dataclass(frozen=True)
class Held:
    """An unspent stock on disk; at: when it was dealt, in seconds since 1970."""

    label: StockLabel
    bytes: int
    at: float


class Stocks:
    """dealer: the coordinator's identity; stocks that another one dealt are not used. budget_mib: disk for all of them.

    banks: with how many a grid has stocks. Each has an equal part of that disk and places of its own: none can take another's.
    """

    _bank: str | None = None  # whose other half alone counts, of a grid's; None: all
    _entered: Callable[[StockFile], None] | None = None  # of a job's shelf: enters what the job takes

    def __init__(self, folder: Path, book: Path, dealer: str, budget_mib: int, banks: int = 1) -> None:
        self._folder, self._book, self._dealer, self._budget = folder, book, dealer, budget_mib * _MIB
        self._part, self._banks = self._budget // banks, banks
        make_folder(folder)
        with self._open() as spent:
            spent.execute("create table if not exists spent (stock text not null, seed blob not null unique)")

    def tidy(self) -> None:
        """Removes what a predealing left that did not end well, and not what another process of this party is writing."""
        for part in self._folder.glob("*.part"):
            remove_part(part)

    def of(self, bank: str) -> Stocks:
        """The same shelf, of the stocks alone of which this bank has the other half; bank: as in their labels."""
        found = copy(self)
        found._bank = bank
        return found

    def entering(self, entered: Callable[[StockFile], None]) -> Stocks:
        """The same shelf for one job. entered: called with each stock that the job uses, before it is spent."""
        found = copy(self)
        found._entered = entered
        return found

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._book, durable=True)

    @property
    def position(self) -> int:
        """How many stocks were spent."""
        with self._open() as book:
            return int(book.execute("select count(*) from spent").fetchone()[0])

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def has(self, job: str) -> bool:
        """Whether a predealing job of this name has left a stock here, spent or not."""
        with self._open() as book:
            found = book.execute("select 1 from spent where stock = ?", (job,)).fetchone()
        return found is not None or self.holds(job)

    def holds(self, job: str) -> bool:
        """Whether a file of this name is here, of a stock that is not spent."""
        return self._path(job).exists()

    def unspent(self) -> list[StockLabel]:
        """The stocks that can be used, oldest first. Files that cannot, such as restored ones, are removed."""
        labels = []
        for path in self._files():
            try:
                label = self._usable(path)
            except FileNotFoundError:  # spent by another session just now
                continue
            if label is None:
                _log.warning("stock %s is spent, damaged or of another coordinator: removed", path.stem)
                path.unlink(missing_ok=True)
            elif self._bank in (None, label.bank):
                labels.append(label)
        return labels

    def held(self) -> list[Held]:
        """The same as they lie on disk, for a page; beside a daemon that uses them, nothing is removed."""
        found = []
        for path in self._files():
            try:
                if (label := self._usable(path)) is not None:
                    status = path.stat()
                    found.append(Held(label, status.st_size, status.st_mtime))
            except FileNotFoundError:  # spent by the daemon just now
                continue
        return found

    def _files(self) -> list[Path]:
        """Oldest first; one that is spent meanwhile is none of them."""
        return by_age(self._folder.glob(f"*{_SUFFIX}"))

    def _usable(self, path: Path) -> StockLabel | None:
        """None for a file that cannot be used."""
        try:
            with closing(StockFile(path)) as stock:
                known = stock.label.made or stock.label.dealer == self._dealer
                usable = stock.label.name == path.stem and known and not self._is_spent(stock)
        except DataError:
            return None
        return stock.label if usable else None

    def _is_spent(self, stock: StockFile) -> bool:
        with self._open() as book:
            return stock.erased or bool(book.execute("select 1 from spent where seed = ?", (_known_by(stock.seed),)).fetchone())

    def check(self, plan: PredealPlan | TrainPlan | ScorePlan, party: Party) -> None:
        """Raises PolicyError for a plan that this party has no room, or no stock, for."""
        if isinstance(plan, PredealPlan):
            self._check_room(predealt(plan), party)
        elif plan.dealt == "ahead" and not any(label.dealing in wanted(plan) for label in self.unspent()):
            raise PolicyError(
                f"the {party.value} has no unspent stock for this plan: {inventory(self.unspent())}",
                remedy="Deal one with `wattscore predeal`, or use dealt = 'online'.",
            )

    def _check_room(self, ahead: Ahead, party: Party) -> None:
        every = self.held()
        held = [one.bytes for one in every if self._bank in (None, one.label.bank)]
        free = shutil.disk_usage(self._folder).free
        left = min(self._part - sum(held), self._budget - sum(one.bytes for one in every), free)
        if (size := stock_bytes(party, ahead, left)) > left or len(held) >= MOST:
            part, least = f", a part for each of {self._banks} banks" if self._banks > 1 else "", " or more" * (size > left)
            raise PolicyError(
                f"no room for a stock of {_mib(size)} MiB{least} beside {len(held)} others of {_mib(sum(held))} MiB",
                expected=f"at most {MOST} stocks of {self._part // _MIB} MiB in all (stock_mib{part}), on a disk with room",
                got=f"{_mib(size)} MiB{least}",
                remedy="Use a stock by training with dealt = 'ahead', deal a smaller one, or raise stock_mib.",
            )

    def create(self, name: str, plan: PredealPlan, seed: bytes, dealer: str = "") -> StockWriter:
        """The writer of the stock that job `name` is dealt. dealer: of its label, if that is not the coordinator."""
        deals, maker = dealing(predealt(plan)), dealer or self._dealer
        label = StockLabel(name, maker, deals, plan.rows, *plan.sizes, self._bank or "", plan.reasons)
        return StockWriter(self._path(name), label, seed)

    def reserve(self, label: StockLabel) -> StockFile | None:
        """This stock for one job alone, until it is closed or used; None where another has it, in this process or beside it.

        Raises PolicyError for one that is spent, DataError for one that is damaged.
        """
        try:
            stock = StockFile(self._path(label.name), alone=True)
        except BlockingIOError:
            return None
        except FileNotFoundError:
            raise _gone(label) from None
        try:
            if stock.label != label or stock.erased or not stock.there:
                raise _gone(label)
            if self._is_spent(stock):
                raise _copy(label.name)
        except BaseException:
            stock.close()
            raise
        return stock

    def use(self, stock: StockFile) -> None:
        """Makes a reserved stock used up, durably, before anything is masked by it: nobody gets it again.

        1. enter what the job takes  2. enter it in the book  3. erase its seed  4. unlink it: a crash after that frees the disk
        Raises PolicyError for one that is spent.
        """
        if self._entered is not None:
            self._entered(stock)
        self._spend(stock)

    def spend(self, label: StockLabel) -> StockFile:
        """Reserved and used up at once; close it after use. Raises as both do, and PolicyError where another job has it."""
        if (stock := self.reserve(label)) is None:
            raise PolicyError(f"stock {label.name} is in use by another job", remedy="Wait for its end, or deal another.")
        try:
            self._spend(stock)
        except BaseException:
            stock.close()
            raise
        return stock

    def _spend(self, stock: StockFile) -> None:
        name = stock.label.name
        self._enter(name, stock.seed)
        stock.erase()
        self._path(name).unlink(missing_ok=True)  # who lists stocks removes one that is erased
        sync_folder(self._folder)

    def bar(self, name: str, seed: bytes) -> None:
        """From now on nobody is handed out a stock of this seed, whatever file comes back: it is about to be opened."""
        with self._open() as book:
            book.execute("insert or ignore into spent values (?, ?)", (name, _known_by(seed)))
        self.remove(name)

    def _enter(self, name: str, seed: bytes) -> None:
        try:
            with self._open() as book:
                book.execute("insert into spent values (?, ?)", (name, _known_by(seed)))
        except sqlite3.IntegrityError:
            raise _copy(name) from None

    def remove(self, job: str) -> None:
        """Deletes the stock that a job has left here; nobody has used it."""
        self._path(job).unlink(missing_ok=True)
        sync_folder(self._folder)

    def is_settled(self, label: StockLabel) -> bool:
        """Whether this stock was dealt so long ago that the other party must have it too, or have spent it.

        Both give a stock its name at nearly the same moment, and list what they have at nearly the same moment.
        """
        try:
            return time.time() - self._path(label.name).stat().st_mtime > _SETTLED
        except FileNotFoundError:  # another session of this party has just spent it
            return False

    def discard(self, label: StockLabel) -> None:
        """Spends a stock that the other party does not hold, unless a job has it: the other party may have used it for that."""
        if self.drop(label):
            _log.warning("stock %s is not at the other party: discarded", label.name)

    def drop(self, label: StockLabel) -> bool:
        """Spends a stock that nobody is to use, whatever state its file is in; False for one that a job has, which stays."""
        try:
            if (stock := self.reserve(label)) is None:
                return False
            with closing(stock):
                self._spend(stock)
        except (PolicyError, DataError, OSError):
            self._path(label.name).unlink(missing_ok=True)
        return True


def predealt(plan: PredealPlan) -> Ahead:
    """All that the stock of this plan holds: of the largest training, or scoring, that it serves."""
    learner, size = learner_of(plan.model), Size(plan.rows, *plan.sizes)
    if plan.serves == "training":
        return learner.ahead(plan.model, size)
    return scores_dealt(learner.name, plan.model, size, plan.score_bits, plan.reasons)


def wanted(plan: TrainPlan | ScorePlan) -> set[str]:
    """What stocks for this plan are dealt for, whatever its size; which learner scores is known when the model is loaded."""
    size = Size(1, 1, 1)
    if isinstance(plan, TrainPlan):
        return {dealing(learner_of(plan.model).ahead(plan.model, size))}
    ways = ((learner, section) for learner in learners.TABLE.values() for section in learner.scorings())
    return {dealing(learner.ahead_scores(section, size, plan.score_bits)) for learner, section in ways}


def _known_by(seed: bytes) -> bytes:
    """By this the book knows a seed, from which it cannot be told."""
    return hashlib.blake2b(seed, digest_size=32, person=b"wattscore.spent").digest()


def _gone(label: StockLabel) -> PolicyError:
    return PolicyError(f"stock {label.name} is spent", remedy="Deal a new one with `wattscore predeal`.")


def _copy(name: str) -> PolicyError:
    return PolicyError(f"stock {name} is spent: it is a copy", remedy="Deal a new one.")


def _mib(size: int) -> int:
    return -(-size // _MIB)


def inventory(labels: list[StockLabel]) -> str:
    """What there is, in public terms."""
    sizes = [f"{label.name} for {label.rows} rows x ({label.grid_columns} + {label.bank_columns})" for label in labels]
    return f"there is {', '.join(sizes)}" if sizes else "there is none"
