"""A training of several banks as all its lines have it: what each asks the dealer for, and which columns all ends have.

PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from common.errors import PeerProtocolError


@dataclass(frozen=True)
class LineDemand:
    """Asks the dealer for the training of several banks, as the line of one of them has it.

    rows: of this bank. bank_columns: its own, those of all banks first, then its intercept. first: the step to begin with.
    """

    rows: int
    grid_columns: int
    bank_columns: int
    first: int = 0


@dataclass(frozen=True)
class LineEpochDemand:
    """Asks for epoch `number`, from 0 on, of such a training that may end early; the rest as in `LineDemand`."""

    number: int
    rows: int
    grid_columns: int
    bank_columns: int


@dataclass(frozen=True)
class BanksLayout:
    """The columns of the grid, those that all banks have, the number of banks, and the training rows of all of them."""

    grid: int
    common: int
    banks: int
    total: int

    @classmethod
    def over(cls, grid: int, common: int, rows: Sequence[int]) -> Self:
        """rows: training rows of each bank."""
        return cls(grid, common, len(rows), sum(rows))

    @classmethod
    def of(cls, asked: Sequence[LineDemand] | Sequence[LineEpochDemand]) -> Self:
        """Raises PeerProtocolError where the lines do not fit each other."""
        first = asked[0]
        for other in asked:
            if replace(other, rows=first.rows) != first:
                said = "the banks ask the dealer for columns or steps that do not fit"
                raise PeerProtocolError(said, expected=first, got=other)
        return cls.over(first.grid_columns, first.bank_columns - 1, [one.rows for one in asked])

    @property
    def bank(self) -> int:
        """Columns of all banks: the common ones, and an intercept a bank."""
        return self.common + self.banks

    @property
    def columns(self) -> int:
        return self.grid + self.bank

    @property
    def sampled(self) -> int:
        """How many training rows tell what both sides' columns have in common, where a learner asks that."""
        return self.total

    def demand(self, rows: int, first: int = 0) -> LineDemand:
        return LineDemand(rows, self.grid, self.common + 1, first)

    def epoch(self, rows: int, number: int) -> LineEpochDemand:
        return LineEpochDemand(number, rows, self.grid, self.common + 1)
