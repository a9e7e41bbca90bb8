"""What makes a run of rows of a training, for whoever computes runs in a process of its own: a row each in `learners`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from common.mpc.abreast import Pieces
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Words
from common.mpc.session import Session


class Run(Protocol):
    """A run of rows at one party."""

    async def step(self, number: int, own: Words, other: Words) -> Sequence[tuple[Words, Words]]:
        """See `mpc.abreast.Runner`."""


@dataclass(frozen=True)
class Lanes:
    """A learner's runs of rows, each known by its number, from 1.

    make: one, of what `Spread.opened` is given, or of the rows of `rows` as `Part`s. rows: which of the arrays' rows it reads.
    """

    make: Callable[[Session, Correlations, Mapping[str, Any], Mapping[str, Any], int], Run]
    rows: Callable[[Mapping[str, Any], int], Pieces]
