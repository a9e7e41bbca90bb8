"""The bank's end of a job whose rows are asked for one after another: what it asks, and what it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from common.rows.given import Given
from common.rows.table import FeatureTable

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """The answer to one request: what was decided of the row, by column; why not, where nothing was."""

    name: str
    decided: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True, repr=False)
class Warm:
    """A session that is ready for requests: its job, its model, the rows there are, and what it can still be asked for.

    places: of the bank's own rows, by name, in months that both have. rows: how many the stock in use serves; waiting:
    those of each stock behind it, as they lie on disk when it is called. stocked: whether the model needs any. given: reads
    rows that come with a request.
    """

    job: str
    model: str
    places: Mapping[str, int]
    rows: int
    waiting: Callable[[], Sequence[int]]
    stocked: bool
    given: Given = field(default_factory=lambda: Given({}))


@dataclass(frozen=True)
class Remains:
    """What stands after a request: the rows that the stock in use still serves; whether the grid has newer rows by now.

    untold: why rows had no reasons of the grid, where the plan asks for them.
    """

    rows: int
    stale: bool
    untold: str = ""


@dataclass
class Requests:
    """How far a session of requests is, for who watches whether it goes on: how many it has had; whether it waits for one."""

    begun: int = 0
    wanted: bool = False

    async def next(self, coming: Awaitable[T]) -> T:
        """The next request, which may never come."""
        self.wanted = True
        try:
            return await coming
        finally:
            self.begun, self.wanted = self.begun + 1, False


class Desk(Protocol):
    """The bank's end of a job whose rows are asked for one after another."""

    def taking(self) -> AbstractAsyncContextManager[None]:
        """Within it the session takes a stock, and no other of this party does. Raises PolicyError where it may have none."""

    def ready(self, warm: Warm) -> None:
        """The session is warm: from here on `ask` is called."""

    async def ask(self) -> Sequence[str] | None:
        """The rows wanted next, by name as `align.row_names` has them; None to end the job."""

    @property
    def given(self) -> FeatureTable | None:
        """The rows just asked for, in their order, where they came with the request; None where the dataset's are meant."""

    @property
    def decoys(self) -> Collection[str]:
        """Those of the rows just asked for that nobody has asked this side for: they are told to nobody, and not filed."""

    async def hear(self, answers: Sequence[Answer], remains: Remains) -> None:
        """The answers, in the order in which rows were asked for."""
