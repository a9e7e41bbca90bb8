"""Small problems for boosted trees, and their secure solution in one process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from common.learn.diary import Forgetful
from common.learn.trees.deal import Growing
from common.learn.trees.forest import Forest, Shape
from common.learn.trees.grow import Grower
from common.learn.trees.tree import Tree
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.correlations.source import Source
from common.mpc.dealer import Dealer
from common.mpc.session import Session
from common.party import Party
from tests.common.learn.trees.twin import Reals, start_of
from tests.peers import Trio

Below = dict[Party, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Problem:
    """Thresholds of both parties, (thresholds, rows) of 0 and 1, and the label."""

    below: Below
    label: Reals

    @property
    def rows(self) -> int:
        return len(self.label)

    def forest(self, trees: int = 4, depth: int = 3, candidates: int = 16, rate: float = 0.25) -> Forest:
        counts = (len(self.below[Party.GRID]), len(self.below[Party.BANK]))
        return Forest(self.rows, counts, Shape(trees, depth), rate, candidates, 0.1, 0.003)


def make_problem(rows: int = 3000, grid: int = 4, bank: int = 3, cuts: int = 7, seed: int = 0, rate: float = -1.2) -> Problem:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((grid + bank, rows))
    u = rate + x[0] * (x[grid] > 0) + 0.8 * np.abs(x[1]) - 0.7 * x[grid + 1]
    label = (rng.random(rows) < 1.0 / (1.0 + np.exp(-u))).astype(np.float64)
    edges = np.quantile(x, np.linspace(0, 1, cuts + 2)[1:-1], axis=1).T
    below = [(x[j][None] <= edges[j][:, None]).astype(np.uint8) for j in range(grid + bank)]
    return Problem({Party.GRID: np.concatenate(below[:grid]), Party.BANK: np.concatenate(below[grid:])}, label)


async def grow(
    trio: Trio,
    problem: Problem,
    forest: Forest,
    real: int | None = None,
    diaries: dict[Party, Any] | None = None,
    directions: dict[Party, npt.NDArray[np.uint8]] | None = None,
) -> dict[Party, list[Tree]]:
    """The forest at both parties."""

    async def protocol(session: Session, correlations: DealtCorrelations) -> list[Tree]:
        source = Source(session.party, correlations._prg, correlations._dealt)
        bank = session.party is Party.BANK
        label, start = (problem.label.astype(bool), start_of(problem.label)) if bank else (None, 0)
        below = problem.below[session.party]
        diary = None if diaries is None else diaries[session.party]
        own = None if directions is None else directions[session.party]
        grower = Grower(session, source, forest, below, label, start, real or forest.rows, own)
        return await grower.grow(diary or Forgetful())

    async def deal(dealer: Dealer) -> None:
        await dealer.deal(Growing(dealer._prg, forest).deal())

    return await trio.run(protocol, deal)
