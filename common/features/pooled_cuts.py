"""Where several banks cut a column alike: thresholds near the pooled quantiles, from shares of all rows below asked edges.

Values stand in order as whole numbers of KEY_BITS bits. Cells that hold many rows are parted once more, round after round, and
what is told of an edge is the share of all banks' rows below it, of which each bank rounds its own: in all within half of
2^-SHARE_BITS. PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from common.features.column import Vector

KEY_BITS = 40  # of a number's 64: sign, exponent, and 28 bits of its fraction
SHARE_BITS = 8
ROUNDS, _PARTS = 10, 16  # 16^10 cells are 2^40
_TOP = 1 << KEY_BITS
_STEP = 2.0**-SHARE_BITS

Keys = npt.NDArray[np.uint64]


def keys_of(values: Vector) -> Keys:
    """Whole numbers in the order of these values, below 2^KEY_BITS; 0 for missing ones alone, (n,)."""
    bits = (values + 0.0).view(np.uint64)  # of -0.0 too
    upper = np.uint64(1 << 63)
    ordered = np.where(bits & upper != 0, ~bits, bits | upper) >> np.uint64(64 - KEY_BITS)
    return np.where(np.isnan(values), np.uint64(0), ordered)


def value_of(key: int) -> float:
    """The smallest value of this key."""
    ordered = np.uint64(key << (64 - KEY_BITS))
    upper = np.uint64(1 << 63)
    bits = ordered ^ upper if ordered & upper else ~ordered
    return float(np.array([bits]).view(np.float64)[0])


def name_of(edge: float) -> str:
    """Which values lie below it, for people: below zero an edge is the next number after a short one."""
    return f"<{edge:.12g}" if edge >= 0.0 else f"<={np.nextafter(edge, -np.inf):.12g}"


def asked(number: int, bins: int) -> int:
    """How many edges of each column a round asks of: public, whatever the rows are."""
    return _PARTS if number == 0 else 2 * bins * (_PARTS - 1)


@dataclass
class Search:
    """What is known of one column over all banks' rows: the share of them below each edge that was asked.

    least: of all rows, the share that each bin has at least; a cell of less than half of it is not parted. hidden: the share
    of them that may lie further up than is told. own: how many of one bank's own rows it has said to lie below each edge.
    """

    bins: int
    least: float = 0.0
    hidden: float = 0.0
    shares: dict[int, float] = field(default_factory=lambda: {0: 0.0, _TOP: 1.0})
    own: dict[int, int] = field(default_factory=dict)

    def ask(self, number: int) -> list[int]:
        """The edges of this round: of the cells that hold most rows; zeros for those to spare."""
        if number == 0:
            return [1, *_parted(1, _TOP)]
        edges, shares = self._known()
        light = 0.5 * max(1.0 / self.bins, self.least)
        heavy = [
            (shares[k + 1] - shares[k], edges[k], edges[k + 1])
            for k in range(len(edges) - 1)
            if edges[k + 1] - edges[k] > 1 and shares[k + 1] - shares[k] > light
        ]
        heavy.sort(key=lambda cell: (-cell[0], cell[1]))
        found = [edge for _, low, high in heavy[: 2 * self.bins] for edge in _parted(low, high)]
        return found + [0] * (asked(number, self.bins) - len(found))

    def below(self, keys: Keys, edges: Sequence[int], few: int) -> npt.NDArray[np.int64]:
        """How many of one bank's rows, of ascending keys, it says to lie below the edges of a round, (edges,).

        Where a cell holds fewer than `few` of them, they lie at its end: others may have it parted, who may lie to that end.
        """
        self.own |= {0: 0, _TOP: len(keys)}
        known = np.array(sorted(self.own), np.uint64)
        said, asked_of = np.array([self.own[int(edge)] for edge in known], np.int64), np.array(edges, np.uint64)
        at = np.searchsorted(known, asked_of, side="right") - 1
        low, high = said[at], said[at + 1]
        found: npt.NDArray[np.int64] = np.where(high - low < few, low, np.searchsorted(keys, asked_of))
        self.own |= dict(zip(edges, found.tolist(), strict=True))
        return found

    def told(self, edges: Sequence[int], shares: Sequence[float]) -> None:
        self.shares |= {edge: share for edge, share in zip(edges, shares, strict=True) if edge}

    def _known(self) -> tuple[list[int], list[float]]:
        """Edges, and shares as they can be, whatever a bank has said."""
        edges = sorted(self.shares)
        rising = np.maximum.accumulate(np.clip([self.shares[edge] for edge in edges], 0.0, 1.0))
        return edges, [*rising.tolist()[:-1], 1.0]

    def cuts(self, bins: int) -> tuple[list[float], bool]:
        """Rising edges of at most so many bins, and whether missing values are told apart."""
        edges, shares = self._known()
        need, missing = self.least + self.hidden + _STEP, shares[1]
        apart = missing >= need and 1.0 - missing >= need
        at = [k for k, edge in enumerate(edges) if 1 < edge < _TOP and np.isfinite(value_of(edge))]
        found, done = list[float](), missing if apart else 0.0
        for j in range(1, bins):
            wanted = missing + (1.0 - missing) * j / bins
            able = [k for k in at if shares[k] - done >= need and 1.0 - shares[k] >= need]
            if not able:
                break
            nearest = min(abs(shares[k] - wanted) for k in able)
            if nearest > 1.0 / bins:  # what is left lies in one value
                continue
            best = min(
                (k for k in able if abs(shares[k] - wanted) <= nearest + _STEP),
                key=lambda k: (len(name_of(value_of(edges[k])).lstrip("<=")), abs(shares[k] - wanted)),
            )
            found.append(value_of(edges[best]))
            done = shares[best]
        return found, apart


def _parted(low: int, high: int) -> Iterator[int]:
    """The edges within a cell that part it into 16, or as many as it has whole numbers."""
    return iter(sorted({low + (high - low) * i // _PARTS for i in range(1, _PARTS)} - {low}))
