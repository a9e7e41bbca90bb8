"""Where a training keeps how far it is, so that it goes on after an interruption. PROTOCOL.md section 10."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from common.mpc.fixedpoint import Words


@dataclass(frozen=True, repr=False)
class Progress:
    """How far a training is, as one party keeps it: `done` of `steps` steps, and by name what this party needs to go on.

    What it needs are its shares, each word of which is uniform, or what is its own in clear; no mask, and no seed. Of a closed
    model that nobody dealt for, at its end, also the key by which this party is committed to its shares: it serves all scoring.
    """

    done: int
    steps: int
    arrays: Mapping[str, Words]


def all_steps(begin: Progress | None, steps: int) -> int:
    """How many steps a training has that would now have `steps`: behind its last one as many as it was begun with.

    With a stock these may have been others: of its rows, not of as many as are data.
    """
    return begin.steps if begin is not None and begin.done == begin.steps else steps


class Diary(Protocol):
    """The place where a training keeps how far it is, at both parties after the same steps."""

    @property
    def begin(self) -> Progress | None:
        """Where both go on; None: at the beginning."""

    async def enter(self, progress: Progress) -> None:
        """On disk once it returns; the last one (`done == steps`) at both parties, so that what follows is opened once."""


class Forgetful:
    """A diary that keeps nothing."""

    begin: Progress | None = None

    async def enter(self, progress: Progress) -> None:
        pass
