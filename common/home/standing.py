"""Where a budget stands: what each row may be used for, what is spent of that, and what for."""

from __future__ import annotations

from dataclasses import dataclass

from common.mpc.fixedpoint import Reals


@dataclass(frozen=True)
class Charge:
    """One entry of a book: by which job or model, what for, how much in all, and over how many rows."""

    user: str
    what: str
    amount: float
    rows: int


@dataclass(frozen=True, repr=False)
class Standing:
    """A budget of rows. of: what is counted, in words; key: the policy's, whose value is `limit`, the most of any row.

    spent: of each row that was ever charged, (n,), in no order. charges: as far as the book keeps them, oldest first.
    """

    of: str
    key: str
    limit: float
    spent: Reals
    charges: tuple[Charge, ...]

    @property
    def most(self) -> float:
        """What is spent of the row of which most is."""
        return float(self.spent.max(initial=0.0))

    @property
    def left(self) -> float:
        """What is left of that row; of a row that was never charged, all is."""
        return max(0.0, self.limit - self.most)
