"""The champion of both parties: where two registries stand, and what a crash between preparing and committing a move left."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np

from common.errors import PlanError, PolicyError
from common.home.models import CHAMPION, ModelStore
from common.home.registry import ORIGIN, Registry
from common.learn.learner import Half
from common.learn.learners import scored_undealt
from common.mpc.session import Array, Kind, Session
from common.rows.dataset import ColumnConfig

_NOWHERE = bytes(32)
_PAUSES = (0.05, 0.2, 0.0)  # seconds after which both look again

Columns = Mapping[str, ColumnConfig]


async def settle(session: Session, registry: Registry, *, differ: bool = False) -> bool:
    """Both stand at the same move afterwards; or False, if `differ` allows that they do not.

    Each tells where it stands and where its prepared move would lead. At the same place: neither had committed. What is
    prepared stays, as a promotion may be at work on it beside this job; without one it leads nowhere, and the next one's takes
    its place. The other stands where my prepared move leads: it committed, which it does only once both have prepared, so I
    commit too. Raises PolicyError when the histories differ and may not.
    """
    return (await _settled(session, registry, differ=differ))[0]


async def _settled(session: Session, registry: Registry, *, differ: bool = False) -> tuple[bool, str | None]:
    """As `settle`; and the champion where both stood, whatever a promotion commits meanwhile: else each could name its own.

    Who looked before a promotion and who looked after it both see places that differ, and look again.
    """
    for pause in _PAUSES:
        move, moves = registry.prepared(), registry.moves()
        position, champion = (moves[-1].position, moves[-1].champion) if moves else (ORIGIN, None)
        mine = np.stack([digest_words(position), digest_words(move.position if move else _NOWHERE)])
        theirs = await session.exchange(Kind.REGISTRY, mine)
        if move is not None and np.array_equal(mine[1], theirs[0]):
            registry.commit(move.position)
            return True, move.champion
        if np.array_equal(mine[0], theirs[0]) or np.array_equal(theirs[1], mine[0]):  # if not the same, the other commits now
            return True, champion
        await asyncio.sleep(pause)
    if not differ:
        raise _differ()
    registry.drop()
    return False, champion


async def resolve(session: Session, registry: Registry, model: str) -> str:
    """The job that `model` names; of the champion both parties make sure that it is the same one, in one round."""
    if model != CHAMPION:
        return model
    champion = await champion_of_both(session, registry)
    if champion is None:
        raise no_champion()
    return champion


def no_champion() -> PolicyError:
    return PolicyError("there is no champion yet", remedy="Promote a model: wattscore promote JOB.")


async def champion_of_both(session: Session, registry: Registry) -> str | None:
    """None where there is none yet; the same at both."""
    return (await _settled(session, registry))[1]


async def find_champion(
    session: Session, registry: Registry, models: ModelStore, columns: Columns, *, undealt: bool = False
) -> Half | None:
    """What the champion needs to score a table of `columns` too; the same job at both parties, or None at both.

    undealt: whether nobody deals, in the job that asks. Raises PlanError for a champion that scores the other way alone.
    """
    job = await champion_of_both(session, registry)
    if job is None:
        return None
    model = models.load(job)
    if scored_undealt(model) is (not undealt):
        why = "nobody holds it, and its scores take masks that are dealt" if undealt else "it was trained with nobody who deals"
        raise PlanError(
            f"the champion {job} scores in another way than this job: {why}",
            remedy="Train without challenge: promotion then compares on rows that both trainings held out.",
        )
    _check_columns(model, columns)
    return model


def _check_columns(champion: Half, columns: Columns) -> None:
    """Raises PlanError unless the champion's columns are among these, read in the same way; their reasons may differ."""
    differ = [name for name, column in champion.source.items() if name not in columns or _read(column) != _read(columns[name])]
    if differ:
        raise PlanError(
            f"this dataset lacks columns of the champion {champion.job}, or declares them otherwise",
            remedy="Train without challenge: promotion then compares on rows that both trainings held out.",
            local=f"They are: {', '.join(differ)}.",
        )


def _read(column: ColumnConfig) -> dict[str, object]:
    return column.model_dump(exclude={"reason", "monotone"})


def digest_words(digest: bytes) -> Array:
    """32 bytes as uint64 (4,)."""
    return np.frombuffer(digest, np.uint64).copy()


def _differ() -> PolicyError:
    return PolicyError(
        "the two parties' registries tell different histories of the champion: one may be a restored back-up",
        remedy="Agree on a model and promote it anew at both: wattscore promote JOB --anew.",
    )
