"""The vectors of small trainings with two banks: each line's rows in, every message, the shares of all ends out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np

from common.learn.linear.layout import Layout
from common.learn.linear.several import Line
from common.learn.linear.several import train_several as train_linear
from common.learn.network.activations import NAMES
from common.learn.network.scales import WEIGHT
from common.mpc.fixedpoint import RIDGE_SCALE, WEIGHT_SCALE, X_SCALE, Reals, Words, encode
from common.mpc.seeds import own_seed
from common.mpc.session import Array, Round
from common.mpc.several.dealer import SeveralDealer
from common.mpc.several.hub import Hub
from common.mpc.several.seeds import common_nonce
from common.party import Party
from common.plan.linear import Model
from common.plan.network import Network
from common.plan.section import Section
from common.plan.trees import Trees
from tests.banks import Banks, End, key, nonce, several_plan
from tests.common.learn.network.test_several import COMMON, GRID, World, ended
from tests.common.learn.trees.problems import make_problem
from tests.common.learn.trees.test_several import World as TreesWorld
from tests.common.learn.trees.test_several import grown
from tests.vectors.form import stored, whole

ROWS = (6, 4)
LINEAR = Model(iterations=3, ridge=0.01)
NETWORK = Network(hidden=2, epochs=2, batch=5, seed=7)
STOPPED = Network(hidden=1, epochs=14, batch=0, seed=7, early_stop=1)
TREES = Trees(kind="trees", trees=2, depth=2, candidates=5)
ABREAST = Trees(kind="trees", trees=3, depth=2, candidates=5, abreast=2)
TREES_ROWS = (12, 9)
_GAIN = 1.0  # of the joint matrix
_SEEDS = ("seed", "nonces")


def banks() -> dict[str, Any]:
    """Section 16: three steps of a linear model; two epochs of two steps of a network, with either activation.

    Section 22: a network of which each bank holds one row back, that ends once the loss of these two rows gains no more.
    Section 16 again: two boosted trees of two levels, one after the other; two side by side, and a third one after them.
    """
    made = [own_seed(seed, brought) for seed, brought in zip(_dealt(), _brought(), strict=True)]
    named = [{p.value: made[2 * k + p.index].hex() for p in Party} for k in range(len(ROWS) + 1)]
    networks = [_network(NETWORK.model_copy(update={"activation": name})) for name in NAMES]
    cases = [_linear(), *networks, _network(STOPPED)]
    return {"lines": named[:-1], "hub": named[-1], "cases": cases, "trees": [_trees(TREES), _trees(ABREAST)]}


def _dealt() -> Iterator[bytes]:
    """Of each line the grid's and the bank's; then those of the grid and of all banks as one party."""
    for name in (*range(len(ROWS)), "hub"):
        for party in Party:
            yield sha256(f"known answers of several banks, {name}, {party.value}".encode()).digest()


def _brought() -> Iterator[bytes]:
    for k in range(len(ROWS)):
        yield from (nonce(k, party) for party in Party)
    yield nonce(0, Party.GRID, True)
    yield common_nonce([nonce(k, Party.BANK, True) for k in range(len(ROWS))])


def _job() -> Banks:
    """Two banks, whose dealer has the seeds above."""
    found = Banks(len(ROWS))
    nonces, common = ([{p: nonce(k, p, both) for p in Party} for k in range(len(ROWS))] for both in (False, True))
    keys = [{p: key(k, p) for p in Party} for k in range(len(ROWS))]
    found.dealer = SeveralDealer(found.at_dealer, nonces, keys, common, ["the bank 0", "the bank 1"], _dealt().__next__)
    return found


def _network(section: Network) -> dict[str, Any]:
    world, job = World.made(ROWS, seed=6), _job()
    found = asyncio.run(ended(world, section, job))
    start = [encode(world.start(k), WEIGHT) for k in range(len(ROWS))]
    shares = [one.weights.joined(p) for p, one in zip((*Party, Party.BANK), found, strict=True)]
    return {**_said(job, section, world, start, shares), "steps": found[0].steps}


def _trees(section: Trees) -> dict[str, Any]:
    world, job = trees_world(), _job()
    found = asyncio.run(grown(world, section, job))
    lines = [
        {
            "below": {p.value: stored(world.problem.below[p][:, world.at(k)]) for p in Party},
            "label": stored(world.problem.label[world.at(k)].astype(np.uint8)),
            "start": world.start(k),
            "dealt": {p.value: whole(_dealing(job.at_dealer[k][p].log)) for p in Party},
            "sent": {p.value: whole(job.peer[k][p].log) for p in Party},
        }
        for k in range(len(TREES_ROWS))
    ]
    return {
        "section": section.model_dump(mode="json"),
        "lines": lines,
        "splits": {p.value: [list(tree.splits) for tree in trees] for p, trees in zip(Party, found, strict=False)},
        "leaves": {p.value: stored(np.stack([t.leaves for t in trees])) for p, trees in zip(Party, found, strict=False)},
    }


def trees_world() -> TreesWorld:
    """Two banks' rows, cut by the grid's six thresholds and the banks' four."""
    return TreesWorld.of(TREES_ROWS, make_problem(sum(TREES_ROWS), 3, 2, cuts=2, seed=7))


