"""Sets of tags, ascending: what the neutral process compares. A tag is a keyed hash of an id, 16 bytes as two words."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Tags = npt.NDArray[np.uint64]  # (n, 2); the first word counts first
Marks = npt.NDArray[np.bool_]

PIECE = 65_536  # tags a message
PIECE_BYTES = 16 * PIECE


def is_ascending(tags: Tags) -> bool:
    """Whether each tag is above the one before it, so that none comes twice."""
    high, low = tags[:, 0], tags[:, 1]
    above = high[1:] > high[:-1]
    return bool(above.all()) or bool((above | (high[1:] == high[:-1]) & (low[1:] > low[:-1])).all())


def move_up(values: npt.NDArray[Any], marks: Marks) -> npt.NDArray[Any]:
    """The marked ones of `values` (n, ...), in their order, moved to the front of that array, of which they are a part."""
    end = 0
    for low in range(0, len(values), PIECE):
        part = values[low : low + PIECE][marks[low : low + PIECE]]
        values[end : end + len(part)] = part
        end += len(part)
    return values[:end]


def count_up_to(tags: Tags, last: Tags) -> int:
    """How many of the ascending `tags` are at most `last` (2,)."""
    low, high = (int(place) for place in (np.searchsorted(tags[:, 0], last[0]), np.searchsorted(tags[:, 0], last[0], "right")))
    return low + int(np.searchsorted(tags[low:high, 1], last[1], "right"))


def mark_common(one: Tags, two: Tags) -> tuple[Marks, Marks]:
    """Which tags of each of two ascending sets, (n, 2) and (m, 2), are in the other: bool (n,) and (m,)."""
    if (two[1:, 0] == two[:-1, 0]).any():  # by chance never; by a party that wants the neutral process slow or wrong
        sets = {tag.tobytes() for tag in one} & {tag.tobytes() for tag in two}
        found = [np.fromiter((tag.tobytes() in sets for tag in tags), np.bool_, len(tags)) for tags in (one, two)]
        return found[0], found[1]
    mine, theirs = np.zeros(len(one), np.bool_), np.zeros(len(two), np.bool_)
    if len(one) and len(two):
        place = np.minimum(np.searchsorted(two[:, 0], one[:, 0]), len(two) - 1)
        mine[:] = (two[place] == one).all(axis=1)
        theirs[place[mine]] = True
    return mine, theirs
