"""What hidden units are to a step, whatever their activation. Arrays are (units, rows). PROTOCOL.md section 15."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.mpc.correlations.asked import Correlations
from common.mpc.correlations.source import Source
from common.mpc.fixedpoint import Words
from common.mpc.session import Session

Which = slice | npt.NDArray[np.intp]
"""Some of the rows that masks were taken for, by their places."""


@dataclass(frozen=True, repr=False)
class Seat:
    """A party in its training or scoring: the other one, its randomness, and what of that is asked for by label."""

    session: Session
    correlations: Correlations
    source: Source


@dataclass(frozen=True, repr=False)
class Output:
    """The output weights as products take them: `opened` is they less a mask, the same at both; `mask` a share of that mask."""

    opened: Words
    mask: Words


@dataclass(frozen=True, repr=False)
class Lacks:
    """What the parties' sums lack, which the dealer knows: of u, (rows,), and of the residual times values, (units,)."""

    u: Words
    output: Words


class Held(Protocol):
    """What the way back needs of the way forth."""

    def pulled(self, opened: Words, share: Words, hide: Words) -> tuple[Words, Words]:
        """Shares of the residual times each unit's slope, (units, rows), and of it times its value, summed over rows, (units,).

        opened: the residual less its mask, (rows,); share: this party's of the residual; hide: its half of the mask. At
        `scales.pulled` and `scales.value`; what the second lacks the dealer knows.
        """


class UnitMasks(Protocol):
    """What some rows consume at one party, by whatever activation."""

    async def ready(self) -> None:
        """Fetches now what is dealt of it, which the first row would else wait for."""
