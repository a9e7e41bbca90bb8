"""How far a training of a network is: its shares after so many steps, kept from time to time. PROTOCOL.md section 15."""

from __future__ import annotations

from dataclasses import dataclass

from common.learn.diary import Diary, Progress
from common.learn.network.steps import Step
from common.learn.network.weights import Weights
from common.party import Party

KEEP_CELLS = 1 << 22  # rows times units that steps go through between two entries: about a second's work
STEP_CELLS = 1 << 16  # as many as the messages of a step take the time of


@dataclass(frozen=True, repr=False)
class Course:
    """The steps of one training, and the diary they are entered in. shape: weights of its columns, those of zeros left out.

    What is kept are the weights' shares, now and before the last step, which momentum needs. One that was begun over another
    number of steps begins anew.
    """

    diary: Diary
    steps: int
    party: Party
    shape: Weights

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

    async def after(self, step: Step, now: Weights, before: Weights) -> None:
        """Enters these, if it is time, and after the last step."""
        done, units = step.number + 1, len(self.shape.output)
        every = max(1, KEEP_CELLS // (STEP_CELLS + step.rows * units))
        if done % every == 0 or done == self.steps:
            own, other = len(self.shape.own), len(self.shape.other)
            kept = {"now": now.narrowed(own, other), "before": before.narrowed(own, other)}
            await self.diary.enter(Progress(done, self.steps, {n: w.joined(self.party) for n, w in kept.items()}))
