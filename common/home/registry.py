"""A party's registry of models: every version, its stage, and the moves both parties agreed on.

A move makes one model the champion: a promotion, or a rollback to the champion before. Moves are chained by hash, so two
registries stand at the same place exactly if they went the same way. A move is first prepared, on disk, and committed
once the other party has prepared it too; `stages.promote` drives both, and settles what a crash between left behind.

A grid of several banks has a chain of moves with each, as each bank decides for itself by which model its rows are scored.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from common.disk.book import add_column, open_book
from common.errors import JobNotFound, PolicyError
from common.plan.promote import PromotePlan

ORIGIN = hashlib.blake2b(b"no model was promoted yet", digest_size=32, person=b"wattscore.move").digest()
_TABLES = """
create table if not exists models (version integer primary key autoincrement, job text not null unique, digest text not null,
  peer_digest text not null, plan_digest text not null, at real not null, stage text not null);
create table if not exists moves (number integer primary key autoincrement, job text not null, action text not null,
  champion text not null, anew integer not null, at real not null, position blob not null, committed integer not null,
  bank text not null default '');
create table if not exists peers (job text not null, bank text not null, digest text not null, primary key (job, bank));
"""
_LAST = """select champion from moves m where committed and number =
  (select max(number) from moves where committed and bank = m.bank)"""


class Stage(Enum):
    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"


@dataclass(frozen=True)
class Version:
    """One model: SHA-256 of this party's half and of the other's, as told at its training. at: seconds since 1970."""

    number: int
    job: str
    digest: str
    peer_digest: str
    plan_digest: str
    at: float
    stage: Stage


@dataclass(frozen=True)
class Move:
    """job: the one that moved; champion: the model that scores after it; anew: no move before this one counts.

    bank: at a grid of several with which of them, by identity, none for the first.
    """

    job: str
    action: str
    champion: str
    anew: bool
    at: float
    position: bytes
    bank: str = ""


class Registry:
    """One SQLite file, each commit durable; with the chain of moves of one bank, by default the only or the first one."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time, bank: str = "") -> None:
        self._file, self._clock, self._bank = file, clock, bank
        if bank:
            return
        with self._book() as book:
            book.executescript(_TABLES)
            add_column(book, "moves", "bank", "text not null default ''")  # a book from before several banks has none

    def of(self, bank: str) -> Registry:
        """The same with the chain of moves that this grid has with this bank."""
        return Registry(self._file, self._clock, bank) if bank else self

    def chains(self) -> list[Registry]:
        """That of the first bank, then those of others with which something was moved."""
        with self._book() as book:
            named = [bank for (bank,) in book.execute("select distinct bank from moves where bank != '' order by 1")]
        return [self, *map(self.of, named)]

    def _book(self) -> AbstractContextManager[sqlite3.Connection]:
        return open_book(self._file, durable=True)

    def enter(self, job: str, digest: str, peer_digest: str, plan_digest: str, peers: Mapping[str, str] | None = None) -> None:
        """A model that was just stored, as a candidate. peers: of several banks each one's half, by its chain."""
        row = (job, digest, peer_digest, plan_digest, self._clock(), Stage.CANDIDATE.value)
        with self._book() as book:
            book.execute("insert into models (job, digest, peer_digest, plan_digest, at, stage) values (?, ?, ?, ?, ?, ?)", row)
            every = [(job, bank, half) for bank, half in (peers or {}).items()]
            book.executemany("insert into peers (job, bank, digest) values (?, ?, ?)", every)

    def forget(self, job: str) -> None:
        """A candidate that the other party could not keep: its number is the next one's, so that numbers stay alike."""
        with self._book() as book:
            book.execute("delete from models where job = ? and stage = ?", (job, Stage.CANDIDATE.value))
            book.execute("delete from peers where job not in (select job from models)")
            book.execute(
                "update sqlite_sequence set seq = (select coalesce(max(version), 0) from models) where name = 'models'"
            )

    def versions(self) -> list[Version]:
        """All models, oldest first."""
        with self._book() as book:
            found = book.execute(
                "select version, m.job, m.digest, coalesce(p.digest, peer_digest), plan_digest, at, stage from models m"
                " left join peers p on p.job = m.job and p.bank = ? order by 1",
                (self._bank,),
            )
            return [Version(n, job, own, other, plan, at, Stage(stage)) for n, job, own, other, plan, at, stage in found]

    def version(self, job: str) -> Version:
        """Raises JobNotFound for a model that is not in the registry."""
        for version in self.versions():
            if version.job == job:
                return version
        raise JobNotFound(f"no model of job {job} is registered here", remedy="See `models`, or train again.")

    def moves(self) -> list[Move]:
        """All that were committed, oldest first."""
        return self._moves(committed=1)

    def prepared(self) -> Move | None:
        """The move that was prepared and not committed, if any."""
        return next(iter(self._moves(committed=0)), None)

    def _moves(self, *, committed: int) -> list[Move]:
        with self._book() as book:
            return self._read(book, committed)

    def _read(self, book: sqlite3.Connection, committed: int) -> list[Move]:
        found = book.execute(
            "select job, action, champion, anew, at, position, bank from moves where committed = ? and bank = ?"
            " order by number",
            (committed, self._bank),
        )
        return [Move(job, action, model, bool(anew), *rest) for job, action, model, anew, *rest in found]

    @property
    def moved(self) -> int:
        """How many moves were committed, with all banks."""
        return sum(len(chain.moves()) for chain in self.chains())

    @property
    def position(self) -> bytes:
        """The position of this registry, 32 bytes: the hash of the chain of its moves."""
        return _last_of(self.moves())

    @property
    def champion(self) -> str | None:
        moves = self.moves()
        return moves[-1].champion if moves else None

    def champions(self) -> list[str]:
        """The champion last, before it those to which rollbacks would lead."""
        found: list[str] = []
        for move in self.moves():
            found = [] if move.anew else found
            if move.action == "rollback":
                found.pop()
            else:
                found.append(move.champion)
        return found

    def target(self, plan: PromotePlan) -> str:
        """The model that `plan` makes the champion. Raises PolicyError or JobNotFound for a plan that cannot be followed."""
        former = self.champions()
        if plan.model is None:
            if len(former) < 2:
                raise PolicyError("there is no champion to roll back to", remedy="Promote a model instead.")
            return former[-2]
        if self.version(plan.model).job == self.champion and not plan.anew:
            raise PolicyError(f"{plan.model} is the champion already")
        return plan.model

    def prepare(self, job: str, plan: PromotePlan, champion: str, *, anew: bool) -> Move:
        """Writes the move down, to be committed or dropped; one at a time."""
        step = json.dumps([job, plan.action, champion, anew]).encode()
        with self._book() as book:
            book.execute("begin immediate")  # another job may commit or settle a move just then
            before = ORIGIN if anew else _last_of(self._read(book, committed=1))
            position = hashlib.blake2b(before + step, digest_size=32, person=b"wattscore.move").digest()
            move = Move(job, plan.action, champion, anew, self._clock(), position, self._bank)
            book.execute("delete from moves where not committed and bank = ?", (self._bank,))
            book.execute(
                "insert into moves (job, action, champion, anew, at, position, committed, bank)"
                " values (?, ?, ?, ?, ?, ?, 0, ?)",
                (move.job, move.action, move.champion, move.anew, move.at, move.position, move.bank),
            )
        return move

    def commit(self, position: bytes | None = None) -> None:
        """The prepared move counts from now on, all or nothing of it; position: that of the move that is meant.

        One that counts already, as another job has settled it meanwhile, stays. Raises PolicyError where another one was
        prepared in its place.
        """
        with self._book() as book:
            book.execute("begin immediate")
            move = next(iter(self._read(book, committed=0)), None)
            if position is not None and _last_of(self._read(book, committed=1)) == position:
                return
            if move is None or position not in (None, move.position):
                message = "another promotion has taken the place of this one"
                raise PolicyError(message, remedy="Promote again, one after the other.")
            book.execute("update moves set committed = 1 where bank = ? and position = ?", (self._bank, move.position))
            gone = f"update models set stage = ? where stage = ? and job not in ({_LAST})"  # noqa: S608  (no bank's champion)
            book.execute(gone, (Stage.RETIRED.value, Stage.CHAMPION.value))
            book.execute("update models set stage = ? where job = ?", (Stage.CHAMPION.value, move.champion))

    def drop(self) -> None:
        """Forgets a prepared move."""
        with self._book() as book:
            book.execute("delete from moves where not committed and bank = ?", (self._bank,))


def _last_of(moves: Sequence[Move]) -> bytes:
    return moves[-1].position if moves else ORIGIN
