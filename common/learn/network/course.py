"""How far a training of a network is: its shares after so many steps, kept from time to time. PROTOCOL.md section 15."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.learn.diary import Diary, Progress
from common.learn.network.steps import Step
from common.learn.network.weights import Weights
from common.mpc.arrived import COMBINATIONS
from common.mpc.fixedpoint import Words
from common.party import Party

KEEP_CELLS = 1 << 22  # rows times units that steps go through between two entries: about a second's work
STEP_CELLS = 1 << 16  # as many as the messages of a step take the time of


@dataclass(frozen=True, repr=False)
class Course:
    """The steps of one training, and the diary they are entered in. shape: weights of its columns, those of zeros left out.

    What is kept are the shares of weights, now and before the last step, which momentum needs, and of the combinations of how
    far all steps moved. One that was begun over another number of steps begins anew.
    """

    diary: Diary
    steps: int
    party: Party
    shape: Weights
    by_epoch: bool = False  # kept only where an epoch ends

    @property
    def _begin(self) -> Progress | None:
        found = self.diary.begin
        return found if found is not None and (found.steps == self.steps or found.done == found.steps) else None

    @property
    def first(self) -> int:
        """The step with which it begins."""
        return 0 if (begin := self._begin) is None else begin.done

    @property
    def through(self) -> Weights | None:
        """What there is after the last step; None before."""
        return self.of("now") if (begin := self._begin) is not None and begin.done == begin.steps else None

    def of(self, name: str) -> Weights | None:
        """Weights with which it begins, by the name under which they were kept; None at the beginning."""
        begin = self._begin
        return None if begin is None else self.shape.split(self.party, begin.arrays[name])

    @property
    def moved(self) -> Words:
        """The shares of the combinations with which it begins, (COMBINATIONS,)."""
        begin = self._begin
        return np.zeros(COMBINATIONS, np.uint64) if begin is None else begin.arrays["moved"]

    async def after(self, step: Step, now: Weights, before: Weights, moved: Words) -> None:
        """Enters these, if it is time; what there is after the last step `finish` does."""
        done = step.number + 1
        if not self.by_epoch and done % self._every(step) == 0 and done < self.steps:
            await self._enter(done, {"moved": moved}, now=now, before=before)

    async def after_epoch(self, last: Step, count: int, arrays: dict[str, Words], **weights: Weights) -> None:
        """Enters these by their names after an epoch of `count` steps, if it is time."""
        done, every = last.number + 1, self._every(last)
        if done // every > (done - count) // every and done < self.steps:
            await self._enter(done, arrays, **weights)

    def _every(self, step: Step) -> int:
        return max(1, KEEP_CELLS // (STEP_CELLS + step.rows * len(self.shape.output)))

    async def finish(self, weights: Weights, taken: int) -> None:
        """Enters the last weights, once they are known to have arrived, and after how many steps training ended."""
        arrays = {"taken": np.array([taken], np.uint64)} if self.by_epoch else {}
        await self._enter(self.steps, arrays, now=weights)

    def array(self, name: str) -> Words | None:
        """What was kept under this name; None at the beginning, and where there was nothing of it."""
        return None if (begin := self._begin) is None else begin.arrays.get(name)

    async def _enter(self, done: int, arrays: dict[str, Words], **weights: Weights) -> None:
        own, other = len(self.shape.own), len(self.shape.other)
        kept = {name: w.narrowed(own, other).joined(self.party) for name, w in weights.items()}
        await self.diary.enter(Progress(done, self.steps, kept | arrays))
