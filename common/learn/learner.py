"""What a learner is, and what it leaves: all that stages, stores and the two companies know of any of them.

A learner has a folder of its own here, a section in plans (`plan.section`), and a row in `learners` and in `dealings`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from common.disk.scratch import Scratch
from common.errors import PolicyError
from common.features.bins import BinnedColumn
from common.features.fit import FittedPreparation
from common.features.options import Preparation
from common.learn.dealt_ahead import Ahead
from common.learn.diary import Diary, Progress
from common.mpc.correlations.asked import Correlations, DealerLink
from common.mpc.cost import Cost
from common.mpc.fixedpoint import Reals
from common.mpc.session import Array, Kind, Round, Session
from common.party import Party
from common.plan.section import Floors, Section
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable, Index
from common.stats.logistic import Design

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Size:
    """The size of a training: its rows, and the trained columns of each side, a learner's intercept among the bank's.

    banks: whose rows these are.
    """

    rows: int
    grid_columns: int
    bank_columns: int
    banks: int = 1

    def columns(self, party: Party) -> int:
        return self.grid_columns if party is Party.GRID else self.bank_columns

    @property
    def by_party(self) -> dict[Party, int]:
        """The columns of each."""
        return {party: self.columns(party) for party in Party}

    @classmethod
    def of(cls, party: Party, rows: int, own: int, other: int) -> Size:
        """The size as `party` sees it."""
        return cls(rows, own, other) if party is Party.GRID else cls(rows, other, own)


@dataclass(frozen=True, repr=False)
class Matched:
    """One party's matched rows as a learner is given them, the `train_rows` training rows first.

    columns: as declared or inferred. binned: those to train on, where the coding is bins or woe. room: the most columns to
    train where it is auto, if the lines are fewer.
    """

    party: Party
    table: FeatureTable
    columns: Mapping[str, ColumnConfig]
    train_rows: int
    binned: Sequence[BinnedColumn] = ()
    room: int = 0


class Half(Protocol):
    """One party's half of a trained model, of whatever learner: what it needs, with the other's half, to score."""

    @property
    def learner(self) -> str:
        """The name of the learner that scores with it."""

    @property
    def job(self) -> str: ...

    @property
    def party(self) -> Party: ...

    @property
    def fitted(self) -> FittedPreparation:
        """This party's own preparation, which nobody else holds."""

    @property
    def source(self) -> dict[str, ColumnConfig]:
        """The dataset's columns as declared or inferred: later files are read the same way."""

    @property
    def about(self) -> dict[str, Any]:
        """Plan, dataset fingerprint, software, warnings: what a reviewer asks for."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the prepared columns, the bank's intercept last."""

    @property
    def closed(self) -> bool:
        """Whether nobody holds the model: no parameter was opened, and rows are scored on shares."""

    @property
    def repeats(self) -> bool:
        """Whether a row's score by it is the same however the other's columns are chosen, so that another tells nothing new."""

    @property
    def coefficients(self) -> Reals | None:
        """What u adds for each of the prepared columns, (m,), where that was opened to this party."""

    @property
    def split_counts(self) -> dict[str, int] | None:
        """How many levels of its trees each source column of this party splits; None of a model without trees."""


@dataclass(frozen=True, repr=False)
class Packed:
    """The bytes of a model's two files."""

    text: bytes
    arrays: bytes

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal: of the text, which holds that of the arrays."""
        return hashlib.sha256(self.text).hexdigest()


class Prepared(Protocol):
    """One party's matched rows as it prepared them by itself, from training rows alone."""

    @property
    def fitted(self) -> FittedPreparation: ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the m columns, the bank's intercept last."""

    def matrix(self, low: int, high: int) -> Reals:
        """Rows low to high, standardised, float64 (high - low, m); at the bank with a last column of ones."""

    def means(self, rows: int) -> Reals:
        """The mean of each column over the first `rows` rows, (m,)."""