def _linear() -> dict[str, Any]:
    """Of the same rows, the column of ones as each bank's intercept."""
    world, job, layout = World.made(ROWS, seed=6), _job(), Layout.over(GRID, COMMON, ROWS)
    plan, size = several_plan(len(ROWS), model=LINEAR), layout.steps(LINEAR, ROWS[0])[0].size
    start = [np.zeros(layout.columns) for _ in ROWS]
    for k, own in enumerate(start):
        own[GRID + COMMON + k] = 0.25 * (k + 1)

    def line(end: End) -> Line:
        pull = np.diag(
            [LINEAR.ridge * size] * GRID if end.session.party is Party.GRID else [LINEAR.ridge * size] * COMMON + [0.0]
        )
        pull = encode(pull if end.number == 0 else np.zeros_like(pull), RIDGE_SCALE)
        given = world.line(end)
        return Line(end.number, end.session, end.correlations, given.own, np.asfortranarray(pull), given.label)

    async def grid(hub: Hub, ends: list[End]) -> Words:
        return (await train_linear(hub, [line(end) for end in ends], layout, LINEAR, np.zeros(layout.columns), 0.0)).weights

    async def bank(hub: Hub, end: End) -> Words:
        return (await train_linear(hub, [line(end)], layout, LINEAR, start[end.number], _GAIN)).weights

    shares = asyncio.run(job.run(grid, bank, plan))
    return _said(job, LINEAR, world, [encode(own, WEIGHT_SCALE) for own in start], shares)


def _said(job: Banks, section: Section, world: World, start: list[Words], shares: list[Words]) -> dict[str, Any]:
    """What each line has, is dealt and sends; what came of it: the grid's share, and the banks', which all of them hold."""
    assert all(np.array_equal(share, shares[1]) for share in shares[2:])
    sides: dict[Party, Reals] = {Party.GRID: world.grid, Party.BANK: world.bank}
    lines = [
        {
            "x": {
                p.value: stored(np.rint(sides[p][world.at(k)] * 2.0**X_SCALE).astype(np.int64).view(np.uint64)) for p in Party
            },
            "label": stored(world.label[world.at(k)].astype(np.uint64)),
            "start": stored(start[k]),
            "dealt": {p.value: whole(_dealing(job.at_dealer[k][p].log)) for p in Party},
            "sent": {p.value: whole(job.peer[k][p].log) for p in Party},
        }
        for k in range(len(ROWS))
    ]
    return {
        "section": section.model_dump(mode="json"),
        "lines": lines,
        "weights": {p.value: stored(share) for p, share in zip(Party, shares, strict=False)},
    }


def _dealing(log: list[tuple[Round, Array]]) -> Iterator[tuple[Round, Array]]:
    """Without the seeds, and what all banks brought to theirs."""
    return ((label, values) for label, values in log if label.kind.value not in _SEEDS)
