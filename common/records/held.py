"""Arrays by name that share their rows, each read when asked for: in memory, or in files where they are too large for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from common.disk.scratch import Scratch, Stored
from common.scale.engine import Engine


@dataclass(frozen=True, repr=False)
class Codes:
    """A categorical array: codes of an integer type, -1 where missing, of these levels in order."""

    codes: npt.NDArray[Any]
    levels: tuple[str, ...]

    def __getitem__(self, rows: slice) -> Codes:
        return Codes(self.codes[rows], self.levels)

    def __len__(self) -> int:
        return len(self.codes)


Values = npt.NDArray[Any] | Stored


class Held(Mapping[str, Any]):
    """n rows: name -> array (n,), or (n, width) where a width is given; Codes of it where the name has levels.

    `flat` are the arrays row by row, (n,) or (n * width,), in memory or stored; of longer ones only the first `count` rows.
    """

    def __init__(
        self,
        flat: Mapping[str, Values],
        levels: Mapping[str, Sequence[str]] | None = None,
        width: int | None = None,
        count: int | None = None,
    ) -> None:
        self.flat, self.width = dict(flat), width
        self.levels = {name: tuple(texts) for name, texts in (levels or {}).items()}
        sizes = [len(values) // (width or 1) for values in self.flat.values()]
        self._count = min(sizes, default=0) if count is None else count

    def __getitem__(self, name: str) -> Any:
        return self.rows(name, 0, self._count)

    def rows(self, name: str, low: int, high: int) -> Any:
        """The rows from `low` to before `high`."""
        width = self.width or 1
        values = self.flat[name][low * width : high * width]
        if self.width is not None:
            values = values.reshape(high - low, width)
        return Codes(values, self.levels[name]) if name in self.levels else values

    def __contains__(self, name: object) -> bool:
        return name in self.flat

    def __iter__(self) -> Iterator[str]:
        return iter(self.flat)

    def __len__(self) -> int:
        return len(self.flat)


def rows(held: Mapping[str, Any], name: str, low: int, high: int) -> Any:
    """The rows of one array of `held` from `low` to before `high`, in memory."""
    return held.rows(name, low, high) if isinstance(held, Held) else held[name][low:high]


def stores(held: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arrays of `held` as they are kept, to be written by slice."""
    return held.flat if isinstance(held, Held) else held


def part(held: Mapping[str, Any], low: int, high: int) -> dict[str, Any]:
    """These rows of every array."""
    return {name: rows(held, name, low, high) for name in held}


@dataclass(frozen=True)
class Room:
    """Where arrays of one making of features are kept, and how much of them is worked on at once.

    cells: enterprise-months at a time, at least one enterprise. workers: threads over such parts. engine: where recipes are
    evaluated part by part; none: here.
    """

    scratch: Scratch = field(default_factory=Scratch)
    cells: int = 1 << 62
    workers: int = 1
    engine: Engine | None = None

    def cuts(self, sizes: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        """Runs [low, high) of things of these sizes, in order, none above `cells` that is more than one thing."""
        if not len(sizes):
            return []
        ends = np.cumsum(sizes)
        cuts, low = [], 0
        while low < len(sizes):
            before = int(ends[low - 1]) if low else 0
            high = max(low + 1, int(np.searchsorted(ends, before + self.cells, side="right")))
            cuts.append((low, high))
            low = high
        return cuts