@dataclass(frozen=True, repr=False)
class Basis:
    """A party's own training rows in the coordinates it trains in, for a regression on them alone.

    design: (n, m). penalty: (m, m), the ridge on weights there. back: (m, m), which takes weights to prepared columns.
    """

    design: Design
    penalty: Reals
    back: Reals
    ridge: float


class Trained(Protocol):
    """What one party holds at the end of a training."""

    def half(self, job: str, source: dict[str, ColumnConfig], about: dict[str, Any]) -> Half: ...


class Task(Protocol):
    """One party's part of a training that is about to begin."""

    @property
    def size(self) -> Size: ...

    @property
    def steps(self) -> int:
        """How many steps it takes."""

    @property
    def warnings(self) -> Sequence[str]:
        """What its owner should know of its rows before."""

    @property
    def basis(self) -> Basis: ...

    def filled(self, size: Size) -> Task:
        """The same with zeros up to `size`, for which a stock was dealt; what it trains is as without them."""

    async def train(self, session: Session, correlations: Correlations, scratch: Scratch | None = None) -> Trained:
        """Trains together with the other party. What does not fit in memory goes to `scratch`."""


@runtime_checkable
class Resumable(Protocol):
    """A task that says its own state. One that does not begins anew when its training is interrupted."""

    async def resume(self, session: Session, correlations: Correlations, scratch: Scratch | None, diary: Diary) -> Trained:
        """Trains as `Task.train` does, from where the diary begins."""


@runtime_checkable
class MakesAhead(Protocol):
    """A learner, of trainings that nobody deals for, of which both parties can make a part before there are rows."""

    def make_ahead(self, session: Session, section: Any, size: Size, seed: bytes) -> AsyncGenerator[tuple[Round, Array]]:
        """The arrays that `Learner.ahead` lists for this party, in their order. seed: this party's of the stock."""

    def cost_making(self, party: Party, section: Any, size: Size) -> Cost:
        """The bytes of that."""

    def making_rounds(self, section: Any, size: Size) -> int:
        """How many messages one after another it takes."""

    def making_work(self, section: Any, size: Size) -> float:
        """As `Learner.work`."""

    def cost_made(self, party: Party, section: Any, size: Size) -> Cost:
        """The bytes of a training with it."""

    def made_rounds(self, section: Any, rows: int) -> int:
        """As `Learner.rounds` of one."""


@runtime_checkable
class Drawing(Protocol):
    """A task that nobody deals for, which may take what both parties have made before from a stock."""

    def drawing(self, seed: bytes, stored: DealerLink, size: Size) -> Task:
        """The same with a stock for this size, each array of which it takes once. seed: this party's of it."""


async def train(
    task: Task, session: Session, correlations: Correlations, scratch: Scratch | None = None, diary: Diary | None = None
) -> Trained:
    """Trains together with the other party, from where the diary begins if the task can.

    Raises PolicyError where it cannot, and the training was through: what followed may have been told, and would be once more.
    """
    if diary is None:
        return await task.train(session, correlations, scratch)
    if isinstance(task, Resumable):
        return await task.resume(session, correlations, scratch, diary)
    if diary.begin is not None:
        raise PolicyError(
            "the job was interrupted after its training, which a model of this kind does not go on from",
            remedy="Submit it again.",
        )
    trained = await task.train(session, correlations, scratch)
    await diary.enter(Progress(1, 1, {}))
    return trained


class Stepping(Protocol):
    """A training's part at one party, of whatever number of parties."""

    @property
    def steps(self) -> int:
        """How many steps it takes at most."""


@runtime_checkable
class Counted(Protocol):
    """What a training left that may have ended before the last of its task's steps."""

    @property
    def steps(self) -> int:
        """How many it took."""


def steps_of(task: Stepping, trained: Trained) -> int:
    """How many steps a training took."""
    return trained.steps if isinstance(trained, Counted) else task.steps


def opens_once(learner: object, section: Section) -> bool:
    """Whether a training that goes on opens nothing again. A learner that does not say so is taken to."""
    return bool(getattr(learner, "opens_once", lambda _: False)(section))


