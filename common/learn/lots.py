"""Rows of a demand in the lots in which they are masked: taken in order, each once, whatever becomes of what took them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from common.errors import PolicyError

H = TypeVar("H")


@dataclass(repr=False)
class Lot(Generic[H]):
    """Rows that are masked under one key: how many there are, how many were taken, and what masks them once it is there."""

    key: int
    rows: int
    used: int = 0
    masks: H | None = None

    def begun(self, make: Callable[[], H]) -> H:
        """What masks it, which is made where nothing of it was asked for yet."""
        if self.masks is None:
            self.masks = make()
        return self.masks


@dataclass(frozen=True, repr=False)
class Piece(Generic[H]):
    """Rows of a table, and their places in a lot."""

    lot: Lot[H]
    at: slice
    rows: slice

    @property
    def count(self) -> int:
        return int(self.rows.stop - self.rows.start)

    @property
    def last(self) -> bool:
        """Whether the lot is used up by it."""
        return bool(self.at.stop == self.lot.rows)


class Lots(Generic[H]):
    """The lots of one demand. blocks: key and rows of each, as the demand gives them; rows: in all."""

    def __init__(self, blocks: Iterator[tuple[int, slice]], rows: int) -> None:
        self._coming, self._lot = blocks, Lot[H](0, 0)
        self._left = rows

    def ahead(self) -> Lot[H] | None:
        """The lot that the next row is taken from, for who has its masks made before; None where no row is left."""
        if not self._left:
            return None
        if self._lot.used == self._lot.rows:
            key, at = next(self._coming)
            self._lot = Lot(key, at.stop - at.start)
        return self._lot

    def take(self, rows: int) -> deque[Piece[H]]:
        """Masks for so many rows, which nobody takes again. Raises PolicyError for more than are left."""
        if rows > self._left:
            message = f"{rows} rows are to be scored, and randomness is left for {self._left}"
            raise PolicyError(message, remedy="Deal more ahead: `wattscore predeal`.")
        pieces, low = deque[Piece[H]](), 0
        while low < rows:
            lot = self.ahead()
            assert lot is not None  # noqa: S101
            first = lot.used
            lot.used = min(lot.rows, first + rows - low)
            high = low + lot.used - first
            self._left -= high - low
            pieces.append(Piece(lot, slice(first, lot.used), slice(low, high)))
            low = high
        return pieces
