"""The vectors of reasons of a closed linear model: the grid's rows, groups and shares of weights in, the bank's codes out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np

from common.learn.groups import dither_groups, members
from common.learn.linear.deal_reasons import STEP_BITS
from common.learn.linear.reasons import ROW_SCALE, tell_groups
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import WEIGHT_SCALE, encode
from common.mpc.narrow import Bytes
from common.mpc.session import Session
from common.party import Party
from tests.common.learn.linear.groups import DEALINGS, halves, rows
from tests.peers import KEYS, NONCES, Trio, coordinate
from tests.vectors.basics import DEALT, SEEDS
from tests.vectors.form import stored, whole

THRESHOLD, MOST, GROUPS = 0.2, 2, (0, 1, None, 0)
_WHITEN = np.array([[1.0, 0.5, 0.0, 0.0], [0.0, 1.0, -0.25, 0.0], [0.0, 0.0, 1.0, 0.125], [0.0, 0.0, 0.0, 1.0]])


def reasons() -> dict[str, Any]:
    """Section 18: six rows of four columns, the third of which has no text."""
    own, count = rows(6, len(GROUPS)), len(set(GROUPS) - {None})
    models = halves(own)[0]
    models[Party.GRID] = grid = replace(models[Party.GRID], whiten=_WHITEN)
    trio = Trio(seed=0)
    trio.dealer = Dealer(dict(trio.to_party), iter(DEALT.values()).__next__, nonces=NONCES, keys=KEYS)

    async def side(session: Session, correlations: DealtCorrelations) -> Bytes | None:
        known = GROUPS if session.party is Party.GRID else ()
        return await tell_groups(session, correlations, models[session.party], own, known, count, THRESHOLD, MOST)

    told = asyncio.run(coordinate(trio, side, more=DEALINGS))[Party.BANK]
    assert told is not None
    return {
        "seeds": {p.value: s.hex() for p, s in SEEDS.items()},
        "groups": [-1 if group is None else group for group in GROUPS],
        "threshold": THRESHOLD,
        "x": stored(encode(grid.fitted.transform(own), ROW_SCALE)),
        "matrix": stored(encode(np.concatenate([_WHITEN * row[:, None] for row in members(GROUPS, count)]), WEIGHT_SCALE)),
        "weights": {"grid": stored(grid.own), "bank": stored(models[Party.BANK].other)},
        "dither": stored(dither_groups(grid.own.tobytes(), own, count, STEP_BITS)(slice(0, 6))),
        "dealt": {p.value: whole(trio.to_party[p].log[1:]) for p in Party},
        "sent": {p.value: whole(trio.peer[p].log) for p in Party},
        "codes": stored(told),
    }
