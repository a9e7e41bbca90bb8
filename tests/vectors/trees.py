"""The vectors of one small tree: both parties' thresholds and the label in, every message, both shares of the leaves out."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from common.learn.trees.forest import PERIOD, Forest
from common.learn.trees.waves import TERMS, gain_inverse, leaf_inverse
from common.mpc.dealer import Dealer
from common.mpc.link import fourier_coefficients
from common.party import Party
from tests.common.learn.trees.problems import Problem, grow, make_problem
from tests.common.learn.trees.twin import start_of
from tests.peers import KEYS, NONCES, Trio
from tests.vectors.basics import DEALT, SEEDS
from tests.vectors.form import stored, whole


def trees() -> dict[str, Any]:
    """Section 14: a tree of two levels, one of which each party splits; the last of twelve rows is none.

    Then once more, with leaves in order of columns that are declared monotone.
    """
    problem = make_problem(12, 2, 2, cuts=2, seed=7)
    forest = problem.forest(trees=1, depth=2, candidates=4)
    against = {p: np.full(len(problem.below[p]), 2 - p.index, np.uint8) for p in Party}  # what the rows say is otherwise
    cases = [asyncio.run(_tree(problem, forest, 11)), asyncio.run(_tree(problem, replace(forest, monotone=True), 11, against))]
    return {"seeds": {p.value: s.hex() for p, s in SEEDS.items()}, "cases": cases}


async def _tree(
    problem: Problem, forest: Forest, real: int, directions: dict[Party, npt.NDArray[np.uint8]] | None = None
) -> dict[str, Any]:
    """directions: of each threshold, of a tree whose leaves are put in order."""
    trio = Trio(seed=0)
    trio.dealer = Dealer(dict(trio.to_party), iter(DEALT.values()).__next__, nonces=NONCES, keys=KEYS)
    found = await grow(trio, problem, forest, real, directions=directions)
    declared = {"directions": {p.value: found.tolist() for p, found in directions.items()}} if directions else {}
    return declared | {
        "forest": {name: value for name, value in asdict(forest).items() if name not in ("thresholds", "abreast", "monotone")},
        "real": real,
        "link": list(fourier_coefficients(PERIOD, TERMS)),
        "gain": list(gain_inverse(forest.ridge)),
        "leaf": list(leaf_inverse(forest.leaf_ridge)),
        "below": {p.value: stored(problem.below[p]) for p in Party},
        "label": stored(problem.label.astype(np.uint8)),
        "start": {p.value: start_of(problem.label) if p is Party.BANK else 0 for p in Party},
        "dealt": {p.value: whole(trio.to_party[p].log[1:]) for p in Party},
        "sent": {p.value: whole(trio.peer[p].log) for p in Party},
        "splits": {p.value: list(found[p][0].splits) for p in Party},
        "leaves": {p.value: stored(found[p][0].leaves) for p in Party},
    }
