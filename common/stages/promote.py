"""Promotion and rollback, by agreement of both parties: they stand at the same move, hold the halves of the same model,
both prepare, then both commit. PROTOCOL.md section 10.
"""

from __future__ import annotations

import asyncio
import time

import numpy as np

from common.disclosure import Opened
from common.errors import DataError, PeerProtocolError, PolicyError
from common.home.home import Home
from common.home.outcome import Challenge, Outcome
from common.home.registry import Registry, Version
from common.mpc.session import Array, Kind, Session
from common.party import Party
from common.plan.job_stages import Stage
from common.plan.promote import PromotePlan
from common.stages.champion import digest_words, settle
from common.stages.job import Role, StageReporter


async def promote(
    job: str,
    plan: PromotePlan,
    session: Session,
    home: Home,
    role: Role,
    reporter: StageReporter,
    chain: str = "",
) -> Outcome:
    """1. settle what a crash left   2. both hold what both were told of at its training   3. the bank compares
    4. prepare: say so   5. commit: say so

    chain: at a grid of several banks with which of them, see `Registry`.

    Whoever has heard that the other prepared may commit; a crash after that is settled by the next job that asks for the
    champion. Raises PolicyError when the histories differ, the model is not the same, or is worse than the champion.
    """
    reporter.stage(Stage.PROMOTE)
    start = time.monotonic()
    registry = home.registry.of(chain)
    anew = not await settle(session, registry, differ=plan.anew)
    if (moves := registry.moves()) and moves[-1].job == job:  # it was interrupted when both had moved
        version = registry.version(moves[-1].champion)
        return Outcome(
            seconds={"promote": time.monotonic() - start},
            opened=_opened(session),
            model_digest=version.digest,
            champion=version.job,
        )
    version = registry.version(registry.target(plan))
    await _same_model(session, version, await asyncio.to_thread(home.models.digest, version.job))
    challenge = await _compare(plan, session, registry, role, version)
    move = registry.prepare(job, plan, version.job, anew=anew)
    await _both_at(session, move.position)
    registry.commit(move.position)
    await _both_at(session, move.position)
    opened = _opened(session)
    seconds = {"promote": time.monotonic() - start}
    return Outcome(seconds=seconds, opened=opened, model_digest=version.digest, champion=version.job, challenge=challenge)


def _opened(session: Session) -> list[str]:
    return sorted(value.value for value in session.opened)


async def _same_model(session: Session, version: Version, digest: str) -> None:
    """One round: each party's half is what it told the other when it was trained."""
    if digest != version.digest:
        message = f"the stored model of job {version.job} is not the one that was trained"
        raise DataError(message, public=message, remedy="Restore it from a back-up, or train again.")
    mine = np.stack([digest_words(bytes.fromhex(version.digest)), digest_words(bytes.fromhex(version.peer_digest))])
    theirs = await session.exchange(Kind.REGISTRY, mine)
    if not np.array_equal(mine, theirs[::-1]):
        raise PolicyError(
            f"the two parties hold halves of different models under the name {version.job}", remedy="Train it again."
        )


async def _both_at(session: Session, position: bytes) -> None:
    mine: Array = digest_words(position)
    if not np.array_equal(mine, await session.exchange(Kind.REGISTRY, mine)):
        raise PeerProtocolError("the other party is at another move", remedy="Both sides must run the same version and plan.")


async def _compare(plan: PromotePlan, session: Session, registry: Registry, role: Role, version: Version) -> Challenge | None:
    """The model beside the champion, at the bank. Raises PolicyError for one that is significantly worse.

    Opens METRICS first, as the outcome tells the client: by numbers, or by a refusal, whose numbers stay here.
    """
    champion = registry.champion
    if plan.action == "rollback" or champion is None or champion == version.job:
        return None
    if session.party is Party.BANK:
        session.open(Opened.METRICS)
    return await asyncio.to_thread(role.compare, plan, version.job, champion)
