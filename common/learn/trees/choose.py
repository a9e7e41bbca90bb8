"""Choosing a leaf for each row: either party knows part of the row's path, and neither the leaf. PROTOCOL.md section 14.

A leaf's value is the sum of both parties' shares. Each party picks from the other's table by its own part of the path, an
oblivious transfer whose pads were dealt: the sender pads each leaf, the receiver can take off the pad of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.learn.trees.masks import ChoiceMasks, Short
from common.mpc.narrow import Bytes


@dataclass(frozen=True)
class Levels:
    """Which levels of a tree this party splits, as bits of a path: the upper one is the first level's."""

    own: int
    depth: int

    @classmethod
    def of(cls, owned: npt.NDArray[np.bool_]) -> Levels:
        """owned: (depth,)."""
        depth = len(owned)
        return cls(sum(1 << (depth - 1 - level) for level in np.flatnonzero(owned).tolist()), depth)

    @property
    def other(self) -> int:
        return (1 << self.depth) - 1 - self.own

    @property
    def entries(self) -> int:
        """Leaves that are sent for a row to who has this many levels: all it could choose but one."""
        return (1 << self.own.bit_count()) - 1

    @property
    def sent(self) -> int:
        """The same, of what this party sends."""
        return (1 << self.other.bit_count()) - 1


def subsets(bits: int) -> list[int]:
    """All numbers other than zero that have no bit but these, ascending."""
    found, part = [], 0
    while part != bits:
        part = (part - bits) & bits
        found.append(part)
    return found


def hidden_choice(masks: ChoiceMasks, path: Bytes) -> Bytes:
    """What the other party is sent: (rows,), the own part of each path under its mask; `path` has zeros elsewhere."""
    return path ^ masks.choice


def offered(masks: ChoiceMasks, levels: Levels, table: Short, path: Bytes, theirs: Bytes) -> tuple[Short, Short]:
    """What is sent of the own table, (levels.sent, rows), and the own share of what is picked from it, (rows,).

    table: (leaves,), this party's shares. path: its own part of each row's path. theirs: the other's hidden choice.
    """
    rows, other = len(path), np.uint8(levels.other)
    pads, point = masks.pads().reshape(-1), theirs & other
    known = placed(theirs & ~other)  # the other's mask where it chooses nothing
    share: Short = table.take(path | point) + pads.take(known)
    out: Short = np.empty((levels.sent, rows), np.uint16)
    for row, entry in zip(out, subsets(levels.other), strict=True):
        np.add(table.take(path | (np.uint8(entry) ^ point)), pads.take(known + entry * rows), out=row)
        row -= share
    return out, share


def placed(paths: Bytes) -> npt.NDArray[np.intp]:
    """The places of these leaves of each row in an array (leaves, rows) taken as one line."""
    found: npt.NDArray[np.intp] = paths.astype(np.intp)
    found *= len(paths)
    found += np.arange(len(paths))
    return found


def picked(masks: ChoiceMasks, levels: Levels, received: Short, dealt: Short) -> Short:
    """The own share of what is picked from the other's table, (rows,). received: (levels.entries, rows); dealt: (rows,)."""
    place = np.zeros(1 << levels.depth, np.uint8)
    for index, entry in enumerate(subsets(levels.own), 1):
        place[entry] = index
    entries = np.concatenate([np.zeros((1, len(dealt)), np.uint16), received]).reshape(-1)
    chosen: Short = entries.take(placed(place.take(masks.choice & np.uint8(levels.own))))
    return chosen - dealt


def packed_paths(paths: Bytes, depth: int) -> Bytes:
    """(depth, bytes): the low `depth` bits of each path, a row for each bit."""
    planes = (paths[None, :] >> np.arange(depth, dtype=np.uint8)[:, None]) & np.uint8(1)
    return np.packbits(planes, axis=1)


def unpacked_paths(packed: Bytes, rows: int) -> Bytes:
    planes = np.unpackbits(packed, axis=1, count=rows)
    found: Bytes = (planes << np.arange(len(planes), dtype=np.uint8)[:, None]).sum(0, dtype=np.uint8)
    return found
