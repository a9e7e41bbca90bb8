"""What stages know of a learner that trains with several banks, beside what `learner` says of all. PROTOCOL.md section 16."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from common.disk.scratch import Scratch
from common.errors import PlanError
from common.learn.diary import Diary
from common.learn.layout import BanksLayout
from common.learn.learner import Size, Task, Trained
from common.mpc.correlations.asked import Correlations
from common.mpc.cost import Cost
from common.mpc.fixedpoint import Reals
from common.mpc.session import Session
from common.mpc.several.hub import Hub
from common.plan.section import Section

S = TypeVar("S", bound=Section, contravariant=True)


@dataclass(frozen=True, repr=False)
class Part:
    """One bank's part of a training as the grid or this bank has it. number: the bank's place; who: its identity.

    rows: of it that train.
    """

    number: int
    who: str
    session: Session
    correlations: Correlations
    rows: int


class SeveralTask(Protocol):
    """One end's part of such a training that is about to begin."""

    @property
    def warnings(self) -> Sequence[str]:
        """What its owner should know of its rows before."""

    @property
    def steps(self) -> int: ...

    async def train(self, hub: Hub, scratch: Scratch | None, diary: Diary) -> Trained:
        """Trains together with the other ends, from where the diary begins. The grid's half is of all banks: see `line_of`."""


class TaskAtBank(SeveralTask, Protocol):
    """The same at a bank; alone: its part as a learner of one bank has it, by which the bank measures its own columns."""

    @property
    def alone(self) -> Task: ...


class SeveralLearner(Protocol[S]):
    """How one grid and several banks train a model of this kind."""

    @property
    def whitened(self) -> bool:
        """Whether the banks' columns are whitened, by second moments that all banks are told."""

    @property
    def strict(self) -> bool:
        """Whether its path shows so much to a coalition that a bank which has said nothing of one refuses."""

    def label_bits(self, section: S, size: Size) -> float:
        """As `Learner.label_bits`, of one bank's labels: what the grid and the other banks are told of them."""

    def ridge(self, section: S) -> float:
        """The ridge that whitening allows for."""

    def layout(self, grid: int, common: int, rows: Sequence[int]) -> BanksLayout:
        """rows: training rows of each bank, as the grid knows them."""

    def layout_of(self, grid: int, common: int, banks: int, total: int, taken: int) -> BanksLayout:
        """The same as a bank is told it. taken: of a layout that has it."""

    def path(self, section: S, layout: Any, rows: int) -> tuple[int, int]:
        """The fewest of one bank's `rows` that a step is over, and steps times weights: what its path would show of them."""

    def cost(self, section: S, layout: Any, rows: int, *, speaks: bool) -> Cost:
        """The bytes of the training at a bank of so many training rows, from its first message to its last.

        speaks: for all banks, as the first one does.
        """

    def dealt(self, section: S, layout: Any, rows: Sequence[int]) -> int:
        """The bytes that the grid is dealt for it, over all lines. rows: training rows of each bank."""

    def more_rounds(self, section: S, layout: Any) -> int:
        """How many more messages one after another it takes than the training of as many rows of one bank."""

    def at_bank(
        self, part: Part, layout: Any, section: S, prepared: Any, label: Reals, scratch: Scratch | None
    ) -> TaskAtBank: ...

    def at_grid(self, parts: Sequence[Part], layout: Any, section: S, prepared: Any, scratch: Scratch | None) -> SeveralTask:
        """parts: of all banks; prepared: rows of all, each bank's after the other."""


def check_trained_with(job: str, bank: str, banks: Collection[str]) -> None:
    """Raises PlanError for a bank, by identity, that is none of those whose model this is."""
    if bank not in banks:
        raise PlanError(f"the model of job {job} was not trained with {bank}", remedy=f"It was with: {', '.join(banks)}.")
