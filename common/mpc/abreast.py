"""Runs of rows of one computation that go on abreast, each by arrays of its own channels. PROTOCOL.md section 9.

Sums over rows are modular and masks are keyed by spans, so that no result tells into how many runs rows were cut, nor who
computed which. Whoever computes a run has this party's seed, its rows and its vectors; labels, books and what is opened stay
with the session that begins them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from common.errors import LocalProtocolError
from common.mpc.fixedpoint import Words
from common.mpc.session import Array, Channel, Kind, Session
from common.mpc.transcript import SUM_BYTES
from common.party import Party

MOST_ROW_LANES = 16
_NUMBERS = 40  # bits of the number of an array within a run


def run_of(place: int, count: int, lanes: int) -> int:
    """Which of so many runs, from 0, has the span at this place of `count`."""
    return place * lanes // count


def in_turns(count: int, lanes: int) -> list[int]:
    """The places of so many spans in the order in which they are dealt: of each run the first, then of each the second."""
    lows: dict[int, int] = {}
    for place in range(count):
        lows.setdefault(run_of(place, count, lanes), place)
    return sorted(range(count), key=lambda place: (place - lows[run_of(place, count, lanes)], place))


class RunSession(Session):
    """The rounds of one run, from 1, with the other party's of the same run. It opens nothing.

    Its arrays have numbers that no other run's have, so that a transcript of all of them tells which was which.
    """

    def __init__(self, party: Party, channel: Channel, run: int) -> None:
        super().__init__(party, channel, allowed=frozenset(), whom=f"the {party.other.value}, of run {run} of rows")
        self._sent = self._received = run << _NUMBERS


@dataclass(frozen=True)
class Account:
    """What went over a run's channels: sums as `Transcript` has them, rounds, and bytes by kind."""

    said: int = 0
    taken: int = 0
    rounds: int = 0
    sent: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, session: Session) -> Account:
        said, taken = (int.from_bytes(one.sum.tobytes(), "little") for one in (session.said, session.taken))
        sent = {kind.value: count for kind, count in session.traffic.sent.items()}
        return cls(said, taken, session.traffic.rounds, sent)

    def enter(self, session: Session) -> None:
        """Into that of the session by which the runs were begun: what both parties compare is then of all that went."""
        session.said.join(self.said)
        session.taken.join(self.taken)
        session.traffic.rounds += self.rounds
        for name, count in self.sent.items():
            kind = Kind(name)
            session.traffic.sent[kind] = session.traffic.sent.get(kind, 0) + count


assert SUM_BYTES == 16  # noqa: S101  (as an Account has them)


Pieces = Sequence[tuple[int, int]]  # of rows, each from and to, apart from each other and in order


def joined(rows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pieces that these rows make up, each from and to: what overlaps or touches is one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(rows):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


class Part:
    """An array of which these rows are read, by slices, and no other ones."""

    def __init__(self, values: Any, pieces: Pieces) -> None:
        self._values, self._pieces, self.shape = values, pieces, values.shape

    def __getitem__(self, rows: slice) -> Any:
        low, high, _ = rows.indices(self.shape[0])
        if any(first <= low <= high <= last for first, last in self._pieces):
            return self._values[low:high]
        raise LocalProtocolError("a run of rows reads others than its own", got=f"{low} to {high}")


class Runner(Protocol):
    """One run of rows, wherever it is computed."""

    async def step(self, number: int, own: Words, other: Words) -> Sequence[tuple[Words, Words]]:
        """What its spans of this step pull, of each part: own columns and the other's. own, other: what u is made of."""

    async def account(self) -> Account:
        """Of all that went, once no step is under way."""


class Spread(Protocol):
    """How a party has runs of rows computed."""

    @property
    def most(self) -> int:
        """How many runs both parties and who deals have agreed on; 0 or 1: rows stay together."""

    @property
    def elsewhere(self) -> bool:
        """Whether other processes of this party compute them, and so read its rows."""

    def opened(
        self, learner: str, about: Mapping[str, Any], arrays: Mapping[str, Array], lanes: int
    ) -> AbstractAsyncContextManager[Sequence[Runner]]:
        """So many runs, each with its streams to the other party and to who deals; ended at the end.

        learner, about: what makes a run, by `learners.RUNS`, and the sizes that it is made of, as JSON has them.
        """


def spread_of(correlations: object) -> Spread | None:
    """How runs are computed apart of what this source of randomness serves; None where rows stay together."""
    found: Spread | None = getattr(correlations, "spread", None)
    return found
