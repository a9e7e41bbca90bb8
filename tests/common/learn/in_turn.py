"""Rows scored so many at a time, by whichever learner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


async def in_turn(scores: Any, rows: Any, sizes: Sequence[int], *, warm: bool) -> list[Any]:
    """What a learner's `Scores` gives of the first rows, the next, and so on.

    warm: with what it computes before any are asked for.
    """
    low, found = 0, list[Any]()
    if warm:
        await scores.warm()
    for size in sizes:
        found.append(await scores.open(rows.part(low, low + size)))
        low += size
    return found
