"""Training with nobody who deals: what a step pulls by ring-LWE, what ends it by products of bits. PROTOCOL.md section 21."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from common.errors import PeerProtocolError
from common.learn.linear.course import Course
from common.learn.linear.hessian import nearer
from common.learn.linear.made import MadeAhead, shifted
from common.learn.linear.path import ONE, Blocks, Step
from common.learn.linear.phased import share_phased
from common.learn.linear.quadratic import Inputs, share_quadratic
from common.learn.linear.reveal import tell_weights
from common.learn.linear.steps import make_steps, rest_limit
from common.learn.linear.undealt import draw_nonces
from common.mpc.arrived import Rest, check_arrived, combinations, path_combinations
from common.mpc.committed import Committed
from common.mpc.fixedpoint import MOMENTUM_SCALE, UNDEALT_SCALE, WEIGHT_SCALE, Reals, Words, encode
from common.mpc.lattice.carries import CARRY_BITS, share_carries
from common.mpc.lattice.committed import commit
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.prg import Prg
from common.mpc.product import Rows
from common.mpc.session import Session
from common.party import Party
from common.plan.linear import Model

SHIFT = UNDEALT_SCALE - WEIGHT_SCALE
WEIGHT_BITS = 64 - SHIFT + CARRY_BITS  # of a weight's word that count: what is above is anything
_ALOFT = np.uint64(64 - WEIGHT_BITS)
_MOVED_SCALE = WEIGHT_SCALE + MOMENTUM_SCALE + 64 - WEIGHT_BITS  # of how far a step moves weights, likewise
REACH = 2.0 ** (62 - UNDEALT_SCALE)  # of a weight: what a shift holds
PATH = Rest(32.0, 64.0, -3, dealt=False)  # of how far all steps went, which a shift that went wrong leaves far behind
TOLD_SCALE = WEIGHT_SCALE + 64 - WEIGHT_BITS  # of weights, and of these differences: moved up, so that nothing is above


@dataclass(frozen=True, repr=False)
class CommittedShares:
    """Shares of the final whitened weights at WEIGHT_SCALE, of which the low WEIGHT_BITS bits count.

    own: of the own block, (m_own,). committed: of the other's, which both parties are committed to.
    """

    own: Words
    committed: Committed


class Pulling(Protocol):
    """The products of a step, whichever link they are with."""

    @property
    def update_scale(self) -> int:
        """Of what is pulled."""

    async def pull(self, step: Step, ahead: Blocks) -> Blocks:
        """Shares modulo 2^64 of step / n times X^T r plus the ridge's pull, of shares of the look-ahead."""


async def train_unaided(
    session: Session,
    model: Model,
    inputs: Inputs,
    start: Reals,
    course: Course,
    room: Callable[[tuple[int, int]], Rows],
    made: MadeAhead | None = None,
) -> Reals | CommittedShares:
    """This party's own weights on whitened columns, (m_own,), rounded as the plan says; nothing else is opened.

    Of a plan that keeps the model closed, this party's shares, and nothing is opened. start: where own weights begin. A
    training that was interrupted before its end begins anew, under other keys. made: a stock for it.
    """
    if (told := course.through) is not None:
        if model.closed:
            return CommittedShares(told[0], course.committed)
        return await _told(session, *told)
    party, steps = session.party, make_steps(model, inputs.rows, inputs.own.shape[1] + inputs.other_columns)
    nonces = await draw_nonces(session)
    sampler, public = Sampler(Prg.fresh_seed()), {p: Public(nonces, p) for p in Party}
    quadratic, begin = model.link == "taylor", start
    if quadratic:
        begin = nearer(start)
    if made is None:
        columns = {party: inputs.own.shape[1], party.other: inputs.other_columns}
        carries = await share_carries(session, sampler, public[Party.GRID], shifted(model, columns))
    else:
        carries = await made.carries(session)
    products: Pulling
    if quadratic:
        products = await share_quadratic(session, sampler, public, carries, inputs, b"".join(nonces.values()), room)
    else:
        mine = inputs.own, inputs.own_ridge, inputs.other_columns
        products = await share_phased(session, sampler, public, *mine, inputs.label, model, room, made)

    blocks = Blocks.zero(inputs.own.shape[1], inputs.other_columns)
    weights = Blocks(encode(begin, WEIGHT_SCALE), blocks.other).joined(party)
    ahead, lift = weights << np.uint64(MOMENTUM_SCALE), np.uint64(products.update_scale - WEIGHT_SCALE - MOMENTUM_SCALE)
    moved, apart = np.empty(0, np.uint64), list[Words]()
    for step in steps:
        update = (await products.pull(step, blocks.split(party, ahead))).joined(party)
        now = await carries.shift((ahead << lift) - update, products.update_scale - WEIGHT_SCALE)
        moved = (now << np.uint64(MOMENTUM_SCALE)) - ahead << _ALOFT
        apart.append(now - weights << _ALOFT)  # to more bits than a movement: to all that a shift may be wrong by
        ahead = now * np.uint64(ONE + step.momentum) - weights * np.uint64(step.momentum)
        weights = now
        session.reporter.progress(step.number + 1, len(steps))
    coin = b"".join((await draw_nonces(session)).values())
    path = await check_arrived(session, path_combinations(apart, b"path" + coin), TOLD_SCALE, PATH)
    rest = await check_arrived(session, combinations(moved, coin), _MOVED_SCALE, rest_limit(model, steps, len(weights)))
    session.settled = session.settled and path and rest
    last = blocks.split(party, weights)
    if model.closed:
        committed = await commit(session, nonces, last.other, len(last.own))
        await course.finish(last.own, last.other, committed)
        return CommittedShares(last.own, committed)
    own, other = _nearest(last.own, model.weight_bits), _at_random(last.other, model.weight_bits)
    await course.finish(own, other)
    return await _told(session, own, other)


async def _told(session: Session, own: Words, other: Words) -> Reals:
    """This party's own weights, (m_own,), of rounded shares at TOLD_SCALE. Raises PeerProtocolError for one beyond REACH."""
    found = await tell_weights(session, own, other, TOLD_SCALE)
    if np.abs(found).max(initial=0.0) >= REACH:
        raise PeerProtocolError(
            f"a weight is beyond {REACH}, which no step holds: a message of the other party was wrong", remedy="Train again."
        )
    return found


def _nearest(words: Words, bits: int) -> Words:
    """A share at TOLD_SCALE, rounded to the nearest multiple of 2^-bits."""
    shift = np.uint64(WEIGHT_SCALE - bits)
    half = np.uint64((1 << WEIGHT_SCALE - bits) >> 1)
    found: Words = (words + half >> shift) << shift + _ALOFT
    return found


def _at_random(words: Words, bits: int) -> Words:
    """The same up or down at random in proportion: where the other's own share stands between two multiples, it cannot tell."""
    shift = np.uint64(WEIGHT_SCALE - bits)
    drawn = np.frombuffer(hashlib.shake_256(Prg.fresh_seed()).digest(8 * len(words)), np.uint64)
    found: Words = (words + (drawn & np.uint64((1 << WEIGHT_SCALE - bits) - 1)) >> shift) << shift + _ALOFT
    return found
