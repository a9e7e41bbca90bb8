"""How far a training of the linear model is: its shares after so many steps, kept from time to time. PROTOCOL.md section 10."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.learn.diary import Diary, Forgetful, Progress
from common.mpc.committed import Committed
from common.mpc.fixedpoint import Words
from common.mpc.tags import Tagged

KEEP_CELLS = 1 << 24  # of matrices that steps go through between two entries: about a second's work
STEP_CELLS = 1 << 19  # as many as the messages of a step take the time of


@dataclass(frozen=True, repr=False)
class Course:
    """The steps of one training, and the diary they are entered in. own, other: columns, those of zeros that fill a stock too.

    A training that was begun with other columns of zeros goes on without them: what a share of such
    a weight holds is a share of nothing. One that was begun over another number of rows of zeros, and so of steps, begins anew.
    """

    diary: Diary
    steps: int
    own: int
    other: int

    @property
    def begin(self) -> Progress | None:
        found = self.diary.begin
        through = found is not None and found.done == found.steps
        return found if found is not None and (through or found.steps == self.steps) else None

    @property
    def first(self) -> int:
        """The step with which it begins."""
        return 0 if (begin := self.begin) is None else begin.done

    @property
    def through(self) -> tuple[Words, Words] | None:
        """What there is after the last step, of own and of the other's columns; None before."""
        if (begin := self.begin) is None or begin.done < begin.steps:
            return None
        return self._of("own", self.own), self._of("other", self.other)

    @property
    def held(self) -> list[Tagged]:
        """The last shares with their tags, of a model that stays closed: one, or one for each line of several banks."""
        begin = self.begin
        assert begin is not None  # noqa: S101
        lines = sum(name.endswith("marks") for name in begin.arrays)
        return [Tagged.stored(begin.arrays, f"{line} ") for line in range(lines)]

    @property
    def committed(self) -> Committed:
        """The last shares as both are committed to them, of a model that stays closed and that nobody dealt for."""
        begin = self.begin
        assert begin is not None  # noqa: S101
        return Committed.stored(begin.arrays, "0 ")

    def of(self, name: str) -> tuple[Words, Words]:
        """A pair of vectors, of own and of the other's columns, where it begins."""
        return self._of(f"own_{name}", self.own), self._of(f"other_{name}", self.other)

    def _of(self, name: str, columns: int) -> Words:
        begin = self.begin
        assert begin is not None  # noqa: S101
        found, kept = np.zeros(columns, np.uint64), begin.arrays[name][:columns]
        found[: len(kept)] = kept
        return found

    async def after(self, step: int, cells: int, **arrays: Words) -> None:
        """Enters these after step number `step` of so many cells, if it is time; the last ones are `finish`'s."""
        every, done = max(1, KEEP_CELLS // (STEP_CELLS + cells)), step + 1
        if done % every == 0 and done < self.steps:
            await self.diary.enter(Progress(done, self.steps, arrays))

    async def finish(self, own: Words, other: Words, *held: Tagged | Committed) -> None:
        """Enters what there is after the last step, before anything of it is opened."""
        more = {name: words for line, one in enumerate(held) for name, words in one.arrays(f"{line} ").items()}
        await self.diary.enter(Progress(self.steps, self.steps, {"own": own, "other": other, **more}))


NOWHERE = Course(Forgetful(), 0, 0, 0)
