"""A grid that chooses its thresholds to read labels from what wins: it reads less than winners are priced at."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from common.learn.trees.forest import Forest, Shape
from common.learn.trees.price import label_bits
from common.party import Party
from tests.common.learn.trees.problems import Problem, grow
from tests.peers import Trio

ROWS, KNOWN, THRESHOLDS = 1200, 240, 96
Cells = npt.NDArray[np.uint8]
FOREST = Forest(ROWS, (THRESHOLDS, 1), Shape(12, 2), 0.05, 32, 0.1, 0.003)


def drawn(seed: int) -> tuple[Problem, npt.NDArray[np.bool_]]:
    """Labels by chance alone, with a column of the bank that tells nothing; and the rows that no attacker knows."""
    rng = np.random.default_rng(seed)
    label = (rng.random(ROWS) < 0.5).astype(np.float64)
    label[:KNOWN] = 1.0
    bank = (rng.random((1, ROWS)) < 0.5).astype(np.uint8)
    return Problem({Party.GRID: np.zeros((THRESHOLDS, ROWS), np.uint8), Party.BANK: bank}, label), np.arange(ROWS) >= KNOWN


def halves(rng: np.random.Generator) -> Cells:
    """Each threshold a half of the rows by chance."""
    return (rng.random((THRESHOLDS, ROWS)) < 0.5).astype(np.uint8)


def beside_known_rows(rng: np.random.Generator) -> Cells:
    """The same with all rows that are known to be overdue on one side: what wins beside them is overdue like them."""
    found = halves(rng)
    found[:, :KNOWN] = 1
    return found


def spikes(rng: np.random.Generator) -> Cells:
    """The rows that are known and thirty others by chance, each of which counts for the more."""
    found = np.zeros((THRESHOLDS, ROWS), np.uint8)
    found[:, :KNOWN] = 1
    for row in found:
        row[rng.choice(np.arange(KNOWN, ROWS), 30, replace=False)] = 1
    return found


async def read(cells: Cells, problem: Problem, forest: Forest) -> npt.NDArray[np.float64]:
    """How overdue each row looks by the thresholds that won: the more of them have it on the side of what is known."""
    attacked = replace(problem, below={**problem.below, Party.GRID: cells})
    trees = (await grow(Trio(seed=0), attacked, forest))[Party.GRID]
    won = [k for tree in trees for k in tree.splits if k >= 0]
    assert len(won) > forest.shape.trees  # the bank's column is worth nothing
    return np.asarray((cells[won] - cells.mean(0)).sum(0))


def bits(found: npt.NDArray[np.float64], label: npt.NDArray[np.float64]) -> float:
    """Least that a guess tells of labels: of each row 1 - H(share that is right)."""
    right = float(((found > np.median(found)) == (label > 0)).mean())
    right = max(right, 1.0 - right)
    return len(label) * (1.0 + sum(p * math.log2(p) for p in (right, 1.0 - right) if p))


@pytest.mark.parametrize(("attack", "jobs"), [(halves, 1), (beside_known_rows, 1), (spikes, 2)])
def test_chosen_thresholds_read_less_than_they_are_charged(attack: Callable[[np.random.Generator], Cells], jobs: int) -> None:
    problem, unknown = drawn(0)
    looks, charged = np.zeros(ROWS), 0.0
    for job in range(jobs):
        forest = replace(FOREST, seed=job)
        looks += asyncio.run(read(attack(np.random.default_rng(1 + job)), problem, forest))
        charged += label_bits(forest)
    told = bits(looks[unknown], problem.label[unknown])
    assert 2.0 < told < charged / 4  # it reads something, or this would hold nothing
