"""Of which single bank the sums of several trainings tell what it brought, one training being of a bank more than another.

PROTOCOL.md section 16.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Banks = frozenset[str]


@dataclass(frozen=True)
class Together:
    """Sums of a training over the rows of these banks, by name.

    alone: without a grid, so of its steps too. agreed: its plan lets such sums tell of one of these banks.
    """

    banks: Banks
    alone: bool = False
    agreed: bool = False

    @property
    def consents(self) -> Banks:
        """The banks of which sums may tell alone: of two, each does to the other."""
        return self.banks if self.agreed or len(self.banks) == 2 else frozenset()


def told_apart(past: Sequence[Together], job: Together, own: str) -> Banks:
    """The banks that have not consented, of each of which these sums and the past ones tell what the past ones did not.

    own: the bank that asks, which can take its own part off every sum.
    """
    found = _new([one.banks for one in past], job.banks, own) - _union(one.consents for one in (*past, job))
    return found | _new([one.banks for one in past if one.alone], job.banks, own) if job.alone else found


def _new(past: Sequence[Banks], job: Banks, own: str) -> Banks:
    return _single([*past, job], own) - _single(past, own)


def _single(sums: Sequence[Banks], own: str) -> Banks:
    """The banks whose part is a combination of these sums and of `own`'s part."""
    names = sorted(_union(sums) - {own})
    matrix = np.array([[name in one for name in names] for one in sums], np.float64).reshape(len(sums), len(names))
    if not names:
        return frozenset()
    rank, unit = np.linalg.matrix_rank(matrix), np.eye(len(names))
    return frozenset(name for k, name in enumerate(names) if np.linalg.matrix_rank(np.vstack([matrix, unit[k]])) == rank)


def _union(sets: Iterable[Banks]) -> Banks:
    return frozenset[str]().union(*sets)
