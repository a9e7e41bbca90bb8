"""The vectors of reasons of models that nobody holds: the grid's rows and groups, both halves in; the bank's codes out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from common.learn.groups import dither_groups, members
from common.learn.linear import reasons as linear
from common.learn.linear.deal_reasons import STEP_BITS
from common.learn.linear.reasons import ROW_SCALE
from common.learn.network import reasons as network
from common.learn.network.activations import NAMES
from common.learn.network.deal_reasons import NetworkReasonsDemand
from common.learn.network.deal_reasons import deal_reasons as deal_network
from common.learn.trees import reasons as trees
from common.learn.trees.deal_reasons import TreeReasonsDemand
from common.learn.trees.deal_reasons import deal_reasons as deal_trees
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import WEIGHT_SCALE, encode
from common.mpc.narrow import Bytes
from common.mpc.session import Session
from common.party import Party
from common.rows.table import FeatureTable
from tests.common.learn.linear.groups import DEALINGS, halves, rows
from tests.common.learn.network.problems import Problem, random_shares
from tests.common.learn.trees.test_reasons import GROUPS as TREE_GROUPS
from tests.common.learn.trees.test_reasons import models as forest
from tests.common.learn.trees.test_score import table as forest_rows
from tests.peers import KEYS, NONCES, Trio, coordinate
from tests.vectors.basics import DEALT, SEEDS
from tests.vectors.form import stored, whole

ROWS, MOST = 6, 2
GROUPS = (0, 1, None, 0)
_WHITEN = np.array([[1.0, 0.5, 0.0, 0.0], [0.0, 1.0, -0.25, 0.0], [0.0, 0.0, 1.0, 0.125], [0.0, 0.0, 0.0, 1.0]])


def reasons() -> dict[str, Any]:
    """Section 18: six rows, of each kind of model; of a network with either activation."""
    return {
        "seeds": {p.value: s.hex() for p, s in SEEDS.items()},
        "linear": _linear(),
        "trees": _trees(),
        "networks": [_network(name) for name in NAMES],
    }


def _told(
    tell: Any, models: Any, tables: Mapping[Party, FeatureTable], groups: Any, count: int, threshold: float, more: Any
) -> dict[str, Any]:
    """Of one telling what was dealt, what was sent, and the bank's codes."""
    trio = Trio(seed=0)
    trio.dealer = Dealer(dict(trio.to_party), iter(DEALT.values()).__next__, nonces=NONCES, keys=KEYS)

    async def side(session: Session, correlations: DealtCorrelations) -> Bytes | None:
        known, own = groups if session.party is Party.GRID else (), tables[session.party]
        found: Bytes | None = await tell(session, correlations, models[session.party], own, known, count, threshold, MOST)
        return found

    told = asyncio.run(coordinate(trio, side, more=more))[Party.BANK]
    assert told is not None
    return {
        "dealt": {p.value: whole(trio.to_party[p].log[1:]) for p in Party},
        "sent": {p.value: whole(trio.peer[p].log) for p in Party},
        "codes": stored(told),
    }


def _linear() -> dict[str, Any]:
    """Four columns, the third of which has no text."""
    own, count, threshold = rows(ROWS, len(GROUPS)), len(set(GROUPS) - {None}), 0.2
    models = halves(own)[0]
    models[Party.GRID] = grid = replace(models[Party.GRID], whiten=_WHITEN)
    told = _told(linear.tell_groups, models, dict.fromkeys(Party, own), GROUPS, count, threshold, DEALINGS)
    return {
        "groups": [-1 if group is None else group for group in GROUPS],
        "threshold": threshold,
        "x": stored(encode(grid.fitted.transform(own), ROW_SCALE)),
        "matrix": stored(encode(np.concatenate([_WHITEN * row[:, None] for row in members(GROUPS, count)]), WEIGHT_SCALE)),
        "weights": {"grid": stored(grid.own), "bank": stored(models[Party.BANK].other)},
        "dither": stored(dither_groups(grid.own.tobytes(), own, count, STEP_BITS)(slice(0, ROWS))),
        **told,
    }


def _trees() -> dict[str, Any]:
    """Seven trees of three levels; two groups of four thresholds each."""
    found, threshold, count = forest()[0], 0.1, 2
    tables = {party: forest_rows(party, ROWS) for party in Party}
    told = _told(trees.tell_groups, found, tables, TREE_GROUPS, count, threshold, {TreeReasonsDemand: deal_trees})
    grid = found[Party.GRID].paths(tables[Party.GRID], list(members(TREE_GROUPS, count)))
    return {
        "groups": TREE_GROUPS,
        "threshold": threshold,
        "splits": {p.value: found[p].splits.tolist() for p in Party},
        "paths": {"grid": stored(grid), "bank": stored(found[Party.BANK].paths(tables[Party.BANK]))},
        "leaves": {p.value: stored(found[p].leaves) for p in Party},
        **told,
    }


def _network(activation: str) -> dict[str, Any]:
    """Two units, three columns a side, of which the grid's second has no text."""
    problem, threshold, groups, count = Problem.made(ROWS, seed=6), 0.1, [1, None, 0], 2
    shares = random_shares(4, dict.fromkeys(Party, 3), 2)
    found, tables = problem.halves(shares, activation), {party: problem.table(party) for party in Party}
    told = _told(network.tell_groups, found, tables, groups, count, threshold, {NetworkReasonsDemand: deal_network})
    step = NetworkReasonsDemand(ROWS, 3, 3, 2, count, NAMES.index(activation)).step_bits  # type: ignore[arg-type]
    return {
        "activation": activation,
        "groups": [-1 if group is None else group for group in groups],
        "threshold": threshold,
        "x": {p.value: stored(found[p].encoded(tables[p])[0]) for p in Party},
        "weights": {p.value: stored(shares[p].joined(p)) for p in Party},
        "dither": stored(dither_groups(shares[Party.GRID].own.tobytes(), tables[Party.GRID], count, step)(slice(0, ROWS))),
        **told,
    }