@dataclass(frozen=True)
class Telling:
    """How scores are told to the bank: under which kind of message, in steps of 2^-bits log-odds.

    number: of this scoring in its job. dealt: rows for which there is randomness, where that was dealt ahead.
    """

    kind: Kind
    bits: int
    number: int = 0
    dealt: int | None = None


class Request(Protocol):
    """Rows that the bank asks for, of which it is not known yet whether the grid's books let them be scored."""

    @property
    def taken(self) -> int:
        """How many rows' masks it has taken already, whatever becomes of them."""

    async def open(self, kept: Index) -> Reals | None:
        """As `RowScores.open`, of those that may be: their places (k,) among all that were asked for, ascending."""


class RowScores(Protocol):
    """Scores of tables of rows by one model, one table after another, in one session."""

    async def warm(self) -> None:
        """Does now what the first row would else wait for."""

    async def open(self, table: FeatureTable) -> Reals | None:
        """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits; None at the grid, which sends the kind."""

    async def ask(self, table: FeatureTable, at: Index, count: int) -> Request:
        """The same of rows that are asked for: what the bank can send with its request, and the grid can do before it answers.

        table: the rows (n,) that this party has among the `count` asked for, at their places `at` (n,) there, ascending; the
        bank has all.
        """


class Learner(Protocol[S]):
    """A kind of model, and how two parties train and use it. Its section in plans is of type S."""

    @property
    def name(self) -> str:
        """By it files of its models name it."""

    def prepare(self, section: S, rows: Matched, options: Preparation, leverage: float) -> tuple[Prepared, list[str]]:
        """This party's rows prepared, and warnings for it. leverage: the largest that a column may give a training row."""

    def check(self, section: S, size: Size, floors: Floors) -> None:
        """Raises PolicyError for a training that can be told to be too short only now that its size is known."""

    def task(self, section: S, prepared: Any, rows: Matched, other_columns: int, scratch: Scratch | None = None) -> Task:
        """A party's part of the training; prepared: by this learner."""

    def steps(self, section: S, size: Size) -> int:
        """How many steps a training of this size takes."""

    def rounds(self, section: S, size: Size) -> int:
        """How many messages one after another the parties exchange for them, once matrices are masked."""

    def work(self, section: S, size: Size) -> float:
        """How many values of a matrix all steps multiply by a vector forth and back, or what takes as long."""

    def values(self, section: S, size: Size) -> tuple[float, float]:
        """How many values of a row are read, masked and sent, and how many it is scored by, or what takes as long."""

    def label_bits(self, section: S, size: Size) -> float:
        """Most bits of the labels that what this training opens can tell the grid; 0 if it opens nothing to it.

        They are charged to all rows that train: what is told of few of them counts by so much more that these pay for it.
        """

    def ahead(self, section: S, size: Size) -> Ahead:
        """What a training of this size is dealt."""

    def ahead_scores(self, section: S, size: Size, bits: int) -> Ahead:
        """What the scoring of so many rows by a model of so many columns is dealt, in steps of 2^-bits."""

    def scorings(self) -> Iterable[S]:
        """A section for each way in which its models score, as `Section.scoring` has them."""

    def scored_by(self, half: Any) -> S:
        """The one of these by which this model scores."""

    def scored(self, half: Any, rows: int) -> Size:
        """The size of scoring so many rows by a model of which this is one half."""

    def cost(self, party: Party, section: S, size: Size) -> Cost:
        """The bytes of the training at this party, from its first message to its last."""

    def cost_scores(self, party: Party, section: S, size: Size) -> Cost:
        """The bytes of telling the scores of `size.rows` rows by a model that this section trained."""

    def score_rounds(self, section: S, rows: int) -> int:
        """How many messages one after another tell so many scores."""

    async def open_scores(
        self, session: Session, correlations: Correlations, half: Any, table: FeatureTable, telling: Telling
    ) -> Reals | None:
        """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits; None at the grid, which sends the kind."""

    def pack(self, half: Any) -> Packed: ...

    def parse(self, head: Any, arrays: bytes) -> Half:
        """The half that `pack` wrote; raises an error of some kind for anything else."""
