"""What can be dealt ahead and stored, as a learner says it: a demand, and the arrays that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from common.mpc.correlations.asked import Demand
from common.mpc.session import Round
from common.party import Party

Arrays = Iterator[tuple[Round, tuple[int, ...]]]


@dataclass(frozen=True)
class Ahead:
    """What can be dealt ahead and stored, all of which is known beforehand.

    demand: what the dealer is asked for, the same at both parties. arrays: label and shape of each array of words that a
    party is dealt for it, in the order of its use. alike: all that decides, beside the size, which arrays these are.
    then: what is dealt after it under the same seed, and used beside it, by who uses it at all.
    """

    demand: Demand
    arrays: Callable[[Party], Arrays]
    alike: tuple[object, ...]
    then: Ahead | None = None

    def parts(self) -> Iterator[Ahead]:
        """It and all that is dealt after it."""
        yield self
        if self.then is not None:
            yield from self.then.parts()

    def all_arrays(self, party: Party) -> Arrays:
        """As `arrays`, of all parts."""
        for part in self.parts():
            yield from part.arrays(party)
