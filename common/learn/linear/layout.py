"""Whose weights stand where in a model of several banks: the grid's, those that all banks share, an intercept for each bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from common.learn.layout import BanksLayout
from common.learn.linear.joint import Sample
from common.learn.linear.path import Step
from common.learn.linear.steps import make_course
from common.plan.linear import Model


@dataclass(frozen=True)
class Layout(BanksLayout):
    """The order of all m weights, and what a step averages over.

    taken: of how many of all training rows the correlation of the grid's columns and the banks' is told, see `joint.Sample`.
    """

    taken: int

    @classmethod
    def over(cls, grid: int, common: int, rows: Sequence[int]) -> Self:
        sample = Sample(sum(rows), grid, common + len(rows))
        return cls(grid, common, len(rows), sum(rows), sum(sample.taken(each) for each in rows))

    @property
    def sampled(self) -> int:
        return self.taken

    def bank_places(self, line: int) -> npt.NDArray[np.int64]:
        """Where one bank's columns stand in the block of all banks, (common + 1,)."""
        return np.append(np.arange(self.common), self.common + line)

    def places(self, line: int) -> npt.NDArray[np.int64]:
        """Where the columns of one line stand among all, the grid's first, (grid + common + 1,)."""
        return np.append(np.arange(self.grid), self.grid + self.bank_places(line))

    def across(self, line: int) -> tuple[npt.NDArray[np.int64], ...]:
        """The same of products of the grid's columns and a bank's, as an index into (grid, bank)."""
        return np.ix_(np.arange(self.grid), self.bank_places(line))

    def steps(self, model: Model, rows: int) -> list[Step]:
        """The steps, over one bank's rows, of an average over the rows of all. Raises as `make_steps` does.

        Early ones are over as large a part of each bank's rows as one bank's are of its own. No bank needs to know how many
        rows of the others that makes: it differs from the part of all rows by one a bank at most.
        """
        return [
            replace(
                step,
                low=rows * step.low // self.total,
                high=rows * step.high // self.total,
                measures=tuple((rows * low // self.total, rows * high // self.total) for low, high in step.measures),
                data_rows=step.rows if step.whole is None else step.whole,
            )
            for step in self.course(model)
        ]

    def course(self, model: Model) -> list[Step]:
        """The steps over the rows of all banks, by which the weights turn. Raises as `make_steps` does.

        A correction is known by these rows: of a bank that has few, two parts may be the same rows, or none.
        """
        return make_course(model, self.total, self.columns, model.full_steps if model.joint else 0)

    def sample(self, width: int) -> Sample:
        """Which rows of each bank tell the correlation of the grid's columns and the banks', of words of so many bytes."""
        return Sample(self.total, self.grid, self.bank, width)
