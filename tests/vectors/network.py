"""The vectors of a small training of a network: both parties' rows and first weights in, every message, all shares out."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from common.learn.network.activations import NAMES
from common.learn.network.train import Found, train
from common.learn.network.weights import begin
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer
from common.mpc.session import Session
from common.party import Party
from common.plan.network import Network
from tests.common.learn.network.problems import Problem, dealt
from tests.peers import KEYS, NONCES, Trio, coordinate
from tests.vectors.basics import DEALT, SEEDS
from tests.vectors.form import stored, whole

SECTION = Network(hidden=2, epochs=2, batch=5, seed=7)
STOPPED = Network(hidden=2, epochs=6, batch=2, seed=7, early_stop=1)


def networks() -> dict[str, Any]:
    """Section 15: two steps over batches of five rows, one span each, with either activation; section 22: one that ends early.

    The last has two rows held back of 16, and ends after the fourth epoch, with the weights of the third.
    """
    cases = [asyncio.run(_training(Problem.made(6, seed=6), SECTION.model_copy(update={"activation": name}))) for name in NAMES]
    cases.append(asyncio.run(_training(Problem.made(16, seed=5), STOPPED)))
    return {"seeds": {p.value: s.hex() for p, s in SEEDS.items()}, "cases": cases}


async def _training(problem: Problem, section: Network) -> dict[str, Any]:
    trio = Trio(seed=0)
    trio.dealer = Dealer(dict(trio.to_party), iter(DEALT.values()).__next__, nonces=NONCES, keys=KEYS)
    inputs = {party: problem.inputs(section, party) for party in Party}

    async def side(session: Session, correlations: DealtCorrelations) -> Found:
        return await train(session, correlations, inputs[session.party])

    found = await coordinate(trio, side, more=dealt(section))
    first = {p: begin(section.seed, p, 3, 3, section.hidden, problem.label if p is Party.BANK else None) for p in Party}
    return {
        "section": section.model_dump(mode="json"),
        "x": {p.value: stored(np.asarray(inputs[p].own[:]).astype(np.int64).view(np.uint64)) for p in Party},
        "label": stored(problem.label.astype(np.uint64)),
        "start": {p.value: stored(first[p].joined(p)) for p in Party},
        "dealt": {p.value: whole(trio.to_party[p].log[1:]) for p in Party},
        "sent": {p.value: whole(trio.peer[p].log) for p in Party},
        "steps": found[Party.BANK].steps,
        "weights": {p.value: stored(found[p].weights.joined(p)) for p in Party},
    }
