"""The vectors of a whole small training: both parties' matrices in, every message, both parties' shares of all weights out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np

from common.learn.linear.course import NOWHERE
from common.learn.linear.descent import Descent
from common.learn.linear.hessian import Table, share_quadratic
from common.learn.linear.joint import Operand, joint_matrix
from common.learn.linear.path import Blocks, Step, matrix_width
from common.learn.linear.products import Dealt
from common.learn.linear.schedule import nesterov
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import JOINT_SCALE, WEIGHT_SCALE, X_SCALE, encode
from common.mpc.link import Fourier, Link, Taylor
from common.mpc.lockstep import Exchanges
from common.mpc.product import share_matrices
from common.mpc.session import Session
from common.mpc.share import Share
from common.party import Party
from tests.common.mpc.problems import RIDGE_SCALE, Problem, make_problem
from tests.peers import KEYS, NONCES, Trio, deal_work
from tests.vectors.basics import DEALT, SEEDS
from tests.vectors.form import stored, whole

_CORRECTED = [  # a part of the rows, corrected by all of them: section 6, levels
    Step(0, 0, 3, 4.0, 128),
    Step(1, 0, 9, 4.0, 102, measures=((0, 3), (3, 6), (6, 9)), longer=True),
    Step(2, 3, 6, 4.0, 128, corrected=True),
    Step(3, 0, 3, 4.0, 146, corrected=True, longer=True),
    Step(4, 0, 9, 4.0, 0),
]
START = {Party.GRID: [0.0, 0.0], Party.BANK: [0.25, -1.5]}


def trainings() -> dict[str, Any]:
    """Sections 3 to 6, with both links; one span a step."""
    problem = make_problem(9, 2, 2, ridge=1e-2, seed=6)
    forms: list[tuple[Link, list[Step], float | None]] = [
        (Taylor(), nesterov(9, 3, 2.5), None),
        (Fourier(), nesterov(9, 3, 2.5), None),
        (Taylor(), nesterov(9, 3, 4.0), 1.5),
        (Taylor(), _CORRECTED, 1.5),
    ]
    cases = [asyncio.run(_training(problem, *form)) for form in forms]
    seeds = {p.value: s.hex() for p, s in SEEDS.items()}
    return {"seeds": seeds, "cases": cases, "hessian": asyncio.run(_on_a_hessian(problem, nesterov(9, 3, 4.0)))}


async def _on_a_hessian(problem: Problem, steps: list[Step]) -> dict[str, Any]:
    """Section 6: steps on a shared Hessian."""
    trio, size = _trio(), steps[0].size
    words = {party: np.asfortranarray(encode(problem.x[party], X_SCALE).astype(np.int32)) for party in Party}
    ridge = {party: np.asfortranarray(encode(size * problem.ridge[party], RIDGE_SCALE)) for party in Party}
    start = {party: encode(START[party], WEIGHT_SCALE) for party in Party}

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[Share, Share]:
        own = session.party
        columns, label = problem.columns[own.other], problem.y if own is Party.BANK else None
        table = Table(words[own], ridge[own], columns, label, size, problem.rows)
        gain = encode(1.0 if own is Party.BANK else 0.0, JOINT_SCALE)
        quadratic = await share_quadratic(session, correlations, table, gain)
        found, _ = await quadratic.descend(steps, Blocks(start[own], np.zeros(columns, np.uint64)), NOWHERE)
        return found.own, found.other

    async def deal(dealer: Dealer) -> None:
        await deal_work(dealer, replace(problem.work(steps, Taylor(), WEIGHT_SCALE, True), quadratic=True))

    shares = await trio.run(side, deal)
    return {
        "gain": 1.0,
        "steps": [[step.size, step.momentum] for step in steps],
        "x": {p.value: stored(words[p].astype(np.int64).view(np.uint64)) for p in Party},
        "ridge": {p.value: stored(ridge[p]) for p in Party},
        "start": {p.value: stored(start[p]) for p in Party},
        "label": stored(problem.y.astype(np.uint64)),
        **_said(trio, shares),
    }


def _trio() -> Trio:
    trio = Trio(seed=0)
    trio.dealer = Dealer(dict(trio.to_party), iter(DEALT.values()).__next__, nonces=NONCES, keys=KEYS)
    return trio


def _said(trio: Trio, shares: dict[Party, tuple[Share, Share]]) -> dict[str, Any]:
    """What was dealt, what was sent, and what came of it."""
    return {
        "dealt": {p.value: whole(trio.to_party[p].log[1:]) for p in Party},
        "sent": {p.value: whole(trio.peer[p].log) for p in Party},
        "own": {p.value: stored(shares[p][0].words) for p in Party},
        "other": {p.value: stored(shares[p][1].words) for p in Party},
    }


async def _training(problem: Problem, link: Link, steps: list[Step], gain: float | None) -> dict[str, Any]:
    trio = _trio()
    words = {party: np.asfortranarray(encode(problem.x[party], X_SCALE)) for party in Party}
    ridge = {party: np.asfortranarray(encode(steps[0].size * problem.ridge[party], RIDGE_SCALE)) for party in Party}
    start = {party: encode(START[party], WEIGHT_SCALE) for party in Party}
    label = problem.y.astype(np.uint64)

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[Share, Share]:
        own = session.party
        columns = problem.columns[own.other]
        width, known = matrix_width(steps, link), words[Party.BANK][:, -1]
        matrices = await share_matrices(session, correlations, words[own], ridge[own], columns, width=width, ones=known)
        products = Dealt(session, correlations, matrices, link, gain is not None)
        descent = Descent(session, correlations, products, link, label if own is Party.BANK else None)

        async def joint(rounds: Exchanges) -> Operand:
            mine = encode(gain if gain is not None and own is Party.BANK else 0.0, JOINT_SCALE)
            return await joint_matrix(rounds, correlations, matrices, problem.rows, mine)

        found = await descent.shared(steps, start[own], None if gain is None else joint)
        return found.own, found.other

    async def deal(dealer: Dealer) -> None:
        await deal_work(dealer, replace(problem.work(steps, link, WEIGHT_SCALE, gain is not None), ones=True))

    shares = await trio.run(side, deal)
    return {
        "link": type(link).__name__.lower(),
        "gain": gain,
        "period": int(link.times * link.period),
        "times": link.times,
        "table_scales": [step.scales(link).table for step in steps],
        "steps": [[step.size, step.momentum] for step in steps],
        "rows": [[step.low, step.high] for step in steps],
        "over": [step.rows if step.whole is None else step.whole for step in steps],
        "measures": [[list(part) for part in step.measures] for step in steps],
        "corrected": [step.number for step in steps if step.corrected],
        "longer": [step.number for step in steps if step.longer],
        "x": {p.value: stored(words[p]) for p in Party},
        "ridge": {p.value: stored(ridge[p]) for p in Party},
        "start": {p.value: stored(start[p]) for p in Party},
        "label": stored(label),
        **_said(trio, shares),
    }
